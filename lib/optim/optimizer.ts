/**
 * The base of all optimizers: parameter groups, state, hooks, state dicts, and the road of a step to
 * its one native call per group. Layout and rules are PyTorch's (`torch.optim.Optimizer`).
 */
import { enableGrad } from '../autograd';
import { makeError } from '../errors';
import { keep } from '../memory';
import { native, type Handle, type NativeFunction } from '../native';
import { handleOf, type RemovableHandle, Tensor, wrapTensor } from '../tensor';
import { warnOnce } from '../warnings';
import { checkObject, checkOptions, type OptionSpecs, show, withDefaults } from './options';
import { groupToState, loadGroups, loadStates, type OptimizerStateDict } from './stateDict';

/** What an optimizer keeps for one parameter. */
export type ParamState = Record<string, unknown>;

/** A parameter group: its parameters and the options that hold for them. */
export interface ParamGroup {
  params: Tensor[];
  /** Names of the parameters, when they were given with names. */
  paramNames?: string[];
  lr: number | Tensor;
  [option: string]: unknown;
}

/** A group as the caller writes it; options that are missing take the optimizer's. */
export interface ParamGroupInput {
  readonly params: Tensor | Iterable<Tensor> | Iterable<readonly [string, Tensor]>;
  readonly [option: string]: unknown;
}

/** What an optimizer can be made for. */
export type Params =
  Iterable<Tensor> | Iterable<readonly [string, Tensor]> | Iterable<ParamGroupInput>;

/** A closure that clears gradients, computes the loss, calls backward and returns the loss. */
export type Closure = () => Tensor | number;

export type StepHook = (optimizer: Optimizer) => void;

/** What a native step works with: its op, and the names under which state is kept. */
export interface StepPlan {
  readonly op: NativeFunction;
  /** One float per parameter, the step count first. */
  readonly scalars: readonly string[];
  /** One tensor of the parameter's shape each. */
  readonly states: readonly string[];
  /** Arguments after the lists. */
  readonly options: readonly unknown[];
}

/** Name under which the float32 copy of a half parameter is kept. */
export const masterName = 'masterParam';

class HookSet<T> {
  readonly #hooks = new Map<number, T>();
  #next = 0;

