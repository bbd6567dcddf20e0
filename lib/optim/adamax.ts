/** Adamax. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import {
  betas,
  type CapturableOptions,
  capturableSpecs,
  learningRate,
  nonNegative,
} from './options';

export interface AdamaxOptions extends CapturableOptions {
  /** Learning rate. Default 2e-3. */
  readonly lr?: number | Tensor;
  /** Decay rates of the averages of gradients and of their squares. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator. Default 1e-8. */
  readonly eps?: number;
  /** Default 0. */
  readonly weightDecay?: number;
}

const specs = {
  lr: learningRate(2e-3),
  betas: betas(0.9, 0.999),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(0),
  ...capturableSpecs,
};

/** Adamax, Adam with the infinity norm (Kingma and Ba, 2015), as `torch.optim.Adamax`. */
export class Adamax extends Optimizer {
  constructor(params: Params, options: AdamaxOptions = {}) {
    super('Adamax', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: ['expAvg', 'expInf'],
      options: [
        numberOf(group.lr),
        group['betas'],
        group['eps'],
        group['weightDecay'],
        group['maximize'],
      ],
    });
  }
}

const step = opFunction('adamaxStep_');
