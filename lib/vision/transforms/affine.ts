/**
 * Rotations and affine maps of images: a grid of source points, sampled by `gridSample`. Matrices, sizes
 * and borders are those of torchvision's tensor functions.
 */
import '../../functions/convert';

import { checkBoolean, checkKeys, checkNumber, checkWord, describe } from '../../data/options';
import { isFloatingDType } from '../../dtype';
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { cat, gridSample, linspace, matmul, ones, rot90, stack, view, where } from '../../ops.gen';
import { type Tensor } from '../../tensor';
import { Geometric, readRange, sizeOf } from './geometry';
import { uniform } from './random';

/** How points between pixels are read. */
export type AffineInterpolation = 'nearest' | 'bilinear';
const interpolations = ['nearest', 'bilinear'] as const;

/** What lies outside: a number, one for each channel, or null for zeros without a blend at the rim. */
export type Fill = number | readonly number[] | null;

/** How an affine map samples. */
export interface Sampling {
  readonly interpolation: AffineInterpolation;
  readonly fill: Fill;
}

export interface AffineMap {
  /** Degrees, clockwise. */
  readonly angle: number;
  /** Pixels to the right and down. */
  readonly translate: readonly [number, number];
  readonly scale: number;
  /** Degrees along x and y. */
  readonly shear: readonly [number, number];
  /** [x, y] in pixels; undefined for the middle. */
  readonly center?: Center | undefined;
}

type Center = readonly [x: number, y: number];
type Matrix = readonly [number, number, number, number, number, number];

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** The matrix that takes points of the output to points of the input, both counted from the middle. */
function inverseMatrix(map: AffineMap, height: number, width: number): Matrix {
  const { scale, center } = map;
  const turn = radians(map.angle);
  const [sx, sy] = map.shear.map(radians) as [number, number];
  const [cx, cy] = center === undefined ? [0, 0] : [center[0] - width / 2, center[1] - height / 2];
  // Forward: move the center to 0, shear, turn, scale, move back and translate.
  const a = Math.cos(turn - sy) / Math.cos(sy);
  const b = (-Math.cos(turn - sy) * Math.tan(sx)) / Math.cos(sy) - Math.sin(turn);
  const c = Math.sin(turn - sy) / Math.cos(sy);
  const d = (-Math.sin(turn - sy) * Math.tan(sx)) / Math.cos(sy) + Math.cos(turn);
  const [m0, m1, m3, m4] = [d / scale, -b / scale, -c / scale, a / scale];
  const [px, py] = [-cx - map.translate[0], -cy - map.translate[1]];
  return [m0, m1, m0 * px + m1 * py + cx, m3, m4, m3 * px + m4 * py + cy];
}

/** Height and width of what holds the whole of a turned image. */
function expandedSize(matrix: Matrix, height: number, width: number): [number, number] {
  const [a, b, c, d, e, f] = matrix;
  const corners = [-0.5, 0.5].flatMap((x) => [-0.5, 0.5].map((y) => [x * width, y * height]));
  const extent = (values: readonly number[], side: number): number => {
    // Coordinates a hair above an integer must not add a pixel.
    const cut = (v: number): number => Math.trunc(Math.fround(v + side / 2) / 1e-4) * 1e-4;
    return Math.ceil(cut(Math.max(...values))) - Math.floor(cut(Math.min(...values)));
  };
  const points = corners as [number, number][];
  const w = extent(
    points.map(([x, y]) => a * x + b * y + c),
    width,
  );
  const h = extent(
    points.map(([x, y]) => d * x + e * y + f),
    height,
  );
  return [h, w];
}

type Size = readonly [height: number, width: number];

