/** Transposed convolutions. */
import { makeError } from '../errors';
import type { Tensor } from '../tensor';
import { ConvBase, type ConvOptions } from './conv';
import { convTranspose1d, convTranspose2d, convTranspose3d } from './functional/conv';
import { size, type Size, showSize, sizeOf } from './functional/sizes';
import { checkNames } from './options';

export interface ConvTransposeOptions extends Omit<ConvOptions, 'padding' | 'paddingMode'> {
  /** Elements taken off both ends of the result. Default 0. */
  readonly padding?: Size | undefined;
  /** Elements added to one end of the result. Default 0. */
  readonly outputPadding?: Size | undefined;
  /** Only 'zeros'. */
  readonly paddingMode?: 'zeros' | undefined;
}

const names = [
  'stride',
  'padding',
  'outputPadding',
  'groups',
  'bias',
  'dilation',
  'paddingMode',
  'dtype',
  'device',
];

export interface ConvTransposeCallOptions {
  /** Spatial size of the result, where several are possible. */
  readonly outputSize?: readonly number[] | null | undefined;
}

abstract class ConvTransposeNd extends ConvBase {
  readonly outputPadding: readonly number[];

  constructor(
    dims: number,
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options: ConvTransposeOptions = {},
  ) {
    checkNames(new.target.name, options, names);
    const { outputPadding, ...rest } = options;
    super(dims, true, inChannels, outChannels, kernelSize, rest);
    if (this.paddingMode !== 'zeros' || typeof this.padding === 'string') {
      throw makeError(
        'ERR_VALUE',
        `${new.target.name}: only paddings of zeros, given as numbers, are supported`,
      );
    }
    this.outputPadding = size(dims, 0)(new.target.name, 'outputPadding', outputPadding);
  }

  /** Output padding that leads to the wanted size. */
  private paddingFor(
    input: Tensor,
    outputSize: readonly number[] | null | undefined,
  ): readonly number[] {
    if (outputSize === undefined || outputSize === null) return this.outputPadding;
    const name = this.constructor.name;
    const dims = this.kernelSize.length;
    const spatial = outputSize.length > dims ? outputSize.slice(-dims) : outputSize;
    const wanted = sizeOf(dims)(name, 'outputSize', spatial);
    const lead = input.ndim - dims;
    return wanted.map((n, i) => {
      const least =
        (input.size(lead + i) - 1) * (this.stride[i] as number) -
        2 * (this.padding[i] as number) +
        (this.dilation[i] as number) * ((this.kernelSize[i] as number) - 1) +
        1;
      const most = least + (this.stride[i] as number) - 1;
      if (n < least || n > most) {
        throw makeError(
          'ERR_SHAPE',
          `${name}: argument 'outputSize' must lie in [${least}, ${most}] in dimension ${i}, ` +
            `got ${n}`,
        );
      }
      return n - least;
    });
  }

  protected run(
    conv: typeof convTranspose2d,
    input: Tensor,
    options: ConvTransposeCallOptions | undefined,
  ): Tensor {
    if (options !== undefined) checkNames(this.constructor.name, options, ['outputSize']);
    return conv(
      input,
      this.weight,
      this.bias,
      this.stride,
      this.padding as readonly number[],
      this.paddingFor(input, options?.outputSize),
      this.groups,
      this.dilation,
    );
  }

  protected override reprOutputPadding(): string {
    const { outputPadding } = this;
    return outputPadding.some((n) => n !== 0) ? `, outputPadding=${showSize(outputPadding)}` : '';
  }
}

/** Transposed convolution over [N, C, L] or [C, L]. */
export class ConvTranspose1d extends ConvTransposeNd {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options?: ConvTransposeOptions,
  ) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor, options?: ConvTransposeCallOptions): Tensor {
    return this.run(convTranspose1d, input, options);
  }
}

/** Transposed convolution over [N, C, H, W] or [C, H, W]. */
export class ConvTranspose2d extends ConvTransposeNd {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options?: ConvTransposeOptions,
  ) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor, options?: ConvTransposeCallOptions): Tensor {
    return this.run(convTranspose2d, input, options);
  }
}

/** Transposed convolution over [N, C, D, H, W] or [C, D, H, W]. */
export class ConvTranspose3d extends ConvTransposeNd {
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    options?: ConvTransposeOptions,
  ) {
    super(3, inChannels, outChannels, kernelSize, options);
  }

  override forward(input: Tensor, options?: ConvTransposeCallOptions): Tensor {
    return this.run(convTranspose3d, input, options);
  }
}
