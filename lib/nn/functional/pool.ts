/**
 * Pooling and interpolation: rows of the op table, and the forms of torch.nn.functional that can
 * return indices or leave a size as it is.
 */
import {
  adaptiveAvgPool1d as adaptiveAvgPool1dOp,
  adaptiveAvgPool2d as adaptiveAvgPool2dOp,
  adaptiveAvgPool3d as adaptiveAvgPool3dOp,
  adaptiveMaxPool1d as adaptiveMaxPool1dOp,
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d as adaptiveMaxPool2dOp,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d as adaptiveMaxPool3dOp,
  adaptiveMaxPool3dWithIndices,
  fractionalMaxPool2d as pool2d,
  fractionalMaxPool2dWithIndices as fractional2d,
  fractionalMaxPool3d as pool3d,
  fractionalMaxPool3dWithIndices as fractional3d,
  interpolate,
  maxPool1d as maxPool1dOp,
  maxPool1dWithIndices,
  maxPool2d as maxPool2dOp,
  maxPool2dWithIndices,
  maxPool3d as maxPool3dOp,
  maxPool3dWithIndices,
} from '../../ops.gen';
import { Tensor } from '../../tensor';
import {
  badArgument,
  bool,
  type Check,
  optionalTensor,
  readArguments,
  readOptions,
} from '../options';
import { outputSize as readOutputSize, type OutputSize } from '../poolSizes';
import type { Size } from './sizes';

export {
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3dWithIndices,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  interpolate,
  lpPool1d,
  lpPool2d,
  lpPool3d,
  maxPool1dWithIndices,
  maxPool2dWithIndices,
  maxPool3dWithIndices,
  maxUnpool1d,
  maxUnpool2d,
  maxUnpool3d,
} from '../../ops.gen';

export interface MaxPoolFunctionOptions {
  /** Default kernelSize. */
  readonly stride?: Size | null | undefined;
  /** -inf added at both ends. Default 0. */
  readonly padding?: Size | undefined;
  /** Default 1. */
  readonly dilation?: Size | undefined;
  /** Round the size of the result up. Default false. */
  readonly ceilMode?: boolean | undefined;
  /** Return [output, indices]. Default false. */
  readonly returnIndices?: boolean | undefined;
}

type MaxPoolArgs = [
  stride?: Size | null | MaxPoolFunctionOptions,
  padding?: Size | MaxPoolFunctionOptions,
  dilation?: Size | MaxPoolFunctionOptions,
  ceilMode?: boolean | MaxPoolFunctionOptions,
  returnIndices?: boolean,
];

/** A function of torch.nn.functional: one tensor, or [output, indices] with `returnIndices`. */
export interface MaxPoolFunction {
  (input: Tensor, kernelSize: Size, stride: Size | null, padding: Size, dilation: Size, ceilMode: boolean, returnIndices: true): [Tensor, Tensor]; // prettier-ignore
  (input: Tensor, kernelSize: Size, options: MaxPoolFunctionOptions & { readonly returnIndices: true }): [Tensor, Tensor]; // prettier-ignore
  (input: Tensor, kernelSize: Size, ...args: MaxPoolArgs): Tensor;
}

/** For the op to check. */
const asGiven: Check<unknown> = (_layer, _name, value) => value;

type AnyOp = (input: Tensor, first: never, options: never) => unknown;

function maxPool(name: string, plain: AnyOp, withIndices: AnyOp): MaxPoolFunction {
  const spec = {
    kernelSize: asGiven,
    stride: asGiven,
    padding: asGiven,
    dilation: asGiven,
    ceilMode: asGiven,
    returnIndices: bool(false),
  };
  const names = Object.keys(spec) as (keyof typeof spec)[];
  const run = (input: Tensor, ...args: unknown[]): unknown => {
    const { kernelSize, returnIndices, ...options } = readArguments(name, spec, args, names);
    const op = returnIndices ? withIndices : plain;
    return op(input, kernelSize as never, options as never);
  };
  return run as MaxPoolFunction;
}

/** Maxima over windows of [N, C, L] or [C, L]. PyTorch: `torch.nn.functional.max_pool1d`. */
export const maxPool1d = maxPool('maxPool1d', maxPool1dOp, maxPool1dWithIndices);
/** Maxima over windows of [N, C, H, W] or [C, H, W]. */
export const maxPool2d = maxPool('maxPool2d', maxPool2dOp, maxPool2dWithIndices);
/** Maxima over windows of [N, C, D, H, W] or [C, D, H, W]. */
export const maxPool3d = maxPool('maxPool3d', maxPool3dOp, maxPool3dWithIndices);

export interface AdaptiveMaxPoolOptions {
  /** Return [output, indices]. Default false. */
  readonly returnIndices?: boolean | undefined;
}

/** As {@link MaxPoolFunction}, to a given size; null keeps a size of the input. */
export interface AdaptiveMaxPoolFunction {
  (input: Tensor, outputSize: OutputSize, returnIndices: true | { readonly returnIndices: true }): [Tensor, Tensor]; // prettier-ignore
  (input: Tensor, outputSize: OutputSize, options?: boolean | AdaptiveMaxPoolOptions): Tensor;
}

type SizedOp = (input: Tensor, outputSize: readonly number[]) => unknown;

function sizesFor(name: string, dims: number, input: unknown, wanted: unknown): number[] {
  if (!(input instanceof Tensor)) throw badArgument(name, 'input', 'a Tensor', input);
  return readOutputSize(name, dims, wanted as OutputSize, input);
}

