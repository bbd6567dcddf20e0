/** Functions whose result depends on the kind of an argument: `tensorSplit` and its kin, `nonzero`. */
import { suggest, wrapList, wrapOne } from '../call';
import { makeError } from '../errors';
import { native, type Handle } from '../native';
import { defineMethod, handleOf, Tensor } from '../tensor';

/** A number of parts, or the positions at which to cut (a vector of integers counts as a list). */
export type Cuts = number | readonly number[] | Tensor;

function checkInput(name: string, input: unknown): asserts input is Tensor {
  if (input instanceof Tensor) return;
  throw makeError('ERR_TYPE', `${name}: argument 'input' must be a Tensor`);
}

function asCuts(name: string, cuts: Cuts): number | readonly number[] {
  if (!(cuts instanceof Tensor)) return cuts;
  if (cuts.ndim > 1 || cuts.dtype !== 'int64') {
    throw makeError(
      'ERR_TYPE',
      `${name}: a tensor of cuts must be an int64 scalar or vector, got ${cuts.dtype} of ${String(cuts.ndim)} dimensions`,
    );
  }
  if (cuts.ndim === 0) return Number(cuts.item());
  return (cuts.toArray() as (number | bigint)[]).map(Number);
}

function cut(name: string, input: Tensor, where: Cuts, dim: number): Tensor[] {
  checkInput(name, input);
  const cuts = asCuts(name, where);
  const op = typeof cuts === 'number' ? 'splitSections' : 'splitIndices';
  return wrapList(native.ops[op]?.(handleOf(input), cuts, dim));
}

export interface TensorSplitOptions {
  readonly dim?: number | undefined;
}

/**
 * Views of parts along `dim`: `indicesOrSections` parts of (almost) equal size, or the parts between
 * the given positions. PyTorch: `torch.tensor_split`.
 */
export function tensorSplit(
  input: Tensor,
  indicesOrSections: Cuts,
  dim: number | TensorSplitOptions = 0,
): Tensor[] {
  if (typeof dim === 'object') {
    for (const key of Object.keys(dim)) {
      if (key === 'dim') continue;
      throw makeError(
        'ERR_TYPE',
        `tensorSplit: unknown option '${key}'${suggest(key, ['dim'])} (options are dim)`,
      );
    }
  }
  return cut(
    'tensorSplit',
    input,
    indicesOrSections,
    typeof dim === 'object' ? (dim.dim ?? 0) : dim,
  );
}

function cutAlong(name: string, input: Tensor, where: Cuts, least: number, dim: number): Tensor[] {
  checkInput(name, input);
  if (input.ndim < least) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: requires a tensor with at least ${String(least)} dimension${least > 1 ? 's' : ''}, but got a tensor with ${String(input.ndim)} dimensions`,
    );
  }
  const cuts = asCuts(name, where);
  const size = input.shape[dim] as number;
  if (typeof cuts === 'number' && cuts > 0 && size % cuts !== 0) {
    throw makeError(
      'ERR_VALUE',
      `${name}: attempted to split along dimension ${String(dim)}, but the size of the dimension ${String(size)} is not divisible by the splitSize ${String(cuts)}`,
    );
  }
  return cut(name, input, cuts, dim);
}

/** Parts along the columns (the only dimension of a vector). PyTorch: `torch.hsplit`. */
export function hsplit(input: Tensor, indicesOrSections: Cuts): Tensor[] {
  checkInput('hsplit', input);
  return cutAlong('hsplit', input, indicesOrSections, 1, input.ndim === 1 ? 0 : 1);
}

/** Parts along the rows. PyTorch: `torch.vsplit`. */
export function vsplit(input: Tensor, indicesOrSections: Cuts): Tensor[] {
  return cutAlong('vsplit', input, indicesOrSections, 2, 0);
}

/** Parts along the third dimension. PyTorch: `torch.dsplit`. */
export function dsplit(input: Tensor, indicesOrSections: Cuts): Tensor[] {
  return cutAlong('dsplit', input, indicesOrSections, 3, 2);
}

export interface NonzeroOptions {
  /** One tensor of positions a dimension, for indexing, instead of a matrix. Default false. */
  readonly asTuple?: boolean | undefined;
}

/** Coordinates of the elements that are not zero, one row each; with `asTuple` one vector a dimension. */
export function nonzero(input: Tensor): Tensor;
export function nonzero(input: Tensor, options: { readonly asTuple: true }): Tensor[];
export function nonzero(input: Tensor, options?: NonzeroOptions): Tensor | Tensor[];
export function nonzero(input: Tensor, options: NonzeroOptions = {}): Tensor | Tensor[] {
  checkInput('nonzero', input);
  for (const key of Object.keys(options)) {
    if (key === 'asTuple') continue;
    throw makeError(
      'ERR_TYPE',
      `nonzero: unknown option '${key}'${suggest(key, ['asTuple'])} (options are asTuple)`,
    );
  }
  const row = input.ndim === 0 && options.asTuple === true ? input.reshape([1]) : input;
  const found = native.ops['nonzero']?.(handleOf(row)) as Handle;
  return options.asTuple === true
    ? wrapList(native.ops['unbind']?.(found, 1))
    : wrapOne(found, input);
}

declare module '../tensor' {
  interface Tensor {
    /** See {@link tensorSplit}. */
    tensorSplit(indicesOrSections: Cuts, dim?: number | TensorSplitOptions): Tensor[];
    /** See {@link hsplit}. */
    hsplit(indicesOrSections: Cuts): Tensor[];
    /** See {@link vsplit}. */
    vsplit(indicesOrSections: Cuts): Tensor[];
    /** See {@link dsplit}. */
    dsplit(indicesOrSections: Cuts): Tensor[];
    /** See {@link nonzero}. */
    nonzero(): Tensor;
    nonzero(options: { readonly asTuple: true }): Tensor[];
    nonzero(options?: NonzeroOptions): Tensor | Tensor[];
  }
}

const methods = { tensorSplit, hsplit, vsplit, dsplit, nonzero };
for (const [name, fn] of Object.entries(methods)) {
  defineMethod(name, function (...args: unknown[]) {
    return (fn as (...all: unknown[]) => unknown)(this, ...args);
  });
}
