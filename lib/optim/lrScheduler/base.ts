/**
 * The base of learning-rate schedulers: base rates, the epoch count, state dicts, and the rule about
 * the order of `optimizer.step()` and `scheduler.step()`. Behaviour is that of
 * `torch.optim.lr_scheduler`; besides, a step that a gradient scaler skipped does not advance it.
 */
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { numberOf, Optimizer, type ParamGroup } from '../optimizer';
import { checkObject, checkOptions, type OptionSpecs, show, withDefaults } from '../options';
import { camelCase } from '../stateDict';

export type SchedulerStateDict = Record<string, unknown>;

export interface SchedulerOptions {
  /** Epoch to resume after; -1 to begin. Default -1. */
  readonly lastEpoch?: number;
}

/** Arguments after the optimizer, as a class declares them: leading positions, then options. */
export interface Signature {
  /** Names of what may be given by position. All but those in `optional` must be given. */
  readonly positions: readonly string[];
  readonly optional?: readonly string[];
  readonly specs: OptionSpecs;
  /** Other spellings. */
  readonly aliases?: Readonly<Record<string, string>>;
}

function isOptions(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Tensor) &&
    !(value instanceof Optimizer) &&
    !(value instanceof LRScheduler)
  );
}

/** Brings positions and options into one record, checked and completed. */
export function readArguments(
  where: string,
  args: readonly unknown[],
  signature: Signature,
): Record<string, unknown> {
  const last = args[args.length - 1];
  const options = args.length > 0 && isOptions(last) ? last : {};
  const given = options === last ? args.slice(0, -1) : [...args];
  while (given.length > 0 && given[given.length - 1] === undefined) given.pop();
  const { positions, optional = [], specs, aliases = {} } = signature;
  if (given.length > positions.length) {
    throw makeError(
      'ERR_TYPE',
      `${where}: takes at most ${String(positions.length)} arguments after the optimizer ` +
        `(${positions.join(', ') || 'none'}) and an options object, got ${show(given[positions.length])}`,
    );
  }
  const all: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    all[Object.hasOwn(aliases, key) ? (aliases[key] as string) : key] = value;
  }
  given.forEach((value, i) => {
    const name = positions[i] as string;
    if (all[name] !== undefined) {
      throw makeError('ERR_TYPE', `${where}: argument '${name}' is given twice`);
    }
    all[name] = value;
  });
  checkObject(where, all);
  checkOptions(where, all, specs);
  for (const name of positions) {
    if (all[name] === undefined && !optional.includes(name)) {
      throw makeError('ERR_TYPE', `${where}: argument '${name}' is required`);
    }
  }
  return withDefaults(all, specs);
}

/** Writes a learning rate; a Tensor is filled. */
export function setLr(group: ParamGroup, value: number): void {
  if (group.lr instanceof Tensor) group.lr.fill_(value);
  else group.lr = value;
}

/** The current learning rates. */
export function currentLrs(optimizer: Optimizer): number[] {
  return optimizer.paramGroups.map((g) => numberOf(g.lr));
}

/** A number for all groups, or one per group. */
export function perGroup(
  where: string,
  name: string,
  optimizer: Optimizer,
  value: unknown,
): number[] {
  const count = optimizer.paramGroups.length;
  if (!Array.isArray(value)) return new Array<number>(count).fill(numberOf(value));
  if (value.length !== count) {
    throw makeError(
      'ERR_VALUE',
      `${where}: expected ${String(count)} values for '${name}', one per parameter group, ` +
        `got ${String(value.length)}`,
    );
  }
  return value.map(numberOf);
}

export function checkOptimizer(where: string, optimizer: unknown): Optimizer {
  if (optimizer instanceof Optimizer) return optimizer;
  throw makeError('ERR_TYPE', `${where}: expected an Optimizer, got ${show(optimizer)}`);
}

export abstract class LRScheduler {
  readonly optimizer: Optimizer;
  /** Learning rates of the groups at the beginning. */
  baseLrs: number[] = [];
  lastEpoch = -1;
  /** Advance also when all optimizer steps since the last call were skipped by a gradient scaler. */
  advanceOnSkippedSteps = false;

  /** Number of calls of `step`, that at construction included. */
  protected _stepCount = 0;
  protected _lastLr: number[] = [];
  /** The step at construction is running. */
  protected isInitial = false;

  #seenSteps: number;
  #seenSkips: number;
  readonly #firstStep: number;

