/** Pooling by maxima, its inverse, and pooling to a given size by maxima. */
import {
  adaptiveMaxPool1d,
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d,
  adaptiveMaxPool3dWithIndices,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  maxPool3dWithIndices,
  maxUnpool1d,
  maxUnpool2d,
  maxUnpool3d,
} from '../ops.gen';
import type { Tensor } from '../tensor';
import { type Size, showSize, size, sizeOf } from './functional/sizes';
import { Module } from './module';
import { bool, readArguments } from './options';
import { outputSize, type OutputSize, strideOf } from './poolSizes';

export interface MaxPoolOptions {
  /** Default kernelSize. */
  readonly stride?: Size | null | undefined;
  /** -inf added at both ends. Default 0. */
  readonly padding?: Size | undefined;
  /** Default 1. */
  readonly dilation?: Size | undefined;
  /** Return [output, indices]. Default false. */
  readonly returnIndices?: boolean | undefined;
  /** Round the size of the result up. Default false. */
  readonly ceilMode?: boolean | undefined;
}

export type MaxPoolArguments =
  | [options?: MaxPoolOptions]
  | [stride: Size | null, options?: MaxPoolOptions]
  | [stride: Size | null, padding: Size, options?: MaxPoolOptions];

abstract class MaxPoolBase extends Module {
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly returnIndices: boolean;
  readonly ceilMode: boolean;

  constructor(dims: number, kernelSize: Size, args: MaxPoolArguments) {
    super();
    const name = new.target.name;
    const kernel = sizeOf(dims, 1)(name, 'kernelSize', kernelSize);
    const spec = {
      stride: strideOf(dims, kernel),
      padding: size(dims, 0),
      dilation: size(dims, 1, 1),
      returnIndices: bool(false),
      ceilMode: bool(false),
    };
    const read = readArguments(name, spec, args, ['stride', 'padding']);
    this.kernelSize = kernel;
    this.stride = read.stride;
    this.padding = read.padding;
    this.dilation = read.dilation;
    this.returnIndices = read.returnIndices;
    this.ceilMode = read.ceilMode;
  }

  protected run(
    pool: typeof maxPool2d,
    withIndices: typeof maxPool2dWithIndices,
    input: Tensor,
  ): Tensor {
    const { kernelSize, stride, padding, dilation, ceilMode } = this;
    if (!this.returnIndices) return pool(input, kernelSize, stride, padding, dilation, ceilMode);
    const both = withIndices(input, kernelSize, stride, padding, dilation, ceilMode);
    // The type of the usual case; with returnIndices the caller knows that it is a pair.
    return [both[0], both[1]] as unknown as Tensor;
  }

  override extraRepr(): string {
    return (
      `kernelSize=${showSize(this.kernelSize)}, stride=${showSize(this.stride)}, ` +
      `padding=${showSize(this.padding)}, dilation=${showSize(this.dilation)}, ` +
      `ceilMode=${this.ceilMode}`
    );
  }
}

/** Maxima over windows of [N, C, L] or [C, L]; [output, indices] with returnIndices. */
export class MaxPool1d extends MaxPoolBase {
  constructor(kernelSize: Size, ...args: MaxPoolArguments) {
    super(1, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    return this.run(maxPool1d, maxPool1dWithIndices, input);
  }
}

/** Maxima over windows of [N, C, H, W] or [C, H, W]; [output, indices] with returnIndices. */
export class MaxPool2d extends MaxPoolBase {
  constructor(kernelSize: Size, ...args: MaxPoolArguments) {
    super(2, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    return this.run(maxPool2d, maxPool2dWithIndices, input);
  }
}

/** Maxima over windows of [N, C, D, H, W] or [C, D, H, W]; [output, indices] with returnIndices. */
export class MaxPool3d extends MaxPoolBase {
  constructor(kernelSize: Size, ...args: MaxPoolArguments) {
    super(3, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    return this.run(maxPool3d, maxPool3dWithIndices, input);
  }
}

export interface MaxUnpoolOptions {
  /** Default kernelSize. */
  readonly stride?: Size | null | undefined;
  /** Default 0. */
  readonly padding?: Size | undefined;
}

export interface UnpoolCallOptions {
  /** Size of the result, where several are possible. */
  readonly outputSize?: readonly number[] | null | undefined;
}

abstract class MaxUnpoolBase extends Module {
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];

