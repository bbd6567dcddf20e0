/** `max` and `min` in their three forms: of everything, along a dimension, of two tensors. */
import { type Named, suggest, wrapNamed } from '../call';
import { makeError } from '../errors';
import { native } from '../native';
import { amax, amin, maximum, minimum } from '../ops.gen';
import { defineMethod, handleOf, Tensor } from '../tensor';

/** The extremes along a dimension and where they stand (the first of several). */
export type ValuesIndices = Named<
  [values: Tensor, indices: Tensor],
  { readonly values: Tensor; readonly indices: Tensor }
>;

export interface DimOptions {
  readonly dim?: number | undefined;
  /** Keep the dimension with size 1. Default false. */
  readonly keepdim?: boolean | undefined;
}

type Kind = 'max' | 'min';

function alongDim(kind: Kind, input: Tensor, dim: number, keepdim: unknown): ValuesIndices {
  return wrapNamed(native.ops[`${kind}Dim`]?.(handleOf(input), dim, keepdim), [
    'values',
    'indices',
  ]);
}

function extreme(
  kind: Kind,
  input: Tensor,
  a: Tensor | number | DimOptions | undefined,
  b: boolean | DimOptions | undefined,
): Tensor | ValuesIndices {
  if (!(input instanceof Tensor)) {
    throw makeError('ERR_TYPE', `${kind}: argument 'input' must be a Tensor`);
  }
  if (a instanceof Tensor) return (kind === 'max' ? maximum : minimum)(input, a);
  const options: DimOptions = {
    ...(typeof b === 'object' ? b : b === undefined ? {} : { keepdim: b }),
    ...(typeof a === 'object' ? a : a === undefined ? {} : { dim: a }),
  };
  for (const key of Object.keys(options)) {
    if (key === 'dim' || key === 'keepdim') continue;
    throw makeError(
      'ERR_TYPE',
      `${kind}: unknown option '${key}'${suggest(key, ['dim', 'keepdim'])} (options are dim, keepdim)`,
    );
  }
  if (options.dim === undefined) return (kind === 'max' ? amax : amin)(input);
  return alongDim(kind, input, options.dim, options.keepdim);
}

/** The largest element; with `dim`, the largest along it and their indices; or of two tensors. */
export function max(input: Tensor): Tensor;
export function max(input: Tensor, other: Tensor): Tensor;
export function max(input: Tensor, dim: number, keepdim?: boolean | DimOptions): ValuesIndices;
export function max(input: Tensor, options: DimOptions & { readonly dim: number }): ValuesIndices;
export function max(
  input: Tensor,
  a?: Tensor | number | DimOptions,
  b?: boolean | DimOptions,
): Tensor | ValuesIndices {
  return extreme('max', input, a, b);
}

/** The smallest element; with `dim`, the smallest along it and their indices; or of two tensors. */
export function min(input: Tensor): Tensor;
export function min(input: Tensor, other: Tensor): Tensor;
export function min(input: Tensor, dim: number, keepdim?: boolean | DimOptions): ValuesIndices;
export function min(input: Tensor, options: DimOptions & { readonly dim: number }): ValuesIndices;
export function min(
  input: Tensor,
  a?: Tensor | number | DimOptions,
  b?: boolean | DimOptions,
): Tensor | ValuesIndices {
  return extreme('min', input, a, b);
}

declare module '../tensor' {
  interface Tensor {
    /** See {@link max}. */
    max(): Tensor;
    max(other: Tensor): Tensor;
    max(dim: number, keepdim?: boolean | DimOptions): ValuesIndices;
    max(options: DimOptions & { readonly dim: number }): ValuesIndices;
    /** See {@link min}. */
    min(): Tensor;
    min(other: Tensor): Tensor;
    min(dim: number, keepdim?: boolean | DimOptions): ValuesIndices;
    min(options: DimOptions & { readonly dim: number }): ValuesIndices;
  }
}

for (const kind of ['max', 'min'] as const) {
  defineMethod(kind, function (a?: Tensor | number | DimOptions, b?: boolean | DimOptions) {
    return extreme(kind, this, a, b);
  });
}