/** Where each pixel of the output comes from, in the coordinates of gridSample: [1, h, w, 2]. */
function sourceGrid(matrix: Matrix, from: Size, to: Size, like: Tensor): Tensor {
  const { dtype, device } = like;
  const [h, w] = to;
  const line = (n: number): Tensor => linspace(-(n - 1) / 2, (n - 1) / 2, n, { dtype, device });
  const x = line(w).view(1, w).expand([h, w]);
  const y = line(h).view(h, 1).expand([h, w]);
  const points = stack([x, y, ones([h, w], { dtype, device })], -1);
  const [a, b, c, d, e, f] = matrix;
  const theta = tensor(
    [
      [a, d],
      [b, e],
      [c, f],
    ],
    { dtype, device },
  );
  const scaled = theta.div(tensor([from[1] / 2, from[0] / 2], { dtype, device }));
  return view(matmul(view(points, [h * w, 3]), scaled), [1, h, w, 2]);
}

function channelsOf(planes: Tensor): number {
  return planes.ndim < 3 ? 1 : (planes.shape.at(-3) as number);
}

/** The fill as a tensor that broadcasts over [1, planes, h, w]. */
function fillOf(fill: Exclude<Fill, null>, planes: Tensor, like: Tensor): Tensor {
  const values = typeof fill === 'number' ? [fill] : fill;
  const { dtype, device } = like;
  const column = tensor([...values], { dtype, device }).view(-1, 1, 1);
  if (values.length === 1) return column;
  return column.repeat([(like.shape[1] as number) / channelsOf(planes), 1, 1]);
}

/** Samples planes [..., height, width] through a matrix. */
function sample(planes: Tensor, matrix: Matrix, to: Size, sampling: Sampling): Tensor {
  const from = sizeOf(planes);
  const { dtype } = planes;
  const { interpolation: mode, fill } = sampling;
  const leading = planes.shape.slice(0, -2);
  const count = leading.reduce((a, b) => a * b, 1);
  if (count === 0) return planes.newEmpty([...leading, ...to]);
  const all = planes.to(dtype === 'float64' ? dtype : 'float32').reshape([1, count, ...from]);
  const grid = sourceGrid(matrix, from, to, all);
  const options = { mode, paddingMode: 'zeros', alignCorners: false };
  let out: Tensor;
  if (fill === null) {
    out = gridSample(all, grid, options);
  } else {
    const { device } = all;
    const inside = ones([1, 1, ...from], { dtype: all.dtype, device });
    const both = gridSample(cat([all, inside], 1), grid, options);
    const mask = both.narrow(1, count, 1);
    const color = fillOf(fill, planes, all);
    out = both.narrow(1, 0, count);
    out =
      mode === 'nearest'
        ? where(mask.lt(0.5), color, out)
        : out.mul(mask).add(mask.neg().add(1).mul(color));
  }
  const settled = isFloatingDType(dtype) ? out : out.round();
  return settled.to(dtype).view([...leading, ...to]);
}

