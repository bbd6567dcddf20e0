/**
 * Changes of colour, and transforms that choose among others. The formulas are those of torchvision's
 * tensor functions: blends of an image with black, its mean grey or its grey version; hue by way of HSV.
 */
import '../../functions/convert';

import { checkInteger, checkKeys, checkNumber, describe } from '../../data/options';
import { isFloatingDType } from '../../dtype';
import { makeError } from '../../errors';
import { cat, maximum, narrow, remainder, stack, where, zerosLike } from '../../ops.gen';
import { type Tensor } from '../../tensor';
import { Geometric, readRange } from './geometry';
import { integerBelow, uniform } from './random';
import { applyTransform, checkTransform, Transform, type TransformLike } from './transform';

export function checkColors(name: string, planes: Tensor, allowed: readonly number[]): number {
  const channels = planes.ndim < 3 ? 0 : (planes.shape.at(-3) as number);
  if (!allowed.includes(channels)) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: input must have shape [..., ${allowed.join(' or ')}, height, width], got ` +
        `[${planes.shape.join(', ')}]`,
    );
  }
  if (planes.dtype !== 'uint8' && !isFloatingDType(planes.dtype)) {
    throw makeError(
      'ERR_DTYPE',
      `${name}: input must be uint8 or floating point, got ${planes.dtype}`,
    );
  }
  return channels;
}

export const floatOf = (x: Tensor): Tensor => (isFloatingDType(x.dtype) ? x : x.to('float32'));

/** Grey of colour planes, one channel, in the dtype of the input. */
function grey(planes: Tensor): Tensor {
  const x = floatOf(planes);
  const channel = (i: number): Tensor => narrow(x, -3, i, 1);
  const sum = channel(0).mul(0.2989).add(channel(1).mul(0.587)).add(channel(2).mul(0.114));
  return sum.to(planes.dtype);
}

/** ratio * a + (1 - ratio) * b, within the range of images. */
export function blend(a: Tensor, b: Tensor, ratio: number): Tensor {
  const bound = isFloatingDType(a.dtype) ? 1 : 255;
  const sum = floatOf(a)
    .mul(ratio)
    .add(floatOf(b).mul(1 - ratio));
  return sum.clamp(0, bound).to(a.dtype);
}

/** Multiplies intensities by a factor. */
export function brightness(planes: Tensor, factor: number): Tensor {
  return blend(planes, zerosLike(planes), factor);
}

export function contrast(planes: Tensor, factor: number): Tensor {
  const plain = planes.shape.at(-3) === 3 ? grey(planes) : planes;
  const mean = floatOf(plain).mean([-3, -2, -1], true);
  const bound = isFloatingDType(planes.dtype) ? 1 : 255;
  const sum = floatOf(planes)
    .mul(factor)
    .add(mean.mul(1 - factor));
  return sum.clamp(0, bound).to(planes.dtype);
}

export function saturation(planes: Tensor, factor: number): Tensor {
  return planes.shape.at(-3) === 1 ? planes : blend(planes, grey(planes), factor);
}

/** Turns the hue by a share of the circle in [-0.5, 0.5]. */
function hue(planes: Tensor, turn: number): Tensor {
  if (planes.shape.at(-3) === 1) return planes;
  const isByte = planes.dtype === 'uint8';
  const x = isByte ? planes.to('float32').div(255) : planes;
  const [r, g, b] = [0, 1, 2].map((i) => x.select(-3, i)) as [Tensor, Tensor, Tensor];
  const high = maximum(maximum(r, g), b);
  const low = maximum(maximum(r.neg(), g.neg()), b.neg()).neg();
  const same = high.eq(low);
  const range = high.sub(low);
  const s = range.div(where(same, 1, high));
  const divisor = where(same, 1, range);
  const [rc, gc, bc] = [r, g, b].map((c) => high.sub(c).div(divisor)) as [Tensor, Tensor, Tensor];
  const isRed = high.eq(r);
  const isGreen = high.eq(g).logicalAnd(isRed.logicalNot());
  const angle = where(isRed, bc.sub(gc), where(isGreen, rc.sub(bc).add(2), gc.sub(rc).add(4)));
  const h = remainder(remainder(angle.div(6).add(1), 1).add(turn), 1);
  const out = fromHsv(h, s, high);
  return isByte ? out.mul(256 - 1e-3).to('uint8') : out.to(planes.dtype);
}

function fromHsv(h: Tensor, s: Tensor, v: Tensor): Tensor {
  const sector = h.mul(6).floor();
  const f = h.mul(6).sub(sector);
  const p = v.mul(s.neg().add(1)).clamp(0, 1);
  const q = v.mul(s.mul(f).neg().add(1)).clamp(0, 1);
  const t = v.mul(s.mul(f.neg().add(1)).neg().add(1)).clamp(0, 1);
  const i = remainder(sector, 6);
  const choose = (values: readonly Tensor[]): Tensor =>
    values
      .slice(1)
      .reduce((rest, value, k) => where(i.eq(k + 1), value, rest), values[0] as Tensor);
  return stack(
    [choose([v, q, p, p, t, v]), choose([t, v, v, q, p, p]), choose([p, p, t, v, v, q])],
    -3,
  );
}

/** Images without colour. */
export class Grayscale extends Geometric {
  readonly numOutputChannels: number;

  /** @param numOutputChannels 1 (default), or 3 equal ones. */
  constructor(numOutputChannels = 1) {
    super();
    this.numOutputChannels = checkInteger('Grayscale', 'numOutputChannels', numOutputChannels, 1);
    if (numOutputChannels !== 1 && numOutputChannels !== 3) {
      throw makeError('ERR_VALUE', "Grayscale: 'numOutputChannels' must be 1 or 3");
    }
  }

  protected override apply(planes: Tensor): Tensor {
    const one = checkColors('Grayscale', planes, [1, 3]) === 1 ? planes : grey(planes);
    return this.numOutputChannels === 1 ? one : cat([one, one, one], -3);
  }

  override constructorArgs(): readonly unknown[] {
    return [this.numOutputChannels];
  }
}

/** Takes the colour away with probability `p`; the number of channels stays. */
export class RandomGrayscale extends Geometric {
  readonly p: number;

  constructor(p = 0.1) {
    super();
    this.p = checkNumber('RandomGrayscale', 'p', p, 0, 1);
  }

  protected override apply(planes: Tensor): Tensor {
    const channels = checkColors('RandomGrayscale', planes, [1, 3]);
    if (uniform() >= this.p || channels === 1) return planes;
    const one = grey(planes);
    return cat([one, one, one], -3);
  }

  override constructorArgs(): readonly unknown[] {
    return [this.p];
  }
}

/** A share of change, or the bounds of the factor. */
export type Jitter = number | readonly [number, number];

export interface ColorJitterOptions {
  /** Factor from [1 - value, 1 + value], or between bounds. Default 0: none. */
  readonly brightness?: Jitter;
  readonly contrast?: Jitter;
  readonly saturation?: Jitter;
  /** Turn from [-value, value], at most 0.5. */
  readonly hue?: Jitter;
}

type Bounds = readonly [number, number] | undefined;

function readJitter(name: string, value: Jitter | undefined, center: number, most: number): Bounds {
  const least = center === 0 ? -most : 0;
  const isPair = Array.isArray(value);
  const share = isPair ? 0 : checkNumber('ColorJitter', name, value ?? 0, 0, most);
  const bounds = isPair
    ? readRange('ColorJitter', name, value, least, most)
    : ([Math.max(center - share, least), center + share] as const);
  return bounds[0] === center && bounds[1] === center ? undefined : bounds;
}

/** Changes brightness, contrast, saturation and hue at random, in a random order. */
export class ColorJitter extends Geometric {
  readonly brightness: Bounds;
  readonly contrast: Bounds;
  readonly saturation: Bounds;
  readonly hue: Bounds;

  constructor(options: ColorJitterOptions = {}) {
    super();
    checkKeys('ColorJitter', options, ['brightness', 'contrast', 'saturation', 'hue']);
    this.brightness = readJitter('brightness', options.brightness, 1, 1e6);
    this.contrast = readJitter('contrast', options.contrast, 1, 1e6);
    this.saturation = readJitter('saturation', options.saturation, 1, 1e6);
    this.hue = readJitter('hue', options.hue, 0, 0.5);
  }

  protected override apply(planes: Tensor): Tensor {
    checkColors('ColorJitter', planes, [1, 3]);
    const steps = [
      [brightness, this.brightness],
      [contrast, this.contrast],
      [saturation, this.saturation],
      [hue, this.hue],
    ] as const;
    let x = planes;
    for (const at of shuffled(steps.length)) {
      const [change, bounds] = steps[at] as (typeof steps)[number];
      if (bounds !== undefined) x = change(x, uniform(...bounds));
    }
    return x;
  }

  override constructorArgs(): readonly unknown[] {
    const { hue: turn } = this;
    const pair = (bounds: Bounds, center: number): readonly number[] => bounds ?? [center, center];
    return [
      {
        brightness: pair(this.brightness, 1),
        contrast: pair(this.contrast, 1),
        saturation: pair(this.saturation, 1),
        hue: pair(turn, 0),
      },
    ];
  }
}

function shuffled(n: number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; --i) {
    const k = integerBelow(i + 1);
    [order[i], order[k]] = [order[k] as number, order[i] as number];
  }
  return order;
}

/** The negative of planes. */
export function inverted(planes: Tensor): Tensor {
  const bound = isFloatingDType(planes.dtype) ? 1 : 255;
  return planes.neg().add(bound).to(planes.dtype);
}

/** Negative of an image, with probability `p`. */
export class RandomInvert extends Geometric {
  readonly p: number;

  constructor(p = 0.5) {
    super();
    this.p = checkNumber('RandomInvert', 'p', p, 0, 1);
  }

  protected override apply(planes: Tensor): Tensor {
    checkColors('RandomInvert', planes, [1, 3]);
    return uniform() >= this.p ? planes : inverted(planes);
  }

  override constructorArgs(): readonly unknown[] {
    return [this.p];
  }
}

function readTransforms(name: string, list: unknown): readonly TransformLike[] {
  if (!Array.isArray(list) || list.length === 0) {
    throw makeError(
      'ERR_TYPE',
      `${name}: expected a non-empty array of transforms, got ${describe(list)}`,
    );
  }
  for (const t of list as unknown[]) checkTransform(name, 'transforms', t);
  return [...(list as readonly TransformLike[])];
}

const inTurn = (transforms: readonly TransformLike[], input: unknown): unknown =>
  transforms.reduce((value: unknown, t) => applyTransform(t, value), input);

/** Applies all transforms with probability `p`, or none. */
export class RandomApply extends Transform<unknown, unknown> {
  readonly transforms: readonly TransformLike[];
  readonly p: number;

  constructor(transforms: readonly TransformLike[], p = 0.5) {
    super();
    this.transforms = readTransforms('RandomApply', transforms);
    this.p = checkNumber('RandomApply', 'p', p, 0, 1);
  }

  override call(input: unknown): unknown {
    return uniform() >= this.p ? input : inTurn(this.transforms, input);
  }

  override constructorArgs(): readonly unknown[] {
    return [this.transforms, this.p];
  }
}

/** Applies one of the transforms. */
export class RandomChoice extends Transform<unknown, unknown> {
  readonly transforms: readonly TransformLike[];

  constructor(transforms: readonly TransformLike[]) {
    super();
    this.transforms = readTransforms('RandomChoice', transforms);
  }

  override call(input: unknown): unknown {
    const { transforms } = this;
    return applyTransform(transforms[integerBelow(transforms.length)] as TransformLike, input);
  }

  override constructorArgs(): readonly unknown[] {
    return [this.transforms];
  }
}

/** Applies the transforms in a random order. */
export class RandomOrder extends Transform<unknown, unknown> {
  readonly transforms: readonly TransformLike[];

  constructor(transforms: readonly TransformLike[]) {
    super();
    this.transforms = readTransforms('RandomOrder', transforms);
  }

  override call(input: unknown): unknown {
    const order = shuffled(this.transforms.length);
    return inTurn(
      order.map((i) => this.transforms[i] as TransformLike),
      input,
    );
  }

  override constructorArgs(): readonly unknown[] {
    return [this.transforms];
  }
}
