/**
 * Dropout: elements, whole channels, and the variant that keeps mean and variance of SELU. Rows of
 * the op table, with PyTorch's `inplace`.
 */
import {
  alphaDropout as alphaDropoutOp,
  dropout as dropoutOp,
  dropout1d as dropout1dOp,
  dropout2d as dropout2dOp,
  dropout3d as dropout3dOp,
  featureAlphaDropout as featureAlphaDropoutOp,
} from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { bool, probability, readArguments } from '../options';

export interface DropoutOptions {
  /** Probability of an element to become zero. Default 0.5. */
  readonly p?: number | undefined;
  /** Default true (false for the alpha variants). */
  readonly training?: boolean | undefined;
  /** Default false. */
  readonly inplace?: boolean | undefined;
}

export type DropoutArguments =
  | [options?: DropoutOptions]
  | [p: number, options?: { readonly training?: boolean; readonly inplace?: boolean }];

type Row = (input: Tensor, p: number, training: boolean) => Tensor;

/** PyTorch's arguments for a row. */
function withInplace(
  name: string,
  row: Row,
  trains: boolean,
): (input: Tensor, ...args: DropoutArguments) => Tensor {
  const spec = { p: probability(0.5), training: bool(trains), inplace: bool(false) };
  return (input, ...args) => {
    const { p, training, inplace } = readArguments(name, spec, args, ['p']);
    const out = row(input, p, training);
    return inplace && training ? input.copy_(out) : out;
  };
}

/**
 * Zeroes elements with probability p and scales the others by 1 / (1 - p); p is 0.5 by default.
 * Outside training returns the input. Srivastava et al. 2014.
 */
export const dropout = withInplace('dropout', dropoutOp, true);

/** Zeroes whole channels of [N, C, L] or [C, L]. */
export const dropout1d = withInplace('dropout1d', dropout1dOp, true);

/** Zeroes whole channels of [N, C, H, W]; [C, H, W] is taken as [N, C, L], as PyTorch does. */
export const dropout2d = withInplace('dropout2d', dropout2dOp, true);

/** Zeroes whole channels of [N, C, D, H, W] or [C, D, H, W]. */
export const dropout3d = withInplace('dropout3d', dropout3dOp, true);

/** Dropout for networks of SELUs (Klambauer et al. 2017). `training` is false by default. */
export const alphaDropout = withInplace('alphaDropout', alphaDropoutOp, false);

/** Alpha dropout of whole channels. `training` is false by default. */
export const featureAlphaDropout = withInplace('featureAlphaDropout', featureAlphaDropoutOp, false);
