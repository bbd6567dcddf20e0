/** Transforms that every pipeline has: Compose, ToTensor, Normalize, Lambda and their kin. */
import '../../functions/convert';

import { checkBoolean, checkKeys, describe } from '../../data/options';
import { type DType, isDType, isFloatingDType } from '../../dtype';
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { keep } from '../../memory';
import { clone, contiguous, div, permute, sub, unsqueeze, view } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { Image } from '../image';
import {
  applyTransform,
  checkTransform,
  isBatched,
  isPointwise,
  PixelBatch,
  Transform,
  type TransformLike,
} from './transform';

/** Applies transforms one after the other. */
export class Compose extends Transform<unknown, Tensor> {
  readonly transforms: readonly TransformLike[];

  constructor(transforms: readonly TransformLike[]) {
    super();
    if (!Array.isArray(transforms)) {
      throw makeError('ERR_TYPE', `Compose: expected an array, got ${describe(transforms)}`);
    }
    for (const t of transforms as readonly unknown[]) checkTransform('Compose', 'transforms', t);
    this.transforms = [...(transforms as readonly TransformLike[])];
  }

  override call(input: unknown): Tensor {
    let value = input;
    for (const transform of this.transforms) value = applyTransform(transform, value);
    return value as Tensor;
  }

  override get batched(): boolean {
    return this.transforms.every(isBatched);
  }

  override get pointwise(): boolean {
    return this.transforms.every(isPointwise);
  }

  override callBatch(batch: PixelBatch | Tensor): PixelBatch | Tensor {
    let value = batch;
    for (const t of this.transforms) value = (t as Transform).callBatch(value);
    return value;
  }

  override toString(): string {
    const lines = this.transforms.map(
      (t) => `    ${typeof t === 'function' ? 'Lambda()' : String(t)}`,
    );
    return ['Compose(', ...lines, ')'].join('\n');
  }

  override constructorArgs(): readonly unknown[] {
    return [this.transforms];
  }
}

const inByte = 255;

/** Channels last to channels first, dense. */
function channelsFirst(pixels: Tensor): Tensor {
  return contiguous(permute(pixels, pixels.ndim === 3 ? [2, 0, 1] : [0, 3, 1, 2]));
}

/**
 * An {@link Image}, or a tensor of shape [height, width] or [height, width, channels], as a tensor of
 * shape [channels, height, width]; uint8 becomes float32 in [0, 1], other dtypes keep their values.
 */
export class ToTensor extends Transform<Image | Tensor, Tensor> {
  override call(input: Image | Tensor): Tensor {
    if (input instanceof Image) return div(channelsFirst(input.pixels), inByte);
    if (!(input instanceof Tensor)) {
      throw makeError(
        'ERR_TYPE',
        `ToTensor: expected an Image or a Tensor, got ${describe(input)}`,
      );
    }
    if (input.ndim !== 2 && input.ndim !== 3) {
      throw makeError(
        'ERR_SHAPE',
        `ToTensor: input must have 2 or 3 dimensions, got shape [${input.shape.join(', ')}]`,
      );
    }
    const planes = channelsFirst(input.ndim === 2 ? unsqueeze(input, 2) : input);
    if (input.dtype === 'uint8') return div(planes, inByte);
    return planes.sharesStorage(input) ? clone(planes) : planes;
  }

  override get batched(): boolean {
    return true;
  }

  override get pointwise(): boolean {
    return true;
  }

  override callBatch(batch: PixelBatch | Tensor): Tensor {
    if (!(batch instanceof PixelBatch)) {
      // [n, height, width] or [n, height, width, channels]
      const planes = channelsFirst(batch.ndim === 3 ? unsqueeze(batch, 3) : batch);
      if (batch.dtype === 'uint8') return div(planes, inByte);
      return planes.sharesStorage(batch) ? clone(planes) : planes;
    }
    return div(channelsFirst(batch.pixels), inByte);
  }

  override constructorArgs(): readonly unknown[] {
    return [];
  }
}

