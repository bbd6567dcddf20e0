/** Lookup of rows, and of sums, means and maxima of bags of rows. */
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { embedding, where, zeros } from '../../ops.gen';
import { Tensor } from '../../tensor';
import {
  badArgument,
  bool,
  choice,
  num,
  optionalInt,
  optionalNum,
  optionalTensor,
  readOptions,
} from '../options';

export { embedding, oneHot } from '../../ops.gen';

export type BagMode = 'sum' | 'mean' | 'max';

export interface EmbeddingBagOptions {
  /** Start of each bag in a flat input. */
  readonly offsets?: Tensor | null | undefined;
  /** Rows are scaled to at most this norm, in place. */
  readonly maxNorm?: number | null | undefined;
  readonly normType?: number | undefined;
  readonly scaleGradByFreq?: boolean | undefined;
  /** Default 'mean'. */
  readonly mode?: BagMode | undefined;
  readonly sparse?: boolean | undefined;
  /** A weight for each index; only with mode 'sum'. */
  readonly perSampleWeights?: Tensor | null | undefined;
  /** The last offset is the end of the last bag. Default false. */
  readonly includeLastOffset?: boolean | undefined;
  /** Indices of this value count for nothing. */
  readonly paddingIdx?: number | null | undefined;
}

const spec = {
  offsets: optionalTensor,
  maxNorm: optionalNum(null),
  normType: num(2),
  scaleGradByFreq: bool(false),
  mode: choice<BagMode>(['sum', 'mean', 'max'], 'mean'),
  sparse: bool(false),
  perSampleWeights: optionalTensor,
  includeLastOffset: bool(false),
  paddingIdx: optionalInt(null, -Infinity),
};

/** Bag of each index, from the starts of the bags. */
function bagsOf(offsets: Tensor, total: number, includesLast: boolean): [number[], number] {
  const starts = (offsets.toArray() as number[]).map(Number);
  const count = includesLast ? starts.length - 1 : starts.length;
  const rises = starts.every((s, i) => s >= (starts[i - 1] ?? 0) && s <= total);
  if (count < 0 || (starts[0] ?? 0) !== 0 || !rises) {
    throw makeError(
      'ERR_VALUE',
      `embeddingBag: argument 'offsets' must start at 0, not decrease and not exceed ${total}, ` +
        `got [${starts.join(', ')}]`,
    );
  }
  const bags: number[] = [];
  for (let b = 0; b < count; ++b) {
    const end = starts[b + 1] ?? total;
    for (let i = starts[b] as number; i < end; ++i) bags.push(b);
  }
  return [bags, count];
}

/**
 * Sum, mean or maximum of the rows that each bag names. Input: [B, N] for bags of equal size, or
 * flat [N] with `offsets`.
 * @returns [bags, embedding size]
 */
export function embeddingBag(
  input: Tensor,
  weight: Tensor,
  options: EmbeddingBagOptions = {},
): Tensor {
  const name = 'embeddingBag';
  const read = readOptions(name, spec, options);
  const { offsets, mode, perSampleWeights: scales, maxNorm, normType, scaleGradByFreq } = read;
  if (!(input instanceof Tensor)) throw badArgument(name, 'input', 'a Tensor', input);
  if (input.ndim !== 1 && input.ndim !== 2) throw badArgument(name, 'input', '1D or 2D', input);
  if ((input.ndim === 1) !== (offsets !== null)) {
    throw makeError('ERR_VALUE', `${name}: offsets belong to input of 1 dimension, and only there`);
  }
  if (scales !== null && (mode !== 'sum' || String(scales.shape) !== String(input.shape))) {
    throw makeError(
      'ERR_VALUE',
      `${name}: perSampleWeights need mode 'sum' and the shape of the input`,
    );
  }
  const flat = input.reshape([-1]);
  const [bags, count] =
    offsets !== null
      ? bagsOf(offsets, flat.numel(), read.includeLastOffset)
      : [
          Array.from({ length: flat.numel() }, (_, i) => Math.floor(i / input.size(1))),
          input.size(0),
        ];
  const { device } = weight;
  const bag = tensor(bags, { dtype: 'int64', device });
  const used = flat.narrow(0, 0, bags.length);
  let rows = embedding(used, weight, { maxNorm, normType, scaleGradByFreq });
  if (scales !== null) rows = rows.mul(scales.reshape([-1, 1]).narrow(0, 0, bags.length));
  const padding = read.paddingIdx;
  const kept = padding === null ? null : keptRows(used, padding, weight.size(0));
  const place = { dtype: rows.dtype, device };
  const result = zeros([count, weight.size(1)], place);
  if (mode === 'max') {
    const low = kept === null ? rows : where(kept, rows, -Infinity);
    const index = bag.unsqueeze(1).expandAs(rows);
    const best = result.scatterReduce(0, index, low, 'amax', { includeSelf: false });
    // A bag of padding alone is as empty as one without indices.
    return where(best.isneginf(), 0, best);
  }
  if (kept !== null) rows = where(kept, rows, 0);
  const sums = result.indexAdd(0, bag, rows);
  if (mode === 'sum') return sums;
  const ones = kept === null ? rows.newOnes([bags.length, 1]) : kept.to(rows.dtype);
  const sizes = zeros([count, 1], place).indexAdd(0, bag, ones);
  return sums.div(sizes.clampMin(1));
}

/** [indices, 1]: false at padding. */
function keptRows(indices: Tensor, padding: number, rows: number): Tensor {
  return indices.ne(padding < 0 ? padding + rows : padding).unsqueeze(1);
}
