/** What a transform is, and how to apply one, to a sample or to a whole batch. */
import { describe } from '../../data/options';
import { makeError } from '../../errors';
import { type Tensor } from '../../tensor';

/**
 * Something with `call(input)`, like torchvision's callable objects. A transform that treats the
 * samples of a batch alike also has {@link callBatch}.
 */
export abstract class Transform<In = unknown, Out = unknown> {
  abstract call(input: In): Out;

  /**
   * Whether {@link callBatch} exists and equals, bit for bit, the stack of `call` on each sample. Never
   * true for a transform that draws random numbers or keeps a state.
   */
  get batched(): boolean {
    return false;
  }

  /**
   * The transform of a batch of equal shapes. Images come as a uint8 tensor of shape [n, height, width,
   * channels] wrapped in a {@link PixelBatch}, tensors with one more dimension in front. The batch is only
   * lent: its memory is used again after the call.
   */
  callBatch(_batch: PixelBatch | Tensor): PixelBatch | Tensor {
    throw makeError('ERR_NOT_IMPLEMENTED', `${this.constructor.name}: has no batched form`);
  }

  /**
   * Whether, besides, each element of the result depends on the channel and the element of the input at
   * its place alone. A dataset then may ask once for the results of all 256 bytes, and look them up.
   */
  get pointwise(): boolean {
    return false;
  }

  /** What to call the constructor with for an equal transform; undefined where that is not possible. */
  constructorArgs(): readonly unknown[] | undefined {
    return undefined;
  }

  toString(): string {
    return `${this.constructor.name}()`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/** The pixels of several images of one size: uint8 [n, height, width, channels]. */
export class PixelBatch {
  constructor(readonly pixels: Tensor) {}
}

/** A transform object, or a function. */
export type TransformLike<In = never, Out = unknown> = Transform<In, Out> | ((input: In) => Out);

export function checkTransform(where: string, name: string, value: unknown): void {
  const { call } = (value ?? {}) as { call?: unknown };
  if (typeof value === 'function' || (typeof value === 'object' && typeof call === 'function'))
    return;
  throw makeError(
    'ERR_TYPE',
    `${where}: '${name}' must be a transform or a function, got ${describe(value)}`,
  );
}

/** Applies a transform or function to a sample. */
export function applyTransform<Out>(transform: TransformLike<never, Out>, input: unknown): Out {
  return typeof transform === 'function'
    ? transform(input as never)
    : transform.call(input as never);
}

/** Whether a transform may be applied to whole batches. */
export function isBatched(transform: TransformLike<never>): transform is Transform<never> {
  return transform instanceof Transform && transform.batched;
}

/** Whether a transform may be replaced by a table of its results; see {@link Transform.pointwise}. */
export function isPointwise(transform: TransformLike<never>): boolean {
  return transform instanceof Transform && transform.batched && transform.pointwise;
}