function adaptiveMaxPool(
  name: string,
  dims: number,
  plain: SizedOp,
  withIndices: SizedOp,
): AdaptiveMaxPoolFunction {
  const spec = { outputSize: asGiven, returnIndices: bool(false) };
  const run = (input: Tensor, ...args: unknown[]): unknown => {
    const read = readArguments(name, spec, args, ['outputSize', 'returnIndices']);
    const op = read.returnIndices ? withIndices : plain;
    return op(input, sizesFor(name, dims, input, read.outputSize));
  };
  return run as AdaptiveMaxPoolFunction;
}

/** Maxima over as many windows of the last dimension as asked for. */
export const adaptiveMaxPool1d = adaptiveMaxPool(
  'adaptiveMaxPool1d',
  1,
  adaptiveMaxPool1dOp,
  adaptiveMaxPool1dWithIndices,
);
/** As {@link adaptiveMaxPool1d}, over the last two dimensions. */
export const adaptiveMaxPool2d = adaptiveMaxPool(
  'adaptiveMaxPool2d',
  2,
  adaptiveMaxPool2dOp,
  adaptiveMaxPool2dWithIndices,
);
/** As {@link adaptiveMaxPool1d}, over the last three dimensions. */
export const adaptiveMaxPool3d = adaptiveMaxPool(
  'adaptiveMaxPool3d',
  3,
  adaptiveMaxPool3dOp,
  adaptiveMaxPool3dWithIndices,
);

type AdaptiveAvgPoolFunction = (
  input: Tensor,
  outputSize: OutputSize | { readonly outputSize: OutputSize },
) => Tensor;

function adaptiveAvgPool(name: string, dims: number, op: SizedOp): AdaptiveAvgPoolFunction {
  return (input, ...args) => {
    const read = readArguments(name, { outputSize: asGiven }, args, ['outputSize']);
    return op(input, sizesFor(name, dims, input, read.outputSize)) as Tensor;
  };
}

/** Means over as many windows of the last dimension as asked for. */
export const adaptiveAvgPool1d = adaptiveAvgPool('adaptiveAvgPool1d', 1, adaptiveAvgPool1dOp);
/** As {@link adaptiveAvgPool1d}, over the last two dimensions; null keeps a size of the input. */
export const adaptiveAvgPool2d = adaptiveAvgPool('adaptiveAvgPool2d', 2, adaptiveAvgPool2dOp);
/** As {@link adaptiveAvgPool1d}, over the last three dimensions. */
export const adaptiveAvgPool3d = adaptiveAvgPool('adaptiveAvgPool3d', 3, adaptiveAvgPool3dOp);

type Sizes = number | readonly number[] | null | undefined;

export interface UpsampleOptions {
  readonly size?: Sizes;
  readonly scaleFactor?: Sizes;
  readonly mode?: string | undefined;
  readonly alignCorners?: boolean | null | undefined;
}

/** PyTorch's older name of {@link interpolate}. */
export function upsample(input: Tensor, options: UpsampleOptions = {}): Tensor {
  return interpolate(input, options);
}

/** Upsamples by the nearest neighbour. */
export function upsampleNearest(
  input: Tensor,
  options: Pick<UpsampleOptions, 'size' | 'scaleFactor'> = {},
): Tensor {
  return interpolate(input, { ...options, mode: 'nearest' });
}

/** Upsamples bilinearly, with aligned corners. */
export function upsampleBilinear(
  input: Tensor,
  options: Pick<UpsampleOptions, 'size' | 'scaleFactor'> = {},
): Tensor {
  return interpolate(input, { ...options, mode: 'bilinear', alignCorners: true });
}

export interface FractionalPoolOptions {
  /** Size of the result; this or outputRatio. */
  readonly outputSize?: number | readonly number[] | null | undefined;
  /** Size of the result by size of the input, between 0 and 1. */
  readonly outputRatio?: number | readonly number[] | null | undefined;
  /** Return [output, indices]. Default false. */
  readonly returnIndices?: boolean | undefined;
  /** Numbers in [0, 1) that place the windows, [N, C, dimensions]. Default drawn at random. */
  readonly _randomSamples?: Tensor | null | undefined;
}

const given: Check<number | readonly number[] | null> = (_layer, _name, value) =>
  (value ?? null) as number | readonly number[] | null;

const fractional = {
  outputSize: given,
  outputRatio: given,
  returnIndices: bool(false),
  _randomSamples: optionalTensor,
};

function fractionalOf(
  name: string,
  pool: typeof pool2d,
  withIndices: typeof fractional2d,
): (
  input: Tensor,
  kernelSize: number | readonly number[],
  options: FractionalPoolOptions,
) => Tensor {
  return (input, kernelSize, options) => {
    const read = readOptions(name, fractional, options);
    const sizes = {
      outputSize: read.outputSize,
      outputRatio: read.outputRatio,
      randomSamples: read._randomSamples,
    };
    if (!read.returnIndices) return pool(input, kernelSize, sizes);
    const both = withIndices(input, kernelSize, sizes);
    // The type of the usual case; with returnIndices the caller knows that it is a pair.
    return [both[0], both[1]] as unknown as Tensor;
  };
}

/** Maxima over windows that a pseudo-random sequence places. Graham 2014. */
export const fractionalMaxPool2d = fractionalOf('fractionalMaxPool2d', pool2d, fractional2d);

/** Maxima over windows that a pseudo-random sequence places, in three dimensions. */
export const fractionalMaxPool3d = fractionalOf('fractionalMaxPool3d', pool3d, fractional3d);

/** As {@link fractionalMaxPool2d}, always with the indices. */
export const fractionalMaxPool2dWithIndices = fractional2d;

/** As {@link fractionalMaxPool3d}, always with the indices. */
export const fractionalMaxPool3dWithIndices = fractional3d;
