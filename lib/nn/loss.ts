/** Losses as modules. */
import { crossEntropy, mseLoss, nllLoss } from '../ops.gen';
import type { Tensor } from '../tensor';
import { type LossOptions, reduction, type Reduction } from './functional/loss';
import { type FieldNames, Module } from './module';
import { int, num, optionalTensor, readOptions } from './options';

export type { LossOptions, Reduction } from './functional/loss';

/** Base of losses: they print nothing and keep how to reduce. */
export abstract class Loss extends Module {
  abstract readonly reduction: string;
}

/** Base of losses with a weight for each class or element, a buffer. */
export abstract class WeightedLoss extends Loss {
  static override readonly fieldNames: FieldNames = 'snake';

  weight: Tensor | null = null;

  constructor(weight: Tensor | null) {
    super();
    this.registerBuffer('weight', weight);
  }
}

export interface NLLLossOptions extends LossOptions {
  /** One weight for each class. */
  readonly weight?: Tensor | null | undefined;
  /** Targets of this value are left out. Default -100. */
  readonly ignoreIndex?: number | undefined;
}

const nllSpec = { weight: optionalTensor, ignoreIndex: int(-100, -Infinity), reduction };

/**
 * Negative log-likelihood of classes: input [N, C, ...] of log-probabilities, target [N, ...] of
 * class indices.
 */
export class NLLLoss extends WeightedLoss {
  readonly ignoreIndex: number;
  readonly reduction: Reduction;

  constructor(options: NLLLossOptions = {}) {
    const read = readOptions(new.target.name, nllSpec, options);
    super(read.weight);
    this.ignoreIndex = read.ignoreIndex;
    this.reduction = read.reduction;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction } = this;
    return nllLoss(input, target, { weight, ignoreIndex, reduction });
  }
}

export interface CrossEntropyLossOptions extends NLLLossOptions {
  /** Share of the target's probability spread over all classes. Default 0. */
  readonly labelSmoothing?: number | undefined;
}

/**
 * Cross entropy of logits: input [N, C, ...], target [N, ...] of class indices or [N, C, ...] of
 * probabilities.
 */
export class CrossEntropyLoss extends WeightedLoss {
  readonly ignoreIndex: number;
  readonly reduction: Reduction;
  readonly labelSmoothing: number;

  constructor(options: CrossEntropyLossOptions = {}) {
    const read = readOptions(new.target.name, { ...nllSpec, labelSmoothing: num(0) }, options);
    super(read.weight);
    this.ignoreIndex = read.ignoreIndex;
    this.reduction = read.reduction;
    this.labelSmoothing = read.labelSmoothing;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction, labelSmoothing } = this;
    return crossEntropy(input, target, { weight, ignoreIndex, reduction, labelSmoothing });
  }
}

/** Squared difference. */
export class MSELoss extends Loss {
  readonly reduction: Reduction;

  constructor(options: LossOptions = {}) {
    super();
    this.reduction = readOptions(new.target.name, { reduction }, options).reduction;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, { reduction: this.reduction });
  }
}
