/** A rate that falls when a metric stops improving. */
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { numberOf, type Optimizer } from '../optimizer';
import { nonNegative, number, type OptionSpec, show } from '../options';
import { currentLrs, LRScheduler, perGroup, readArguments, setLr } from './base';

export interface ReduceLROnPlateauOptions {
  /** Whether the metric should fall or rise. Default 'min'. */
  readonly mode?: 'min' | 'max';
  /** Factor of the rate at a plateau. Default 0.1. */
  readonly factor?: number;
  /** Epochs without improvement to bear. Default 10. */
  readonly patience?: number;
  /** What counts as an improvement. Default 1e-4. */
  readonly threshold?: number;
  /** Threshold relative to the best value, or absolute. Default 'rel'. */
  readonly thresholdMode?: 'rel' | 'abs';
  /** Epochs to wait after a change. Default 0. */
  readonly cooldown?: number;
  /** Lowest rate, for all groups or one per group. Default 0. */
  readonly minLr?: number | readonly number[];
  /** Changes smaller than this are not made. Default 1e-8. */
  readonly eps?: number;
}

const oneOf = (...values: string[]): OptionSpec => ({
  default: values[0],
  check: (v) =>
    values.includes(v as string) ? undefined : values.map((x) => `'${x}'`).join(' or '),
});

const specs = {
  mode: oneOf('min', 'max'),
  factor: number(0.1, 'a number < 1', (v) => v < 1),
  patience: nonNegative(10),
  threshold: number(1e-4, 'a number', () => true),
  thresholdMode: oneOf('rel', 'abs'),
  cooldown: nonNegative(0),
  minLr: {
    default: 0,
    check: (v: unknown) =>
      typeof v === 'number' || (Array.isArray(v) && v.every((x) => typeof x === 'number'))
        ? undefined
        : 'a number or one per parameter group',
  },
  eps: nonNegative(1e-8),
};

/** PyTorch: `ReduceLROnPlateau`. Call `step(metric)` once an epoch. */
export class ReduceLROnPlateau extends LRScheduler {
  mode: 'min' | 'max';
  factor: number;
  patience: number;
  threshold: number;
  thresholdMode: 'rel' | 'abs';
  cooldown: number;
  eps: number;
  minLrs: number[];
  best: number;
  cooldownCounter = 0;
  numBadEpochs = 0;
  readonly #minLr: unknown;

  constructor(optimizer: Optimizer, options?: ReduceLROnPlateauOptions);
  constructor(optimizer: Optimizer, mode: 'min' | 'max', options?: ReduceLROnPlateauOptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('ReduceLROnPlateau', optimizer);
    const o = readArguments('ReduceLROnPlateau', args, {
      positions: ['mode'],
      optional: ['mode'],
      specs,
    }) as unknown as Required<ReduceLROnPlateauOptions>;
    this.mode = o.mode;
    this.factor = o.factor;
    this.patience = o.patience;
    this.threshold = o.threshold;
    this.thresholdMode = o.thresholdMode;
    this.cooldown = o.cooldown;
    this.eps = o.eps;
    this.#minLr = o.minLr;
    this.minLrs = perGroup('ReduceLROnPlateau', 'minLr', optimizer, o.minLr);
    this.best = o.mode === 'min' ? Infinity : -Infinity;
    this.lastEpoch = 0;
    this._lastLr = currentLrs(optimizer);
  }

  override getLr(): number[] {
    return currentLrs(this.optimizer);
  }

  get inCooldown(): boolean {
    return this.cooldownCounter > 0;
  }

  #isBetter(value: number): boolean {
    const sign = this.mode === 'min' ? -1 : 1;
    const bound =
      this.thresholdMode === 'rel'
        ? this.best * (1 + sign * this.threshold)
        : this.best + sign * this.threshold;
    return this.mode === 'min' ? value < bound : value > bound;
  }

  /** @param metric the value to watch, of this epoch. */
  override step(metric?: number | Tensor): void {
    const value = metric instanceof Tensor ? numberOf(metric) : metric;
    if (typeof value !== 'number') {
      throw makeError(
        'ERR_TYPE',
        `ReduceLROnPlateau: step: argument 'metric' must be a number or a Tensor with one, ` +
          `got ${show(metric)}`,
      );
    }
    ++this.lastEpoch;
    if (this.#isBetter(value)) {
      this.best = value;
      this.numBadEpochs = 0;
    } else {
      ++this.numBadEpochs;
    }
    if (this.inCooldown) {
      --this.cooldownCounter;
      this.numBadEpochs = 0;
    }
    if (this.numBadEpochs > this.patience) {
      this.#reduce();
      this.cooldownCounter = this.cooldown;
      this.numBadEpochs = 0;
    }
    this._lastLr = currentLrs(this.optimizer);
  }

  #reduce(): void {
    if (this.minLrs.length !== this.optimizer.paramGroups.length) {
      this.minLrs = perGroup('ReduceLROnPlateau', 'minLr', this.optimizer, this.#minLr);
    }
    this.optimizer.paramGroups.forEach((group, i) => {
      const before = numberOf(group.lr);
      const after = Math.max(before * this.factor, this.minLrs[i] as number);
      if (before - after > this.eps) setLr(group, after);
    });
  }

  protected override get stateNames(): readonly string[] {
    return [
      ...['mode', 'factor', 'patience', 'threshold', 'thresholdMode', 'cooldown', 'eps'],
      ...['minLrs', 'best', 'cooldownCounter', 'numBadEpochs', 'lastEpoch', '_lastLr'],
    ];
  }
}
