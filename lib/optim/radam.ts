/** RAdam. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import {
  betas,
  type CapturableOptions,
  capturableSpecs,
  flag,
  learningRate,
  nonNegative,
} from './options';

export interface RAdamOptions extends CapturableOptions {
  /** Learning rate. Default 1e-3. */
  readonly lr?: number | Tensor;
  /** Decay rates of the averages of gradients and of their squares. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator. Default 1e-8. */
  readonly eps?: number;
  /** Default 0. */
  readonly weightDecay?: number;
  /** Decay the parameter instead of adding to the gradient. Default false. */
  readonly decoupledWeightDecay?: boolean;
}

const specs = {
  lr: learningRate(1e-3),
  betas: betas(0.9, 0.999),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  decoupledWeightDecay: flag(false),
  ...capturableSpecs,
};

/** Rectified Adam (Liu et al., 2020), as `torch.optim.RAdam`. */
export class RAdam extends Optimizer {
  constructor(params: Params, options: RAdamOptions = {}) {
    super('RAdam', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: ['expAvg', 'expAvgSq'],
      options: [
        numberOf(group.lr),
        group['betas'],
        group['eps'],
        group['weightDecay'],
        group['maximize'],
        group['decoupledWeightDecay'],
      ],
    });
  }
}

const step = opFunction('radamStep_');
