/** Losses of distances, margins and distributions as modules. */
import type { Tensor } from '../tensor';
import * as F from './functional/loss';
import { Loss, WeightedLoss } from './loss';
import { badArgument, bool, num, optionalTensor, readOptions } from './options';

const plain = { reduction: F.reduction };

/** |x - y| */
export class L1Loss extends Loss {
  readonly reduction: F.Reduction;

  constructor(options: F.LossOptions = {}) {
    super();
    const spec = { ...plain };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction } = this;
    return F.l1Loss(input, target, { reduction });
  }
}

/** A square near zero, the absolute value beyond `beta`. */
export class SmoothL1Loss extends Loss {
  readonly reduction: F.Reduction;
  readonly beta: number;

  constructor(options: F.SmoothL1LossOptions = {}) {
    super();
    const spec = { ...plain, beta: num(1) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.beta = read.beta;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, beta } = this;
    return F.smoothL1Loss(input, target, { reduction, beta });
  }
}

/** A square near zero, a line beyond `delta`. Huber 1964. */
export class HuberLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly delta: number;

  constructor(options: Omit<F.HuberLossOptions, 'weight'> = {}) {
    super();
    const spec = { ...plain, delta: num(1) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.delta = read.delta;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, delta } = this;
    return F.huberLoss(input, target, { reduction, delta });
  }
}

/** Kullback-Leibler divergence of log-probabilities from a target. */
export class KLDivLoss extends Loss {
  readonly reduction: F.Reduction | 'batchmean';
  readonly logTarget: boolean;

  constructor(options: F.KLDivLossOptions = {}) {
    super();
    const spec = { reduction: F.klReduction, logTarget: bool(false) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.logTarget = read.logTarget;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, logTarget } = this;
    return F.klDiv(input, target, { reduction, logTarget });
  }
}

/** x where y = 1, max(0, margin - x) where y = -1. */
export class HingeEmbeddingLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly margin: number;

  constructor(options: F.MarginLossOptions = {}) {
    super();
    const spec = { ...plain, margin: num(1) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.margin = read.margin;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, margin } = this;
    return F.hingeEmbeddingLoss(input, target, { reduction, margin });
  }
}

/** max(0, -y (x1 - x2) + margin) */
export class MarginRankingLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly margin: number;

  constructor(options: F.MarginLossOptions = {}) {
    super();
    const spec = { ...plain, margin: num(0) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.margin = read.margin;
  }

  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    const { reduction, margin } = this;
    return F.marginRankingLoss(input1, input2, target, { reduction, margin });
  }
}

/** log(1 + exp(-y x)) */
export class SoftMarginLoss extends Loss {
  readonly reduction: F.Reduction;

  constructor(options: F.LossOptions = {}) {
    super();
    const spec = { ...plain };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction } = this;
    return F.softMarginLoss(input, target, { reduction });
  }
}

/** 1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1. */
export class CosineEmbeddingLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly margin: number;

  constructor(options: F.MarginLossOptions = {}) {
    super();
    const spec = { ...plain, margin: num(0) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.margin = read.margin;
  }

  override forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    const { reduction, margin } = this;
    return F.cosineEmbeddingLoss(input1, input2, target, { reduction, margin });
  }
}

/** Binary cross entropy of many labels, averaged over them. */
export class MultiLabelSoftMarginLoss extends WeightedLoss {
  readonly reduction: F.Reduction;

  constructor(options: F.WeightedLossOptions = {}) {
    const spec = { ...plain, weight: optionalTensor };
    const read = readOptions(new.target.name, spec, options);
    super(read.weight);
    this.reduction = read.reduction;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, weight } = this;
    return F.multilabelSoftMarginLoss(input, target, { reduction, weight });
  }
}

/** max(0, |anchor - positive| - |anchor - negative| + margin) */
export class TripletMarginLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly margin: number;
  readonly p: number;
  readonly eps: number;
  readonly swap: boolean;

  constructor(options: F.TripletMarginOptions = {}) {
    super();
    const spec = { ...plain, margin: num(1), p: num(2), eps: num(1e-6), swap: bool(false) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.margin = read.margin;
    this.p = read.p;
    this.eps = read.eps;
    this.swap = read.swap;
  }

  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    const { reduction, margin, p, eps, swap } = this;
    return F.tripletMarginLoss(anchor, positive, negative, { reduction, margin, p, eps, swap });
  }
}

/** Negative log-likelihood of normal distributions with mean x and variance `variance`. */
export class GaussianNLLLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly full: boolean;
  readonly eps: number;

  constructor(options: F.GaussianNLLOptions = {}) {
    super();
    const spec = { ...plain, full: bool(false), eps: num(1e-6) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.full = read.full;
    this.eps = read.eps;
  }

  override forward(input: Tensor, target: Tensor, variance: Tensor | number): Tensor {
    const { reduction, full, eps } = this;
    return F.gaussianNllLoss(input, target, variance, { reduction, full, eps });
  }
}

/** Negative log-likelihood of Poisson distributions. */
export class PoissonNLLLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly logInput: boolean;
  readonly full: boolean;
  readonly eps: number;

  constructor(options: F.PoissonNLLOptions = {}) {
    super();
    const spec = { ...plain, logInput: bool(true), full: bool(false), eps: num(1e-8) };
    const read = readOptions(new.target.name, spec, options);
    this.reduction = read.reduction;
    this.logInput = read.logInput;
    this.full = read.full;
    this.eps = read.eps;
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, logInput, full, eps } = this;
    return F.poissonNllLoss(input, target, { reduction, logInput, full, eps });
  }
}

/** Binary cross entropy of logits. */
export class BCEWithLogitsLoss extends WeightedLoss {
  readonly reduction: F.Reduction;
  posWeight: Tensor | null = null;

  constructor(options: F.BCEWithLogitsOptions = {}) {
    const spec = { ...plain, weight: optionalTensor, posWeight: optionalTensor };
    const read = readOptions(new.target.name, spec, options);
    super(read.weight);
    this.reduction = read.reduction;
    this.registerBuffer('posWeight', read.posWeight);
  }

  override forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, weight, posWeight } = this;
    return F.binaryCrossEntropyWithLogits(input, target, { reduction, weight, posWeight });
  }
}

/** Triplet loss with any distance. */
export class TripletMarginWithDistanceLoss extends Loss {
  readonly reduction: F.Reduction;
  readonly margin: number;
  readonly swap: boolean;
  readonly distanceFunction: ((a: Tensor, b: Tensor) => Tensor) | null;

  constructor(options: F.TripletDistanceOptions = {}) {
    super();
    const name = new.target.name;
    const { distanceFunction = null, ...rest } = options;
    const spec = { ...plain, margin: num(1), swap: bool(false) };
    const read = readOptions(name, spec, rest);
    if (distanceFunction !== null && typeof distanceFunction !== 'function') {
      throw badArgument(name, 'distanceFunction', 'a function', distanceFunction);
    }
    this.reduction = read.reduction;
    this.margin = read.margin;
    this.swap = read.swap;
    this.distanceFunction = distanceFunction;
  }

  override forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    const { reduction, margin, swap, distanceFunction } = this;
    const options = { reduction, margin, swap, distanceFunction };
    return F.tripletMarginWithDistanceLoss(anchor, positive, negative, options);
  }
}
