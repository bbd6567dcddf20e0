/** Averaged stochastic gradient descent. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import {
  anyNumber,
  type CapturableOptions,
  capturableSpecs,
  learningRate,
  nonNegative,
} from './options';

export interface ASGDOptions extends CapturableOptions {
  /** Learning rate. Default 1e-2. */
  readonly lr?: number | Tensor;
  /** Decay term. Default 1e-4. */
  readonly lambd?: number;
  /** Power of the decay of the learning rate. Default 0.75. */
  readonly alpha?: number;
  /** Step at which averaging starts. Default 1e6. */
  readonly t0?: number;
  /** L2 penalty. Default 0. */
  readonly weightDecay?: number;
}

const specs = {
  lr: learningRate(1e-2),
  lambd: anyNumber(1e-4),
  alpha: anyNumber(0.75),
  t0: anyNumber(1e6),
  weightDecay: nonNegative(0),
  ...capturableSpecs,
};

/** Averaged SGD (Polyak and Juditsky, 1992), as `torch.optim.ASGD`; the averages are state `ax`. */
export class ASGD extends Optimizer {
  constructor(params: Params, options: ASGDOptions = {}) {
    super('ASGD', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step', 'eta', 'mu'],
      states: ['ax'],
      options: [
        numberOf(group.lr),
        group['lambd'],
        group['alpha'],
        group['t0'],
        group['weightDecay'],
        group['maximize'],
      ],
    });
  }
}

const step = opFunction('asgdStep_');
