/** Adagrad. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import { type FusedOptions, fusedSpecs, learningRate, nonNegative } from './options';

export interface AdagradOptions extends FusedOptions {
  /** Learning rate. Default 1e-2. */
  readonly lr?: number | Tensor;
  /** Default 0. */
  readonly lrDecay?: number;
  /** L2 penalty. Default 0. */
  readonly weightDecay?: number;
  /** Where the sum of squares starts. Default 0. */
  readonly initialAccumulatorValue?: number;
  /** Added to the denominator. Default 1e-10. */
  readonly eps?: number;
}

const specs = {
  lr: learningRate(1e-2),
  lrDecay: nonNegative(0),
  eps: nonNegative(1e-10),
  weightDecay: nonNegative(0),
  initialAccumulatorValue: nonNegative(0),
  ...fusedSpecs,
};

/** Adagrad (Duchi, Hazan and Singer, 2011), as `torch.optim.Adagrad`. */
export class Adagrad extends Optimizer {
  constructor(params: Params, options: AdagradOptions = {}) {
    super('Adagrad', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: ['sum'],
      options: [
        numberOf(group.lr),
        group['lrDecay'],
        group['eps'],
        group['weightDecay'],
        group['initialAccumulatorValue'],
        group['maximize'],
      ],
    });
  }
}

const step = opFunction('adagradStep_');
