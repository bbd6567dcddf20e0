/**
 * Hooks of modules. A module without hooks pays nothing: the first hook puts a wrapper in front of
 * its `forward`, the removal of the last one takes it away.
 */
import { Function as AutogradFunction, type FunctionContext } from '../autograd';
import { makeError } from '../errors';
import { type RemovableHandle, Tensor } from '../tensor';
import { checkNames, show } from './options';
import type { Module } from './module';
import type { Parameter } from './parameter';
import type { LoadResult, StateDict } from './stateDict';

export type GradTuple = readonly (Tensor | null)[];

export type PreHook = (module: Module, args: unknown[]) => unknown;
export type PostHook = (module: Module, args: unknown[], output: unknown) => unknown;
export type BackwardPreHook = (module: Module, gradOutput: GradTuple) => unknown;
export type BackwardHook = (module: Module, gradInput: GradTuple, gradOutput: GradTuple) => unknown;

export interface HookOptions {
  /** Run before the hooks that are there already. Default false. */
  readonly prepend?: boolean | undefined;
}

export interface Hooks {
  readonly forwardPre: PreHook[];
  readonly forward: PostHook[];
  readonly backwardPre: BackwardPreHook[];
  readonly backward: BackwardHook[];
  readonly state: StateHooks;
}

export type HookKind = Exclude<keyof Hooks, 'state'>;

/** Hooks of saving and loading; they do not wrap `forward`. */
export interface StateHooks {
  readonly savePre: ((module: Module, prefix: string, keepVars: boolean) => void)[];
  readonly savePost: ((module: Module, state: StateDict, prefix: string) => unknown)[];
  readonly loadPre: ((module: Module, state: StateDict, prefix: string) => void)[];
  readonly loadPost: ((module: Module, result: LoadResult) => void)[];
}

export function newHooks(): Hooks {
  const state: StateHooks = { savePre: [], savePost: [], loadPre: [], loadPost: [] };
  return { forwardPre: [], forward: [], backwardPre: [], backward: [], state };
}

type Forward = (this: Module, ...args: unknown[]) => unknown;

const wrappers = new WeakMap<Module, PropertyDescriptor | null>();

function isEmpty(hooks: Hooks): boolean {
  return Object.values(hooks).every((list: unknown) => !Array.isArray(list) || list.length === 0);
}

/** Puts the wrapper in front of `forward`. */
export function installHooks(module: Module, hooks: Hooks): void {
  if (wrappers.has(module) || isEmpty(hooks)) return;
  const own = Object.getOwnPropertyDescriptor(module, 'forward') ?? null;
  wrappers.set(module, own);
  Object.defineProperty(module, 'forward', {
    value: (...args: unknown[]) => runHooked(module, hooks, args),
    enumerable: false,
    configurable: true,
    writable: true,
  });
}

function uninstallHooks(module: Module): void {
  const own = wrappers.get(module);
  if (own === undefined) return;
  wrappers.delete(module);
  if (own === null) Reflect.deleteProperty(module, 'forward');
  else Object.defineProperty(module, 'forward', own);
}

/** Adds a hook and returns what removes it. */
export function addHook(
  module: Module,
  hooks: Hooks,
  kind: HookKind,
  hook: unknown,
  options: HookOptions,
): RemovableHandle {
  const where = `${module.constructor.name}: ${kind} hook`;
  const handle = addEntry(where, hooks[kind], hook, options);
  installHooks(module, hooks);
  return {
    remove: () => {
      handle.remove();
      if (isEmpty(hooks)) uninstallHooks(module);
    },
  };
}

/** Adds a hook to a list and returns what removes it. */
export function addEntry(
  where: string,
  list: unknown[],
  hook: unknown,
  options: HookOptions = {},
): RemovableHandle {
  if (typeof hook !== 'function') {
    throw makeError('ERR_TYPE', `${where} must be a function, got ${show(hook)}`);
  }
  checkNames(where, options, ['prepend']);
  // An entry of its own, so that one function can be registered twice.
  const entry: unknown = (...args: unknown[]) => (hook as (...a: unknown[]) => unknown)(...args);
  if (options.prepend === true) list.unshift(entry);
  else list.push(entry);
  return {
    remove: () => {
      const at = list.indexOf(entry);
      if (at >= 0) list.splice(at, 1);
    },
  };
}

/** Hooks of every module; they run before a module's own. */
const everywhere = newHooks();

