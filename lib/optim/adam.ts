/** Adam and AdamW. */
import { opFunction } from '../call';
import type { Tensor } from '../tensor';
import { numberOf, Optimizer, type ParamGroup, type Params } from './optimizer';
import {
  betas,
  type CapturableOptions,
  capturableSpecs,
  fixed,
  flag,
  type FusedOptions,
  fusedSpecs,
  learningRate,
  nonNegative,
} from './options';

export interface AdamWOptions extends CapturableOptions, FusedOptions {
  /** Learning rate. Default 1e-3. */
  readonly lr?: number | Tensor;
  /** Decay rates of the averages of gradients and of their squares. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator. Default 1e-8. */
  readonly eps?: number;
  /** Default 0 (AdamW: 0.01). */
  readonly weightDecay?: number;
  /** Use the maximum of past second moments (AMSGrad). Default false. */
  readonly amsgrad?: boolean;
}

export interface AdamOptions extends AdamWOptions {
  /** Decay the parameter instead of adding to the gradient, as AdamW. Default false. */
  readonly decoupledWeightDecay?: boolean;
}

const specs = (weightDecay: number, decoupled: boolean) => ({
  lr: learningRate(1e-3),
  betas: betas(0.9, 0.999),
  eps: nonNegative(1e-8),
  weightDecay: nonNegative(weightDecay),
  amsgrad: flag(false),
  decoupledWeightDecay: decoupled ? fixed(true, 'true: that is what AdamW is') : flag(false),
  ...capturableSpecs,
  ...fusedSpecs,
});

const adamSpecs = specs(0, false);
const adamWSpecs = specs(1e-2, true);

function update(group: ParamGroup) {
  return {
    op: step,
    scalars: ['step'],
    states: group['amsgrad'] === true ? withMaximum : moments,
    options: [
      numberOf(group.lr),
      group['betas'],
      group['eps'],
      group['weightDecay'],
      group['amsgrad'],
      group['maximize'],
      group['decoupledWeightDecay'],
    ],
  };
}

const moments = ['expAvg', 'expAvgSq'];
const withMaximum = [...moments, 'maxExpAvgSq'];

/** Adam (Kingma and Ba, 2015), as `torch.optim.Adam`. */
export class Adam extends Optimizer {
  constructor(params: Params, options: AdamOptions = {}) {
    super('Adam', params, options, adamSpecs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, update(group));
  }
}

/** Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as `torch.optim.AdamW`. */
export class AdamW extends Optimizer {
  constructor(params: Params, options: AdamWOptions = {}) {
    super('AdamW', params, options, adamWSpecs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, update(group));
  }
}

const step = opFunction('adamStep_');
