/** The rate of stochastic weight averaging. */
import { numberOf, type Optimizer } from '../optimizer';
import { number } from '../options';
import { LRScheduler, perGroup, readArguments, type SchedulerOptions } from './base';

export interface SWALROptions extends SchedulerOptions {
  /** The rate to anneal to, for all groups or one per group. */
  readonly swaLr?: number | readonly number[];
  /** Default 10. */
  readonly annealEpochs?: number;
  /** Default 'cos'. */
  readonly annealStrategy?: 'cos' | 'linear';
}

/** Anneals the rate to a constant (Izmailov et al., 2018). PyTorch: `torch.optim.swa_utils.SWALR`. */
export class SWALR extends LRScheduler {
  annealEpochs: number;
  protected _annealStrategy: string;

  constructor(optimizer: Optimizer, swaLr: number | readonly number[], options?: SWALROptions);
  constructor(optimizer: Optimizer, options: SWALROptions);
  constructor(optimizer: Optimizer, ...args: unknown[]) {
    super('SWALR', optimizer);
    const o = readArguments('SWALR', args, {
      positions: ['swaLr'],
      specs: {
        swaLr: {
          default: undefined,
          check: (v) =>
            typeof v === 'number' || Array.isArray(v)
              ? undefined
              : 'a number or one per parameter group',
        },
        annealEpochs: number(10, 'an integer >= 0', (v) => Number.isInteger(v) && v >= 0),
        annealStrategy: {
          default: 'cos',
          check: (v) => (v === 'cos' || v === 'linear' ? undefined : "'cos' or 'linear'"),
        },
        lastEpoch: number(-1, 'an integer >= -1', (v) => Number.isInteger(v) && v >= -1),
      },
    });
    const rates = perGroup('SWALR', 'swaLr', optimizer, o['swaLr']);
    optimizer.paramGroups.forEach((group, i) => {
      group['swaLr'] = rates[i];
    });
    this.annealEpochs = o['annealEpochs'] as number;
    this._annealStrategy = o['annealStrategy'] as string;
    this.begin('SWALR', o['lastEpoch'] as number);
  }

  #weight(step: number): number {
    const t = Math.max(0, Math.min(1, step / Math.max(1, this.annealEpochs)));
    return this._annealStrategy === 'cos' ? (1 - Math.cos(Math.PI * t)) / 2 : t;
  }

  override getLr(): number[] {
    let step = this._stepCount - 1;
    if (this.annealEpochs === 0) step = Math.max(1, step);
    const before = this.#weight(step - 1);
    const now = this.#weight(step);
    return this.optimizer.paramGroups.map((group) => {
      const target = numberOf(group['swaLr']);
      const start = before === 1 ? target : (numberOf(group.lr) - before * target) / (1 - before);
      return target * now + start * (1 - now);
    });
  }

  protected override get stateNames(): readonly string[] {
    return ['annealEpochs', '_annealStrategy', ...super.stateNames];
  }
}
