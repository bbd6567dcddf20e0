/** Losses as modules: options at construction, `(input, target)` at each call. */
import { crossEntropy, mseLoss, nllLoss } from '../ops.gen';
import type { Tensor } from '../tensor';
import { Module } from './module';
import { choice, int, num, optionalTensor, readOptions } from './options';

/** How the losses of the elements become the result. */
export type LossReduction = 'none' | 'mean' | 'sum';

const reduction = choice<LossReduction>(['none', 'mean', 'sum'], 'mean');

export interface LossOptions {
  /** Default `'mean'`. */
  readonly reduction?: LossReduction | undefined;
}

export interface NLLLossOptions extends LossOptions {
  /** One weight a class, shape [C]. Default none. */
  readonly weight?: Tensor | null | undefined;
  /** Targets of this class count for nothing. Default -100. */
  readonly ignoreIndex?: number | undefined;
}

const classSpec = { weight: optionalTensor, ignoreIndex: int(-100, -Infinity), reduction };

/** Base of losses over class indices; `weight` moves and is saved with the module. */
abstract class ClassLoss extends Module {
  weight: Tensor | null = null;
  readonly ignoreIndex: number;
  readonly reduction: LossReduction;

  constructor(options: { weight: Tensor | null; ignoreIndex: number; reduction: LossReduction }) {
    super();
    this.ignoreIndex = options.ignoreIndex;
    this.reduction = options.reduction;
    this.registerBuffer('weight', options.weight);
  }

  abstract override forward(input: Tensor, target: Tensor): Tensor;
}

/**
 * Negative log-likelihood of class indices. Input: log-probabilities [N, C, ...] or [C]; target:
 * integers in [0, C), [N, ...] or []. PyTorch: `torch.nn.NLLLoss`.
 */
export class NLLLoss extends ClassLoss {
  constructor(options?: NLLLossOptions) {
    super(readOptions(new.target.name, classSpec, options));
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction } = this;
    return nllLoss(input, target, { weight, ignoreIndex, reduction });
  }
}

export interface CrossEntropyLossOptions extends NLLLossOptions {
  /** Share of the target that is spread evenly over the classes, in [0, 1]. Default 0. */
  readonly labelSmoothing?: number | undefined;
}

/**
 * Cross entropy of logits. Input: [N, C, ...] or [C]; target: class indices [N, ...] or [], or
 * probabilities of the input's shape. PyTorch: `torch.nn.CrossEntropyLoss`.
 */
export class CrossEntropyLoss extends ClassLoss {
  readonly labelSmoothing: number;

  constructor(options?: CrossEntropyLossOptions) {
    const spec = { ...classSpec, labelSmoothing: num(0) };
    const read = readOptions(new.target.name, spec, options);
    super(read);
    this.labelSmoothing = read.labelSmoothing;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction, labelSmoothing } = this;
    return crossEntropy(input, target, { weight, ignoreIndex, reduction, labelSmoothing });
  }
}

/** Squared difference. PyTorch: `torch.nn.MSELoss`. */
export class MSELoss extends Module {
  readonly reduction: LossReduction;

  constructor(options?: LossOptions) {
    super();
    this.reduction = readOptions(new.target.name, { reduction }, options).reduction;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, { reduction: this.reduction });
  }
}
