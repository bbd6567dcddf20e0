/** Batches of sequences of unequal length. PyTorch: `torch.nn.utils.rnn`. */
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { cat, full } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { badArgument, bool, choice, num, optionalInt, readOptions, show } from '../options';

/**
 * Sequences sorted by length, step by step: `data` holds the elements of all sequences at step 0,
 * then those at step 1, ...; `batchSizes[t]` is the number of sequences that reach step t.
 */
export class PackedSequence {
  readonly data: Tensor;
  readonly batchSizes: readonly number[];
  /** Original index of the sequence at each sorted position, or null when order was kept. */
  readonly sortedIndices: Tensor | null;
  readonly unsortedIndices: Tensor | null;

  constructor(
    data: Tensor,
    batchSizes: readonly number[],
    sortedIndices: Tensor | null = null,
    unsortedIndices: Tensor | null = null,
  ) {
    const total = batchSizes.reduce((a, b) => a + b, 0);
    const sorted = batchSizes.every((n, i) => n > 0 && n <= (batchSizes[i - 1] ?? n));
    if (!sorted || data.size(0) !== total) {
      throw makeError(
        'ERR_SHAPE',
        `PackedSequence: batchSizes must be positive, not increase and add up to ` +
          `${data.size(0)}, got [${batchSizes.join(', ')}]`,
      );
    }
    this.data = data;
    this.batchSizes = batchSizes;
    this.sortedIndices = sortedIndices;
    this.unsortedIndices = unsortedIndices;
  }

  /** The same structure around other data. */
  with(data: Tensor): PackedSequence {
    return new PackedSequence(data, this.batchSizes, this.sortedIndices, this.unsortedIndices);
  }
}

export interface PackOptions {
  /** Sequences are [N, T, ...] instead of [T, N, ...]. Default false. */
  readonly batchFirst?: boolean | undefined;
  /** The lengths decrease already. Default true. */
  readonly enforceSorted?: boolean | undefined;
}

