/** Sliding blocks of images, and the sum of blocks into images: rows im2col and col2im. */
import { col2im, im2col } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { readArguments } from '../options';
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

const unfoldSpec = { kernelSize: sizeOf(2, 1), ...foldSpec };
const outputSpec = { outputSize: sizeOf(2, 1), ...unfoldSpec };

type FoldArguments = [
  dilation?: Size | FoldOptions,
  padding?: Size | FoldOptions,
  stride?: Size | FoldOptions,
  options?: FoldOptions,
];

/** Blocks of [N, C, H, W] as columns: [N, C * kernel elements, blocks]; N may be left out. */
export function unfold(
  input: Tensor,
  kernelSize: Size | (FoldOptions & { readonly kernelSize: Size }),
  ...args: FoldArguments
): Tensor {
  const names = ['kernelSize', 'dilation', 'padding', 'stride'] as const;
  const read = readArguments('unfold', unfoldSpec, [kernelSize, ...args], names);
  return im2col(input, read.kernelSize, read.dilation, read.padding, read.stride);
}

/** Sums columns [N, C * kernel elements, blocks] into [N, C, ...outputSize]; N may be left out. */
export function fold(
  input: Tensor,
  outputSize: Size | (FoldOptions & { readonly outputSize: Size; readonly kernelSize: Size }),
  kernelSize?: Size,
  ...args: FoldArguments
): Tensor {
  const names = ['outputSize', 'kernelSize', 'dilation', 'padding', 'stride'] as const;
  const read = readArguments('fold', outputSpec, [outputSize, kernelSize, ...args], names);
  return col2im(input, read.outputSize, read.kernelSize, read.dilation, read.padding, read.stride);
}
