/** Losses. Rows of the op table under PyTorch's names, and what is made of other rows. */
import { tensor } from '../../functions/creation';
import { crossEntropy, ctcLoss as ctcLossOp } from '../../ops.gen';
import { Tensor } from '../../tensor';
import {
  badArgument,
  bool,
  choice,
  int,
  num,
  optionalInt,
  optionalTensor,
  readOptions,
} from '../options';
import { pairwiseDistance } from './distance';
import { linear } from './linear';

export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  cosineEmbeddingLoss,
  crossEntropy,
  gaussianNllLoss,
  hingeEmbeddingLoss,
  huberLoss,
  klDiv,
  l1Loss,
  marginRankingLoss,
  mseLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  multiMarginLoss,
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

/** For this package: the check of klDiv's `reduction`. */
export const klReduction = choice<Reduction | 'batchmean'>(
  ['none', 'mean', 'sum', 'batchmean'],
  'mean',
);

/** For this package: the check of `weight`. */
export const weight = optionalTensor;

export interface LossOptions {
  /** Mean or sum of the elements' losses, or all of them. Default 'mean'. */
  readonly reduction?: Reduction | undefined;
}

export interface WeightedLossOptions extends LossOptions {
  /** Weights of the elements. */
  readonly weight?: Tensor | null | undefined;
}

export interface CtcLossOptions extends LossOptions {
  /** The class that stands for no label. Default 0. */
  readonly blank?: number | undefined;
  /** Infinite losses, of inputs shorter than their labels, become 0. Default false. */
  readonly zeroInfinity?: boolean | undefined;
}

function lengths(name: string, value: Tensor | number | readonly number[]): Tensor {
  if (value instanceof Tensor) return value;
  const list = typeof value === 'number' ? [value] : value;
  if (!Array.isArray(list) || !list.every(Number.isSafeInteger)) {
    throw badArgument('ctcLoss', name, 'a Tensor or a list of integers', value);
  }
  return tensor([...(list as readonly number[])], { dtype: 'int64' });
}

/**
 * Connectionist temporal classification: logProbs [T, N, C] (or [T, C]), targets [N, S] or all
 * targets in a row, lengths [N]. Graves et al. 2006.
 */
export function ctcLoss(
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: Tensor | number | readonly number[],
  targetLengths: Tensor | number | readonly number[],
  options: CtcLossOptions = {},
): Tensor {
  const spec = { blank: int(0), reduction, zeroInfinity: bool(false) };
  return ctcLossOp(
    logProbs,
    targets,
    lengths('inputLengths', inputLengths),
    lengths('targetLengths', targetLengths),
    readOptions('ctcLoss', spec, options),
  );
}

export interface TripletDistanceOptions extends LossOptions {
  /** Default the Euclidean distance. */
  readonly distanceFunction?: ((a: Tensor, b: Tensor) => Tensor) | null | undefined;
  /** Default 1. */
  readonly margin?: number | undefined;
  /** Use the distance of positive and negative where it is smaller. Default false. */
  readonly swap?: boolean | undefined;
}

/** max(0, d(anchor, positive) - d(anchor, negative) + margin) with any distance. */
export function tripletMarginWithDistanceLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletDistanceOptions = {},
): Tensor {
  const name = 'tripletMarginWithDistanceLoss';
  const { distanceFunction, ...rest } = options;
  const spec = { reduction, margin: num(1), swap: bool(false) };
  const { margin, swap, reduction: how } = readOptions(name, spec, rest);
  if (!(margin > 0)) throw badArgument(name, 'margin', 'positive', margin, 'ERR_VALUE');
  const distance = distanceFunction ?? pairwiseDistance;
  if (typeof distance !== 'function') {
    throw badArgument(name, 'distanceFunction', 'a function', distance);
  }
  const near = distance(anchor, positive);
  let far = distance(anchor, negative);
  if (swap) far = far.minimum(distance(positive, negative));
  const losses = near.sub(far).add(margin).clampMin(0);
  if (how === 'none') return losses;
  return how === 'mean' ? losses.mean() : losses.sum();
}

export interface LinearCrossEntropyOptions extends WeightedLossOptions {
  /** Added to the logits: [C] or [C, d1, ...]. */
  readonly linearBias?: Tensor | null | undefined;
  /** Class that does not count; null: -100 for class indices, none for probabilities. Default null. */
  readonly ignoreIndex?: number | null | undefined;
  /** Default 0. */
  readonly labelSmoothing?: number | undefined;
}

/** The logits of `input` [N, F] and a weight [C, d1, ..., F]: [N, C, d1, ...]. */
function logitsOf(input: Tensor, linearWeight: Tensor, bias: Tensor | null): Tensor {
  const name = 'linearCrossEntropy';
  if (linearWeight.ndim < 2) {
    throw badArgument(name, 'linearWeight', 'of at least 2 dimensions', linearWeight);
  }
  const classes = linearWeight.shape.slice(0, -1);
  const flat = linearWeight.reshape([-1, linearWeight.size(-1)]);
  const logits = linear(input, flat, bias === null ? null : bias.reshape([-1]));
  return classes.length === 1 ? logits : logits.reshape([...input.shape.slice(0, -1), ...classes]);
}

/**
 * Cross entropy of the logits that a linear map makes of `input` [N, F] or [F]: linearWeight [C, F], or
 * [C, d1, ..., F] for targets [N, d1, ...]. PyTorch: `linear_cross_entropy` with `options=None`.
 */
export function linearCrossEntropy(
  input: Tensor,
  linearWeight: Tensor,
  target: Tensor,
  options: LinearCrossEntropyOptions = {},
): Tensor {
  const spec = {
    linearBias: optionalTensor,
    weight,
    reduction,
    ignoreIndex: optionalInt(null, -Infinity),
    labelSmoothing: num(0),
  };
  const { linearBias, ignoreIndex, ...rest } = readOptions('linearCrossEntropy', spec, options);
  const logits = logitsOf(input, linearWeight, linearBias);
  return crossEntropy(logits, target, { ...rest, ignoreIndex: ignoreIndex ?? -100 });
}
