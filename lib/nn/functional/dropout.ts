/** Dropout: elements, whole channels, and the variant that keeps mean and variance of SELU. */
import { noGrad } from '../../autograd';
import { makeError } from '../../errors';
import { empty } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { bool, probability, readArguments } from '../options';

export interface DropoutOptions {
  /** Probability of an element to become zero. Default 0.5 (element-wise: see the function). */
  readonly p?: number | undefined;
  /** Default true. */
  readonly training?: boolean | undefined;
  /** Default false. */
  readonly inplace?: boolean | undefined;
}

export type DropoutArguments =
  | [options?: DropoutOptions]
  | [p: number, options?: { readonly training?: boolean; readonly inplace?: boolean }];

const spec = { p: probability(0.5), training: bool(true), inplace: bool(false) };

/** For this package: dropout with read arguments, a mask of shape `maskShape`. */
export function applyDropout(
  input: Tensor,
  p: number,
  inplace: boolean,
  maskShape: readonly number[],
): Tensor {
  if (p === 0) return inplace ? input : input.mul(1);
  const scale = p === 1 ? 0 : 1 / (1 - p);
  const mask = noGrad(() =>
    empty(maskShape, { dtype: input.dtype, device: input.device })
      .bernoulli_(1 - p)
      .mul_(scale),
  );
  return inplace ? input.mul_(mask) : input.mul(mask);
}

/**
 * Zeroes elements with probability p and scales the others by 1 / (1 - p); p is 0.5 by default.
 * Outside training returns the input. Srivastava et al. 2014.
 */
export function dropout(input: Tensor, ...args: DropoutArguments): Tensor {
  const { p, training, inplace } = readArguments('dropout', spec, args, ['p']);
  return training ? applyDropout(input, p, inplace, input.shape) : input;
}

/** [N, C, ...]: one draw for each sample and channel. */
function channelShape(input: Tensor, channelDim: number): number[] {
  return input.shape.map((n, i) => (i <= channelDim ? n : 1));
}

function channelDropout(
  name: string,
  input: Tensor,
  args: DropoutArguments,
  unbatched: number,
): Tensor {
  const { p, training, inplace } = readArguments(name, spec, args, ['p']);
  if (input.ndim !== unbatched && input.ndim !== unbatched + 1) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: argument 'input' must have ${unbatched} or ${unbatched + 1} dimensions, got ` +
        `shape [${input.shape.join(', ')}]`,
    );
  }
  if (!training) return input;
  const shape = channelShape(input, input.ndim === unbatched ? 0 : 1);
  return applyDropout(input, p, inplace, shape);
}

/** Zeroes whole channels of [N, C, L] or [C, L]. */
export function dropout1d(input: Tensor, ...args: DropoutArguments): Tensor {
  return channelDropout('dropout1d', input, args, 2);
}

/** Zeroes whole channels of [N, C, H, W]; [C, H, W] is taken as [N, C, L], as PyTorch does. */
export function dropout2d(input: Tensor, ...args: DropoutArguments): Tensor {
  const { p, training, inplace } = readArguments('dropout2d', spec, args, ['p']);
  if (!training) return input;
  return applyDropout(input, p, inplace, channelShape(input, 1));
}

/** Zeroes whole channels of [N, C, D, H, W] or [C, D, H, W]. */
export function dropout3d(input: Tensor, ...args: DropoutArguments): Tensor {
  return channelDropout('dropout3d', input, args, 4);
}

/** The negative limit of SELU: -scale * alpha. */
const seluFloor = -1.7580993408473766;

/** For this package: alpha dropout with a mask of shape `maskShape`. */
export function applyAlphaDropout(
  input: Tensor,
  p: number,
  inplace: boolean,
  maskShape: readonly number[],
): Tensor {
  if (p === 0) return inplace ? input : input.mul(1);
  if (p === 1) return inplace ? input.mul_(0) : input.mul(0);
  const a = 1 / Math.sqrt((seluFloor * seluFloor * p + 1) * (1 - p));
  const [scale, shift] = noGrad(() => {
    const kept = empty(maskShape, { dtype: input.dtype, device: input.device }).bernoulli_(1 - p);
    // Dropped elements become the floor; then the affine map restores mean 0 and variance 1.
    const offset = kept
      .sub(1)
      .mul(-seluFloor * a)
      .sub(seluFloor * a * p);
    return [kept.mul(a), offset] as const;
  });
  return inplace ? input.mul_(scale).add_(shift) : input.mul(scale).add(shift);
}

const alphaSpec = { ...spec, training: bool(false) };

/** Dropout for networks of SELUs (Klambauer et al. 2017). `training` is false by default. */
export function alphaDropout(input: Tensor, ...args: DropoutArguments): Tensor {
  const { p, training, inplace } = readArguments('alphaDropout', alphaSpec, args, ['p']);
  return training ? applyAlphaDropout(input, p, inplace, input.shape) : input;
}

/** Alpha dropout of whole channels. `training` is false by default. */
export function featureAlphaDropout(input: Tensor, ...args: DropoutArguments): Tensor {
  const { p, training, inplace } = readArguments('featureAlphaDropout', alphaSpec, args, ['p']);
  return training ? applyAlphaDropout(input, p, inplace, channelShape(input, 1)) : input;
}
