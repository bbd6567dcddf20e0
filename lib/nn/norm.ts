/** Normalisation over features: LayerNorm, RMSNorm, GroupNorm, LocalResponseNorm. */
import { makeError } from '../errors';
import { empty, groupNorm, layerNorm, localResponseNorm, rmsNorm } from '../ops.gen';
import type { Tensor } from '../tensor';
import { ones_, zeros_ } from './init';
import { Module } from './module';
import {
  badArgument,
  bool,
  type FactoryOptions,
  factory,
  num,
  optionalNum,
  readOptions,
  requiredInt,
} from './options';
import { Parameter } from './parameter';

export interface LayerNormOptions extends FactoryOptions {
  /** Default 1e-5. */
  readonly eps?: number | undefined;
  /** Learn a scale (and bias) for each element. Default true. */
  readonly elementwiseAffine?: boolean | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
}

function readShape(name: string, shape: number | readonly number[]): number[] {
  const list = Array.isArray(shape) ? [...(shape as readonly number[])] : [shape as number];
  if (list.length === 0) throw badArgument(name, 'normalizedShape', 'not empty', shape);
  return list.map((n) => requiredInt()(name, 'normalizedShape', n));
}

/** Zero mean and unit variance over the last dimensions. Ba et al. 2016. */
export class LayerNorm extends Module {
  readonly normalizedShape: readonly number[];
  readonly eps: number;
  readonly elementwiseAffine: boolean;
  weight: Parameter | null = null;
  bias: Parameter | null = null;

  constructor(normalizedShape: number | readonly number[], options: LayerNormOptions = {}) {
    super();
    const name = new.target.name;
    const spec = { eps: num(1e-5), elementwiseAffine: bool(true), bias: bool(true), ...factory };
    const { dtype, device, ...read } = readOptions(name, spec, options);
    this.normalizedShape = readShape(name, normalizedShape);
    this.eps = read.eps;
    this.elementwiseAffine = read.elementwiseAffine;
    if (this.elementwiseAffine) {
      this.weight = new Parameter(empty(this.normalizedShape, { dtype, device }));
      if (read.bias) this.bias = new Parameter(empty(this.normalizedShape, { dtype, device }));
    }
    this.resetParameters();
  }

  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  override forward(input: Tensor): Tensor {
    return layerNorm(input, this.normalizedShape, this.weight, this.bias, this.eps);
  }

  override extraRepr(): string {
    return (
      `[${this.normalizedShape.join(', ')}], eps=${this.eps}, ` +
      `elementwiseAffine=${this.elementwiseAffine}`
    );
  }
}

export interface RMSNormOptions extends FactoryOptions {
  /** Default: the machine epsilon of the input's dtype. */
  readonly eps?: number | null | undefined;
  /** Default true. */
  readonly elementwiseAffine?: boolean | undefined;
}

/** Unit root mean square over the last dimensions. Zhang & Sennrich 2019. */
export class RMSNorm extends Module {
  readonly normalizedShape: readonly number[];
  readonly eps: number | null;
  readonly elementwiseAffine: boolean;
  weight: Parameter | null = null;

  constructor(normalizedShape: number | readonly number[], options: RMSNormOptions = {}) {
    super();
    const name = new.target.name;
    const spec = { eps: optionalNum(null), elementwiseAffine: bool(true), ...factory };
    const { eps, elementwiseAffine, dtype, device } = readOptions(name, spec, options);
    this.normalizedShape = readShape(name, normalizedShape);
    this.eps = eps;
    this.elementwiseAffine = elementwiseAffine;
    if (elementwiseAffine) {
      this.weight = new Parameter(empty(this.normalizedShape, { dtype, device }));
    }
    this.resetParameters();
  }

  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
  }

  override forward(input: Tensor): Tensor {
    return rmsNorm(input, this.normalizedShape, this.weight, this.eps);
  }

  override extraRepr(): string {
    return (
      `[${this.normalizedShape.join(', ')}], eps=${String(this.eps)}, ` +
      `elementwiseAffine=${this.elementwiseAffine}`
    );
  }
}

export interface GroupNormOptions extends FactoryOptions {
  /** Default 1e-5. */
  readonly eps?: number | undefined;
  /** Learn a scale and bias for each channel. Default true. */
  readonly affine?: boolean | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
}

/** Zero mean and unit variance over groups of channels of [N, C, ...]. Wu & He 2018. */
export class GroupNorm extends Module {
  readonly numGroups: number;
  readonly numChannels: number;
  readonly eps: number;
  readonly affine: boolean;
  weight: Parameter | null = null;
  bias: Parameter | null = null;

  constructor(numGroups: number, numChannels: number, options: GroupNormOptions = {}) {
    super();
    const name = new.target.name;
    const spec = { eps: num(1e-5), affine: bool(true), bias: bool(true), ...factory };
    const { dtype, device, ...read } = readOptions(name, spec, options);
    this.numGroups = requiredInt(1)(name, 'numGroups', numGroups);
    this.numChannels = requiredInt(1)(name, 'numChannels', numChannels);
    if (numChannels % numGroups !== 0) {
      throw makeError(
        'ERR_VALUE',
        `${name}: argument 'numChannels' must be divisible by numGroups, got ${numChannels} and ` +
          String(numGroups),
      );
    }
    this.eps = read.eps;
    this.affine = read.affine;
    if (read.affine) {
      this.weight = new Parameter(empty([numChannels], { dtype, device }));
      if (read.bias) this.bias = new Parameter(empty([numChannels], { dtype, device }));
    }
    this.resetParameters();
  }

  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  override forward(input: Tensor): Tensor {
    return groupNorm(input, this.numGroups, this.weight, this.bias, this.eps);
  }

  override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${this.eps}, affine=${this.affine}`;
  }
}

export interface LocalResponseNormOptions {
  /** Default 1e-4. */
  readonly alpha?: number | undefined;
  /** Default 0.75. */
  readonly beta?: number | undefined;
  /** Default 1. */
  readonly k?: number | undefined;
}

/** Normalisation over `size` neighbouring channels. */
export class LocalResponseNorm extends Module {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;

  constructor(size: number, options: LocalResponseNormOptions = {}) {
    super();
    const name = new.target.name;
    const spec = { alpha: num(1e-4), beta: num(0.75), k: num(1) };
    const { alpha, beta, k } = readOptions(name, spec, options);
    this.size = requiredInt(1)(name, 'size', size);
    this.alpha = alpha;
    this.beta = beta;
    this.k = k;
  }

  override forward(input: Tensor): Tensor {
    return localResponseNorm(input, this.size, {
      alpha: this.alpha,
      beta: this.beta,
      k: this.k,
    });
  }

  override extraRepr(): string {
    return `${this.size}, alpha=${this.alpha}, beta=${this.beta}, k=${this.k}`;
  }
}

/** As {@link LocalResponseNorm}, under its older name. */
export class CrossMapLRN2d extends LocalResponseNorm {}
