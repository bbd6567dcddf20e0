/** Pooling by means and by p-norms. */
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  lpPool1d,
  lpPool2d,
  lpPool3d,
} from '../ops.gen';
import type { Tensor } from '../tensor';
import { type Size, showSize, size, sizeOf } from './functional/sizes';
import { Module } from './module';
import { bool, optionalInt, readArguments, requiredNum } from './options';
import { outputSize, type OutputSize, strideOf } from './poolSizes';

export interface AvgPoolOptions {
  /** Default kernelSize. */
  readonly stride?: Size | null | undefined;
  /** Zeros added at both ends. Default 0. */
  readonly padding?: Size | undefined;
  /** Round the size of the result up. Default false. */
  readonly ceilMode?: boolean | undefined;
  /** Padding counts for the mean. Default true. */
  readonly countIncludePad?: boolean | undefined;
}

export interface AvgPoolNdOptions extends AvgPoolOptions {
  /** Divide by this instead of the window's size. */
  readonly divisorOverride?: number | null | undefined;
}

type PoolArguments<O> =
  | [options?: O]
  | [stride: Size | null, options?: O]
  | [stride: Size | null, padding: Size, options?: O];

abstract class AvgPoolBase extends Module {
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly ceilMode: boolean;
  readonly countIncludePad: boolean;
  readonly divisorOverride: number | null;

  constructor(dims: number, kernelSize: Size, args: readonly unknown[]) {
    super();
    const name = new.target.name;
    const kernel = sizeOf(dims, 1)(name, 'kernelSize', kernelSize);
    const spec = {
      stride: strideOf(dims, kernel),
      padding: size(dims, 0),
      ceilMode: bool(false),
      countIncludePad: bool(true),
      divisorOverride: optionalInt(null, -Infinity),
    };
    const read = readArguments(name, spec, args, ['stride', 'padding']);
    this.kernelSize = kernel;
    this.stride = read.stride;
    this.padding = read.padding;
    this.ceilMode = read.ceilMode;
    this.countIncludePad = read.countIncludePad;
    this.divisorOverride = read.divisorOverride;
  }

  override extraRepr(): string {
    return (
      `kernelSize=${showSize(this.kernelSize)}, stride=${showSize(this.stride)}, ` +
      `padding=${showSize(this.padding)}`
    );
  }
}

/** Means over windows of [N, C, L] or [C, L]. */
export class AvgPool1d extends AvgPoolBase {
  constructor(kernelSize: Size, ...args: PoolArguments<AvgPoolOptions>) {
    super(1, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    const { kernelSize, stride, padding, ceilMode, countIncludePad } = this;
    return avgPool1d(input, kernelSize, stride, padding, ceilMode, countIncludePad);
  }
}

/** Means over windows of [N, C, H, W] or [C, H, W]. */
export class AvgPool2d extends AvgPoolBase {
  constructor(kernelSize: Size, ...args: PoolArguments<AvgPoolNdOptions>) {
    super(2, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    const { kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride } = this;
    return avgPool2d(
      input,
      kernelSize,
      stride,
      padding,
      ceilMode,
      countIncludePad,
      divisorOverride,
    );
  }
}

/** Means over windows of [N, C, D, H, W] or [C, D, H, W]. */
export class AvgPool3d extends AvgPoolBase {
  constructor(kernelSize: Size, ...args: PoolArguments<AvgPoolNdOptions>) {
    super(3, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    const { kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride } = this;
    return avgPool3d(
      input,
      kernelSize,
      stride,
      padding,
      ceilMode,
      countIncludePad,
      divisorOverride,
    );
  }
}

export interface LPPoolOptions {
  /** Default kernelSize. */
  readonly stride?: Size | null | undefined;
  /** Round the size of the result up. Default false. */
  readonly ceilMode?: boolean | undefined;
}

type LPArguments = [options?: LPPoolOptions] | [stride: Size | null, options?: LPPoolOptions];

abstract class LPPoolBase extends Module {
  readonly normType: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly ceilMode: boolean;

  constructor(dims: number, normType: number, kernelSize: Size, args: LPArguments) {
    super();
    const name = new.target.name;
    this.normType = requiredNum(name, 'normType', normType);
    this.kernelSize = sizeOf(dims, 1)(name, 'kernelSize', kernelSize);
    const spec = { stride: strideOf(dims, this.kernelSize), ceilMode: bool(false) };
    const read = readArguments(name, spec, args, ['stride']);
    this.stride = read.stride;
    this.ceilMode = read.ceilMode;
  }

  override extraRepr(): string {
    return (
      `normType=${this.normType}, kernelSize=${showSize(this.kernelSize)}, ` +
      `stride=${showSize(this.stride)}, ceilMode=${this.ceilMode}`
    );
  }
}

/** p-norms over windows of [N, C, L] or [C, L]. */
export class LPPool1d extends LPPoolBase {
  constructor(normType: number, kernelSize: Size, ...args: LPArguments) {
    super(1, normType, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    return lpPool1d(input, this.normType, this.kernelSize, this.stride, this.ceilMode);
  }
}

/** p-norms over windows of [N, C, H, W] or [C, H, W]. */
export class LPPool2d extends LPPoolBase {
  constructor(normType: number, kernelSize: Size, ...args: LPArguments) {
    super(2, normType, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    return lpPool2d(input, this.normType, this.kernelSize, this.stride, this.ceilMode);
  }
}

/** p-norms over windows of [N, C, D, H, W] or [C, D, H, W]. */
export class LPPool3d extends LPPoolBase {
  constructor(normType: number, kernelSize: Size, ...args: LPArguments) {
    super(3, normType, kernelSize, args);
  }

  override forward(input: Tensor): Tensor {
    return lpPool3d(input, this.normType, this.kernelSize, this.stride, this.ceilMode);
  }
}

abstract class AdaptiveAvgBase extends Module {
  readonly outputSize: OutputSize;

  constructor(dims: number, wanted: OutputSize) {
    super();
    outputSize(new.target.name, dims, wanted);
    this.outputSize = wanted;
  }

  protected sizes(dims: number, input: Tensor): number[] {
    return outputSize(this.constructor.name, dims, this.outputSize, input);
  }

  override extraRepr(): string {
    return `outputSize=${JSON.stringify(this.outputSize)}`;
  }
}

/** Means over as many windows as the result has elements; input [N, C, L] or [C, L]. */
export class AdaptiveAvgPool1d extends AdaptiveAvgBase {
  constructor(outputSize: OutputSize) {
    super(1, outputSize);
  }

  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool1d(input, this.sizes(1, input));
  }
}

/** Means over as many windows as the result has elements; input [N, C, H, W] or [C, H, W]. */
export class AdaptiveAvgPool2d extends AdaptiveAvgBase {
  constructor(outputSize: OutputSize) {
    super(2, outputSize);
  }

  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool2d(input, this.sizes(2, input));
  }
}

/** Means over as many windows as the result has elements; input [N, C, D, H, W] or [C, D, H, W]. */
export class AdaptiveAvgPool3d extends AdaptiveAvgBase {
  constructor(outputSize: OutputSize) {
    super(3, outputSize);
  }

  override forward(input: Tensor): Tensor {
    return adaptiveAvgPool3d(input, this.sizes(3, input));
  }
}