function readLengths(name: string, lengths: Tensor | readonly number[], n: number): number[] {
  const list = lengths instanceof Tensor ? (lengths.toArray() as number[]) : [...lengths];
  if (list.length !== n) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: expected ${n} lengths, one for each sequence, got ${list.length}`,
    );
  }
  for (const length of list) {
    if (!Number.isInteger(length) || length <= 0) {
      throw badArgument(name, 'lengths', 'a list of positive integers', list, 'ERR_VALUE');
    }
  }
  return list;
}

function indexTensor(list: readonly number[], like: Tensor): Tensor {
  return tensor(list, { dtype: 'int64', device: like.device });
}

/** Packs a padded batch. PyTorch: `pack_padded_sequence`. */
export function packPaddedSequence(
  input: Tensor,
  lengths: Tensor | readonly number[],
  options: PackOptions = {},
): PackedSequence {
  const name = 'packPaddedSequence';
  const spec = { batchFirst: bool(false), enforceSorted: bool(true) };
  const { batchFirst, enforceSorted } = readOptions(name, spec, options);
  if (input.ndim < 2) throw badArgument(name, 'input', 'at least 2-dimensional', input);
  let steps = batchFirst ? input.transpose(0, 1) : input;
  let list = readLengths(name, lengths, steps.size(1));
  let sorted: Tensor | null = null;
  let unsorted: Tensor | null = null;
  if (enforceSorted) {
    if (list.some((n, i) => n > (list[i - 1] ?? n))) {
      throw makeError(
        'ERR_VALUE',
        `${name}: lengths must be sorted in decreasing order when enforceSorted is true, got ` +
          show(list),
      );
    }
  } else {
    const order = list.map((_, i) => i).sort((a, b) => (list[b] as number) - (list[a] as number));
    const inverse = new Array<number>(order.length);
    order.forEach((from, to) => (inverse[from] = to));
    sorted = indexTensor(order, input);
    unsorted = indexTensor(inverse, input);
    steps = steps.indexSelect(1, sorted);
    list = order.map((i) => list[i] as number);
  }
  const longest = list[0] ?? 0;
  if (longest > steps.size(0)) {
    throw makeError(
      'ERR_RANGE',
      `${name}: length ${longest} exceeds the ${steps.size(0)} steps of the input`,
    );
  }
  const batchSizes = Array.from({ length: longest }, (_, t) => list.filter((n) => n > t).length);
  const parts = batchSizes.map((n, t) => steps.select(0, t).narrow(0, 0, n));
  return new PackedSequence(cat(parts, 0), batchSizes, sorted, unsorted);
}

export interface PadPackedOptions {
  readonly batchFirst?: boolean | undefined;
  readonly paddingValue?: number | undefined;
  /** Number of steps of the result. Default the longest sequence. */
  readonly totalLength?: number | null | undefined;
}

/** The inverse of packing: [sequences, lengths]. PyTorch: `pad_packed_sequence`. */
export function padPackedSequence(
  sequence: PackedSequence,
  options: PadPackedOptions = {},
): [Tensor, Tensor] {
  const name = 'padPackedSequence';
  const spec = { batchFirst: bool(false), paddingValue: num(0), totalLength: optionalInt(null) };
  const { batchFirst, paddingValue, totalLength } = readOptions(name, spec, options);
  if (!(sequence instanceof PackedSequence)) {
    throw badArgument(name, 'sequence', 'a PackedSequence', sequence);
  }
  const { data, batchSizes, unsortedIndices } = sequence;
  const total = totalLength ?? batchSizes.length;
  if (total < batchSizes.length) {
    throw badArgument(name, 'totalLength', `at least ${batchSizes.length}`, total, 'ERR_VALUE');
  }
  const n = batchSizes[0] ?? 0;
  const rest = data.shape.slice(1);
  const filler = (rows: number): Tensor =>
    full([rows, ...rest], paddingValue, { dtype: data.dtype, device: data.device });
  const chunks = data.split([...batchSizes], 0);
  const steps = Array.from({ length: total }, (_, t) => {
    const size = batchSizes[t] ?? 0;
    if (size === n) return chunks[t] as Tensor;
    return size === 0 ? filler(n) : cat([chunks[t] as Tensor, filler(n - size)], 0);
  });
  let lengths = Array.from({ length: n }, (_, i) => batchSizes.filter((size) => size > i).length);
  let out = cat(
    steps.map((s) => s.unsqueeze(0)),
    0,
  );
  if (unsortedIndices !== null) {
    out = out.indexSelect(1, unsortedIndices);
    const order = unsortedIndices.toArray() as number[];
    lengths = order.map((i) => lengths[i] as number);
  }
  return [batchFirst ? out.transpose(0, 1) : out, tensor(lengths, { dtype: 'int64' })];
}

export interface PadOptions {
  readonly batchFirst?: boolean | undefined;
  readonly paddingValue?: number | undefined;
  /** Default 'right'. */
  readonly paddingSide?: 'left' | 'right' | undefined;
}

/** Stacks sequences [L, ...] of unequal length, filled up with one value. */
export function padSequence(sequences: readonly Tensor[], options: PadOptions = {}): Tensor {
  const name = 'padSequence';
  const spec = {
    batchFirst: bool(false),
    paddingValue: num(0),
    paddingSide: choice(['left', 'right'], 'right'),
  };
  const { batchFirst, paddingValue, paddingSide } = readOptions(name, spec, options);
  if (!Array.isArray(sequences) || sequences.length === 0) {
    throw badArgument(name, 'sequences', 'a non-empty list of Tensors', sequences);
  }
  const longest = Math.max(...sequences.map((s: Tensor) => s.size(0)));
  const rows = sequences.map((s: Tensor) => {
    const missing = longest - s.size(0);
    if (missing === 0) return s.unsqueeze(0);
    const { dtype, device } = s;
    const filler = full([missing, ...s.shape.slice(1)], paddingValue, { dtype, device });
    return cat(paddingSide === 'right' ? [s, filler] : [filler, s], 0).unsqueeze(0);
  });
  const out = cat(rows, 0);
  return batchFirst ? out : out.transpose(0, 1).contiguous();
}

/** The inverse of {@link padSequence}: a list of sequences. */
export function unpadSequence(
  padded: Tensor,
  lengths: Tensor | readonly number[],
  options: { readonly batchFirst?: boolean | undefined } = {},
): Tensor[] {
  const { batchFirst } = readOptions('unpadSequence', { batchFirst: bool(false) }, options);
  const rows = batchFirst ? padded : padded.transpose(0, 1);
  const list = readLengths('unpadSequence', lengths, rows.size(0));
  return list.map((n, i) => rows.select(0, i).narrow(0, 0, n));
}

/** Packs a list of sequences [L, ...]. PyTorch: `pack_sequence`. */
export function packSequence(
  sequences: readonly Tensor[],
  options: { readonly enforceSorted?: boolean | undefined } = {},
): PackedSequence {
  const { enforceSorted } = readOptions('packSequence', { enforceSorted: bool(true) }, options);
  const lengths = sequences.map((s) => s.size(0));
  return packPaddedSequence(padSequence(sequences), lengths, { enforceSorted });
}

/** The inverse of {@link packSequence}. */
export function unpackSequence(packed: PackedSequence): Tensor[] {
  const [padded, lengths] = padPackedSequence(packed);
  return unpadSequence(padded, lengths);
}
