/** Norms and distances of vectors. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { broadcastTensors, vectorNorm } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { badArgument, bool, int, num, readArguments } from '../options';

/** Integers count as float32 where a length is taken. */
function floating(name: string, argument: string, x: unknown): Tensor {
  if (!(x instanceof Tensor)) throw badArgument(name, argument, 'a Tensor', x);
  return x.isFloatingPoint() ? x : x.float();
}

export interface CosineSimilarityOptions {
  /** Default 1. */
  readonly dim?: number | undefined;
  /** Least norm to divide by. Default 1e-8. */
  readonly eps?: number | undefined;
}

/** x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`, which is one of the broadcast shape. */
export function cosineSimilarity(
  x1: Tensor,
  x2: Tensor,
  dim?: number | CosineSimilarityOptions,
  eps?: number | CosineSimilarityOptions,
): Tensor {
  const name = 'cosineSimilarity';
  const spec = { dim: int(1, -Infinity), eps: num(1e-8) };
  const read = readArguments(name, spec, [dim, eps], ['dim', 'eps']);
  const [a, b] = broadcastTensors([floating(name, 'x1', x1), floating(name, 'x2', x2)]) as [
    Tensor,
    Tensor,
  ];
  // Half types are rounded once, at the end.
  const { dtype } = a.dtype === b.dtype ? a : a.newZeros([1]).add(b.newZeros([1]));
  const isHalf = dtype === 'float16' || dtype === 'bfloat16';
  const unit = (x: Tensor): Tensor => {
    const same = x.to(isHalf ? 'float32' : dtype);
    // The bound holds for the value; the gradient goes through as if it were not there.
    const length = vectorNorm(same, { ord: 2, dim: read.dim, keepdim: true }).clone();
    noGrad(() => length.clampMin_(read.eps));
    return same.div(length);
  };
  return unit(a).mul(unit(b)).sum(read.dim).to(dtype);
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
  p?: number | PairwiseDistanceOptions,
  eps?: number | PairwiseDistanceOptions,
  keepdim?: boolean | PairwiseDistanceOptions,
): Tensor {
  const spec = { p: num(2), eps: num(1e-6), keepdim: bool(false) };
  const read = readArguments('pairwiseDistance', spec, [p, eps, keepdim], ['p', 'eps', 'keepdim']);
  if (!(x1 instanceof Tensor)) throw badArgument('pairwiseDistance', 'x1', 'a Tensor', x1);
  const apart = floating('pairwiseDistance', 'x1', x1.sub(x2)).add(read.eps);
  return vectorNorm(apart, { ord: read.p, dim: -1, keepdim: read.keepdim });
}

export interface PdistOptions {
  /** Order of the norm. Default 2. */
  readonly p?: number | undefined;
}

/** p-norms of the differences of all pairs of rows of [N, M]: [N * (N - 1) / 2]. */
export function pdist(input: Tensor, p?: number | PdistOptions): Tensor {
  const read = readArguments('pdist', { p: num(2) }, [p], ['p']);
  if (!(input instanceof Tensor)) throw badArgument('pdist', 'input', 'a Tensor', input);
  if (input.dtype !== 'float32' && input.dtype !== 'float64') {
    throw makeError('ERR_DTYPE', `pdist: not implemented for ${input.dtype}`);
  }
  if (input.ndim !== 2) {
    throw makeError(
      'ERR_SHAPE',
      `pdist: argument 'input' must have 2 dimensions, got shape [${input.shape.join(', ')}]`,
    );
  }
  if (!(read.p >= 0)) {
    throw badArgument('pdist', 'p', 'a non-negative number', read.p, 'ERR_VALUE');
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
  const apart = take(rows).sub(take(others));
  if (input.size(1) === 0) return apart.sum(1);
  // A count of differences: its gradient is zero, not absent.
  if (read.p === 0) return apart.sign().abs().sum(1);
  return vectorNorm(apart, { ord: read.p, dim: 1 });
}
