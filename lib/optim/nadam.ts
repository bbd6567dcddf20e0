/** NAdam. */
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

export interface NAdamOptions extends CapturableOptions {
  /** Learning rate. Default 2e-3. */
  readonly lr?: number | Tensor;
  /** Decay rates of the averages of gradients and of their squares. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator. Default 1e-8. */
  readonly eps?: number;
  /** Default 0. */
  readonly weightDecay?: number;
  /** Default 4e-3. */
  readonly momentumDecay?: number;
  /** Decay the parameter instead of adding to the gradient. Default false. */
  readonly decoupledWeightDecay?: boolean;
}

const specs = {
  lr: learningRate(2e-3),
  betas: betas(0.9, 0.999),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  momentumDecay: nonNegative(4e-3),
  decoupledWeightDecay: flag(false),
  ...capturableSpecs,
};

/** Adam with Nesterov momentum (Dozat, 2016), as `torch.optim.NAdam`. */
export class NAdam extends Optimizer {
  constructor(params: Params, options: NAdamOptions = {}) {
    super('NAdam', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step', 'muProduct'],
      states: ['expAvg', 'expAvgSq'],
      options: [
        numberOf(group.lr),
        group['betas'],
        group['eps'],
        group['momentumDecay'],
        group['weightDecay'],
        group['maximize'],
        group['decoupledWeightDecay'],
      ],
    });
  }
}

const step = opFunction('nadamStep_');
