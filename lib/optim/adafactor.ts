/** Adafactor. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import { flag, implementation, learningRate, nonNegative, number } from './options';

export interface AdafactorOptions {
  /** Upper bound of the relative step size. Default 1e-2. */
  readonly lr?: number | Tensor;
  /** The decay rate of the mean squares at step t is 1 - t^beta2Decay. Default -0.8. */
  readonly beta2Decay?: number;
  /** Floors of the mean square (its root; null: epsilon of the dtype) and of the parameter's size. */
  readonly eps?: readonly [number | null, number];
  /** The update is scaled down to this root mean square. Default 1. */
  readonly d?: number;
  /** Decoupled weight decay. Default 0. */
  readonly weightDecay?: number;
  /** Ascend instead of descend. Default false. */
  readonly maximize?: boolean;
  /** Keep float32 copies of half parameters. Default false. */
  readonly masterWeights?: boolean;
  readonly foreach?: boolean | null;
}

const specs = {
  lr: learningRate(1e-2),
  beta2Decay: number(-0.8, 'a number <= 0', (v) => v <= 0),
  eps: {
    default: [null, 1e-3],
    check: (v: unknown) =>
      Array.isArray(v) &&
      v.length === 2 &&
      (v[0] === null || (typeof v[0] === 'number' && v[0] >= 0)) &&
      typeof v[1] === 'number' &&
      v[1] >= 0
        ? undefined
        : 'two numbers >= 0, of which the first may be null',
  },
  d: number(1, 'a number >= 1', (v) => v >= 1),
  weightDecay: nonNegative(0),
  foreach: implementation,
  maximize: flag(false),
  masterWeights: flag(false),
};

/**
 * Adafactor (Shazeer and Stern, 2018), as `torch.optim.Adafactor`: matrices keep mean squares of rows
 * and columns only, so that the state is far smaller than the parameters.
 */
export class Adafactor extends Optimizer {
  constructor(params: Params, options: AdafactorOptions = {}) {
    super('Adafactor', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    const [eps1, eps2] = group['eps'] as readonly [number | null, number];
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: ['rowVar', 'colVar', 'variance'],
      options: [
        numberOf(group.lr),
        group['beta2Decay'],
        eps2,
        group['d'],
        eps1,
        group['weightDecay'],
        group['maximize'],
      ],
    });
  }
}

const step = opFunction('adafactorStep_');
