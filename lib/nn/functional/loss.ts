/** Losses. Rows of the op table under PyTorch's names, and what is made of other rows. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { logSigmoid, where, xlogy, zerosLike } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { badArgument, bool, choice, num, optionalTensor, readOptions } from '../options';
import { pairwiseDistance } from './distance';

export { crossEntropy, mseLoss, nllLoss } from '../../ops.gen';

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

function reduce(losses: Tensor, how: Reduction): Tensor {
  if (how === 'none') return losses;
  return how === 'mean' ? losses.mean() : losses.sum();
}

function reduceWeighted(losses: Tensor, weight: Tensor | null, how: Reduction): Tensor {
  if (weight === null) return reduce(losses, how);
  const weighted = losses.mul(weight);
  if (how !== 'mean') return reduce(weighted, how);
  return weighted.sum().div(weight.expandAs(losses).sum());
}

const plain = { reduction };
const weighted = { reduction, weight: optionalTensor };

/** |x - y| */
export function l1Loss(input: Tensor, target: Tensor, options: WeightedLossOptions = {}): Tensor {
  const { reduction: how, weight } = readOptions('l1Loss', weighted, options);
  return reduceWeighted(input.sub(target).abs(), weight, how);
}

export interface SmoothL1LossOptions extends LossOptions {
  /** Where the square turns into the absolute value. Default 1. */
  readonly beta?: number | undefined;
}

/** d^2 / (2 beta) for d = |x - y| < beta, else d - beta / 2. */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  options: SmoothL1LossOptions = {},
): Tensor {
  const spec = { ...plain, beta: num(1) };
  const { reduction: how, beta } = readOptions('smoothL1Loss', spec, options);
  if (beta < 0) throw badArgument('smoothL1Loss', 'beta', 'non-negative', beta, 'ERR_VALUE');
  if (beta === 0) return l1Loss(input, target, { reduction: how });
  const d = input.sub(target).abs();
  return reduce(where(d.lt(beta), d.square().mul(0.5 / beta), d.sub(0.5 * beta)), how);
}

export interface HuberLossOptions extends WeightedLossOptions {
  /** Where the square turns into a line. Default 1. */
  readonly delta?: number | undefined;
}

/** d^2 / 2 for d = |x - y| <= delta, else delta * (d - delta / 2). */
export function huberLoss(input: Tensor, target: Tensor, options: HuberLossOptions = {}): Tensor {
  const spec = { ...weighted, delta: num(1) };
  const { reduction: how, delta, weight } = readOptions('huberLoss', spec, options);
  if (!(delta > 0)) throw badArgument('huberLoss', 'delta', 'positive', delta, 'ERR_VALUE');
  const d = input.sub(target).abs();
  const losses = where(d.le(delta), d.square().mul(0.5), d.sub(0.5 * delta).mul(delta));
  return reduceWeighted(losses, weight, how);
}

export interface BCEWithLogitsOptions extends WeightedLossOptions {
  /** Weight of positive examples, one for each class. */
  readonly posWeight?: Tensor | null | undefined;
}

/** Binary cross entropy of sigmoid(x): (1 - y) x - w log(sigmoid(x)), w = 1 + (posWeight - 1) y. */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: BCEWithLogitsOptions = {},
): Tensor {
  const name = 'binaryCrossEntropyWithLogits';
  const spec = { ...weighted, posWeight: optionalTensor };
  const { reduction: how, weight, posWeight } = readOptions(name, spec, options);
  checkSame(name, input, target);
  const logs = logSigmoid(input);
  const scaled = posWeight === null ? logs : logs.mul(posWeight.sub(1).mul(target).add(1));
  const losses = target.neg().add(1).mul(input).sub(scaled);
  return reduce(weight === null ? losses : losses.mul(weight), how);
}

function checkSame(name: string, input: Tensor, target: Tensor): void {
  if (String(input.shape) === String(target.shape)) return;
  throw makeError(
    'ERR_SHAPE',
    `${name}: target size [${target.shape.join(', ')}] must be the same as input size ` +
      `[${input.shape.join(', ')}]`,
  );
}

