/** Padding at the ends of the last dimensions. */
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { cat, full } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { badArgument, choice, num, readOptions, show } from '../options';

export const padModes = ['constant', 'reflect', 'replicate', 'circular'] as const;

export type PadMode = (typeof padModes)[number];

export interface PadOptions {
  /** Default 'constant'. */
  readonly mode?: PadMode | undefined;
  /** The constant. Default 0. */
  readonly value?: number | undefined;
}

/** Takes `before` and `after` elements off where they are negative. */
function crop(x: Tensor, dim: number, before: number, after: number): Tensor {
  const [start, end] = [Math.max(0, -before), Math.max(0, -after)];
  if (start + end === 0) return x;
  const left = x.size(dim) - start - end;
  if (left < 0) {
    throw makeError(
      'ERR_SHAPE',
      `pad: paddings ${before} and ${after} take more than the ${x.size(dim)} elements of ` +
        `dimension ${dim}`,
    );
  }
  return x.narrow(dim, start, left);
}

function constantEnds(
  x: Tensor,
  dim: number,
  before: number,
  after: number,
  value: number,
): Tensor {
  const filler = (n: number): Tensor => {
    const size = x.shape.map((d, i) => (i === dim ? n : d));
    return full(size, value, { dtype: x.dtype, device: x.device });
  };
  const parts = [x];
  if (before > 0) parts.unshift(filler(before));
  if (after > 0) parts.push(filler(after));
  return cat(parts, dim);
}

/** Where the element at position i of the padded dimension comes from. */
function sourceOf(mode: PadMode, i: number, n: number): number {
  if (mode === 'replicate') return Math.min(n - 1, Math.max(0, i));
  if (mode === 'circular') return ((i % n) + n) % n;
  if (i < 0) return -i;
  return i < n ? i : 2 * (n - 1) - i;
}

function indexedEnds(x: Tensor, dim: number, before: number, after: number, mode: PadMode): Tensor {
  const n = x.size(dim);
  const limit = mode === 'reflect' ? n - 1 : mode === 'circular' ? n : Infinity;
  if (n === 0 || before > limit || after > limit) {
    throw makeError(
      'ERR_SHAPE',
      `pad: mode '${mode}' allows paddings up to ${Math.max(0, limit)} in dimension ${dim} of ` +
        `size ${n}, got ${before} and ${after}`,
    );
  }
  const [start, end] = [Math.max(0, before), Math.max(0, after)];
  const list = Array.from({ length: start + n + end }, (_, i) => sourceOf(mode, i - start, n));
  return x.indexSelect(dim, tensor(list, { dtype: 'int64', device: x.device }));
}

/**
 * Pads the last dimensions: `padding` lists the elements to add [before, after] the last dimension,
 * then the one before it, and so on; negative numbers take elements off.
 */
export function pad(input: Tensor, padding: readonly number[], options: PadOptions = {}): Tensor {
  const spec = { mode: choice(padModes, 'constant'), value: num(0) };
  const { mode, value } = readOptions('pad', spec, options);
  if (!(input instanceof Tensor)) throw badArgument('pad', 'input', 'a Tensor', input);
  if (!Array.isArray(padding) || !padding.every(Number.isSafeInteger) || padding.length % 2 !== 0) {
    throw badArgument('pad', 'padding', 'an even number of integers', padding);
  }
  if (padding.length > 2 * input.ndim) {
    throw makeError(
      'ERR_SHAPE',
      `pad: padding ${show(padding)} is too long for input of ${input.ndim} dimensions`,
    );
  }
  let out = input;
  for (let i = 0; 2 * i < padding.length; ++i) {
    const [before, after] = [padding[2 * i] as number, padding[2 * i + 1] as number];
    if (before === 0 && after === 0) continue;
    const dim = input.ndim - 1 - i;
    // A reflection sees the whole dimension, also where the other end is cut off.
    if (mode === 'constant') {
      out = crop(out, dim, before, after);
      if (before > 0 || after > 0) out = constantEnds(out, dim, before, after, value);
    } else {
      if (before > 0 || after > 0) out = indexedEnds(out, dim, before, after, mode);
      out = crop(out, dim, before, after);
    }
  }
  return out === input ? input.clone() : out;
}
