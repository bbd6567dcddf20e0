/** Adadelta. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import {
  type CapturableOptions,
  capturableSpecs,
  learningRate,
  nonNegative,
  number,
} from './options';

export interface AdadeltaOptions extends CapturableOptions {
  /** Learning rate. Default 1. */
  readonly lr?: number | Tensor;
  /** Decay rate of the averages of squares. Default 0.9. */
  readonly rho?: number;
  /** Added under the roots. Default 1e-6. */
  readonly eps?: number;
  /** L2 penalty. Default 0. */
  readonly weightDecay?: number;
}

const specs = {
  lr: learningRate(1),
  rho: number(0.9, 'a number in [0, 1]', (v) => v >= 0 && v <= 1),
  eps: nonNegative(1e-6),
  weightDecay: nonNegative(0),
  ...capturableSpecs,
};

/** Adadelta (Zeiler, 2012), as `torch.optim.Adadelta`. */
export class Adadelta extends Optimizer {
  constructor(params: Params, options: AdadeltaOptions = {}) {
    super('Adadelta', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: ['squareAvg', 'accDelta'],
      options: [
        numberOf(group.lr),
        group['rho'],
        group['eps'],
        group['weightDecay'],
        group['maximize'],
      ],
    });
  }
}

const step = opFunction('adadeltaStep_');
