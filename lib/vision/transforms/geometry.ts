/** Crops, flips and padding of images and of tensors of shape [..., height, width]. */
import { gatherAlong } from '../../data/gather';
import { checkBoolean, checkKeys, checkNumber, checkWord, describe } from '../../data/options';
import { makeError } from '../../errors';
import { full, narrow, permute, unsqueeze } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { Image } from '../image';
import { integerBelow, uniform } from './random';
import { PixelBatch, Transform } from './transform';

/** The heights and widths that options accept: a number for a square. */
export type Size = number | readonly [height: number, width: number];

export function readSize(where: string, name: string, size: unknown): [number, number] {
  const pair: unknown[] = Array.isArray(size) ? size : [size, size];
  const fits = pair.length === 2 && pair.every((v) => Number.isSafeInteger(v) && (v as number) > 0);
  if (fits) return pair as [number, number];
  const numbers = pair.every((v) => typeof v === 'number');
  throw makeError(
    numbers ? 'ERR_VALUE' : 'ERR_TYPE',
    `${where}: '${name}' must be a positive integer or [height, width], got ` +
      (Array.isArray(size) ? `[${pair.map(describe).join(', ')}]` : describe(size)),
  );
}

/** A transform of pixels' places: the same for images and tensors, whatever the leading dimensions. */
export abstract class Geometric extends Transform<Image | Tensor, Image | Tensor> {
  /** @param planes shape [..., height, width]. */
  protected abstract apply(planes: Tensor): Tensor;

  override call<T extends Image | Tensor>(input: T): T {
    if (input instanceof Image) return Image.fromPlanes(this.apply(input.planes())) as T;
    this.checkTensor(input);
    return this.apply(input) as T;
  }

  protected checkTensor(input: unknown): asserts input is Tensor {
    const where = this.constructor.name;
    if (!(input instanceof Tensor)) {
      throw makeError(
        'ERR_TYPE',
        `${where}: expected an Image or a Tensor, got ${describe(input)}`,
      );
    }
    if (input.ndim < 2) {
      throw makeError(
        'ERR_SHAPE',
        `${where}: input must have shape [..., height, width], got [${input.shape.join(', ')}]`,
      );
    }
  }

  override callBatch(batch: PixelBatch | Tensor): PixelBatch | Tensor {
    if (batch instanceof Tensor) {
      this.checkTensor(batch);
      return this.apply(batch);
    }
    const planes = this.apply(permute(batch.pixels, [0, 3, 1, 2]));
    return new PixelBatch(permute(planes, [0, 2, 3, 1]));
  }
}

export function sizeOf(planes: Tensor): [height: number, width: number] {
  return [planes.shape.at(-2) as number, planes.shape.at(-1) as number];
}

/** A view of a window that lies inside. */
export function window(
  planes: Tensor,
  top: number,
  left: number,
  height: number,
  width: number,
): Tensor {
  return narrow(narrow(planes, -2, top, height), -1, left, width);
}

export type PaddingMode = 'constant' | 'edge' | 'reflect' | 'symmetric';
const paddingModes = ['constant', 'edge', 'reflect', 'symmetric'] as const;

/** Pixels added on the left, top, right and bottom. */
export type Borders = readonly [left: number, top: number, right: number, bottom: number];

/** One number for all borders, [left and right, top and bottom], or all four. */
export type Padding = number | readonly [number, number] | Borders;

function readPadding(where: string, padding: unknown): Borders {
  const list: unknown[] = Array.isArray(padding) ? padding : [padding];
  const [a, b = a, c = a, d = b] = list as [number, number?, number?, number?];
  const known = list.length === 1 || list.length === 2 || list.length === 4;
  if (known && list.every((v) => Number.isSafeInteger(v) && (v as number) >= 0)) {
    return [a, b, c, d];
  }
  throw makeError(
    list.every((v) => typeof v === 'number') ? 'ERR_VALUE' : 'ERR_TYPE',
    `${where}: 'padding' must be 1, 2 or 4 integers of at least 0, got ` +
      `[${list.map(describe).join(', ')}]`,
  );
}

