/** Interpolation as a layer. */
import { makeError } from '../errors';
import { interpolate } from '../ops.gen';
import type { Tensor } from '../tensor';
import { Module } from './module';
import { badArgument, type Check, choice, optionalBool, readOptions } from './options';

export type InterpolationMode =
  'nearest' | 'linear' | 'bilinear' | 'bicubic' | 'trilinear' | 'area' | 'nearest-exact';

const modes: readonly InterpolationMode[] = [
  'nearest',
  'linear',
  'bilinear',
  'bicubic',
  'trilinear',
  'area',
  'nearest-exact',
];

export interface UpsampleOptions {
  /** Spatial size of the result: one number, or one for each dimension. */
  readonly size?: number | readonly number[] | null | undefined;
  /** Factor of the spatial size, instead of `size`. */
  readonly scaleFactor?: number | readonly number[] | null | undefined;
  /** Default 'nearest'. */
  readonly mode?: InterpolationMode | undefined;
  /** Corners of input and result coincide. Only for the linear and cubic modes. */
  readonly alignCorners?: boolean | null | undefined;
  readonly recomputeScaleFactor?: boolean | null | undefined;
}

const numbers: Check<number | readonly number[] | null> = (layer, name, value) => {
  if (value === undefined || value === null) return null;
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || !list.every((v) => typeof v === 'number' && v > 0)) {
    throw badArgument(layer, name, 'a positive number or a list of them', value);
  }
  return value as number | readonly number[];
};

const spec = {
  size: numbers,
  scaleFactor: numbers,
  mode: choice(modes, 'nearest'),
  alignCorners: optionalBool(null),
  recomputeScaleFactor: optionalBool(null),
};

/** Makes [N, C, ...] larger (or smaller) by interpolation. */
export class Upsample extends Module {
  readonly size: number | readonly number[] | null;
  readonly scaleFactor: number | readonly number[] | null;
  readonly mode: InterpolationMode;
  readonly alignCorners: boolean | null;
  readonly recomputeScaleFactor: boolean | null;

  constructor(options: UpsampleOptions = {}) {
    super();
    const read = readOptions(new.target.name, spec, options);
    if ((read.size === null) === (read.scaleFactor === null)) {
      throw makeError('ERR_VALUE', `${new.target.name}: give one of size and scaleFactor`);
    }
    this.size = read.size;
    this.scaleFactor = read.scaleFactor;
    this.mode = read.mode;
    this.alignCorners = read.alignCorners;
    this.recomputeScaleFactor = read.recomputeScaleFactor;
  }

  override forward(input: Tensor): Tensor {
    const { size, scaleFactor, mode, alignCorners, recomputeScaleFactor } = this;
    const spatial = input.ndim - 2;
    // One number stands for all spatial dimensions.
    const all = (v: number | readonly number[] | null): readonly number[] | null =>
      typeof v === 'number' ? new Array<number>(Math.max(0, spatial)).fill(v) : v;
    return interpolate(input, {
      size: all(size),
      scaleFactor: all(scaleFactor),
      mode,
      alignCorners,
      recomputeScaleFactor,
    });
  }

  override extraRepr(): string {
    const what = this.size === null ? 'scaleFactor' : 'size';
    const value = this.size ?? this.scaleFactor;
    const text = typeof value === 'number' ? String(value) : `[${(value ?? []).join(', ')}]`;
    return `${what}=${text}, mode='${this.mode}'`;
  }
}

type TwoDimensional = Pick<UpsampleOptions, 'size' | 'scaleFactor'>;

/** Repeats pixels of [N, C, H, W]. */
export class UpsamplingNearest2d extends Upsample {
  constructor(options: TwoDimensional = {}) {
    super({ ...options, mode: 'nearest' });
  }
}

/** Bilinear interpolation of [N, C, H, W] with aligned corners. */
export class UpsamplingBilinear2d extends Upsample {
  constructor(options: TwoDimensional = {}) {
    super({ ...options, mode: 'bilinear', alignCorners: true });
  }
}