export interface KLDivLossOptions {
  /** 'batchmean' divides the sum by the number of rows. Default 'mean'. */
  readonly reduction?: Reduction | 'batchmean' | undefined;
  /** The target holds log-probabilities too. Default false. */
  readonly logTarget?: boolean | undefined;
}

/** For this package: the check of klDiv's `reduction`. */
export const klReduction = choice<Reduction | 'batchmean'>(
  ['none', 'mean', 'sum', 'batchmean'],
  'mean',
);

/** y (log y - x) for log-probabilities x. */
export function klDiv(input: Tensor, target: Tensor, options: KLDivLossOptions = {}): Tensor {
  const spec = { reduction: klReduction, logTarget: bool(false) };
  const { reduction: how, logTarget } = readOptions('klDiv', spec, options);
  const losses = logTarget
    ? target.exp().mul(target.sub(input))
    : xlogy(target, target).sub(target.mul(input));
  if (how !== 'batchmean') return reduce(losses, how);
  const rows = input.ndim === 0 ? 1 : input.size(0);
  return losses.sum().div(rows);
}

export interface MarginLossOptions extends LossOptions {
  readonly margin?: number | undefined;
}

/** x where y = 1, max(0, margin - x) where y = -1; the margin is 1 by default. */
export function hingeEmbeddingLoss(
  input: Tensor,
  target: Tensor,
  options: MarginLossOptions = {},
): Tensor {
  const spec = { ...plain, margin: num(1) };
  const { reduction: how, margin } = readOptions('hingeEmbeddingLoss', spec, options);
  const zero = zerosLike(input);
  const apart = where(target.ne(1), input.neg().add(margin).clampMin(0), zero);
  return reduce(apart.add(where(target.ne(-1), input, zero)), how);
}

/** max(0, -y (x1 - x2) + margin); the margin is 0 by default. */
export function marginRankingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  options: MarginLossOptions = {},
): Tensor {
  const spec = { ...plain, margin: num(0) };
  const { reduction: how, margin } = readOptions('marginRankingLoss', spec, options);
  if (input1.ndim !== input2.ndim || input1.ndim !== target.ndim) {
    throw makeError(
      'ERR_SHAPE',
      'marginRankingLoss: all arguments must have the same number of dimensions, got shapes ' +
        [input1, input2, target].map((t) => `[${t.shape.join(', ')}]`).join(', '),
    );
  }
  return reduce(target.neg().mul(input1.sub(input2)).add(margin).clampMin(0), how);
}

/** log(1 + exp(-y x)) */
export function softMarginLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  const { reduction: how } = readOptions('softMarginLoss', plain, options);
  return reduce(target.neg().mul(input).exp().log1p(), how);
}

/** 1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1; margin 0 by default. */
export function cosineEmbeddingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  options: MarginLossOptions = {},
): Tensor {
  const spec = { ...plain, margin: num(0) };
  const { reduction: how, margin } = readOptions('cosineEmbeddingLoss', spec, options);
  if (![0, 1].includes(target.ndim) || input1.ndim !== target.ndim + 1) {
    throw makeError(
      'ERR_SHAPE',
      'cosineEmbeddingLoss: expected inputs [N, D] and target [N], or [D] and [], got ' +
        [input1, input2, target].map((t) => `[${t.shape.join(', ')}]`).join(', '),
    );
  }
  const eps = 1e-12;
  const dot = (a: Tensor, b: Tensor): Tensor => a.mul(b).sum(-1);
  const sizes = dot(input1, input1).add(eps).mul(dot(input2, input2).add(eps));
  const cos = dot(input1, input2).div(sizes.sqrt());
  const zero = zerosLike(cos);
  const near = where(target.eq(1), cos.neg().add(1), zero);
  const apart = where(target.eq(-1), cos.sub(margin).clampMin(0), zero);
  return reduce(near.add(apart), how);
}

