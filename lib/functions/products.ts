/** Products whose PyTorch forms a schema cannot express: `chainMatmul(a, b, c)`. */
import { invoke, opEntry, wrapOne } from '../call';
import { type Tensor } from '../tensor';

const entry = opEntry('chainMatmul');

/**
 * Product of two or more matrices, multiplied in the order that needs the fewest operations. Takes
 * them one after the other or as a list. PyTorch: `torch.chain_matmul`.
 *
 * @throws TensorError ERR_SHAPE when shapes do not fit, RangeError when there is no matrix
 */
export function chainMatmul(...matrices: readonly Tensor[] | [readonly Tensor[]]): Tensor {
  const first: unknown = matrices[0];
  const list = Array.isArray(first) && matrices.length === 1 ? (first as Tensor[]) : matrices;
  return wrapOne(invoke(entry, [list]), list[0]);
}
