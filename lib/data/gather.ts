/** Rows of a tensor by their numbers: what every batched dataset is made of. */
import { select, stack } from '../ops.gen';
import { type Tensor } from '../tensor';

/** The indices of one batch. */
export type Indices = readonly number[] | Int32Array;

/** A copy of the rows `indices` of `x` along its first dimension. */
export function gatherRows(x: Tensor, indices: Indices): Tensor {
  return stack(Array.from(indices, (i) => select(x, 0, i)));
}
