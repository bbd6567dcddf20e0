/** Normalisation. Rows of the op table, and what is made of them. */
import { cat, zeros } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { num, readArguments, requiredInt } from '../options';

export { batchNorm, groupNorm, instanceNorm, layerNorm, rmsNorm } from '../../ops.gen';

export interface LocalResponseNormOptions {
  /** Default 1e-4. */
  readonly alpha?: number | undefined;
  /** Default 0.75. */
  readonly beta?: number | undefined;
  /** Default 1. */
  readonly k?: number | undefined;
}

/**
 * x / (k + alpha * mean of squares over `size` neighbouring channels)^beta; input [N, C, ...].
 * Krizhevsky et al. 2012.
 */
export function localResponseNorm(
  input: Tensor,
  size: number,
  options: LocalResponseNormOptions = {},
): Tensor {
  const name = 'localResponseNorm';
  const spec = { alpha: num(1e-4), beta: num(0.75), k: num(1) };
  const { alpha, beta, k } = readArguments(name, spec, [options]);
  requiredInt(1)(name, 'size', size);
  const channels = input.size(1);
  if (input.numel() === 0) return input;
  const { dtype, device } = input;
  const edge = (count: number): Tensor =>
    zeros([input.size(0), count, ...input.shape.slice(2)], { dtype, device });
  const [before, after] = [Math.floor(size / 2), Math.floor((size - 1) / 2)];
  const squares = cat([edge(before), input.square(), edge(after)], 1);
  let sum = squares.narrow(1, 0, channels);
  for (let i = 1; i < size; ++i) sum = sum.add(squares.narrow(1, i, channels));
  return input.div(
    sum
      .mul(alpha / size)
      .add(k)
      .pow(beta),
  );
}