  protected constructor(name: string, optimizer: Optimizer) {
    this.optimizer = checkOptimizer(name, optimizer);
    this.#seenSteps = this.#firstStep = optimizer.stepCount;
    this.#seenSkips = optimizer.skippedSteps;
  }

  /** Takes over the base rates and makes the first step; the last act of every constructor. */
  protected begin(name: string, lastEpoch: number): void {
    this.optimizer.paramGroups.forEach((group, i) => {
      if (lastEpoch === -1) {
        group['initialLr'] ??= numberOf(group.lr);
      } else if (group['initialLr'] === undefined) {
        throw makeError(
          'ERR_VALUE',
          `${name}: 'initialLr' is not in paramGroups[${String(i)}]: to resume with lastEpoch >= 0, ` +
            'load the state of the optimizer first',
        );
      }
    });
    this.baseLrs = this.optimizer.paramGroups.map((g) => numberOf(g['initialLr']));
    this.lastEpoch = lastEpoch;
    this.initialStep();
  }

  /** The step that sets the rate of the first epoch. */
  initialStep(): void {
    this._stepCount = 0;
    this.isInitial = true;
    try {
      this.step();
    } finally {
      this.isInitial = false;
    }
  }

  /** Learning rates of this epoch, from those of the epoch before. */
  abstract getLr(): number[];

  /** Learning rates of this epoch from the base rates; undefined where there is no such formula. */
  protected closedFormLr(): number[] | undefined {
    return undefined;
  }

  /** The learning rates that the last step set. */
  getLastLr(): number[] {
    return [...this._lastLr];
  }

  /**
   * Goes to the next epoch and sets the learning rates. Call it after `optimizer.step()`.
   * @param epoch go to this epoch instead.
   */
  step(epoch?: number): void {
    if (!this.isInitial && !this.shouldAdvance()) return;
    if (this._stepCount === 1) this.#checkOrder();
    ++this._stepCount;
    this.updateLr(epoch);
  }

  /** False when the optimizer has only skipped steps since the last call. */
  protected shouldAdvance(): boolean {
    const steps = this.optimizer.stepCount - this.#seenSteps;
    const skips = this.optimizer.skippedSteps - this.#seenSkips;
    this.#seenSteps = this.optimizer.stepCount;
    this.#seenSkips = this.optimizer.skippedSteps;
    return this.advanceOnSkippedSteps || steps > 0 || skips === 0;
  }

  #checkOrder(): void {
    if (this.optimizer.stepCount !== this.#firstStep || this.#seenSkips > 0) return;
    process.emitWarning(
      'scheduler.step() was called before optimizer.step(): call them in the opposite order, ' +
        'otherwise the first learning rate of the schedule is skipped',
      'UserWarning',
    );
  }

  /** Sets the rates of an epoch, by default the next. */
  updateLr(epoch?: number): void {
    this.lastEpoch = epoch ?? this.lastEpoch + 1;
    const values = (epoch === undefined ? undefined : this.closedFormLr()) ?? this.getLr();
    const { paramGroups } = this.optimizer;
    if (values.length !== paramGroups.length) {
      throw makeError(
        'ERR_VALUE',
        `${this.constructor.name}: knows ${String(values.length)} parameter groups, the optimizer has ` +
          `${String(paramGroups.length)}: make the scheduler after adding the last group`,
      );
    }
    paramGroups.forEach((group, i) => setLr(group, values[i] as number));
    this._lastLr = currentLrs(this.optimizer);
  }

  /** Multiplies the current rates. */
  protected scaled(factor: number): number[] {
    return currentLrs(this.optimizer).map((lr) => lr * factor);
  }

  /** Names of the fields that make up the state. */
  protected get stateNames(): readonly string[] {
    return ['baseLrs', 'lastEpoch', '_stepCount', '_lastLr'];
  }

  /** All that is needed to go on, functions excepted. */
  stateDict(): SchedulerStateDict {
    const self = this as unknown as Record<string, unknown>;
    return Object.fromEntries(this.stateNames.map((key) => [key, copied(self[key])]));
  }

  /** Takes over what {@link stateDict} gave. Names may be PyTorch's (`last_epoch`). */
  loadStateDict(dict: Readonly<SchedulerStateDict>): void {
    const self = this as unknown as Record<string, unknown>;
    for (const [key, value] of Object.entries(dict)) {
      const name = key.startsWith('_') ? `_${camelCase(key.slice(1))}` : camelCase(key);
      if (this.stateNames.includes(name)) self[name] = copied(value);
    }
  }
}

function copied(value: unknown): unknown {
  return Array.isArray(value) ? value.map(copied) : value;
}
