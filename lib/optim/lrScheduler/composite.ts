/** Schedulers made of schedulers. */
import { makeError } from '../../errors';
import { numberOf, type Optimizer } from '../optimizer';
import { show } from '../options';
import { checkOptimizer, currentLrs, LRScheduler, type SchedulerStateDict, setLr } from './base';
import { ReduceLROnPlateau } from './plateau';

function checkSchedulers(
  where: string,
  schedulers: unknown,
  optimizer?: Optimizer,
): readonly LRScheduler[] {
  if (!Array.isArray(schedulers) || schedulers.length === 0) {
    throw makeError('ERR_VALUE', `${where}: expects a list of at least one scheduler`);
  }
  const own = optimizer ?? (schedulers[0] as LRScheduler).optimizer;
  schedulers.forEach((s: unknown, i) => {
    if (!(s instanceof LRScheduler)) {
      throw makeError(
        'ERR_TYPE',
        `${where}: element ${String(i)} must be a scheduler, got ${show(s)}`,
      );
    }
    if (s instanceof ReduceLROnPlateau) {
      throw makeError(
        'ERR_VALUE',
        `${where}: does not support ReduceLROnPlateau (element ${String(i)}), whose step needs a metric`,
      );
    }
    if (s.optimizer !== own) {
      throw makeError(
        'ERR_VALUE',
        `${where}: expects all schedulers to belong to the same optimizer, but that of element ` +
          `${String(i)} is another`,
      );
    }
  });
  return schedulers as LRScheduler[];
}

abstract class Composite extends LRScheduler {
  readonly schedulers: readonly LRScheduler[];

  protected constructor(name: string, optimizer: Optimizer, schedulers: readonly LRScheduler[]) {
    super(name, optimizer);
    this.schedulers = schedulers;
  }

  override getLr(): number[] {
    return currentLrs(this.optimizer);
  }

  override stateDict(): SchedulerStateDict {
    return { ...super.stateDict(), _schedulers: this.schedulers.map((s) => s.stateDict()) };
  }

  override loadStateDict(dict: Readonly<SchedulerStateDict>): void {
    const list = dict['_schedulers'];
    if (!Array.isArray(list) || list.length !== this.schedulers.length) {
      throw makeError(
        'ERR_VALUE',
        `${this.constructor.name}: loadStateDict: expected the states of ` +
          `${String(this.schedulers.length)} schedulers in '_schedulers'`,
      );
    }
    super.loadStateDict(dict);
    list.forEach((state, i) => this.schedulers[i]?.loadStateDict(state as SchedulerStateDict));
  }
}

/** Undoes the epoch that construction has counted. */
function undo(scheduler: LRScheduler): void {
  if (scheduler instanceof Composite) scheduler.schedulers.forEach(undo);
  else --scheduler.lastEpoch;
}

/**
 * One scheduler after the other, changing at the milestones (epochs). PyTorch: `SequentialLR`.
 * @example new SequentialLR(optimizer, [warmup, cosine], [10])
 */
export class SequentialLR extends Composite {
  protected _milestones: readonly number[];

  constructor(
    optimizer: Optimizer,
    schedulers: readonly LRScheduler[],
    milestones: readonly number[],
    options?: { readonly lastEpoch?: number },
  );
  constructor(
    optimizer: Optimizer,
    options: {
      readonly schedulers: readonly LRScheduler[];
      readonly milestones: readonly number[];
      readonly lastEpoch?: number;
    },
  );
  constructor(optimizer: Optimizer, a: unknown, b?: unknown, c?: unknown) {
    const named = Array.isArray(a)
      ? { schedulers: a, milestones: b, ...(c as object) }
      : (a as object);
    const { schedulers, milestones, lastEpoch = -1 } = (named ?? {}) as Record<string, unknown>;
    checkOptimizer('SequentialLR', optimizer);
    super('SequentialLR', optimizer, checkSchedulers('SequentialLR', schedulers, optimizer));
    if (!Array.isArray(milestones) || milestones.length !== this.schedulers.length - 1) {
      throw makeError(
        'ERR_VALUE',
        `SequentialLR: ${String(this.schedulers.length)} schedulers need ` +
          `${String(this.schedulers.length - 1)} milestones, got ${show(milestones)}`,
      );
    }
    this._milestones = [...(milestones as number[])];
    this.lastEpoch = (lastEpoch as number) + 1;
    for (const group of optimizer.paramGroups) setLr(group, numberOf(group['initialLr']));
    undo(this);
    const first = this.#at(0);
    first.initialStep();
    this._lastLr = first.getLastLr();
  }

  #index(epoch: number): number {
    const next = this._milestones.findIndex((m) => m > epoch);
    return next < 0 ? this._milestones.length : next;
  }

  #at(epoch: number): LRScheduler {
    return this.schedulers[this.#index(epoch)] as LRScheduler;
  }

  override step(): void {
    if (!this.shouldAdvance()) return;
    ++this.lastEpoch;
    const index = this.#index(this.lastEpoch);
    const scheduler = this.schedulers[index] as LRScheduler;
    if (index > 0 && this._milestones[index - 1] === this.lastEpoch) scheduler.updateLr(0);
    else scheduler.step();
    this._lastLr = scheduler.getLastLr();
  }

  override initialStep(): void {
    this.schedulers.forEach((s, i) => {
      if (i === this.#index(0)) s.initialStep();
    });
    this._lastLr = currentLrs(this.optimizer);
  }

  protected override get stateNames(): readonly string[] {
    return ['_milestones', 'lastEpoch', '_lastLr'];
  }
}

/** Steps several schedulers together, each working on the rate the others left. PyTorch: `ChainedScheduler`. */
export class ChainedScheduler extends Composite {
  constructor(schedulers: readonly LRScheduler[], optimizer?: Optimizer) {
    const list = checkSchedulers('ChainedScheduler', schedulers, optimizer);
    super('ChainedScheduler', (list[0] as LRScheduler).optimizer, list);
    this._lastLr = currentLrs(this.optimizer);
  }

  override step(): void {
    for (const scheduler of this.schedulers) scheduler.step();
    this._lastLr = currentLrs(this.optimizer);
  }

  override initialStep(): void {
    for (const scheduler of this.schedulers) scheduler.initialStep();
    this._lastLr = currentLrs(this.optimizer);
  }

  protected override get stateNames(): readonly string[] {
    return ['_lastLr'];
  }
}
