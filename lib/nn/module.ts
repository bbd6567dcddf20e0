/**
 * The base class of layers and models. Parameters and submodules are plain fields, found by
 * walking a module's own properties; `forward` is what subclasses write and `call` what runs it.
 */
import { noGrad } from '../autograd';
import type { Device, DType } from '../dtype';
import { makeError } from '../errors';
import { readToArguments, type ToOptions } from '../functions/convert';
import { keep } from '../memory';
import { native } from '../native';
import { handleOf, type RemovableHandle, Tensor } from '../tensor';
import { convertModule } from './convert';
import { deepCopy } from './deepCopy';
import {
  addHook,
  type BackwardHook,
  type BackwardPreHook,
  type GradTuple,
  type HookKind,
  type HookOptions,
  type Hooks,
  hasGlobalHooks,
  newHooks,
  runGlobalHooks,
  runRegistrationHooks,
  type StateHooks,
} from './hooks';
import { bool, checkNames, readOptions, show } from './options';
import { Parameter } from './parameter';
import { formatModule } from './repr';
import {
  addStateHook,
  collectState,
  type LoadOptions,
  type LoadResult,
  loadState,
  type StateDict,
  type StateDictOptions,
} from './stateDict';

export interface NamedOptions {
  /** Text in front of every name. Default none. */
  readonly prefix?: string | undefined;
  /** Also those of submodules. Default true. */
  readonly recurse?: boolean | undefined;
  /** List what is shared only once. Default true. */
  readonly removeDuplicate?: boolean | undefined;
}

/** How field names become the names in `stateDict()`. */
export type FieldNames = 'same' | 'snake' | Readonly<Record<string, string>>;

interface ModuleState {
  /** Fields that are buffers; the value says whether they belong to the state dict. */
  buffers: Map<string, boolean> | undefined;
  hooks: Hooks | undefined;
}

/** For this package only. */
export const moduleState = Symbol('ampgrad.moduleState');

/** A module's own members by kind, in the order of its fields. */
export interface Members {
  readonly parameters: [string, Parameter | null][];
  readonly buffers: [string, Tensor | null, boolean][];
  readonly children: [string, Module | null][];
}

/** Arguments of a module's forward; of a module whose class is not known, any. */
type Args<M extends { forward: unknown }> = M['forward'] extends (...args: infer A) => unknown
  ? number extends A['length']
    ? A extends never[]
      ? unknown[]
      : A
    : A
  : never;

/** Result of a module's forward. */
type Result<M extends { forward(...args: never[]): unknown }> = ReturnType<M['forward']>;

function snake(field: string): string {
  return field.replace(/(?<=[a-z0-9])[A-Z]/g, (c) => `_${c.toLowerCase()}`);
}

function namedOptions(where: string, options: NamedOptions): Required<NamedOptions> {
  checkNames(where, options, ['prefix', 'recurse', 'removeDuplicate']);
  const { prefix = '', recurse = true, removeDuplicate = true } = options;
  return { prefix, recurse, removeDuplicate };
}

/**
 * Base of all layers and models. PyTorch: `torch.nn.Module`.
 *
 * Fields that hold a {@link Parameter} or a Module are found by themselves; buffers are named by
 * {@link Module.registerBuffer}. A list of modules goes into a `ModuleList`: an array of modules in
 * a field is an error, because its parameters would not be trained.
 *
 * @example
 * class Net extends nn.Module {
 *   fc1 = new nn.Linear(784, 128);
 *   fc2 = new nn.Linear(128, 10);
 *   forward(x: Tensor) { return this.fc2.call(this.fc1.call(x).relu()); }
 * }
 * const y = new Net().call(x);
 */
export class Module {
  /**
   * How names of fields become names of parameters: as they are, camelCase to snake_case, or by a
   * table. The layers of this package use 'snake', so their state dicts have PyTorch's keys.
   */
  static readonly fieldNames: FieldNames = 'same';

  /** Whether layers such as dropout behave as in training. */
  training = true;

  /** @internal */
  [moduleState]: ModuleState | undefined = undefined;