/** Whether there are any hooks of every module. */
export function hasGlobalHooks(): boolean {
  return !isEmpty(everywhere);
}

/** Runs a module without hooks of its own under those of every module. */
export function runGlobalHooks(module: Module, args: unknown[]): unknown {
  // A module with hooks has the wrapper, which runs these too.
  if (wrappers.has(module)) return (module.forward as (...a: unknown[]) => unknown)(...args);
  return runHooked(module, newHooks(), args);
}

/**
 * Calls `hook(module, args)` before the forward of every module that is called. PyTorch:
 * `torch.nn.modules.module.register_module_forward_pre_hook`.
 */
export function registerModuleForwardPreHook(hook: PreHook): RemovableHandle {
  return addEntry('registerModuleForwardPreHook: hook', everywhere.forwardPre, hook);
}

/** Calls `hook(module, args, output)` after the forward of every module that is called. */
export function registerModuleForwardHook(hook: PostHook): RemovableHandle {
  return addEntry('registerModuleForwardHook: hook', everywhere.forward, hook);
}

/** Calls `hook(module, gradOutput)` in the backward pass of every module that is called. */
export function registerModuleFullBackwardPreHook(hook: BackwardPreHook): RemovableHandle {
  return addEntry('registerModuleFullBackwardPreHook: hook', everywhere.backwardPre, hook);
}

/** Calls `hook(module, gradInput, gradOutput)` in the backward pass of every called module. */
export function registerModuleFullBackwardHook(hook: BackwardHook): RemovableHandle {
  return addEntry('registerModuleFullBackwardHook: hook', everywhere.backward, hook);
}

/** Sees, and may replace, what is registered under a name; undefined or null: leave it. */
export type RegistrationHook<T> = (module: Module, name: string, value: T) => unknown;

const registration = {
  buffer: [] as RegistrationHook<Tensor | null>[],
  module: [] as RegistrationHook<Module | null>[],
  parameter: [] as RegistrationHook<Parameter | null>[],
};

/** Runs the registration hooks of every module. */
export function runRegistrationHooks<T>(
  kind: keyof typeof registration,
  module: Module,
  name: string,
  value: T,
): T {
  let now = value;
  for (const hook of registration[kind] as RegistrationHook<T>[]) {
    now = (hook(module, name, now) ?? now) as T;
  }
  return now;
}

/**
 * Calls `hook(module, name, buffer)` when `registerBuffer` is called anywhere; what it returns is
 * registered instead. PyTorch: `register_module_buffer_registration_hook`.
 */
export function registerModuleBufferRegistrationHook(
  hook: RegistrationHook<Tensor | null>,
): RemovableHandle {
  return addEntry('registerModuleBufferRegistrationHook: hook', registration.buffer, hook);
}

/**
 * Calls `hook(module, name, submodule)` when `addModule` or `registerModule` is called anywhere. Modules
 * that are plainly assigned to fields pass unseen: fields are not intercepted.
 */
export function registerModuleModuleRegistrationHook(
  hook: RegistrationHook<Module | null>,
): RemovableHandle {
  return addEntry('registerModuleModuleRegistrationHook: hook', registration.module, hook);
}

/**
 * Calls `hook(module, name, parameter)` when `registerParameter` is called anywhere. Parameters that are
 * plainly assigned to fields pass unseen.
 */
export function registerModuleParameterRegistrationHook(
  hook: RegistrationHook<Parameter | null>,
): RemovableHandle {
  return addEntry('registerModuleParameterRegistrationHook: hook', registration.parameter, hook);
}

function runHooked(module: Module, own: Hooks, given: unknown[]): unknown {
  const hooks: Hooks = {
    forwardPre: [...everywhere.forwardPre, ...own.forwardPre],
    forward: [...everywhere.forward, ...own.forward],
    backwardPre: [...everywhere.backwardPre, ...own.backwardPre],
    backward: [...everywhere.backward, ...own.backward],
    state: own.state,
  };
  let args = given;
  for (const hook of hooks.forwardPre) {
    const result = hook(module, args);
    if (result !== undefined && result !== null) args = Array.isArray(result) ? result : [result];
  }
  const wrapped = wrappers.get(module);
  const forward = (wrapped?.value ??
    (Object.getPrototypeOf(module) as { forward: unknown }).forward) as Forward;
  const run = (input: unknown[]): unknown => {
    let output = forward.apply(module, input);
    for (const hook of hooks.forward) {
      const result = hook(module, input, output);
      if (result !== undefined && result !== null) output = result;
    }
    return output;
  };
  if (hooks.backward.length === 0 && hooks.backwardPre.length === 0) return run(args);
  const probe = new Probe(module, hooks);
  return probe.watchOutputs(run(probe.watchInputs(args)));
}