  constructor(dims: number, kernelSize: Size, options: MaxUnpoolOptions = {}) {
    super();
    const name = new.target.name;
    this.kernelSize = sizeOf(dims, 1)(name, 'kernelSize', kernelSize);
    const spec = { stride: strideOf(dims, this.kernelSize), padding: size(dims, 0) };
    const read = readArguments(name, spec, [options]);
    this.stride = read.stride;
    this.padding = read.padding;
  }

  protected run(
    unpool: typeof maxUnpool2d,
    input: Tensor,
    indices: Tensor,
    { outputSize: wanted = null }: UnpoolCallOptions,
  ): Tensor {
    return unpool(input, indices, this.kernelSize, this.stride, this.padding, wanted);
  }

  override extraRepr(): string {
    return (
      `kernelSize=${showSize(this.kernelSize)}, stride=${showSize(this.stride)}, ` +
      `padding=${showSize(this.padding)}`
    );
  }
}

/** Puts maxima back to where MaxPool1d found them, zeros elsewhere. */
export class MaxUnpool1d extends MaxUnpoolBase {
  constructor(kernelSize: Size, options?: MaxUnpoolOptions) {
    super(1, kernelSize, options);
  }

  override forward(input: Tensor, indices: Tensor, options: UnpoolCallOptions = {}): Tensor {
    return this.run(maxUnpool1d, input, indices, options);
  }
}

/** Puts maxima back to where MaxPool2d found them, zeros elsewhere. */
export class MaxUnpool2d extends MaxUnpoolBase {
  constructor(kernelSize: Size, options?: MaxUnpoolOptions) {
    super(2, kernelSize, options);
  }

  override forward(input: Tensor, indices: Tensor, options: UnpoolCallOptions = {}): Tensor {
    return this.run(maxUnpool2d, input, indices, options);
  }
}

/** Puts maxima back to where MaxPool3d found them, zeros elsewhere. */
export class MaxUnpool3d extends MaxUnpoolBase {
  constructor(kernelSize: Size, options?: MaxUnpoolOptions) {
    super(3, kernelSize, options);
  }

  override forward(input: Tensor, indices: Tensor, options: UnpoolCallOptions = {}): Tensor {
    return this.run(maxUnpool3d, input, indices, options);
  }
}

abstract class AdaptiveMaxBase extends Module {
  readonly outputSize: OutputSize;
  readonly returnIndices: boolean;

  constructor(
    dims: number,
    wanted: OutputSize,
    options: { readonly returnIndices?: boolean | undefined } = {},
  ) {
    super();
    const name = new.target.name;
    outputSize(name, dims, wanted);
    this.outputSize = wanted;
    this.returnIndices = readArguments(name, { returnIndices: bool(false) }, [
      options,
    ]).returnIndices;
  }

  protected run(
    dims: number,
    pool: typeof adaptiveMaxPool2d,
    withIndices: typeof adaptiveMaxPool2dWithIndices,
    input: Tensor,
  ): Tensor {
    const wanted = outputSize(this.constructor.name, dims, this.outputSize, input);
    if (!this.returnIndices) return pool(input, wanted);
    const both = withIndices(input, wanted);
    return [both[0], both[1]] as unknown as Tensor;
  }

  override extraRepr(): string {
    return `outputSize=${JSON.stringify(this.outputSize)}`;
  }
}

/** Maxima over as many windows as the result has elements; input [N, C, L] or [C, L]. */
export class AdaptiveMaxPool1d extends AdaptiveMaxBase {
  constructor(outputSize: OutputSize, options?: { readonly returnIndices?: boolean }) {
    super(1, outputSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.run(1, adaptiveMaxPool1d, adaptiveMaxPool1dWithIndices, input);
  }
}

/** Maxima over as many windows as the result has elements; input [N, C, H, W] or [C, H, W]. */
export class AdaptiveMaxPool2d extends AdaptiveMaxBase {
  constructor(outputSize: OutputSize, options?: { readonly returnIndices?: boolean }) {
    super(2, outputSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.run(2, adaptiveMaxPool2d, adaptiveMaxPool2dWithIndices, input);
  }
}

/** Maxima over as many windows as the result has elements; input [N, C, D, H, W] or [C, D, H, W]. */
export class AdaptiveMaxPool3d extends AdaptiveMaxBase {
  constructor(outputSize: OutputSize, options?: { readonly returnIndices?: boolean }) {
    super(3, outputSize, options);
  }

  override forward(input: Tensor): Tensor {
    return this.run(3, adaptiveMaxPool3d, adaptiveMaxPool3dWithIndices, input);
  }
}