export function checkPlanes(name: string, planes: Tensor, fill: Fill): void {
  const [height, width] = sizeOf(planes);
  if (height === 0 || width === 0) throw makeError('ERR_SHAPE', `${name}: the image is empty`);
  if (planes.dtype === 'bool' || planes.dtype.startsWith('complex')) {
    throw makeError(
      'ERR_DTYPE',
      `${name}: input must be of integers or floating point, got ${planes.dtype}`,
    );
  }
  const values = Array.isArray(fill) ? (fill as readonly number[]).length : 1;
  if (values !== 1 && values !== channelsOf(planes)) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: 'fill' has ${String(values)} numbers, the image ${String(channelsOf(planes))} channels`,
    );
  }
}

/** Moves the pixels of planes [..., height, width]; the size stays. torchvision: `affine`. */
export function affinePlanes(planes: Tensor, map: AffineMap, sampling: Sampling): Tensor {
  const size = sizeOf(planes);
  return sample(planes, inverseMatrix(map, ...size), size, sampling);
}

export interface RotateOptions extends Sampling {
  readonly expand: boolean;
  readonly center?: Center | undefined;
}

/** How many quarters a turn is that needs no sampling; undefined if it does. */
function quarters(degrees: number, size: Size, options: RotateOptions): number | undefined {
  const turns = degrees / 90;
  if (options.center !== undefined || !Number.isInteger(turns)) return undefined;
  return turns % 2 === 0 || options.expand || size[0] === size[1] ? turns : undefined;
}

/**
 * Turns planes [..., height, width] counter-clockwise. Quarter turns only move pixels, as Pillow's.
 * torchvision: `rotate`.
 */
export function rotatePlanes(planes: Tensor, degrees: number, options: RotateOptions): Tensor {
  const size = sizeOf(planes);
  const turns = quarters(degrees, size, options);
  if (turns !== undefined) return turns % 4 === 0 ? planes : rot90(planes, turns, [-2, -1]);
  const { center, expand } = options;
  const map = { angle: -degrees, translate: [0, 0], scale: 1, shear: [0, 0], center } as const;
  const matrix = inverseMatrix(map, ...size);
  return sample(planes, matrix, expand ? expandedSize(matrix, ...size) : size, options);
}

export interface SamplingOptions {
  /** Default `'nearest'`. */
  readonly interpolation?: AffineInterpolation | undefined;
  /** What lies outside: a number, or one for each channel. Default 0. */
  readonly fill?: Fill | undefined;
}

export function readSampling(name: string, options: SamplingOptions, fallback: Fill): Sampling {
  const fill = options.fill === undefined ? fallback : options.fill;
  if (Array.isArray(fill)) {
    if (fill.length === 0) throw makeError('ERR_VALUE', `${name}: 'fill' must not be empty`);
    for (const v of fill as unknown[]) checkNumber(name, 'fill', v);
  } else if (fill !== null) {
    checkNumber(name, 'fill', fill);
  }
  return {
    interpolation: checkWord(
      name,
      'interpolation',
      options.interpolation ?? 'nearest',
      interpolations,
    ),
    fill,
  };
}

function readCenter(name: string, value: unknown): Center | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length !== 2) {
    throw makeError('ERR_TYPE', `${name}: 'center' must be [x, y], got ${describe(value)}`);
  }
  return value.map((v) => checkNumber(name, 'center', v)) as [number, number];
}

/** A number of at least 0 for both directions, or bounds. */
function readAngles(name: string, argument: string, value: unknown): readonly [number, number] {
  if (Array.isArray(value)) return readRange(name, argument, value, -Infinity, Infinity);
  const most = checkNumber(name, argument, value, 0);
  return [-most, most];
}

export interface RandomRotationOptions extends SamplingOptions {
  /** Enlarge the image so that it holds all of the turned one. Default false. */
  readonly expand?: boolean | undefined;
  /** What to turn about, [x, y] in pixels from the left upper corner. Default: the middle. */
  readonly center?: readonly [x: number, y: number] | undefined;
}

/** Turns by a random angle. */
export class RandomRotation extends Geometric {
  readonly degrees: readonly [number, number];
  readonly expand: boolean;
  readonly center: Center | undefined;
  readonly interpolation: AffineInterpolation;
  readonly fill: Fill;

  /** @param degrees bounds of the angle, counter-clockwise; a number `d` stands for [-d, d]. */
  constructor(degrees: number | readonly [number, number], options: RandomRotationOptions = {}) {
    super();
    const name = 'RandomRotation';
    checkKeys(name, options, ['interpolation', 'expand', 'center', 'fill']);
    this.degrees = readAngles(name, 'degrees', degrees);
    this.expand = checkBoolean(name, 'expand', options.expand ?? false);
    this.center = readCenter(name, options.center);
    ({ interpolation: this.interpolation, fill: this.fill } = readSampling(name, options, 0));
  }

  protected override apply(planes: Tensor): Tensor {
    checkPlanes('RandomRotation', planes, this.fill);
    return rotatePlanes(planes, uniform(...this.degrees), this);
  }

  override constructorArgs(): readonly unknown[] {
    const { interpolation, expand, fill, center } = this;
    const options = { interpolation, expand, fill };
    return [this.degrees, center === undefined ? options : { ...options, center }];
  }
}

export interface RandomAffineOptions extends SamplingOptions {
  /** Largest shift as shares of width and height. Default: none. */
  readonly translate?: readonly [x: number, y: number] | undefined;
  /** Bounds of the factor. Default: 1. */
  readonly scale?: readonly [number, number] | undefined;
  /**
   * Degrees: a number `s` for [-s, s] along x; bounds along x; or bounds along x, then along y. Default:
   * none.
   */
  readonly shear?:
    number | readonly [number, number] | readonly [number, number, number, number] | undefined;
  /** What to turn about, [x, y] in pixels from the left upper corner. Default: the middle. */
  readonly center?: readonly [x: number, y: number] | undefined;
}

function readTranslate(value: unknown): readonly [number, number] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length !== 2) {
    const got = describe(value);
    throw makeError('ERR_TYPE', `RandomAffine: 'translate' must be [x, y], got ${got}`);
  }
  return value.map((v) => checkNumber('RandomAffine', 'translate', v, 0, 1)) as [number, number];
}

function readShear(value: unknown): readonly number[] | undefined {
  if (value === undefined) return undefined;
  const name = 'RandomAffine';
  if (!Array.isArray(value) || value.length !== 4) return readAngles(name, 'shear', value);
  const [x, y] = [value.slice(0, 2), value.slice(2)].map((v) => readAngles(name, 'shear', v));
  return [...(x as readonly number[]), ...(y as readonly number[])];
}

/** Turns, shifts, scales and shears at random; the middle stays in the middle unless shifted. */
export class RandomAffine extends Geometric {
  readonly degrees: readonly [number, number];
  readonly translate: readonly [number, number] | undefined;
  readonly scale: readonly [number, number] | undefined;
  readonly shear: readonly number[] | undefined;
  readonly center: Center | undefined;
  readonly interpolation: AffineInterpolation;
  readonly fill: Fill;

  /** @param degrees bounds of the angle, clockwise; a number `d` stands for [-d, d]. */
  constructor(degrees: number | readonly [number, number], options: RandomAffineOptions = {}) {
    super();
    const name = 'RandomAffine';
    const names = ['translate', 'scale', 'shear', 'interpolation', 'fill', 'center'];
    checkKeys(name, options, names);
    this.degrees = readAngles(name, 'degrees', degrees);
    this.translate = readTranslate(options.translate);
    const { scale } = options;
    this.scale =
      scale === undefined ? undefined : readRange(name, 'scale', scale, Number.MIN_VALUE, Infinity);
    this.shear = readShear(options.shear);
    this.center = readCenter(name, options.center);
    ({ interpolation: this.interpolation, fill: this.fill } = readSampling(name, options, 0));
  }

  #draw(height: number, width: number): AffineMap {
    const { translate, scale, shear, center } = this;
    const shift = (share: number, side: number): number =>
      Math.round(uniform(-share * side, share * side));
    const [x0, x1, y0, y1] = shear ?? [];
    const sheared = (from = 0, to = 0): number => (from === to ? from : uniform(from, to));
    return {
      angle: uniform(...this.degrees),
      translate:
        translate === undefined
          ? [0, 0]
          : [shift(translate[0], width), shift(translate[1], height)],
      scale: scale === undefined ? 1 : uniform(...scale),
      shear: [sheared(x0, x1), sheared(y0, y1)],
      center,
    };
  }

  protected override apply(planes: Tensor): Tensor {
    checkPlanes('RandomAffine', planes, this.fill);
    return affinePlanes(planes, this.#draw(...sizeOf(planes)), this);
  }

  override constructorArgs(): readonly unknown[] {
    const { translate, scale, shear, interpolation, fill, center } = this;
    const given = Object.entries({ translate, scale, shear, center });
    const options = Object.fromEntries(given.filter(([, v]) => v !== undefined));
    return [this.degrees, { interpolation, fill, ...options }];
  }
}