/** Sees the gradients that enter and leave one call of a module in the backward pass. */
class Probe {
  readonly #module: Module;
  readonly #hooks: Hooks;
  #gradOutput: GradTuple = [];
  #inputs = 0;
  #inputPositions: readonly number[] = [];

  constructor(module: Module, hooks: Hooks) {
    this.#module = module;
    this.#hooks = hooks;
  }

  watchInputs(args: unknown[]): unknown[] {
    this.#inputs = args.length;
    const at = args.flatMap((a, i) => (a instanceof Tensor && a.requiresGrad ? [i] : []));
    this.#inputPositions = at;
    if (at.length === 0) return args;
    const watched = InputProbe.apply(this, ...at.map((i) => args[i] as Tensor));
    const out = [...args];
    at.forEach((i, k) => {
      out[i] = watched[k];
    });
    return out;
  }

  watchOutputs(output: unknown): unknown {
    const single = output instanceof Tensor;
    if (!single && !Array.isArray(output)) return output;
    const list: unknown[] = single ? [output] : [...(output as unknown[])];
    const at = list.flatMap((t, i) => (t instanceof Tensor && t.requiresGrad ? [i] : []));
    if (at.length === 0) return output;
    const watched = OutputProbe.apply(this, list.length, at, ...at.map((i) => list[i] as Tensor));
    at.forEach((i, k) => {
      list[i] = watched[k];
    });
    return single ? list[0] : list;
  }

  /** Gradients with respect to the outputs have arrived. */
  enter(grads: readonly Tensor[], count: number, at: readonly number[]): readonly Tensor[] {
    let tuple = spread(grads, count, at);
    for (const hook of [...this.#hooks.backwardPre]) {
      tuple = replaced('backward pre-hook', hook(this.#module, tuple), tuple);
    }
    this.#gradOutput = tuple;
    // Nothing behind this module wants a gradient: its hooks run now.
    if (this.#inputPositions.length === 0) this.leave([]);
    return at.map((i) => tuple[i] as Tensor);
  }

  /** Gradients with respect to the inputs are complete. */
  leave(grads: readonly Tensor[]): readonly Tensor[] {
    let tuple = spread(grads, this.#inputs, this.#inputPositions);
    for (const hook of [...this.#hooks.backward]) {
      tuple = replaced('backward hook', hook(this.#module, tuple, this.#gradOutput), tuple);
    }
    return this.#inputPositions.map((i) => tuple[i] as Tensor);
  }
}

function spread(grads: readonly Tensor[], count: number, at: readonly number[]): GradTuple {
  const out = new Array<Tensor | null>(count).fill(null);
  at.forEach((i, k) => {
    out[i] = grads[k] ?? null;
  });
  return out;
}

function replaced(where: string, result: unknown, before: GradTuple): GradTuple {
  if (result === undefined || result === null) return before;
  const after = (Array.isArray(result) ? result : [result]) as GradTuple;
  if (after.length !== before.length) {
    throw makeError(
      'ERR_AUTOGRAD',
      `${where} must return ${before.length} gradients, got ${after.length}`,
    );
  }
  return after;
}

class InputProbe extends AutogradFunction {
  static forward(ctx: FunctionContext, probe: Probe, ...inputs: Tensor[]): Tensor[] {
    ctx.attributes['probe'] = probe;
    return inputs;
  }

  static backward(ctx: FunctionContext, ...grads: Tensor[]): readonly Tensor[] {
    return (ctx.attributes['probe'] as Probe).leave(grads);
  }
}

class OutputProbe extends AutogradFunction {
  static forward(
    ctx: FunctionContext,
    probe: Probe,
    count: number,
    at: readonly number[],
    ...outputs: Tensor[]
  ): Tensor[] {
    Object.assign(ctx.attributes, { probe, count, at });
    return outputs;
  }

  static backward(ctx: FunctionContext, ...grads: Tensor[]): readonly Tensor[] {
    const { probe, count, at } = ctx.attributes as unknown as {
      probe: Probe;
      count: number;
      at: readonly number[];
    };
    return probe.enter(grads, count, at);
  }
}