  add(hook: T): RemovableHandle {
    const id = this.#next++;
    this.#hooks.set(id, hook);
    return { remove: () => void this.#hooks.delete(id) };
  }

  *[Symbol.iterator](): Iterator<T> {
    yield* [...this.#hooks.values()];
  }
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

/** The value of an option that may be a one-element Tensor. */
export function numberOf(value: unknown): number {
  return value instanceof Tensor ? value.item() : (value as number);
}

export abstract class Optimizer {
  /** Options of groups that do not say otherwise. */
  readonly defaults: Record<string, unknown>;
  readonly paramGroups: ParamGroup[] = [];
  /** State per parameter. */
  readonly state = new Map<Tensor, ParamState>();

  /**
   * Set by a gradient scaler around a step: gradients are divided by `gradScale`, and nothing is
   * written when `foundInf` is not zero. One float32 value each.
   */
  gradScale: Tensor | null = null;
  foundInf: Tensor | null = null;
  /** Whether `step` honours {@link gradScale} and {@link foundInf}. */
  readonly supportsGradScale: boolean = true;

  /** Calls of `step` so far that were not skipped, and steps that a gradient scaler skipped. */
  stepCount = 0;
  skippedSteps = 0;

  readonly #name: string;
  readonly #specs: OptionSpecs;
  readonly #preHooks = new HookSet<StepHook>();
  readonly #postHooks = new HookSet<StepHook>();

  protected constructor(name: string, params: Params, options: object, specs: OptionSpecs) {
    this.#name = name;
    this.#specs = specs;
    checkObject(name, options);
    checkOptions(name, options as Record<string, unknown>, specs);
    this.defaults = withDefaults(options as Record<string, unknown>, specs);
    this.validate(this.defaults);
    if (params instanceof Tensor || !isIterable(params)) {
      throw makeError(
        'ERR_TYPE',
        `${name}: params must be an iterable of Tensors, of [name, Tensor] or of groups ` +
          `{ params, lr, ... }, got ${show(params)}`,
      );
    }
    const list = [...(params as Iterable<unknown>)];
    if (list.length === 0) {
      throw makeError('ERR_VALUE', `${name}: optimizer got an empty parameter list`);
    }
    const first = list[0];
    if (first instanceof Tensor || Array.isArray(first)) {
      this.addParamGroup({ params: list as Tensor[] });
    } else {
      for (const group of list) this.addParamGroup(group as ParamGroupInput);
    }
  }

  /** Checks that involve several options. */
  protected validate(_options: Readonly<Record<string, unknown>>): void {}

  /** Adds parameters with options of their own. */
  addParamGroup(input: ParamGroupInput): void {
    const where = this.#name;
    checkObject(`${where}: addParamGroup`, input);
    const { params: given, paramNames, ...options } = input;
    checkOptions(where, options, this.#specs, ['initialLr', 'name']);
    const group: ParamGroup = {
      ...this.defaults,
      ...Object.fromEntries(
        Object.entries(options).filter(([key, v]) => v !== undefined && key in this.defaults),
      ),
      params: [],
    } as unknown as ParamGroup;
    for (const key of ['initialLr', 'name']) if (key in options) group[key] = options[key];
    this.validate(group);
    const names = this.#collect(given, group.params);
    if (names.length > 0) group.paramNames = names;
    else if (Array.isArray(paramNames)) group.paramNames = paramNames as string[];
    this.#checkParams(group);
    this.#warnOfHalf(group);
    this.paramGroups.push(group);
  }

  /** Puts the tensors of `given` into `out`; returns their names if they have any. */
  #collect(given: unknown, out: Tensor[]): string[] {
    if (!(given instanceof Tensor) && !isIterable(given)) {
      throw makeError(
        'ERR_TYPE',
        `${this.#name}: 'params' of a group must be a Tensor or an iterable of Tensors, ` +
          `got ${show(given)}`,
      );
    }
    const names: string[] = [];
    for (const item of given instanceof Tensor ? [given] : given) {
      if (Array.isArray(item) && typeof item[0] === 'string' && item[1] instanceof Tensor) {
        names.push(item[0]);
        out.push(item[1]);
      } else if (item instanceof Tensor) {
        out.push(item);
      } else {
        throw makeError(
          'ERR_TYPE',
          `${this.#name}: optimizer can only optimize Tensors, but one of the params is ` +
            show(item),
        );
      }
    }
    if (names.length !== 0 && names.length !== out.length) {
      throw makeError('ERR_VALUE', `${this.#name}: all parameters must have a name, or none`);
    }
    return names;
  }

  #checkParams(group: ParamGroup): void {
    const seen = new Set<Tensor>();
    for (const other of this.paramGroups) for (const p of other.params) seen.add(p);
    const own = new Set<Tensor>();
    for (const p of group.params) {
      if (!p.isLeaf) {
        throw makeError('ERR_VALUE', `${this.#name}: can't optimize a non-leaf Tensor`);
      }
      if (!p.isFloatingPoint()) {
        throw makeError(
          'ERR_DTYPE',
          `${this.#name}: parameters must be of floating point dtype, got ${p.dtype}`,
        );
      }
      if (own.has(p)) {
        throw makeError(
          'ERR_VALUE',
          `${this.#name}: a parameter group contains the same parameter twice`,
        );
      }
      if (seen.has(p)) {
        throw makeError(
          'ERR_VALUE',
          `${this.#name}: some parameters appear in more than one parameter group`,
        );
      }
      own.add(p);
    }
    const named = this.paramGroups.some((g) => g.paramNames !== undefined);
    if (this.paramGroups.length > 0 && named !== (group.paramNames !== undefined)) {
      throw makeError(
        'ERR_VALUE',
        `${this.#name}: all parameter groups must have names for their parameters, or none`,
      );
    }
  }

  /** Steps below half of the last digit are lost, which is most of them late in training. */
  #warnOfHalf(group: ParamGroup): void {
    if (group['masterWeights'] !== false || !group.params.some((p) => p.dtype === 'float16'))
      return;
    warnOnce(
      'OptimizerWarning',
      `${this.#name}: float16 parameters without float32 master weights: updates smaller than about ` +
        '1/2048 of a parameter are lost. Pass masterWeights: true, or keep the parameters in float32 ' +
        'and use amp.autocast',
    );
  }

  /** Drops all gradients, or fills them with zeros when `setToNone` is false. */
  zeroGrad(options: { readonly setToNone?: boolean } = {}): void {
    const { setToNone = true } = options;
    for (const group of this.paramGroups) native.zeroGrads(group.params.map(handleOf), setToNone);
  }

  /**
   * Updates all parameters that have a gradient.
   * @param closure evaluated first, with gradients enabled; its result is returned.
   */
  step(): undefined;
  step<T extends Tensor | number>(closure: () => T): T;
  step(closure?: Closure): Tensor | number | undefined;
  step(closure?: Closure): Tensor | number | undefined {
    if (closure !== undefined && typeof closure !== 'function') {
      throw makeError(
        'ERR_TYPE',
        `${this.#name}: step: closure must be a function, got ${show(closure)}`,
      );
    }
    for (const hook of this.#preHooks) hook(this);
    const loss = this.performStep(closure);
    ++this.stepCount;
    for (const hook of this.#postHooks) hook(this);
    return loss;
  }

  /** The step without its hooks. */
  protected performStep(closure: Closure | undefined): Tensor | number | undefined {
    const loss = closure === undefined ? undefined : enableGrad(closure);
    for (const group of this.paramGroups) this.updateGroup(group);
    return loss;
  }

  /** Updates the parameters of one group. */
  protected abstract updateGroup(group: ParamGroup): void;

  /**
   * Called by a gradient scaler for a step that was skipped: schedulers take notice.
   * @param called `step` was called and found out by itself ({@link foundInf}).
   */
  noteSkippedStep(called = false): void {
    ++this.skippedSteps;
    if (called) --this.stepCount;
  }

  /** The state of a parameter; made when there is none. */
  protected stateOf(param: Tensor): ParamState {
    let state = this.state.get(param);
    if (state === undefined) {
      state = {};
      this.state.set(param, state);
    }
    return state;
  }

  /** Runs a native step over a group and keeps the state it created. */
  protected runStep(group: ParamGroup, plan: StepPlan): void {
    const { params } = group;
    const states = params.map((p) => this.state.get(p));
    const gather = (names: readonly string[]): (Handle | null)[] => {
      const list: (Handle | null)[] = [];
      for (const name of names) {
        for (const state of states) {
          const value = state?.[name];
          list.push(value instanceof Tensor ? handleOf(value) : null);
        }
      }
      return list;
    };
    const created = plan.op(
      params.map(handleOf),
      [],
      gather(plan.scalars),
      gather(plan.states),
      group['masterWeights'] === true ? gather([masterName]) : [],
      ...plan.options,
      this.gradScale === null ? null : handleOf(this.gradScale),
      this.foundInf === null ? null : handleOf(this.foundInf),
    ) as (Handle | null)[];
    if (created.length === 0) return;
    const names = [...plan.scalars, ...plan.states, masterName];
    created.forEach((handle, at) => {
      if (handle === null) return;
      const param = params[at % params.length] as Tensor;
      this.stateOf(param)[names[Math.floor(at / params.length)] as string] = keep(
        wrapTensor(handle),
      );
    });
  }

  /** `hook(optimizer)` before every step. */
  registerStepPreHook(hook: StepHook): RemovableHandle {
    return this.#preHooks.add(hook);
  }

  /** `hook(optimizer)` after every step. */
  registerStepPostHook(hook: StepHook): RemovableHandle {
    return this.#postHooks.add(hook);
  }

  /** Names of state that is not saved. */
  protected get transientState(): readonly string[] {
    return [];
  }

  /** Completes loaded state. */
  protected restoreState(_param: Tensor, _state: ParamState): void {}

  /** State and options in PyTorch's layout: state by parameter index, indices in the groups. */
  stateDict(): OptimizerStateDict {
    const index = new Map<Tensor, number>();
    for (const group of this.paramGroups) for (const p of group.params) index.set(p, index.size);
    const state: Record<string, ParamState> = {};
    for (const [param, values] of this.state) {
      const at = index.get(param);
      if (at === undefined) continue;
      state[String(at)] = Object.fromEntries(
        Object.entries(values).filter(([name]) => !this.transientState.includes(name)),
      );
    }
    return { state, paramGroups: this.paramGroups.map((g) => groupToState(g, index)) };
  }

  /**
   * Takes over state and options. Tensors are copied and brought to the dtype and device of their
   * parameter. Names may be PyTorch's (`exp_avg`, `param_groups`).
   */
  loadStateDict(dict: OptimizerStateDict | Readonly<Record<string, unknown>>): void {
    const groups = loadGroups(this.#name, dict, this.paramGroups, this.#specs);
    const states = loadStates(this.#name, dict, groups.order);
    groups.apply();
    this.state.clear();
    for (const [param, state] of states) {
      this.restoreState(param, state);
      this.state.set(param, state);
    }
  }

  /** PyTorch's text form. */
  toString(): string {
    const text = (v: unknown): string => {
      if (v instanceof Tensor) return String(v.item());
      return Array.isArray(v) ? `[${v.map(text).join(', ')}]` : String(v);
    };
    const lines = this.paramGroups.flatMap((group, i) => [
      `Parameter Group ${String(i)}`,
      ...Object.keys(group)
        .filter((key) => key !== 'params')
        .sort()
        .map((key) => `    ${key}: ${text(group[key])}`),
      '',
    ]);
    return [`${this.#name} (`, ...lines.slice(0, -1), ')'].join('\n');
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
