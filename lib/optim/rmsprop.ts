/** RMSprop. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import {
  type CapturableOptions,
  capturableSpecs,
  flag,
  learningRate,
  nonNegative,
} from './options';

export interface RMSpropOptions extends CapturableOptions {
  /** Learning rate. Default 1e-2. */
  readonly lr?: number | Tensor;
  /** Default 0. */
  readonly momentum?: number;
  /** Decay rate of the average of squares. Default 0.99. */
  readonly alpha?: number;
  /** Added to the root. Default 1e-8. */
  readonly eps?: number;
  /** Normalise by the variance instead of the mean square. Default false. */
  readonly centered?: boolean;
  /** L2 penalty. Default 0. */
  readonly weightDecay?: number;
}

const specs = {
  lr: learningRate(1e-2),
  momentum: nonNegative(0),
  alpha: nonNegative(0.99),
  eps: nonNegative(1e-8),
  centered: flag(false),
  weightDecay: nonNegative(0),
  ...capturableSpecs,
};

/** RMSprop (Hinton; centered: Graves, 2013), as `torch.optim.RMSprop`. */
export class RMSprop extends Optimizer {
  constructor(params: Params, options: RMSpropOptions = {}) {
    super('RMSprop', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: [
        'squareAvg',
        ...(group['momentum'] !== 0 ? ['momentumBuffer'] : []),
        ...(group['centered'] === true ? ['gradAvg'] : []),
      ],
      options: [
        numberOf(group.lr),
        group['alpha'],
        group['eps'],
        group['weightDecay'],
        group['momentum'],
        group['centered'],
        group['maximize'],
      ],
    });
  }
}

const step = opFunction('rmspropStep_');
