/** Entries of a tensor by their numbers: what every batched dataset is made of. */
import { fromBuffer } from '../functions/creation';
import { indexSelect } from '../ops.gen';
import { type Tensor } from '../tensor';
import { type TypedArray } from '../dtype';

/** The indices of one batch. */
export type Indices = readonly number[];

/** Moves elements in JavaScript: one pass over a small tensor is cheaper than a tensor of indices. */
function moveElements(x: Tensor, d: number, indices: Indices): Tensor {
  const { shape, dtype } = x;
  const n = shape[d] as number;
  const count = indices.length;
  const inner = shape.slice(d + 1).reduce((a, b) => a * b, 1);
  const outer = shape.slice(0, d).reduce((a, b) => a * b, 1);
  const from = x.dataSync();
  const to = new (from.constructor as new (length: number) => TypedArray)(outer * count * inner);
  let at = 0;
  for (let o = 0; o < outer; ++o) {
    for (let k = 0; k < count; ++k, at += inner) {
      const start = (o * n + (indices[k] as number)) * inner;
      if (inner === 1) to[at] = from[start] as never;
      else to.set(from.subarray(start, start + inner) as never, at);
    }
  }
  return fromBuffer(to, { shape: [...shape.slice(0, d), count, ...shape.slice(d + 1)], dtype });
}

/** A copy of the entries `indices` (not negative) of `x` along a dimension. */
export function gatherAlong(x: Tensor, dim: number, indices: Indices): Tensor {
  const d = dim < 0 ? dim + x.ndim : dim;
  const isSmall = (x.shape[d] as number) <= 4 * indices.length;
  if (isSmall && x.device === 'cpu' && !x.requiresGrad) return moveElements(x, d, indices);
  const index = fromBuffer(Int32Array.from(indices));
  return indexSelect(x, d, x.device === 'cpu' ? index : index.to(x.device));
}

/** A copy of the rows `indices` of `x` along its first dimension. */
export function gatherRows(x: Tensor, indices: Indices): Tensor {
  return gatherAlong(x, 0, indices);
}