/** Where the pixels of a padded row come from. */
function sources(n: number, before: number, after: number, mode: PaddingMode): number[] {
  const period = Math.max(mode === 'reflect' ? 2 * (n - 1) : 2 * n, 1);
  return Array.from({ length: before + n + after }, (_, k) => {
    const i = k - before;
    if (mode === 'edge') return Math.min(Math.max(i, 0), n - 1);
    const at = ((i % period) + period) % period;
    if (at < n) return at;
    return mode === 'reflect' ? period - at : period - 1 - at;
  });
}

function checkReach(n: number, before: number, after: number, mode: PaddingMode): void {
  const most = mode === 'constant' ? Infinity : mode === 'reflect' ? n - 1 : n;
  if (n > 0 && (mode === 'edge' || Math.max(before, after) <= most)) return;
  if (mode === 'constant') return;
  throw makeError(
    'ERR_SHAPE',
    `Pad: mode '${mode}' cannot add ${String(Math.max(before, after))} to a side of ${String(n)}`,
  );
}

/** Adds borders. */
export function padPlanes(
  planes: Tensor,
  borders: Borders,
  fill: number,
  mode: PaddingMode,
): Tensor {
  const [left, top, right, bottom] = borders;
  if (left + top + right + bottom === 0) return planes;
  const [height, width] = sizeOf(planes);
  checkReach(height, top, bottom, mode);
  checkReach(width, left, right, mode);
  if (mode !== 'constant') {
    const rows = gatherAlong(planes, -2, sources(height, top, bottom, mode));
    return gatherAlong(rows, -1, sources(width, left, right, mode));
  }
  const shape = [...planes.shape.slice(0, -2), height + top + bottom, width + left + right];
  const out = full(shape, fill, { dtype: planes.dtype, device: planes.device });
  window(out, top, left, height, width).copy_(planes);
  return out;
}

export interface PadOptions {
  /** Value of a constant border. Default 0. */
  readonly fill?: number;
  /** Default `'constant'`. */
  readonly paddingMode?: PaddingMode;
}

function readPadOptions(where: string, options: PadOptions): [number, PaddingMode] {
  return [
    checkNumber(where, 'fill', options.fill ?? 0),
    checkWord(where, 'paddingMode', options.paddingMode ?? 'constant', paddingModes),
  ];
}

/** Adds borders on all sides. */
export class Pad extends Geometric {
  readonly padding: Borders;
  readonly fill: number;
  readonly paddingMode: PaddingMode;

  constructor(padding: Padding, options: PadOptions = {}) {
    super();
    checkKeys('Pad', options, ['fill', 'paddingMode']);
    this.padding = readPadding('Pad', padding);
    [this.fill, this.paddingMode] = readPadOptions('Pad', options);
  }

  protected override apply(planes: Tensor): Tensor {
    return padPlanes(planes, this.padding, this.fill, this.paddingMode);
  }

  override get batched(): boolean {
    return true;
  }

  override constructorArgs(): readonly unknown[] {
    return [this.padding, { fill: this.fill, paddingMode: this.paddingMode }];
  }
}

/** The middle of an image; what lies outside is 0. */
export class CenterCrop extends Geometric {
  readonly size: readonly [number, number];

  constructor(size: Size) {
    super();
    this.size = readSize('CenterCrop', 'size', size);
  }

  protected override apply(planes: Tensor): Tensor {
    const [h, w] = this.size;
    const [height, width] = sizeOf(planes);
    const [dx, dy] = [Math.max(w - width, 0), Math.max(h - height, 0)];
    const borders = [dx >> 1, dy >> 1, (dx + 1) >> 1, (dy + 1) >> 1] as const;
    const padded = padPlanes(planes, borders, 0, 'constant');
    // torchvision rounds the corner as Python does: halves to even.
    const middle = (n: number): number => {
      const half = n / 2;
      return Number.isInteger(half) ? half : 2 * Math.round(half / 2);
    };
    const [ph, pw] = sizeOf(padded);
    return window(padded, middle(ph - h), middle(pw - w), h, w);
  }