/** As {@link ToTensor}, without changing dtype or range. */
export class PILToTensor extends Transform<Image, Tensor> {
  override call(input: Image): Tensor {
    if (!(input instanceof Image)) {
      throw makeError('ERR_TYPE', `PILToTensor: expected an Image, got ${describe(input)}`);
    }
    return clone(contiguous(input.planes()));
  }

  override get batched(): boolean {
    return true;
  }

  override callBatch(batch: PixelBatch | Tensor): Tensor {
    if (batch instanceof PixelBatch) return clone(contiguous(permute(batch.pixels, [0, 3, 1, 2])));
    throw makeError('ERR_TYPE', 'PILToTensor: expected Images, got a Tensor');
  }

  override constructorArgs(): readonly unknown[] {
    return [];
  }
}

export interface NormalizeOptions {
  /** Write into the input. Default false. */
  readonly inplace?: boolean;
}

function readStatistics(name: string, value: unknown): readonly number[] {
  const list: unknown = value instanceof Tensor ? value.toArray() : value;
  const values = Array.isArray(list) ? list : [list];
  if (values.length > 0 && values.every((v) => typeof v === 'number' && Number.isFinite(v))) {
    return values as number[];
  }
  throw makeError(
    'ERR_TYPE',
    `Normalize: '${name}' must be a number or an array of numbers, got ${describe(value)}`,
  );
}

/**
 * (x - mean) / std for each channel of a floating-point tensor of shape [..., channels, height, width].
 * A single number stands for all channels.
 */
export class Normalize extends Transform<Tensor, Tensor> {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly inplace: boolean;
  readonly #byDType = new Map<string, readonly [Tensor, Tensor]>();

  constructor(
    mean: number | readonly number[] | Tensor,
    std: number | readonly number[] | Tensor,
    options: NormalizeOptions = {},
  ) {
    super();
    checkKeys('Normalize', options, ['inplace']);
    this.mean = readStatistics('mean', mean);
    this.std = readStatistics('std', std);
    this.inplace = checkBoolean('Normalize', 'inplace', options.inplace ?? false);
    if (this.std.includes(0)) {
      throw makeError('ERR_VALUE', "Normalize: 'std' is zero, which leads to division by zero");
    }
    const [a, b] = [this.mean.length, this.std.length];
    if (a !== b && a !== 1 && b !== 1) {
      throw makeError(
        'ERR_SHAPE',
        `Normalize: 'mean' and 'std' must have equally many channels, got ${String(a)} and ${String(b)}`,
      );
    }
  }

  /** Mean and deviation in the dtype of the images, as torchvision rounds them, [channels, 1, 1]. */
  #statistics(x: Tensor): readonly [Tensor, Tensor] {
    const key = `${x.dtype} ${x.device}`;
    let pair = this.#byDType.get(key);
    if (pair === undefined) {
      const make = (values: readonly number[]): Tensor =>
        view(tensor(values, { dtype: x.dtype, device: x.device }), [-1, 1, 1]);
      pair = [make(this.mean), make(this.std)];
      for (const t of pair) keep(t);
      this.#byDType.set(key, pair);
    }
    return pair;
  }

  #apply(x: Tensor, inplace: boolean): Tensor {
    if (!isFloatingDType(x.dtype)) {
      throw makeError(
        'ERR_DTYPE',
        `Normalize: input must be a floating-point tensor, got ${x.dtype}; apply ToTensor first`,
      );
    }
    const channels = x.shape.at(-3);
    const wanted = Math.max(this.mean.length, this.std.length);
    if (channels === undefined || (wanted !== 1 && wanted !== channels)) {
      throw makeError(
        'ERR_SHAPE',
        `Normalize: input must have shape [..., ${wanted === 1 ? 'channels' : String(wanted)}, height, ` +
          `width], got [${x.shape.join(', ')}]`,
      );
    }
    const [mean, std] = this.#statistics(x);
    return (inplace ? x.sub_(mean) : sub(x, mean)).div_(std);
  }

  override call(input: Tensor): Tensor {
    if (!(input instanceof Tensor)) {
      throw makeError('ERR_TYPE', `Normalize: expected a Tensor, got ${describe(input)}`);
    }
    return this.#apply(input, this.inplace);
  }

  override get batched(): boolean {
    // In place it may write into what the caller holds.
    return !this.inplace;
  }

  override get pointwise(): boolean {
    return true;
  }

  override callBatch(batch: PixelBatch | Tensor): Tensor {
    if (batch instanceof PixelBatch) {
      throw makeError('ERR_TYPE', 'Normalize: expected a Tensor, got Images; apply ToTensor first');
    }
    return this.#apply(batch, false);
  }

  override toString(): string {
    const text = (v: readonly number[]): string => `[${v.join(', ')}]`;
    return `Normalize(mean=${text(this.mean)}, std=${text(this.std)})`;
  }

  override constructorArgs(): readonly unknown[] {
    return [this.mean, this.std, { inplace: this.inplace }];
  }
}

