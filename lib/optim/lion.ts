/** Lion. */
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

export interface LionOptions extends CapturableOptions {
  /** Learning rate. Default 1e-4. */
  readonly lr?: number | Tensor;
  /** Interpolation factors of the update and of the momentum. Default [0.9, 0.99]. */
  readonly betas?: readonly [number, number];
  /** Decoupled weight decay. Default 0. */
  readonly weightDecay?: number;
}

const specs = {
  lr: learningRate(1e-4),
  betas: betas(0.9, 0.99),
  weightDecay: nonNegative(0),
  ...capturableSpecs,
};

/** Lion, the sign of an interpolated momentum (Chen et al., 2023). */
export class Lion extends Optimizer {
  constructor(params: Params, options: LionOptions = {}) {
    super('Lion', params, options, specs);
  }

  protected override updateGroup(group: ParamGroup): void {
    this.runStep(group, {
      op: step,
      scalars: ['step'],
      states: ['expAvg'],
      options: [numberOf(group.lr), group['betas'], group['weightDecay'], group['maximize']],
    });
  }
}

const step = opFunction('lionStep_');
