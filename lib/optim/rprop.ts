/** Rprop. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import { flag, implementation, learningRate, notDifferentiable, pair } from './options';

export interface RpropOptions {
  /** Learning rate. Default 1e-2. */
  readonly lr?: number | Tensor;
  /** Factors of the step size when the gradient changes sign and when it keeps it. Default [0.5, 1.2]. */
  readonly etas?: readonly [number, number];
  /** Bounds of the step size. Default [1e-6, 50]. */
  readonly stepSizes?: readonly [number, number];
  /** Ascend instead of descend. Default false. */
  readonly maximize?: boolean;
  /** Keep float32 copies of half parameters. Default false. */
  readonly masterWeights?: boolean;
  readonly foreach?: boolean | null;
  readonly capturable?: boolean;
  readonly differentiable?: false;
}

const specs = {
  lr: learningRate(1e-2),
  etas: pair(
    [0.5, 1.2],
    'two numbers with 0 < first < 1 < second',
    (a, b) => a > 0 && a < 1 && b > 1,
  ),
  stepSizes: pair([1e-6, 50], 'two numbers', () => true),
  foreach: implementation,
  maximize: flag(false),
  differentiable: notDifferentiable,
  capturable: flag(false),
  masterWeights: flag(false),
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
      masters: group['masterWeights'] === true,
      options: [numberOf(group.lr), group['etas'], group['stepSizes'], group['maximize']],
    });
  }
}

const step = opFunction('rpropStep_');
