/** Sliding blocks of images, and the sum of blocks into images. */
import { makeError } from '../../errors';
import { slice } from '../../functions/indexing';
import { im2col, zeros } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { readOptions } from '../options';
import { size, type Size, sizeOf } from './sizes';

export interface FoldOptions {
  /** Default 1. */
  readonly dilation?: Size | undefined;
  /** Default 0. */
  readonly padding?: Size | undefined;
  /** Default 1. */
  readonly stride?: Size | undefined;
}

/** For this package: the checks of {@link FoldOptions}. */
export const foldSpec = { dilation: size(2, 1, 1), padding: size(2, 0), stride: size(2, 1, 1) };

/** Blocks of [N, C, H, W] as columns: [N, C * kernel elements, blocks]; N may be left out. */
export function unfold(input: Tensor, kernelSize: Size, options: FoldOptions = {}): Tensor {
  const { dilation, padding, stride } = readOptions('unfold', foldSpec, options);
  const kernel = sizeOf(2, 1)('unfold', 'kernelSize', kernelSize);
  return im2col(input, kernel, dilation, padding, stride);
}

/** Sums columns [N, C * kernel elements, blocks] into [N, C, ...outputSize]; N may be left out. */
export function fold(
  input: Tensor,
  outputSize: Size,
  kernelSize: Size,
  options: FoldOptions = {},
): Tensor {
  const { dilation, padding, stride } = readOptions('fold', foldSpec, options);
  const kernel = sizeOf(2, 1)('fold', 'kernelSize', kernelSize);
  const wanted = sizeOf(2, 1)('fold', 'outputSize', outputSize);
  const padded = wanted.map((n, i) => n + 2 * (padding[i] as number));
  const spans = kernel.map((k, i) => (dilation[i] as number) * (k - 1) + 1);
  const counts = padded.map((n, i) =>
    Math.floor((n - (spans[i] as number)) / (stride[i] as number) + 1),
  );
  const [kh = 0, kw = 0] = kernel;
  const [rows = 0, cols = 0] = counts;
  const blocks = input.ndim === 2 || input.ndim === 3 ? input.size(-1) : -1;
  if (rows <= 0 || cols <= 0 || blocks !== rows * cols || input.size(-2) % (kh * kw) !== 0) {
    throw makeError(
      'ERR_SHAPE',
      `fold: expected input [N, C * ${kh * kw}, ${rows} * ${cols}] for this output size, got ` +
        `[${input.shape.join(', ')}]`,
    );
  }
  const lead = input.ndim === 3 ? [input.size(0)] : [];
  const channels = input.size(-2) / (kh * kw);
  const { dtype, device } = input;
  const out = zeros([...lead, channels, ...padded], { dtype, device });
  const parts = input.reshape([...lead, channels, kh * kw, rows, cols]);
  for (let k = 0; k < kh * kw; ++k) {
    const window = out.get(
      '...',
      ...[Math.floor(k / kw), k % kw].map((offset, i) => {
        const start = offset * (dilation[i] as number);
        const step = stride[i] as number;
        return slice(start, start + ((counts[i] as number) - 1) * step + 1, step);
      }),
    );
    window.add_(parts.select(-3, k));
  }
  const inner = out.narrow(-2, padding[0] as number, wanted[0] as number);
  return inner.narrow(-1, padding[1] as number, wanted[1] as number);
}
