/** Rprop. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import { type CapturableOptions, capturableSpecs, learningRate, pair } from './options';

export interface RpropOptions extends CapturableOptions {
  /** Learning rate. Default 1e-2. */
  readonly lr?: number | Tensor;
  /** Factors of the step size when the gradient changes sign and when it keeps it. Default [0.5, 1.2]. */
  readonly etas?: readonly [number, number];
  /** Bounds of the step size. Default [1e-6, 50]. */
  readonly stepSizes?: readonly [number, number];
}

const specs = {
  lr: learningRate(1e-2),
  etas: pair(
    [0.5, 1.2],
    'two numbers with 0 < first < 1 < second',
    (a, b) => a > 0 && a < 1 && b > 1,
  ),
  stepSizes: pair([1e-6, 50], 'two numbers', () => true),
  ...capturableSpecs,
};

/** Resilient backpropagation (Riedmiller and Braun, 1993), as `torch.optim.Rprop`. */
export class Rprop extends Optimizer {
  constructor(params: Params, options: RpropOptions = {}) {
    super('Rprop', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: ['prev', 'stepSize'],
      options: [numberOf(group.lr), group['etas'], group['stepSizes'], group['maximize']],
    });
  }
}

const step = opFunction('rpropStep_');