  override get batched(): boolean {
    return true;
  }

  override constructorArgs(): readonly unknown[] {
    return [this.size];
  }
}

export interface RandomCropOptions extends PadOptions {
  /** Borders to add first. Default none. */
  readonly padding?: Padding | undefined;
  /** Pad images that are smaller than the crop. Default false. */
  readonly padIfNeeded?: boolean;
}

/** A window of a fixed size at a random place. */
export class RandomCrop extends Geometric {
  readonly size: readonly [number, number];
  readonly padding: Borders;
  readonly padIfNeeded: boolean;
  readonly fill: number;
  readonly paddingMode: PaddingMode;

  constructor(size: Size, options: RandomCropOptions = {}) {
    super();
    checkKeys('RandomCrop', options, ['padding', 'padIfNeeded', 'fill', 'paddingMode']);
    this.size = readSize('RandomCrop', 'size', size);
    this.padding = readPadding('RandomCrop', options.padding ?? 0);
    this.padIfNeeded = checkBoolean('RandomCrop', 'padIfNeeded', options.padIfNeeded ?? false);
    [this.fill, this.paddingMode] = readPadOptions('RandomCrop', options);
  }

  protected override apply(planes: Tensor): Tensor {
    const [h, w] = this.size;
    const pad = (x: Tensor, borders: Borders): Tensor =>
      padPlanes(x, borders, this.fill, this.paddingMode);
    let x = pad(planes, this.padding);
    if (this.padIfNeeded) {
      const [height, width] = sizeOf(x);
      const [dx, dy] = [Math.max(w - width, 0), Math.max(h - height, 0)];
      x = pad(x, [dx, dy, dx, dy]);
    }
    const [height, width] = sizeOf(x);
    if (height < h || width < w) {
      throw makeError(
        'ERR_SHAPE',
        `RandomCrop: the crop ${String(h)} x ${String(w)} is larger than the image ` +
          `${String(height)} x ${String(width)}; see 'padding' and 'padIfNeeded'`,
      );
    }
    const top = integerBelow(height - h + 1);
    return window(x, top, integerBelow(width - w + 1), h, w);
  }

  override constructorArgs(): readonly unknown[] {
    return [
      this.size,
      {
        padding: this.padding,
        padIfNeeded: this.padIfNeeded,
        fill: this.fill,
        paddingMode: this.paddingMode,
      },
    ];
  }
}

function reversed(n: number): number[] {
  return Array.from({ length: n }, (_, i) => n - 1 - i);
}

abstract class RandomFlip extends Geometric {
  readonly p: number;

  constructor(where: string, p: number) {
    super();
    this.p = checkNumber(where, 'p', p, 0, 1);
  }

  protected abstract readonly dim: -1 | -2;

  protected override apply(planes: Tensor): Tensor {
    if (uniform() >= this.p) return planes;
    return gatherAlong(planes, this.dim, reversed(planes.shape.at(this.dim) as number));
  }
}

/** Swaps left and right with probability `p`. */
export class RandomHorizontalFlip extends RandomFlip {
  protected override readonly dim = -1;

  constructor(p = 0.5) {
    super('RandomHorizontalFlip', p);
  }

  override constructorArgs(): readonly unknown[] {
    return [this.p];
  }
}

/** Swaps top and bottom with probability `p`. */
export class RandomVerticalFlip extends RandomFlip {
  protected override readonly dim = -2;

  constructor(p = 0.5) {
    super('RandomVerticalFlip', p);
  }

  override constructorArgs(): readonly unknown[] {
    return [this.p];
  }
}

export interface RandomErasingOptions {
  /** Default 0.5. */
  readonly p?: number;
  /** Bounds of the erased share of the area. Default [0.02, 0.33]. */
  readonly scale?: readonly [number, number];
  /** Bounds of the erased window's height / width. Default [0.3, 3.3]. */
  readonly ratio?: readonly [number, number];
  /** What is written: a number, one for each channel, or `'random'` noise. Default 0. */
  readonly value?: number | readonly number[] | 'random';
  /** Write into the input. Default false. */
  readonly inplace?: boolean;
}