  /** What the module computes. Subclasses override this; {@link call} runs it. */
  forward(..._input: never[]): unknown {
    throw makeError(
      'ERR_NOT_IMPLEMENTED',
      `Module [${this.constructor.name}] is missing the required "forward" function`,
    );
  }

  /** Runs the module, with its hooks. PyTorch: `module(...)`. */
  call(...args: Args<this>): Result<this> {
    if (hasGlobalHooks()) return runGlobalHooks(this, args) as Result<this>;
    return (this.forward as (...a: unknown[]) => unknown)(...args) as Result<this>;
  }

  // --- What a module holds

  /** Own fields and their names in state dicts; containers add their items. */
  protected ownEntries(): [string, unknown][] {
    const { fieldNames } = this.constructor as typeof Module;
    const entries = Object.entries(this) as [string, unknown][];
    if (fieldNames === 'same') return entries;
    return entries.map(([field, value]) => [this.#nameOf(field), value]);
  }

  #nameOf(field: string): string {
    const { fieldNames } = this.constructor as typeof Module;
    if (fieldNames === 'same') return field;
    return fieldNames === 'snake' ? snake(field) : (fieldNames[field] ?? field);
  }

  /** @internal Own parameters, buffers and submodules. */
  members(): Members {
    const out: Members = { parameters: [], buffers: [], children: [] };
    const buffers = this[moduleState]?.buffers;
    for (const [name, value] of this.ownEntries()) {
      if (typeof value !== 'object' || value === null) continue;
      if (value instanceof Tensor) {
        if (value instanceof Parameter) out.parameters.push([name, value]);
        else if (buffers?.has(name) === true) {
          out.buffers.push([name, value, buffers.get(name) === true]);
        }
      } else if (value instanceof Module) {
        out.children.push([name, value]);
      } else if (Array.isArray(value)) {
        this.#checkList(name, value);
      }
    }
    return out;
  }

  /** @internal Replaces the value of a member, named as in {@link members}. */
  setMember(name: string, value: unknown): void {
    const field = Object.keys(this).find((key) => this.#nameOf(key) === name);
    if (field !== undefined) this.#setField(field, value);
  }

  #checkList(name: string, list: readonly unknown[]): void {
    if (!list.some((v) => v instanceof Module || v instanceof Parameter)) return;
    throw makeError(
      'ERR_TYPE',
      `${this.constructor.name}: field '${name}' is an array that holds modules or parameters, ` +
        'which would not be found; use nn.ModuleList or nn.ParameterList',
    );
  }

  /** Direct submodules with their names, each once. */
  namedChildren(): [string, Module][] {
    const seen = new Set<Module>();
    return this.members().children.filter((entry): entry is [string, Module] => {
      const child = entry[1];
      if (child === null || seen.has(child)) return false;
      seen.add(child);
      return true;
    });
  }

  /** Direct submodules, each once. */
  children(): Module[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /** This module (named '') and all below it, parents first. */
  namedModules(
    options: { readonly prefix?: string; readonly removeDuplicate?: boolean } = {},
  ): [string, Module][] {
    checkNames('namedModules', options, ['prefix', 'removeDuplicate']);
    const { prefix = '', removeDuplicate = true } = options;
    const out: [string, Module][] = [];
    const seen = new Set<Module>();
    const visit = (name: string, module: Module): void => {
      if (removeDuplicate) {
        if (seen.has(module)) return;
        seen.add(module);
      }
      out.push([name, module]);
      for (const [key, child] of module.members().children) {
        if (child !== null) visit(name === '' ? key : `${name}.${key}`, child);
      }
    };
    visit(prefix, this);
    return out;
  }

  /** This module and all below it, each once. */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  #named<T extends Tensor>(
    pick: (members: Members) => readonly [string, T | null, ...unknown[]][],
    { prefix, recurse, removeDuplicate }: Required<NamedOptions>,
  ): [string, T][] {
    const owners: [string, Module][] = recurse
      ? this.namedModules({ prefix, removeDuplicate })
      : [[prefix, this]];
    const out: [string, T][] = [];
    const seen = new Set<T>();
    for (const [owner, module] of owners) {
      for (const [name, value] of pick(module.members())) {
        if (value === null || (removeDuplicate && seen.has(value))) continue;
        seen.add(value);
        out.push([owner === '' ? name : `${owner}.${name}`, value]);
      }
    }
    return out;
  }

  /** Parameters of this module and those below it, with dotted names. */
  namedParameters(options: NamedOptions = {}): [string, Parameter][] {
    return this.#named((m) => m.parameters, namedOptions('namedParameters', options));
  }

  /** Parameters of this module and those below it; shared ones are listed once. */
  parameters(recurse = true): Parameter[] {
    return this.namedParameters({ recurse }).map(([, p]) => p);
  }

  /** Buffers of this module and those below it, with dotted names. */
  namedBuffers(options: NamedOptions = {}): [string, Tensor][] {
    return this.#named((m) => m.buffers, namedOptions('namedBuffers', options));
  }

  /** Buffers of this module and those below it; shared ones are listed once. */
  buffers(recurse = true): Tensor[] {
    return this.namedBuffers({ recurse }).map(([, b]) => b);
  }

  // --- Registration by name

  #checkName(kind: string, name: unknown): string {
    const { name: layer } = this.constructor;
    if (typeof name !== 'string') {
      throw makeError('ERR_TYPE', `${layer}: ${kind} name must be a string, got ${show(name)}`);
    }
    if (name === '' || name.includes('.')) {
      throw makeError(
        'ERR_VALUE',
        `${layer}: ${kind} name ${name === '' ? "can't be empty" : `'${name}' can't contain "."`}`,
      );
    }
    const descriptor = Object.getOwnPropertyDescriptor(this, name);
    if (descriptor === undefined && name in this) {
      throw makeError('ERR_VALUE', `${layer}: attribute '${name}' already exists`);
    }
    return name;
  }

