/**
 * Resize: separable resampling as two matrix products, one for each side. The filters and their support
 * are Pillow's (antialiased: widened when an image shrinks); without antialias they are those of
 * PyTorch's `interpolate`. Source of the filters: Keys (1981), Lanczos; Pillow's `Resample.c` for the
 * window of each output pixel.
 */
import '../../functions/convert';

import { gatherAlong } from '../../data/gather';
import { checkBoolean, checkInteger, checkKeys, checkWord } from '../../data/options';
import { isFloatingDType } from '../../dtype';
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { keep } from '../../memory';
import { contiguous, matmul, transpose, view } from '../../ops.gen';
import { type Tensor } from '../../tensor';
import { Geometric, readRange, readSize, type Size, sizeOf, window } from './geometry';
import { integerBelow, uniform } from './random';

export type InterpolationMode = 'nearest' | 'bilinear' | 'bicubic' | 'box' | 'hamming' | 'lanczos';
const interpolations = ['nearest', 'bilinear', 'bicubic', 'box', 'hamming', 'lanczos'] as const;

interface Filter {
  readonly support: number;
  weight(x: number): number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** Keys' cubic with free parameter `a`. */
function cubic(a: number): Filter {
  return {
    support: 2,
    weight(t) {
      const x = Math.abs(t);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  };
}

const filters: Readonly<Record<Exclude<InterpolationMode, 'nearest'>, Filter>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) },
  hamming: {
    support: 1,
    weight: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x))),
  },
  bicubic: cubic(-0.5),
  lanczos: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** The matrix [out, in] that resamples a side; rows add up to one. */
function resampling(from: number, to: number, filter: Filter, antialias: boolean): Float64Array {
  const matrix = new Float64Array(to * from);
  const scale = from / to;
  const stretch = antialias ? Math.max(scale, 1) : 1;
  const reach = filter.support * stretch;
  for (let i = 0; i < to; ++i) {
    const center = (i + 0.5) * scale;
    let first = Math.trunc(center - reach + 0.5);
    let end = Math.trunc(center + reach + 0.5);
    if (antialias) {
      first = Math.max(first, 0);
      end = Math.min(end, from);
    } else {
      first = Math.floor(center - 0.5) - filter.support + 1;
      end = first + 2 * filter.support;
    }
    let total = 0;
    for (let k = first; k < end; ++k) {
      const w = filter.weight((k - center + 0.5) / stretch);
      // Outside, the border pixel repeats.
      const at = i * from + Math.min(Math.max(k, 0), from - 1);
      matrix[at] = (matrix[at] as number) + w;
      total += w;
    }
    for (let at = i * from; at < (i + 1) * from; ++at) matrix[at] = (matrix[at] as number) / total;
  }
  return matrix;
}

const matrices = new Map<string, Tensor>();
const matrixLimit = 256;

/** Resampling matrices, transposed to [in, out], are made once. */
function matrixOf(
  from: number,
  to: number,
  mode: Exclude<InterpolationMode, 'nearest'>,
  antialias: boolean,
  dtype: 'float32' | 'float64',
): Tensor {
  const key = `${String(from)} ${String(to)} ${mode} ${String(antialias)} ${dtype}`;
  let matrix = matrices.get(key);
  if (matrix === undefined) {
    const filter = mode === 'bicubic' && !antialias ? cubic(-0.75) : filters[mode];
    const values = tensor(resampling(from, to, filter, antialias), { dtype });
    matrix = keep(contiguous(transpose(view(values, [to, from]), 0, 1)));
    if (matrices.size >= matrixLimit) matrices.clear();
    matrices.set(key, matrix);
  }
  return matrix;
}

/** Resamples planes [..., height, width] to a size. */
export function resizePlanes(
  planes: Tensor,
  height: number,
  width: number,
  mode: InterpolationMode,
  antialias: boolean,
): Tensor {
  const [h, w] = sizeOf(planes);
  if (h === height && w === width) return planes;
  if (h === 0 || w === 0) throw makeError('ERR_SHAPE', 'Resize: the image is empty');
  if (mode === 'nearest') {
    const pick = (to: number, from: number): number[] =>
      Array.from({ length: to }, (_, i) => Math.min(Math.floor((i * from) / to), from - 1));
    return gatherAlong(gatherAlong(planes, -2, pick(height, h)), -1, pick(width, w));
  }
  const { dtype } = planes;
  const isByte = dtype === 'uint8';
  if (!isByte && !isFloatingDType(dtype)) {
    throw makeError(
      'ERR_DTYPE',
      `Resize: mode '${mode}' needs uint8 or floating point, got ${dtype}`,
    );
  }
  const inner = dtype === 'float64' ? 'float64' : 'float32';
  // Bytes are rounded after each side, as Pillow does.
  const settle = (x: Tensor): Tensor => (isByte ? x.add(0.5).floor().clamp(0, 255) : x);
  let x = planes.to(inner);
  if (w !== width) x = settle(matmul(x, matrixOf(w, width, mode, antialias, inner)));
  if (h !== height) {
    x = settle(matmul(transpose(matrixOf(h, height, mode, antialias, inner), 0, 1), x));
  }
  return x.to(dtype);
}

export interface ResizeOptions {
  /** Default `'bilinear'`. */
  readonly interpolation?: InterpolationMode;
  /** When the size is one number: the longer side may not exceed this. */
  readonly maxSize?: number | undefined;
  /** Smooth when an image shrinks, as Pillow does. Default true. */
  readonly antialias?: boolean;
}

