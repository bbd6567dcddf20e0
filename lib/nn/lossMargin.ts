/** Losses of distances, margins, sequences and distributions as modules. */
import type { Tensor } from '../tensor';
import * as F from './functional/loss';
import { lossOf, weighted } from './loss';
import { badArgument, bool, type Check, int, num } from './options';

type Pair = [input: Tensor, target: Tensor];

const plain = { reduction: F.reduction };

/** |x - y| */
export class L1Loss extends lossOf<Pair, typeof plain>(plain, F.l1Loss) {}

const smooth = { ...plain, beta: num(1) };

/** A square near zero, the absolute value beyond `beta`. */
export class SmoothL1Loss extends lossOf<Pair, typeof smooth>(smooth, F.smoothL1Loss) {}

const huber = { ...plain, delta: num(1) };

/** A square near zero, a line beyond `delta`. Huber 1964. */
export class HuberLoss extends lossOf<Pair, typeof huber>(huber, F.huberLoss) {}

const divergence = { reduction: F.klReduction, logTarget: bool(false) };

/** Kullback-Leibler divergence of log-probabilities from a target. */
export class KLDivLoss extends lossOf<Pair, typeof divergence>(divergence, F.klDiv) {}

const wideMargin = { ...plain, margin: num(1) };
const noMargin = { ...plain, margin: num(0) };

/** x where y = 1, max(0, margin - x) where y = -1. */
export class HingeEmbeddingLoss extends lossOf<Pair, typeof wideMargin>(
  wideMargin,
  F.hingeEmbeddingLoss,
) {}

type Triple = [input1: Tensor, input2: Tensor, target: Tensor];

/** max(0, -y (x1 - x2) + margin) */
export class MarginRankingLoss extends lossOf<Triple, typeof noMargin>(
  noMargin,
  F.marginRankingLoss,
) {}

/** 1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1. */
export class CosineEmbeddingLoss extends lossOf<Triple, typeof noMargin>(
  noMargin,
  F.cosineEmbeddingLoss,
) {}

/** log(1 + exp(-y x)) */
export class SoftMarginLoss extends lossOf<Pair, typeof plain>(plain, F.softMarginLoss) {}

/** Binary cross entropy of many labels, averaged over them. */
export class MultiLabelSoftMarginLoss extends lossOf<Pair, typeof weighted>(
  weighted,
  F.multilabelSoftMarginLoss,
) {}

/** Every label against every class that is none: max(0, 1 - (x[label] - x[other])). */
export class MultiLabelMarginLoss extends lossOf<Pair, typeof plain>(
  plain,
  F.multilabelMarginLoss,
) {}

const order: Check<number> = (layer, name, value) => {
  const p = int(1, -Infinity)(layer, name, value);
  if (p !== 1 && p !== 2) throw badArgument(layer, name, '1 or 2', value, 'ERR_VALUE');
  return p;
};

const multiMargin = { ...weighted, p: order, margin: num(1) };

/** max(0, margin - x[y] + x[i])^p of every other class i. */
export class MultiMarginLoss extends lossOf<Pair, typeof multiMargin>(
  multiMargin,
  F.multiMarginLoss,
) {}

const positive: Check<number> = (layer, name, value) => {
  const margin = num(1)(layer, name, value);
  if (!(margin > 0)) throw badArgument(layer, name, 'greater than 0', margin, 'ERR_VALUE');
  return margin;
};

const triplet = { ...plain, margin: positive, p: num(2), eps: num(1e-6), swap: bool(false) };

/** max(0, d(anchor, positive) - d(anchor, negative) + margin) */
export class TripletMarginLoss extends lossOf<
  [anchor: Tensor, positive: Tensor, negative: Tensor],
  typeof triplet
>(triplet, F.tripletMarginLoss) {}

const distance: Check<((a: Tensor, b: Tensor) => Tensor) | null> = (layer, name, value) => {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'function') throw badArgument(layer, name, 'a function', value);
  return value as (a: Tensor, b: Tensor) => Tensor;
};

const anyTriplet = { ...plain, distanceFunction: distance, margin: positive, swap: bool(false) };

/** Triplet loss with any distance. */
export class TripletMarginWithDistanceLoss extends lossOf<
  [anchor: Tensor, positive: Tensor, negative: Tensor],
  typeof anyTriplet
>(anyTriplet, F.tripletMarginWithDistanceLoss) {}

const gaussian = { ...plain, full: bool(false), eps: num(1e-6) };

/** Negative log-likelihood of normal distributions with mean x and variance `variance`. */
export class GaussianNLLLoss extends lossOf<
  [input: Tensor, target: Tensor, variance: Tensor | number],
  typeof gaussian
>(gaussian, F.gaussianNllLoss) {}

const poisson = { ...plain, logInput: bool(true), full: bool(false), eps: num(1e-8) };

/** Negative log-likelihood of Poisson distributions. */
export class PoissonNLLLoss extends lossOf<Pair, typeof poisson>(poisson, F.poissonNllLoss) {}

const ctc = { ...plain, blank: int(0), zeroInfinity: bool(false) };

type Lengths = Tensor | number | readonly number[];

/** Connectionist temporal classification: labels of sequences that need not be aligned. */
export class CTCLoss extends lossOf<
  [logProbs: Tensor, targets: Tensor, inputLengths: Lengths, targetLengths: Lengths],
  typeof ctc
>(ctc, F.ctcLoss) {}