/** Mean over classes of the binary cross entropy of sigmoid(x). */
export function multilabelSoftMarginLoss(
  input: Tensor,
  target: Tensor,
  options: WeightedLossOptions = {},
): Tensor {
  const { reduction: how, weight } = readOptions('multilabelSoftMarginLoss', weighted, options);
  const right = target.mul(logSigmoid(input));
  const wrong = target.neg().add(1).mul(logSigmoid(input.neg()));
  const losses = right.add(wrong).neg();
  const all = weight === null ? losses : losses.mul(weight);
  return reduce(all.mean(-1), how);
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

/** max(0, d(anchor, positive) - d(anchor, negative) + margin) */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginOptions = {},
): Tensor {
  const spec = { ...plain, margin: num(1), p: num(2), eps: num(1e-6), swap: bool(false) };
  const { p, eps, margin, swap, reduction: how } = readOptions('tripletMarginLoss', spec, options);
  const distanceFunction = (a: Tensor, b: Tensor): Tensor => pairwiseDistance(a, b, { p, eps });
  const rest = { distanceFunction, margin, swap, reduction: how };
  return tripletMarginWithDistanceLoss(anchor, positive, negative, rest);
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
  const near = distance(anchor, positive);
  let far = distance(anchor, negative);
  if (swap) far = far.minimum(distance(positive, negative));
  return reduce(near.sub(far).add(margin).clampMin(0), how);
}

export interface GaussianNLLOptions extends LossOptions {
  /** Add the constant term. Default false. */
  readonly full?: boolean | undefined;
  /** Least variance. Default 1e-6. */
  readonly eps?: number | undefined;
}

/** (log(var) + (x - y)^2 / var) / 2 */
export function gaussianNllLoss(
  input: Tensor,
  target: Tensor,
  variance: Tensor | number,
  options: GaussianNLLOptions = {},
): Tensor {
  const name = 'gaussianNllLoss';
  const spec = { ...plain, full: bool(false), eps: num(1e-6) };
  const { reduction: how, full, eps } = readOptions(name, spec, options);
  let spread =
    variance instanceof Tensor ? variance : zerosLike(input).add(num(0)(name, 'var', variance));
  if (String(spread.shape) !== String(input.shape)) {
    const lead = String(input.shape.slice(0, -1));
    // One variance for a row, or sizes that differ from the input's in a single dimension of 1.
    const odd = spread.shape.filter((n, i) => n !== input.shape[i]);
    if (lead === String(spread.shape)) spread = spread.unsqueeze(-1);
    else if (spread.ndim !== input.ndim || String(odd) !== '1') {
      throw makeError(
        'ERR_SHAPE',
        `${name}: argument 'var' does not fit the input: shapes [${spread.shape.join(', ')}] and ` +
          `[${input.shape.join(', ')}]`,
      );
    }
  }
  if (noGrad(() => spread.lt(0).any().item())) {
    throw makeError('ERR_VALUE', `${name}: var has negative entries`);
  }
  // The bound holds for the values; the gradient goes through as if it were not there.
  const bounded = spread.clone();
  noGrad(() => bounded.clamp_(eps));
  const losses = bounded.log().add(input.sub(target).square().div(bounded)).mul(0.5);
  return reduce(full ? losses.add(0.5 * Math.log(2 * Math.PI)) : losses, how);
}

export interface PoissonNLLOptions extends LossOptions {
  /** The input is the logarithm of the rate. Default true. */
  readonly logInput?: boolean | undefined;
  /** Add Stirling's approximation of log(y!). Default false. */
  readonly full?: boolean | undefined;
  /** Added to the rate before the logarithm. Default 1e-8. */
  readonly eps?: number | undefined;
}

/** exp(x) - y x, or x - y log(x + eps) for rates x. */
export function poissonNllLoss(
  input: Tensor,
  target: Tensor,
  options: PoissonNLLOptions = {},
): Tensor {
  const spec = { ...plain, logInput: bool(true), full: bool(false), eps: num(1e-8) };
  const { reduction: how, logInput, full, eps } = readOptions('poissonNllLoss', spec, options);
  let losses = logInput
    ? input.exp().sub(target.mul(input))
    : input.sub(target.mul(input.add(eps).log()));
  if (full) {
    const stirling = target
      .mul(target.log())
      .sub(target)
      .add(
        target
          .mul(2 * Math.PI)
          .log()
          .mul(0.5),
      );
    losses = losses.add(where(target.gt(1), stirling, zerosLike(stirling)));
  }
  return reduce(losses, how);
}