  #setField(name: string, value: unknown): void {
    (this as unknown as Record<string, unknown>)[name] = value;
  }

  /**
   * Makes the field `name` a buffer: state that is not a parameter.
   * @param options `persistent` (default true): whether it belongs to the state dict.
   */
  registerBuffer(
    name: string,
    tensor: Tensor | null,
    options: { readonly persistent?: boolean | undefined } = {},
  ): void {
    const layer = this.constructor.name;
    const { persistent } = readOptions(
      `${layer}.registerBuffer`,
      { persistent: bool(true) },
      options,
    );
    this.#checkName('buffer', name);
    if (tensor !== null && !(tensor instanceof Tensor)) {
      throw makeError('ERR_TYPE', `${layer}: buffer '${name}' must be a Tensor or null`);
    }
    const value = runRegistrationHooks('buffer', this, name, tensor);
    if (value !== null) keep(value);
    const state = this.#state();
    state.buffers ??= new Map();
    state.buffers.set(this.#nameOf(name), persistent);
    this.#setField(name, value);
  }

  /** Sets the field `name` to a parameter. */
  registerParameter(name: string, parameter: Parameter | null): void {
    this.#checkName('parameter', name);
    if (parameter !== null && !(parameter instanceof Parameter)) {
      throw makeError(
        'ERR_TYPE',
        `${this.constructor.name}: cannot assign ${show(parameter)} to parameter '${name}' ` +
          '(nn.Parameter or null required)',
      );
    }
    this.#setField(name, runRegistrationHooks('parameter', this, name, parameter));
  }

  /** Sets the field `name` to a submodule. */
  addModule(name: string, module: Module | null): void {
    this.#checkName('module', name);
    if (module !== null && !(module instanceof Module)) {
      throw makeError(
        'ERR_TYPE',
        `${this.constructor.name}: ${show(module)} is not a Module (submodule '${name}')`,
      );
    }
    this.#setField(name, runRegistrationHooks('module', this, name, module));
  }

  /** As {@link addModule}. */
  registerModule(name: string, module: Module | null): void {
    this.addModule(name, module);
  }

  // --- Access by dotted name

  /** The submodule with a dotted name; '' is this module. */
  getSubmodule(target: string): Module {
    if (target === '') return this;
    return target.split('.').reduce<Module>((module, atom) => {
      const child = module.members().children.find(([name]) => name === atom)?.[1];
      if (child === undefined || child === null) {
        throw makeError(
          'ERR_VALUE',
          `getSubmodule: ${module.constructor.name} has no submodule '${atom}' (in '${target}')`,
        );
      }
      return child;
    }, this);
  }

  /** The parameter with a dotted name. */
  getParameter(target: string): Parameter {
    return this.#find('getParameter', 'parameter', target, (m) => m.parameters);
  }

  /** The buffer with a dotted name. */
  getBuffer(target: string): Tensor {
    return this.#find('getBuffer', 'buffer', target, (m) => m.buffers);
  }

  #find<T extends Tensor>(
    where: string,
    kind: string,
    target: string,
    pick: (members: Members) => readonly [string, T | null, ...unknown[]][],
  ): T {
    const at = target.lastIndexOf('.');
    const owner = this.getSubmodule(target.slice(0, Math.max(0, at)));
    const name = target.slice(at + 1);
    const found = pick(owner.members()).find(([key]) => key === name)?.[1];
    if (found === undefined || found === null) {
      throw makeError('ERR_VALUE', `${where}: ${owner.constructor.name} has no ${kind} '${name}'`);
    }
    return found;
  }

  // --- State

  /**
   * Parameters and persistent buffers by dotted name, in PyTorch's order. The tensors share memory
   * with the module and are detached from the graph.
   */
  stateDict(options: StateDictOptions = {}): StateDict {
    return collectState(this, options);
  }

  /**
   * Copies values of a state dict into parameters and buffers, converting dtype and device.
   * @param options `strict` (default true): missing and unexpected keys are errors; `assign`: take
   * the tensors' memory over instead of copying.
   * @throws TensorError ERR_SHAPE / RangeError listing every key that does not fit; nothing is changed.
   */
  loadStateDict(state: Readonly<StateDict>, options: LoadOptions = {}): LoadResult {
    return loadState(this, state, options);
  }

  /** @internal Adds entries that older checkpoints do not have. */
  upgradeStateDict(_state: StateDict, _prefix: string): void {}

  /** Sets training mode here and below. */
  train(mode = true): this {
    if (typeof mode !== 'boolean') {
      throw makeError('ERR_TYPE', `train: argument 'mode' must be a boolean, got ${show(mode)}`);
    }
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** Sets evaluation mode here and below: dropout off, running statistics in use. */
  eval(): this {
    return this.train(false);
  }

  /** Calls `fn` with every module below this one, children first, then with this one. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /** Sets `requiresGrad` of all parameters. */
  requiresGrad_(requiresGrad = true): this {
    for (const p of this.parameters()) p.requiresGrad = requiresGrad;
    return this;
  }

  /** Drops the gradients of all parameters; with `{ setToNone: false }` fills them with zeros. */
  zeroGrad(options: { readonly setToNone?: boolean | undefined } = {}): void {
    const { setToNone } = readOptions('zeroGrad', { setToNone: bool(true) }, options);
    native.zeroGrads(
      this.parameters().map((p) => handleOf(p)),
      setToNone,
    );
  }

  // --- Conversion, in place: parameters stay the same objects

  /** Moves parameters and buffers to a device; converts those of floating point to a dtype. */
  to(dtype: DType, options?: ToOptions): this;
  to(device: Device, options?: ToOptions): this;
  to(device: Device, dtype: DType, options?: ToOptions): this;
  to(other: Tensor, options?: ToOptions): this;
  to(options: ToOptions): this;
  to(...args: unknown[]): this {
    const { dtype, device, nonBlocking } = readToArguments(args);
    if (typeof dtype === 'string' && !dtype.includes('float')) {
      throw makeError(
        'ERR_DTYPE',
        `Module.to: only floating point dtypes are accepted, got '${dtype}'`,
      );
    }
    return convertModule(this, (t) =>
      t.to({ dtype: t.isFloatingPoint() ? dtype : undefined, device, nonBlocking }),
    );
  }

  #toDType(dtype: DType): this {
    return convertModule(this, (t) => (t.isFloatingPoint() ? t.to(dtype) : t));
  }

  float(): this {
    return this.#toDType('float32');
  }

  double(): this {
    return this.#toDType('float64');
  }

  half(): this {
    return this.#toDType('float16');
  }

  bfloat16(): this {
    return this.#toDType('bfloat16');
  }

  /** Converts all parameters and buffers, integers too. */
  type(dtype: DType): this {
    return convertModule(this, (t) => t.to(dtype));
  }

  cpu(): this {
    return convertModule(this, (t) => t.cpu());
  }

  cuda(index?: number): this {
    return convertModule(this, (t) => t.cuda(index));
  }

  /** A copy with parameters and buffers of its own. PyTorch: `copy.deepcopy(module)`. */
  deepCopy(): this {
    return noGrad(() => deepCopy(this));
  }

  // --- Hooks

  #state(): ModuleState {
    return (this[moduleState] ??= { buffers: undefined, hooks: undefined });
  }

  #addHook(kind: HookKind, hook: unknown, options: HookOptions): RemovableHandle {
    const state = this.#state();
    return addHook(this, (state.hooks ??= newHooks()), kind, hook, options);
  }

  /**
   * Calls `hook(module, args)` before {@link forward}; what it returns (a value or an array of
   * arguments) replaces the arguments.
   */
  registerForwardPreHook(
    hook: (module: this, args: Args<this>) => unknown,
    options: HookOptions = {},
  ): RemovableHandle {
    return this.#addHook('forwardPre', hook, options);
  }

  /** Calls `hook(module, args, output)` after {@link forward}; what it returns replaces the output. */
  registerForwardHook(
    hook: (module: this, args: Args<this>, output: Result<this>) => unknown,
    options: HookOptions = {},
  ): RemovableHandle {
    return this.#addHook('forward', hook, options);
  }

  /**
   * Calls `hook(module, gradInput, gradOutput)` in the backward pass, once gradients of the tensor
   * arguments are known; what it returns replaces `gradInput`.
   */
  registerFullBackwardHook(
    hook: (module: this, gradInput: GradTuple, gradOutput: GradTuple) => unknown,
    options: HookOptions = {},
  ): RemovableHandle {
    return this.#addHook('backward', hook as BackwardHook, options);
  }

  /** Calls `hook(module, gradOutput)` before; what it returns replaces `gradOutput`. */
  registerFullBackwardPreHook(
    hook: (module: this, gradOutput: GradTuple) => unknown,
    options: HookOptions = {},
  ): RemovableHandle {
    return this.#addHook('backwardPre', hook as BackwardPreHook, options);
  }

  #addStateHook(kind: keyof StateHooks, hook: unknown): RemovableHandle {
    const state = this.#state();
    return addStateHook(this, (state.hooks ??= newHooks()).state, kind, hook);
  }

  /** Calls `hook(module, prefix, keepVars)` before the entries of this module are collected. */
  registerStateDictPreHook(hook: StateHooks['savePre'][number]): RemovableHandle {
    return this.#addStateHook('savePre', hook);
  }

  /** Calls `hook(module, state, prefix)` after; what it returns replaces the state dict. */
  registerStateDictPostHook(hook: StateHooks['savePost'][number]): RemovableHandle {
    return this.#addStateHook('savePost', hook);
  }

  /** Calls `hook(module, state, prefix)` before loading, with a copy of the dict to change. */
  registerLoadStateDictPreHook(hook: StateHooks['loadPre'][number]): RemovableHandle {
    return this.#addStateHook('loadPre', hook);
  }

  /** Calls `hook(module, result)` after loading; it may take keys off the lists of `result`. */
  registerLoadStateDictPostHook(hook: StateHooks['loadPost'][number]): RemovableHandle {
    return this.#addStateHook('loadPost', hook);
  }

  // --- Text

  /** What stands between the parentheses in the printed form; subclasses override this. */
  extraRepr(): string {
    return '';
  }

  toString(): string {
    return formatModule(this);
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