/** Applies a function. */
export class Lambda<In, Out> extends Transform<In, Out> {
  readonly fn: (input: In) => Out;

  constructor(fn: (input: In) => Out) {
    super();
    if (typeof fn !== 'function') {
      throw makeError('ERR_TYPE', `Lambda: expected a function, got ${describe(fn)}`);
    }
    this.fn = fn;
  }

  override call(input: In): Out {
    return this.fn(input);
  }
}

const largest: Readonly<Partial<Record<DType, number>>> = {
  uint8: 255,
  int8: 127,
  int16: 32767,
  int32: 2147483647,
};

/**
 * A tensor in another dtype, with values scaled between the ranges that images have: [0, 1] for
 * floating point, 0 to the largest value for integers. torchvision: `convert_image_dtype`.
 */
export class ConvertImageDtype extends Transform<Tensor, Tensor> {
  readonly dtype: DType;

  constructor(dtype: DType) {
    super();
    if (!isDType(dtype)) {
      throw makeError(
        'ERR_DTYPE',
        `ConvertImageDtype: expected a dtype such as 'float32', got ${describe(dtype)}`,
      );
    }
    this.dtype = dtype;
    if (!isFloatingDType(dtype)) this.#largest(dtype);
  }

  #largest(dtype: DType): number {
    const value = largest[dtype];
    if (value !== undefined) return value;
    throw makeError('ERR_DTYPE', `ConvertImageDtype: ${dtype} has no range of image values`);
  }

  override call(input: Tensor): Tensor {
    if (!(input instanceof Tensor)) {
      throw makeError('ERR_TYPE', `ConvertImageDtype: expected a Tensor, got ${describe(input)}`);
    }
    const { dtype } = this;
    const from = input.dtype;
    if (from === dtype) return input;
    const toFloat = isFloatingDType(dtype);
    if (isFloatingDType(from)) return toFloat ? input.to(dtype) : this.#quantize(input);
    if (toFloat) return input.to(dtype).div_(this.#largest(from));
    const [most, out] = [this.#largest(from), this.#largest(dtype)];
    if (most > out) {
      const factor = Math.floor((most + 1) / (out + 1));
      return div(input, factor, { roundingMode: 'floor' }).to(dtype);
    }
    return input.to(dtype).mul_(Math.floor((out + 1) / (most + 1)));
  }

  #quantize(input: Tensor): Tensor {
    const most = this.#largest(this.dtype);
    if (this.dtype === 'int32' && input.dtype !== 'float64') {
      throw makeError(
        'ERR_DTYPE',
        `ConvertImageDtype: ${input.dtype} cannot hold all values of int32`,
      );
    }
    // Just below most + 1, so that 1 becomes the largest value and steps have equal widths.
    return input.mul(most + 1 - 1e-3).to(this.dtype);
  }

  override get batched(): boolean {
    return true;
  }

  override get pointwise(): boolean {
    return true;
  }

  override callBatch(batch: PixelBatch | Tensor): Tensor {
    if (batch instanceof PixelBatch) {
      throw makeError(
        'ERR_TYPE',
        'ConvertImageDtype: expected a Tensor, got Images; apply PILToTensor first',
      );
    }
    return this.call(batch);
  }

  override toString(): string {
    return `ConvertImageDtype(dtype=${this.dtype})`;
  }

  override constructorArgs(): readonly unknown[] {
    return [this.dtype];
  }
}
