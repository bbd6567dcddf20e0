/** Rows of a tensor by their numbers: what every batched dataset is made of. */
import { select, stack } from '../ops.gen';
import { type Tensor } from '../tensor';

/** The indices of one batch. */
export type Indices = readonly number[] | Int32Array;

/** A copy of the entries `indices` of `x` along a dimension. */
export function gatherAlong(x: Tensor, dim: number, indices: Indices): Tensor {
  const d = dim < 0 ? dim + x.ndim : dim;
  return stack(
    Array.from(indices, (i) => select(x, d, i)),
    d,
  );
}

/** A copy of the rows `indices` of `x` along its first dimension. */
export function gatherRows(x: Tensor, indices: Indices): Tensor {
  return gatherAlong(x, 0, indices);
}
