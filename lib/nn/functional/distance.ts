/** Norms and distances of vectors. */
import { makeError } from '../../errors';
import { where } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { bool, int, num, readOptions } from '../options';

/** For this package: the p-norm over one dimension; its gradient at zero is zero. */
export function normOver(x: Tensor, p: number, dim: number, keepdim: boolean): Tensor {
  if (p === 0) return x.ne(0).sum(dim, keepdim).to(x.dtype);
  if (p === 1) return x.abs().sum(dim, keepdim);
  if (p === Infinity) return x.abs().amax(dim, keepdim);
  if (p === -Infinity) return x.abs().amin(dim, keepdim);
  const powers = (p === 2 ? x.square() : x.abs().pow(p)).sum(dim, keepdim);
  // The root has no slope at zero: step around it there.
  const isZero = powers.eq(0);
  const root = where(isZero, 1, powers).pow(1 / p);
  return where(isZero, p < 0 ? powers : 0, root).to(x.dtype);
}

export interface CosineSimilarityOptions {
  /** Default 1. */
  readonly dim?: number | undefined;
  /** Least norm to divide by. Default 1e-8. */
  readonly eps?: number | undefined;
}

/** x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`. */
export function cosineSimilarity(
  x1: Tensor,
  x2: Tensor,
  options: CosineSimilarityOptions = {},
): Tensor {
  const spec = { dim: int(1, -Infinity), eps: num(1e-8) };
  const { dim, eps } = readOptions('cosineSimilarity', spec, options);
  const unit = (x: Tensor): Tensor => x.div(normOver(x, 2, dim, true).clampMin(eps));
  const ndim = Math.max(x1.ndim, x2.ndim);
  // Broadcasting first, so that `dim` means the same for both.
  const same = (x: Tensor): Tensor =>
    x.ndim === ndim ? x : x.reshape([...new Array<number>(ndim - x.ndim).fill(1), ...x.shape]);
  return unit(same(x1))
    .mul(unit(same(x2)))
    .sum(dim);
}

export interface PairwiseDistanceOptions {
  /** Order of the norm. Default 2. */
  readonly p?: number | undefined;
  /** Added to every difference. Default 1e-6. */
  readonly eps?: number | undefined;
  readonly keepdim?: boolean | undefined;
}

/** p-norm of x1 - x2 + eps along the last dimension. */
export function pairwiseDistance(
  x1: Tensor,
  x2: Tensor,
  options: PairwiseDistanceOptions = {},
): Tensor {
  const spec = { p: num(2), eps: num(1e-6), keepdim: bool(false) };
  const { p, eps, keepdim } = readOptions('pairwiseDistance', spec, options);
  return normOver(x1.sub(x2).add(eps), p, -1, keepdim);
}

export interface NormalizeOptions {
  /** Order of the norm. Default 2. */
  readonly p?: number | undefined;
  /** Default 1. */
  readonly dim?: number | undefined;
  /** Least norm to divide by. Default 1e-12. */
  readonly eps?: number | undefined;
}

/** x / max(|x|_p, eps) along `dim`. */
export function normalize(input: Tensor, options: NormalizeOptions = {}): Tensor {
  const spec = { p: num(2), dim: int(1, -Infinity), eps: num(1e-12) };
  const { p, dim, eps } = readOptions('normalize', spec, options);
  return input.div(normOver(input, p, dim, true).clampMin(eps));
}

/** p-norms of the differences of all pairs of rows of [N, M]: [N * (N - 1) / 2]. */
export function pdist(input: Tensor, p = 2): Tensor {
  if (input.ndim !== 2) {
    throw makeError(
      'ERR_SHAPE',
      `pdist: argument 'input' must have 2 dimensions, got shape [${input.shape.join(', ')}]`,
    );
  }
  const n = input.size(0);
  const rows: number[] = [];
  const others: number[] = [];
  for (let i = 0; i < n; ++i) {
    for (let j = i + 1; j < n; ++j) {
      rows.push(i);
      others.push(j);
    }
  }
  const take = (list: number[]): Tensor =>
    input.indexSelect(0, input.newTensor(list, { dtype: 'int64' }));
  return normOver(take(rows).sub(take(others)), p, 1, false);
}
