/** Losses: rows of the op table under PyTorch's names, and what takes a function as argument. */
import { makeError } from '../../errors';
import type { Tensor } from '../../tensor';
import { badArgument, bool, choice, num, readOptions } from '../options';
import { pairwiseDistance } from './distance';

export {
  binaryCrossEntropy,
  type BinaryCrossEntropyOptions,
  binaryCrossEntropyWithLogits,
  type BinaryCrossEntropyWithLogitsOptions,
  cosineEmbeddingLoss,
  crossEntropy,
  ctcLoss,
  gaussianNllLoss,
  hingeEmbeddingLoss,
  huberLoss,
  klDiv,
  l1Loss,
  marginRankingLoss,
  mseLoss,
  multiMarginLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  nllLoss,
  poissonNllLoss,
  smoothL1Loss,
  softMarginLoss,
  tripletMarginLoss,
} from '../../ops.gen';

/** How the losses of the elements become the result. */
export type Reduction = 'none' | 'mean' | 'sum';

/** For this package: the check of `reduction`. */
export const reduction = choice<Reduction>(['none', 'mean', 'sum'], 'mean');

export interface LossOptions {
  /** Mean or sum of the elements' losses, or all of them. Default 'mean'. */
  readonly reduction?: Reduction | undefined;
}

export interface WeightedLossOptions extends LossOptions {
  /** Weights of the elements. */
  readonly weight?: Tensor | null | undefined;
}

export interface MarginLossOptions extends LossOptions {
  readonly margin?: number | undefined;
}

export interface SmoothL1LossOptions extends LossOptions {
  /** Where the square turns into the absolute value. Default 1. */
  readonly beta?: number | undefined;
}

export interface HuberLossOptions extends WeightedLossOptions {
  /** Where the square turns into a line. Default 1. */
  readonly delta?: number | undefined;
}

export interface BCEWithLogitsOptions extends WeightedLossOptions {
  /** Weight of positive examples, one for each class. */
  readonly posWeight?: Tensor | null | undefined;
}

export interface KLDivLossOptions {
  /** 'batchmean' divides the sum by the number of rows. Default 'mean'. */
  readonly reduction?: Reduction | 'batchmean' | undefined;
  /** The target holds log-probabilities too. Default false. */
  readonly logTarget?: boolean | undefined;
}

export interface TripletMarginOptions extends LossOptions {
  /** Default 1. */
  readonly margin?: number | undefined;
  /** Order of the norm. Default 2. */
  readonly p?: number | undefined;
  /** Default 1e-6. */
  readonly eps?: number | undefined;
  /** Use the distance of positive and negative where it is smaller. Default false. */
  readonly swap?: boolean | undefined;
}

export interface GaussianNLLOptions extends LossOptions {
  /** Add the constant term. Default false. */
  readonly full?: boolean | undefined;
  /** Least variance. Default 1e-6. */
  readonly eps?: number | undefined;
}

export interface PoissonNLLOptions extends LossOptions {
  /** The input is the logarithm of the rate. Default true. */
  readonly logInput?: boolean | undefined;
  /** Add Stirling's approximation of log(y!). Default false. */
  readonly full?: boolean | undefined;
  /** Added to the rate before the logarithm. Default 1e-8. */
  readonly eps?: number | undefined;
}

/** For this package: the check of klDiv's `reduction`. */
export const klReduction = choice<Reduction | 'batchmean'>(
  ['none', 'mean', 'sum', 'batchmean'],
  'mean',
);

const plain = { reduction };

function reduce(losses: Tensor, how: Reduction): Tensor {
  if (how === 'none') return losses;
  return how === 'mean' ? losses.mean() : losses.sum();
}

export interface TripletDistanceOptions extends LossOptions {
  /** Default the Euclidean distance. */
  readonly distanceFunction?: ((a: Tensor, b: Tensor) => Tensor) | null | undefined;
  readonly margin?: number | undefined;
  readonly swap?: boolean | undefined;
}

/** As {@link tripletMarginLoss}, with any distance. */
export function tripletMarginWithDistanceLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletDistanceOptions = {},
): Tensor {
  const name = 'tripletMarginWithDistanceLoss';
  const { distanceFunction, ...rest } = options;
  const spec = { ...plain, margin: num(1), swap: bool(false) };
  const { margin, swap, reduction: how } = readOptions(name, spec, rest);
  const distance = distanceFunction ?? pairwiseDistance;
  if (typeof distance !== 'function') {
    throw badArgument(name, 'distanceFunction', 'a function', distance);
  }
  if (anchor.ndim !== positive.ndim || anchor.ndim !== negative.ndim) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: all arguments must have the same number of dimensions, got ` +
        [anchor, positive, negative].map((t) => `[${t.shape.join(', ')}]`).join(', '),
    );
  }
  const near = distance(anchor, positive);
  let far = distance(anchor, negative);
  if (swap) far = far.minimum(distance(positive, negative));
  return reduce(near.sub(far).add(margin).clampMin(0), how);
}
