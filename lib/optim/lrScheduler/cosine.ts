/** Cosine annealing (Loshchilov and Hutter, 2017), without and with restarts. */
import { makeError } from '../../errors';
import { numberOf, type Optimizer } from '../optimizer';
import { anyNumber, number, show } from '../options';
import { currentLrs, LRScheduler, readArguments, type SchedulerOptions } from './base';

const lastEpoch = number(-1, 'an integer >= -1', (v) => Number.isInteger(v) && v >= -1);
const positiveInteger = (fallback: unknown) =>
  number(fallback, 'an integer >= 1', (v) => Number.isInteger(v) && v >= 1);

export interface CosineAnnealingLROptions extends SchedulerOptions {
  /** Epochs of half a period. */
  readonly TMax?: number;
  /** Lowest rate. Default 0. */
  readonly etaMin?: number;
}

/** From the base rate to `etaMin` in `TMax` epochs, and back. PyTorch: `CosineAnnealingLR`. */
export class CosineAnnealingLR extends LRScheduler {
  TMax: number;
  etaMin: number;

  constructor(optimizer: Optimizer, TMax: number, options?: CosineAnnealingLROptions);
  constructor(optimizer: Optimizer, options: CosineAnnealingLROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('CosineAnnealingLR', optimizer);
    const o = readArguments('CosineAnnealingLR', args, {
      positions: ['TMax', 'etaMin'],
      optional: ['etaMin'],
      specs: {
        TMax: number(undefined, 'a number > 0', (v) => v > 0),
        etaMin: anyNumber(0),
        lastEpoch,
      },
      aliases: { tMax: 'TMax' },
    });
    this.TMax = o['TMax'] as number;
    this.etaMin = o['etaMin'] as number;
    this.begin('CosineAnnealingLR', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    const { lastEpoch: epoch, TMax, etaMin } = this;
    if (this.isInitial) return currentLrs(this.optimizer);
    if (this._stepCount === 1 && epoch > 0) return this.closedFormLr();
    if ((epoch - 1 - TMax) % (2 * TMax) === 0) {
      const rise = (1 - Math.cos(Math.PI / TMax)) / 2;
      return this.optimizer.paramGroups.map(
        (g, i) => numberOf(g.lr) + ((this.baseLrs[i] as number) - etaMin) * rise,
      );
    }
    const ratio =
      (1 + Math.cos((Math.PI * epoch) / TMax)) / (1 + Math.cos((Math.PI * (epoch - 1)) / TMax));
    return currentLrs(this.optimizer).map((lr) => ratio * (lr - etaMin) + etaMin);
  }

  protected override closedFormLr(): number[] {
    const height = (1 + Math.cos((Math.PI * this.lastEpoch) / this.TMax)) / 2;
    return this.baseLrs.map((lr) => this.etaMin + (lr - this.etaMin) * height);
  }

  protected override get stateNames(): readonly string[] {
    return ['TMax', 'etaMin', ...super.stateNames];
  }
}

export interface CosineAnnealingWarmRestartsOptions extends SchedulerOptions {
  /** Epochs of the first period. */
  readonly T0?: number;
  /** Factor between the lengths of two periods. Default 1. */
  readonly TMult?: number;
  /** Lowest rate. Default 0. */
  readonly etaMin?: number;
}

/**
 * Cosine annealing that starts again after `T0`, `T0 TMult`, ... epochs. `step(epoch)` takes
 * fractions of epochs too. PyTorch: `CosineAnnealingWarmRestarts`.
 */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  T0: number;
  /** Length of the current period. */
  TI: number;
  TMult: number;
  etaMin: number;
  /** Epochs since the last restart. */
  TCur: number;

  constructor(optimizer: Optimizer, T0: number, options?: CosineAnnealingWarmRestartsOptions);
  constructor(optimizer: Optimizer, options: CosineAnnealingWarmRestartsOptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('CosineAnnealingWarmRestarts', optimizer);
    const o = readArguments('CosineAnnealingWarmRestarts', args, {
      positions: ['T0', 'TMult', 'etaMin'],
      optional: ['TMult', 'etaMin'],
      specs: {
        T0: positiveInteger(undefined),
        TMult: positiveInteger(1),
        etaMin: anyNumber(0),
        lastEpoch,
      },
      aliases: { t0: 'T0', tMult: 'TMult' },
    });
    this.T0 = o['T0'] as number;
    this.TI = this.T0;
    this.TMult = o['TMult'] as number;
    this.etaMin = o['etaMin'] as number;
    this.TCur = o['lastEpoch'] as number;
    this.begin('CosineAnnealingWarmRestarts', o['lastEpoch'] as number);
  }

  override getLr(): number[] {
    const height = (1 + Math.cos((Math.PI * this.TCur) / this.TI)) / 2;
    return this.baseLrs.map((lr) => this.etaMin + (lr - this.etaMin) * height);
  }

  override step(epoch?: number): void {
    if (!this.isInitial && !this.shouldAdvance()) return;
    let target = epoch ?? (this.lastEpoch < 0 ? 0 : undefined);
    if (target === undefined) {
      target = this.lastEpoch + 1;
      ++this.TCur;
      if (this.TCur >= this.TI) {
        this.TCur %= this.TI;
        this.TI *= this.TMult;
      }
    } else {
      this.#jump(target);
    }
    this.updateLr(Math.floor(target));
  }

  #jump(epoch: number): void {
    if (typeof epoch !== 'number' || !(epoch >= 0)) {
      throw makeError(
        'ERR_VALUE',
        `CosineAnnealingWarmRestarts: step: epoch must be a number >= 0, got ${show(epoch)}`,
      );
    }
    const { T0, TMult } = this;
    if (epoch < T0) {
      this.TI = T0;
      this.TCur = epoch;
    } else if (TMult === 1) {
      this.TCur = epoch % T0;
    } else {
      const n = Math.trunc(Math.log((epoch / T0) * (TMult - 1) + 1) / Math.log(TMult));
      this.TCur = epoch - (T0 * (TMult ** n - 1)) / (TMult - 1);
      this.TI = T0 * TMult ** n;
    }
  }

  protected override get stateNames(): readonly string[] {
    return ['T0', 'TI', 'TMult', 'etaMin', 'TCur', ...super.stateNames];
  }
}