function readInterpolation(where: string, value: unknown, antialias: boolean): InterpolationMode {
  const mode = checkWord(where, 'interpolation', value ?? 'bilinear', interpolations);
  if (!antialias && (mode === 'box' || mode === 'hamming' || mode === 'lanczos')) {
    throw makeError('ERR_VALUE', `${where}: interpolation '${mode}' needs antialias`);
  }
  return mode;
}

/** Images of a given size; one number is that of the shorter side. */
export class Resize extends Geometric {
  readonly size: number | readonly [number, number];
  readonly maxSize: number | undefined;
  readonly interpolation: InterpolationMode;
  readonly antialias: boolean;

  constructor(size: Size, options: ResizeOptions = {}) {
    super();
    const where = 'Resize';
    checkKeys(where, options, ['interpolation', 'maxSize', 'antialias']);
    this.size = Array.isArray(size)
      ? readSize(where, 'size', size)
      : checkInteger(where, 'size', size, 1);
    this.antialias = checkBoolean(where, 'antialias', options.antialias ?? true);
    this.interpolation = readInterpolation(where, options.interpolation, this.antialias);
    if (options.maxSize !== undefined) {
      this.maxSize = checkInteger(where, 'maxSize', options.maxSize, 1);
      if (typeof this.size !== 'number' || this.maxSize <= this.size) {
        throw makeError(
          'ERR_VALUE',
          `${where}: 'maxSize' needs a size of one number, and must be greater than that`,
        );
      }
    }
  }

  #target(height: number, width: number): readonly [number, number] {
    const { size } = this;
    if (typeof size !== 'number') return size;
    const [short, long] = height < width ? [height, width] : [width, height];
    let newShort = size;
    let newLong = Math.trunc((size * long) / short);
    if (this.maxSize !== undefined && newLong > this.maxSize) {
      newShort = Math.max(Math.trunc((this.maxSize * newShort) / newLong), 1);
      newLong = this.maxSize;
    }
    return height < width ? [newShort, newLong] : [newLong, newShort];
  }

  protected override apply(planes: Tensor): Tensor {
    const [height, width] = sizeOf(planes);
    if (height === 0 || width === 0) throw makeError('ERR_SHAPE', 'Resize: the image is empty');
    const [h, w] = this.#target(height, width);
    return resizePlanes(planes, h, w, this.interpolation, this.antialias);
  }

  override get batched(): boolean {
    // A matrix product may add in another order when it has more rows.
    return this.interpolation === 'nearest';
  }

  override constructorArgs(): readonly unknown[] {
    return [
      this.size,
      {
        interpolation: this.interpolation,
        antialias: this.antialias,
        ...(this.maxSize === undefined ? {} : { maxSize: this.maxSize }),
      },
    ];
  }
}

export interface RandomResizedCropOptions {
  /** Bounds of the share of the area. Default [0.08, 1]. */
  readonly scale?: readonly [number, number];
  /** Bounds of width / height. Default [3/4, 4/3]. */
  readonly ratio?: readonly [number, number];
  /** Default `'bilinear'`. */
  readonly interpolation?: InterpolationMode;
  /** Default true. */
  readonly antialias?: boolean;
}

/** A random window, resized. */
export class RandomResizedCrop extends Geometric {
  readonly size: readonly [number, number];
  readonly scale: readonly [number, number];
  readonly ratio: readonly [number, number];
  readonly interpolation: InterpolationMode;
  readonly antialias: boolean;

  constructor(size: Size, options: RandomResizedCropOptions = {}) {
    super();
    const where = 'RandomResizedCrop';
    checkKeys(where, options, ['scale', 'ratio', 'interpolation', 'antialias']);
    this.size = readSize(where, 'size', size);
    this.scale = readRange(where, 'scale', options.scale ?? [0.08, 1], 0, 1e6);
    this.ratio = readRange(where, 'ratio', options.ratio ?? [3 / 4, 4 / 3], 1e-6, 1e6);
    this.antialias = checkBoolean(where, 'antialias', options.antialias ?? true);
    this.interpolation = readInterpolation(where, options.interpolation, this.antialias);
  }

  /** Ten tries, then the largest window in the middle that keeps to `ratio`, as torchvision. */
  #place(height: number, width: number): [number, number, number, number] {
    const [low, high] = this.ratio.map(Math.log) as [number, number];
    for (let i = 0; i < 10; ++i) {
      const area = height * width * uniform(...this.scale);
      const aspect = Math.exp(uniform(low, high));
      const w = Math.round(Math.sqrt(area * aspect));
      const h = Math.round(Math.sqrt(area / aspect));
      if (w <= 0 || w > width || h <= 0 || h > height) continue;
      const top = integerBelow(height - h + 1);
      return [top, integerBelow(width - w + 1), h, w];
    }
    const whole = width / height;
    let [h, w] = [height, width];
    if (whole < this.ratio[0]) h = Math.round(w / this.ratio[0]);
    else if (whole > this.ratio[1]) w = Math.round(h * this.ratio[1]);
    return [(height - h) >> 1, (width - w) >> 1, h, w];
  }

  protected override apply(planes: Tensor): Tensor {
    const part = window(planes, ...this.#place(...sizeOf(planes)));
    return resizePlanes(part, this.size[0], this.size[1], this.interpolation, this.antialias);
  }

  override constructorArgs(): readonly unknown[] {
    return [
      this.size,
      {
        scale: this.scale,
        ratio: this.ratio,
        interpolation: this.interpolation,
        antialias: this.antialias,
      },
    ];
  }
}