export function readRange(
  where: string,
  name: string,
  value: unknown,
  least: number,
  most: number,
): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) {
    throw makeError('ERR_TYPE', `${where}: '${name}' must be [from, to], got ${describe(value)}`);
  }
  const [a, b] = value.map((v) => checkNumber(where, name, v, least, most)) as [number, number];
  if (a <= b) return [a, b];
  throw makeError('ERR_VALUE', `${where}: '${name}' must be [from, to] with from <= to`);
}

/** Overwrites a random window of a tensor of shape [..., channels, height, width]. */
export class RandomErasing extends Transform<Tensor, Tensor> {
  readonly p: number;
  readonly scale: readonly [number, number];
  readonly ratio: readonly [number, number];
  readonly value: number | readonly number[] | 'random';
  readonly inplace: boolean;

  constructor(options: RandomErasingOptions = {}) {
    super();
    const where = 'RandomErasing';
    checkKeys(where, options, ['p', 'scale', 'ratio', 'value', 'inplace']);
    this.p = checkNumber(where, 'p', options.p ?? 0.5, 0, 1);
    this.scale = readRange(where, 'scale', options.scale ?? [0.02, 0.33], 0, 1);
    this.ratio = readRange(where, 'ratio', options.ratio ?? [0.3, 3.3], Number.MIN_VALUE, 1e6);
    this.value = options.value ?? 0;
    if (this.value !== 'random') {
      const values: readonly unknown[] = Array.isArray(this.value) ? this.value : [this.value];
      for (const v of values) checkNumber(where, 'value', v);
    }
    this.inplace = checkBoolean(where, 'inplace', options.inplace ?? false);
  }

  override call(input: Tensor): Tensor {
    if (!(input instanceof Tensor) || input.ndim < 3) {
      throw makeError(
        input instanceof Tensor ? 'ERR_SHAPE' : 'ERR_TYPE',
        'RandomErasing: expected a Tensor of shape [..., channels, height, width], got ' +
          (input instanceof Tensor ? `shape [${input.shape.join(', ')}]` : describe(input)),
      );
    }
    if (uniform() >= this.p) return input;
    const place = this.#place(...sizeOf(input));
    if (place === undefined) return input;
    const out = this.inplace ? input : input.clone();
    this.#fill(window(out, ...place));
    return out;
  }

  /** Ten tries, as torchvision: the window may turn out larger than the image. */
  #place(height: number, width: number): [number, number, number, number] | undefined {
    const area = height * width;
    const [low, high] = this.ratio.map(Math.log) as [number, number];
    for (let i = 0; i < 10; ++i) {
      const target = area * uniform(...this.scale);
      const aspect = Math.exp(uniform(low, high));
      const h = Math.round(Math.sqrt(target * aspect));
      const w = Math.round(Math.sqrt(target / aspect));
      if (h >= height || w >= width || h === 0 || w === 0) continue;
      const top = integerBelow(height - h + 1);
      return [top, integerBelow(width - w + 1), h, w];
    }
    return undefined;
  }

  #fill(target: Tensor): void {
    const { value } = this;
    if (value === 'random') {
      target.copy_(target.newEmpty(target.shape, { dtype: 'float32' }).normal_());
    } else if (typeof value === 'number') {
      target.fill_(value);
    } else {
      const { length } = value;
      if (length !== 1 && length !== target.shape.at(-3)) {
        throw makeError(
          'ERR_SHAPE',
          `RandomErasing: 'value' has ${String(length)} numbers, the image ` +
            `${String(target.shape.at(-3))} channels`,
        );
      }
      target.copy_(unsqueeze(unsqueeze(target.newTensor([...value]), -1), -1));
    }
  }

  override constructorArgs(): readonly unknown[] {
    return [
      { p: this.p, scale: this.scale, ratio: this.ratio, value: this.value, inplace: this.inplace },
    ];
  }
}
