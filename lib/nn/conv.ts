/** Convolutions of one, two and three dimensions. */
import { makeError } from '../errors';
import { empty } from '../ops.gen';
import type { Tensor } from '../tensor';
import { conv1d, conv2d, conv3d } from './functional/conv';
import { pad } from './functional/pad';
import { size, type Size, showSize, sizeOf } from './functional/sizes';
import { calculateFanInAndFanOut, kaimingUniform_, uniform_ } from './init';
import { Module } from './module';
import {
  bool,
  choice,
  type Check,
  type FactoryOptions,
  factory,
  int,
  readOptions,
  requiredInt,
} from './options';
import { Parameter } from './parameter';

export const paddingModes = ['zeros', 'reflect', 'replicate', 'circular'] as const;

export type PaddingMode = (typeof paddingModes)[number];

export interface ConvOptions extends FactoryOptions {
  /** Default 1. */
  readonly stride?: Size | undefined;
  /** Elements added at both ends; 'same' keeps the size at stride 1. Default 0. */
  readonly padding?: Size | 'same' | 'valid' | undefined;
  /** Distance between elements of the kernel. Default 1. */
  readonly dilation?: Size | undefined;
  /** Default 1. */
  readonly groups?: number | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
  /** Default 'zeros'. */
  readonly paddingMode?: PaddingMode | undefined;
}

type Padding = readonly number[] | 'same' | 'valid';

function padding(dims: number): Check<Padding> {
  const check = size(dims, 0);
  return (layer, name, value) => {
    if (typeof value !== 'string') return check(layer, name, value);
    return choice(['same', 'valid'], 'valid')(layer, name, value);
  };
}

/** Fields, weights and printing that convolutions and transposed convolutions share. */
export abstract class ConvBase extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: Padding;
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly paddingMode: PaddingMode;
  weight: Parameter;
  bias: Parameter | null = null;

  constructor(
    dims: number,
    transposed: boolean,
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options: ConvOptions,
  ) {
    super();
    const name = new.target.name;
    const spec = {
      stride: size(dims, 1, 1),
      padding: padding(dims),
      dilation: size(dims, 1, 1),
      groups: int(1, 1),
      bias: bool(true),
      paddingMode: choice(paddingModes, 'zeros'),
      ...factory,
    };
    const read = readOptions(name, spec, options);
    this.inChannels = requiredInt(1)(name, 'inChannels', inChannels);
    this.outChannels = requiredInt(1)(name, 'outChannels', outChannels);
    this.kernelSize = sizeOf(dims, 1)(name, 'kernelSize', kernelSize);
    this.stride = read.stride;
    this.padding = read.padding;
    this.dilation = read.dilation;
    this.groups = read.groups;
    this.paddingMode = read.paddingMode;
    for (const [what, n] of Object.entries({ inChannels, outChannels })) {
      if (n % this.groups === 0) continue;
      throw makeError(
        'ERR_VALUE',
        `${name}: argument '${what}' must be divisible by groups, got ${n} and ${this.groups}`,
      );
    }
    if (this.padding === 'same' && this.stride.some((s) => s !== 1)) {
      throw makeError('ERR_VALUE', `${name}: padding 'same' is not supported for strides above 1`);
    }
    const place = { dtype: read.dtype, device: read.device };
    const [from, to] = transposed ? [outChannels, inChannels] : [inChannels, outChannels];
    this.weight = new Parameter(empty([to, from / this.groups, ...this.kernelSize], place));
    if (read.bias) this.bias = new Parameter(empty([outChannels], place));
    this.resetParameters();
  }

  /** Draws new initial values: U(-1/sqrt(fan in), 1/sqrt(fan in)). */
  resetParameters(): void {
    kaimingUniform_(this.weight, { a: Math.sqrt(5) });
    if (this.bias === null) return;
    const { fanIn } = calculateFanInAndFanOut(this.weight);
    const bound = 1 / Math.sqrt(fanIn);
    uniform_(this.bias, -bound, bound);
  }

  protected reprOutputPadding(): string {
    return '';
  }

  override extraRepr(): string {
    const { stride, dilation } = this;
    let text =
      `${this.inChannels}, ${this.outChannels}, kernelSize=${showSize(this.kernelSize)}, ` +
      `stride=${showSize(stride)}`;
    if (typeof this.padding === 'string') text += `, padding='${this.padding}'`;
    else if (this.padding.some((n) => n !== 0)) text += `, padding=${showSize(this.padding)}`;
    if (dilation.some((n) => n !== 1)) text += `, dilation=${showSize(dilation)}`;
    text += this.reprOutputPadding();
    if (this.groups !== 1) text += `, groups=${this.groups}`;
    if (this.bias === null) text += ', bias=false';
    if (this.paddingMode !== 'zeros') text += `, paddingMode='${this.paddingMode}'`;
    return text;
  }
}

/** Convolutions: padding in other modes than zeros happens before. */
abstract class ConvNd extends ConvBase {
  constructor(
    dims: number,
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options: ConvOptions = {},
  ) {
    super(dims, false, inChannels, outChannels, kernelSize, options);
  }

  /** Elements before and after each dimension, last dimension first, as `pad` wants them. */
  private edges(): number[] {
    return this.kernelSize
      .map((k, i): [number, number] => {
        if (this.padding === 'valid') return [0, 0];
        if (this.padding !== 'same') return [this.padding[i] as number, this.padding[i] as number];
        const total = (this.dilation[i] as number) * (k - 1);
        const before = Math.floor(total / 2);
        return [before, total - before];
      })
      .reverse()
      .flat();
  }

  protected run(conv: typeof conv2d, input: Tensor): Tensor {
    const { stride, dilation, groups, paddingMode: mode } = this;
    if (mode === 'zeros') {
      return conv(input, this.weight, this.bias, stride, this.padding, dilation, groups);
    }
    const padded = pad(input, this.edges(), { mode });
    return conv(padded, this.weight, this.bias, stride, 0, dilation, groups);
  }
}

/** Convolution over [N, C, L] or [C, L]. */
export class Conv1d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvOptions) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.run(conv1d, input);
  }
}

/** Convolution over [N, C, H, W] or [C, H, W]. */
export class Conv2d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvOptions) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.run(conv2d, input);
  }
}

/** Convolution over [N, C, D, H, W] or [C, D, H, W]. */
export class Conv3d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvOptions) {
    super(3, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.run(conv3d, input);
  }
}
