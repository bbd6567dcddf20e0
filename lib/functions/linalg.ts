/** Functions whose PyTorch forms a schema cannot express: `chainMatmul(a, b, c)`, `lu(a, true, true)`. */
import { call, opEntry } from '../call';
import * as linalg from '../linalg.gen';
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
  return call(entry, [list]);
}

/** Options of {@link lu}. */
export interface LuOptions {
  /** Rows are exchanged; the CPU knows no factorization without. Default true. */
  readonly pivot?: boolean | undefined;
  /** Also return, for each matrix, 0 or the position of the first pivot that is zero. */
  readonly getInfos?: boolean | undefined;
}

/**
 * Packed LU factors and pivots, as `linalg.luFactor`. PyTorch: `torch.lu`.
 *
 * @throws TensorError ERR_LINALG for a singular matrix, unless `getInfos`
 */
export function lu(input: Tensor, pivot: boolean | LuOptions = true, getInfos = false): Tensor[] {
  const options = typeof pivot === 'object' ? pivot : { pivot, getInfos };
  const { pivot: exchange = true, getInfos: infos = false, ...rest } = options;
  const named = { pivot: exchange, ...rest };
  return infos ? [...linalg.luFactorEx(input, named)] : [...linalg.luFactor(input, named)];
}
