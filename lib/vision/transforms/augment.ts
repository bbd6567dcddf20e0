/** RandAugment (Cubuk et al., 2019), with torchvision's list of changes and their strengths. */
import { checkInteger, checkKeys } from '../../data/options';
import { makeError } from '../../errors';
import { isFloatingDType } from '../../dtype';
import { type Tensor } from '../../tensor';
import {
  type AffineInterpolation,
  affinePlanes,
  checkPlanes,
  type Fill,
  readSampling,
  rotatePlanes,
  type Sampling,
  type SamplingOptions,
} from './affine';
import { brightness, checkColors, contrast, saturation } from './color';
import { Geometric, sizeOf } from './geometry';
import { integerBelow } from './random';
import { autoContrast, equalize, posterize, sharpness, solarize } from './tone';

/** A change of RandAugment. */
interface Change {
  readonly name: string;
  /** Whether its strength gets a random sign. */
  readonly signed: boolean;
  /** The strength at a level of `bins`. */
  strength(level: Level, planes: Tensor): number;
  apply(planes: Tensor, strength: number, sampling: Sampling): Tensor;
}

interface Level {
  readonly at: number;
  readonly bins: number;
}

/** The number at a level between two bounds: an entry of torch's `linspace` of float32, to the bit. */
function between(from: number, to: number, { at, bins }: Level): number {
  const { fround } = Math;
  const step = fround(fround(fround(to) - fround(from)) / (bins - 1));
  return at < Math.floor(bins / 2)
    ? fround(fround(from) + fround(step * at))
    : fround(fround(to) - fround(step * (bins - 1 - at)));
}

const still = { angle: 0, translate: [0, 0], scale: 1, shear: [0, 0] } as const;
const degrees = (slope: number): number => (Math.atan(slope) * 180) / Math.PI;
/** The largest shift, as a share of a side. */
const largestShift = 150 / 331;

/** Halves to even. */
function roundEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

function signedChange(
  name: string,
  most: number | ((planes: Tensor) => number),
  apply: Change['apply'],
): Change {
  const strength = (level: Level, planes: Tensor): number =>
    between(0, typeof most === 'number' ? most : most(planes), level);
  return { name, signed: true, strength, apply };
}

function plainChange(
  name: string,
  apply: (planes: Tensor, strength: number) => Tensor,
  strength: Change['strength'] = () => 0,
): Change {
  return { name, signed: false, strength, apply };
}

const along = (name: string, change: (planes: Tensor, factor: number) => Tensor): Change =>
  signedChange(name, 0.9, (planes, m) => change(planes, 1 + m));

const shear = (name: string, of: (angle: number) => readonly [number, number]): Change =>
  signedChange(name, 0.3, (planes, m, sampling) =>
    affinePlanes(planes, { ...still, shear: of(degrees(m)), center: [0, 0] }, sampling),
  );

const shift = (name: string, side: 0 | 1, of: (by: number) => readonly [number, number]): Change =>
  signedChange(
    name,
    (planes) => largestShift * sizeOf(planes)[side],
    (planes, m, sampling) =>
      affinePlanes(planes, { ...still, translate: of(Math.trunc(m)) }, sampling),
  );

/** All changes, in torchvision's order. */
export const changes: readonly Change[] = [
  plainChange('Identity', (planes) => planes),
  shear('ShearX', (angle) => [angle, 0]),
  shear('ShearY', (angle) => [0, angle]),
  shift('TranslateX', 1, (by) => [by, 0]),
  shift('TranslateY', 0, (by) => [0, by]),
  signedChange('Rotate', 30, (planes, m, sampling) =>
    rotatePlanes(planes, m, { ...sampling, expand: false }),
  ),
  along('Brightness', brightness),
  along('Color', saturation),
  along('Contrast', contrast),
  along('Sharpness', sharpness),
  plainChange('Posterize', posterize, ({ at, bins }) => 8 - roundEven(at / ((bins - 1) / 4))),
  plainChange('Solarize', solarize, (level, planes) =>
    between(isFloatingDType(planes.dtype) ? 1 : 255, 0, level),
  ),
  plainChange('AutoContrast', autoContrast),
  plainChange('Equalize', equalize),
];

export interface RandAugmentOptions extends SamplingOptions {
  /** How many changes, one after the other. Default 2. */
  readonly numOps?: number | undefined;
  /** Strength of all changes, from 0 to `numMagnitudeBins` - 1. Default 9. */
  readonly magnitude?: number | undefined;
  /** Default 31. */
  readonly numMagnitudeBins?: number | undefined;
}

/** Applies changes chosen at random, all of one strength. */
export class RandAugment extends Geometric {
  readonly numOps: number;
  readonly magnitude: number;
  readonly numMagnitudeBins: number;
  readonly interpolation: AffineInterpolation;
  readonly fill: Fill;

  constructor(options: RandAugmentOptions = {}) {
    super();
    const name = 'RandAugment';
    const names = ['numOps', 'magnitude', 'numMagnitudeBins', 'interpolation', 'fill'];
    checkKeys(name, options, names);
    this.numOps = checkInteger(name, 'numOps', options.numOps ?? 2, 0);
    this.magnitude = checkInteger(name, 'magnitude', options.magnitude ?? 9, 0);
    const bins = checkInteger(name, 'numMagnitudeBins', options.numMagnitudeBins ?? 31, 2);
    if (this.magnitude >= bins) {
      throw makeError(
        'ERR_VALUE',
        `${name}: 'magnitude' must be less than 'numMagnitudeBins' (${String(bins)}), got ` +
          String(this.magnitude),
      );
    }
    this.numMagnitudeBins = bins;
    ({ interpolation: this.interpolation, fill: this.fill } = readSampling(name, options, null));
  }

  protected override apply(planes: Tensor): Tensor {
    checkColors('RandAugment', planes, [1, 3]);
    checkPlanes('RandAugment', planes, this.fill);
    const level = { at: this.magnitude, bins: this.numMagnitudeBins };
    let x = planes;
    for (let i = 0; i < this.numOps; ++i) {
      const change = changes[integerBelow(changes.length)] as Change;
      const strength = change.strength(level, x);
      const isTurned = change.signed && integerBelow(2) === 1;
      x = change.apply(x, isTurned ? -strength : strength, this);
    }
    return x;
  }

  override constructorArgs(): readonly unknown[] {
    const { numOps, magnitude, numMagnitudeBins, interpolation, fill } = this;
    return [{ numOps, magnitude, numMagnitudeBins, interpolation, fill }];
  }
}
