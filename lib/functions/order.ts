/** Functions whose result depends on their options: `median`, `nanmedian`, `unique`, `uniqueConsecutive`. */
import { suggest, wrapNamed, wrapOne } from '../call';
import { makeError } from '../errors';
import { native } from '../native';
import { defineMethod, handleOf, Tensor } from '../tensor';
import type { DimOptions, ValuesIndices } from './extrema';

type Kind = 'median' | 'nanmedian';

function checkInput(name: string, input: unknown): asserts input is Tensor {
  if (input instanceof Tensor) return;
  throw makeError('ERR_TYPE', `${name}: argument 'input' must be a Tensor`);
}

function checkKeys(name: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw makeError(
      'ERR_TYPE',
      `${name}: unknown option '${key}'${suggest(key, known)} (options are ${known.join(', ')})`,
    );
  }
}

function middle(
  kind: Kind,
  input: Tensor,
  a: number | DimOptions | undefined,
  b: boolean | DimOptions | undefined,
): Tensor | ValuesIndices {
  checkInput(kind, input);
  const options: DimOptions = {
    ...(typeof b === 'object' ? b : b === undefined ? {} : { keepdim: b }),
    ...(typeof a === 'object' ? a : a === undefined ? {} : { dim: a }),
  };
  checkKeys(kind, options, ['dim', 'keepdim']);
  if (options.dim === undefined) return wrapOne(native.ops[kind]?.(handleOf(input)), input);
  const result = native.ops[`${kind}Dim`]?.(handleOf(input), options.dim, options.keepdim);
  return wrapNamed(result, ['values', 'indices']);
}

/** The lower median; with `dim`, the medians along it and their indices. NaN if there is one. */
export function median(input: Tensor): Tensor;
export function median(input: Tensor, dim: number, keepdim?: boolean | DimOptions): ValuesIndices;
export function median(
  input: Tensor,
  options: DimOptions & { readonly dim: number },
): ValuesIndices;
export function median(
  input: Tensor,
  a?: number | DimOptions,
  b?: boolean | DimOptions,
): Tensor | ValuesIndices {
  return middle('median', input, a, b);
}

/** The lower median of the elements that are not NaN. */
export function nanmedian(input: Tensor): Tensor;
export function nanmedian(
  input: Tensor,
  dim: number,
  keepdim?: boolean | DimOptions,
): ValuesIndices;
export function nanmedian(
  input: Tensor,
  options: DimOptions & { readonly dim: number },
): ValuesIndices;
export function nanmedian(
  input: Tensor,
  a?: number | DimOptions,
  b?: boolean | DimOptions,
): Tensor | ValuesIndices {
  return middle('nanmedian', input, a, b);
}

export interface UniqueConsecutiveOptions {
  /** Also return which of the results each element equals. Default false. */
  readonly returnInverse?: boolean | undefined;
  /** Also return how often each result occurs. Default false. */
  readonly returnCounts?: boolean | undefined;
  /** Compare slices along this dimension. Default: elements. */
  readonly dim?: number | null | undefined;
}

export interface UniqueOptions extends UniqueConsecutiveOptions {
  /** Accepted for PyTorch's sake: the result is always sorted. */
  readonly sorted?: boolean | undefined;
}

function groups(
  name: string,
  input: Tensor,
  options: UniqueOptions,
  consecutive: boolean,
): Tensor | Tensor[] {
  checkInput(name, input);
  const keys = ['returnInverse', 'returnCounts', 'dim'];
  checkKeys(name, options, consecutive ? keys : ['sorted', ...keys]);
  const all = wrapNamed<Tensor[]>(
    native.ops['uniqueGroups']?.(handleOf(input), consecutive, options.dim ?? undefined),
    [],
  );
  const wanted = [true, options.returnInverse === true, options.returnCounts === true];
  const results = all.filter((_, i) => wanted[i]);
  return results.length === 1 ? (results[0] as Tensor) : results;
}

type Extra = { readonly returnInverse: true } | { readonly returnCounts: true };

/** The distinct elements (or slices) in ascending order. PyTorch: `torch.unique`. */
export function unique(input: Tensor, options: UniqueOptions & Extra): Tensor[];
export function unique(input: Tensor, options?: UniqueOptions): Tensor;
export function unique(input: Tensor, options: UniqueOptions = {}): Tensor | Tensor[] {
  return groups('unique', input, options, false);
}

/** The first of every run of equal elements (or slices). PyTorch: `torch.unique_consecutive`. */
export function uniqueConsecutive(
  input: Tensor,
  options: UniqueConsecutiveOptions & Extra,
): Tensor[];
export function uniqueConsecutive(input: Tensor, options?: UniqueConsecutiveOptions): Tensor;
export function uniqueConsecutive(
  input: Tensor,
  options: UniqueConsecutiveOptions = {},
): Tensor | Tensor[] {
  return groups('uniqueConsecutive', input, options, true);
}

declare module '../tensor' {
  interface Tensor {
    /** See {@link median}. */
    median(): Tensor;
    median(dim: number, keepdim?: boolean | DimOptions): ValuesIndices;
    median(options: DimOptions & { readonly dim: number }): ValuesIndices;
    /** See {@link nanmedian}. */
    nanmedian(): Tensor;
    nanmedian(dim: number, keepdim?: boolean | DimOptions): ValuesIndices;
    nanmedian(options: DimOptions & { readonly dim: number }): ValuesIndices;
    /** See {@link unique}. */
    unique(options: UniqueOptions & Extra): Tensor[];
    unique(options?: UniqueOptions): Tensor;
    /** See {@link uniqueConsecutive}. */
    uniqueConsecutive(options: UniqueConsecutiveOptions & Extra): Tensor[];
    uniqueConsecutive(options?: UniqueConsecutiveOptions): Tensor;
  }
}

for (const kind of ['median', 'nanmedian'] as const) {
  defineMethod(kind, function (a?: number | DimOptions, b?: boolean | DimOptions) {
    return middle(kind, this, a, b);
  });
}
defineMethod('unique', function (options: UniqueOptions = {}) {
  return groups('unique', this, options, false);
});
defineMethod('uniqueConsecutive', function (options: UniqueConsecutiveOptions = {}) {
  return groups('uniqueConsecutive', this, options, true);
});
