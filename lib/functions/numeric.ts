/**
 * Functions whose arguments come in several forms, or that answer with plain values: `gradient`,
 * `indexPut`, `numel`, `isNonzero`, `broadcastShapes`.
 */
import { suggest, wrapList, wrapOne } from '../call';
import { makeError } from '../errors';
import { native } from '../native';
import { defineMethod, handleOf, Tensor } from '../tensor';

function checkTensor(op: string, name: string, value: unknown): asserts value is Tensor {
  if (value instanceof Tensor) return;
  throw makeError('ERR_TYPE', `${op}: argument '${name}' must be a Tensor`);
}

function checkKeys(op: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || options instanceof Tensor) {
    throw makeError('ERR_TYPE', `${op}: the last argument must be an object of options`);
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw makeError(
      'ERR_TYPE',
      `${op}: unknown option '${key}'${suggest(key, known)} (options are ${known.join(', ')})`,
    );
  }
}

export interface GradientOptions {
  /**
   * The distance of neighbours, one for each dimension, or tensors with the coordinates of the points
   * along each. Default 1.
   */
  readonly spacing?: number | readonly number[] | readonly Tensor[] | null | undefined;
  /** Default: all. */
  readonly dim?: number | readonly number[] | null | undefined;
  /** Of the estimate at the borders: 1 or 2. Default 1. */
  readonly edgeOrder?: 1 | 2 | undefined;
}

function spacingError(): Error {
  return makeError(
    'ERR_TYPE',
    "gradient: option 'spacing' must be a number, a list of numbers or a list of Tensors",
  );
}

/**
 * Estimates the derivative of the function that `input` holds the values of, along each dimension of
 * `dim`: by central differences within, one-sided ones at the borders. PyTorch: `torch.gradient`.
 *
 * @returns one tensor of the shape of `input` for each dimension
 */
export function gradient(input: Tensor, options: GradientOptions = {}): Tensor[] {
  checkTensor('gradient', 'input', input);
  checkKeys('gradient', options, ['spacing', 'dim', 'edgeOrder']);
  const dim = options.dim ?? null;
  const dims = typeof dim === 'number' ? [dim] : dim;
  const spacing: unknown = options.spacing ?? 1;
  let distances: number[] = [];
  let coordinates: Tensor[] = [];
  if (typeof spacing === 'number') {
    distances = new Array<number>(dims?.length ?? input.ndim).fill(spacing);
  } else if (!Array.isArray(spacing)) {
    throw spacingError();
  } else if (spacing.length > 0 && spacing.every((v) => v instanceof Tensor)) {
    coordinates = spacing;
  } else if (spacing.every((v) => typeof v === 'number')) {
    distances = spacing;
  } else {
    throw spacingError();
  }
  const handles = coordinates.map(handleOf);
  return wrapList(
    native.ops['gradient']?.(handleOf(input), handles, distances, options.edgeOrder ?? 1, dims),
  );
}

export interface IndexPutOptions {
  /** Add to what stands there instead of replacing it. Default false. */
  readonly accumulate?: boolean | undefined;
}

function putArguments(
  op: string,
  input: unknown,
  indices: unknown,
  values: unknown,
  accumulate: boolean | IndexPutOptions,
): unknown[] {
  checkTensor(op, 'input', input);
  checkTensor(op, 'values', values);
  if (!Array.isArray(indices)) {
    throw makeError('ERR_TYPE', `${op}: argument 'indices' must be a list of Tensors and nulls`);
  }
  if (typeof accumulate !== 'boolean') checkKeys(op, accumulate, ['accumulate']);
  const list = indices.map((index: unknown) => {
    if (index === null) return null;
    checkTensor(op, 'indices', index);
    return handleOf(index);
  });
  const adds = typeof accumulate === 'boolean' ? accumulate : (accumulate.accumulate ?? false);
  return [handleOf(input), list, handleOf(values), adds];
}

/**
 * A copy of `input` with `values` (broadcast) at the positions that the index tensors name, one for
 * each dimension; null stands for a whole dimension. PyTorch: `torch.index_put`.
 */
export function indexPut(
  input: Tensor,
  indices: readonly (Tensor | null)[],
  values: Tensor,
  accumulate: boolean | IndexPutOptions = false,
): Tensor {
  const args = putArguments('indexPut', input, indices, values, accumulate);
  return wrapOne(native.ops['indexPut']?.(...args), undefined);
}

/** The number of elements. PyTorch: `torch.numel`. */
export function numel(input: Tensor): number {
  checkTensor('numel', 'input', input);
  return input.numel();
}

/**
 * Whether the only element of `input` is not zero. PyTorch: `torch.is_nonzero`.
 * @throws RangeError ERR_VALUE unless `input` has one element.
 */
export function isNonzero(input: Tensor): boolean {
  checkTensor('isNonzero', 'input', input);
  if (input.numel() !== 1) {
    const many = input.numel() === 0 ? 'no values' : 'more than one value';
    throw makeError('ERR_VALUE', `isNonzero: Boolean value of Tensor with ${many} is ambiguous`);
  }
  return Boolean(input.item());
}

function checkShape(shape: unknown): readonly number[] {
  const list = typeof shape === 'number' ? [shape] : shape;
  if (!Array.isArray(list) || !list.every((n) => Number.isSafeInteger(n))) {
    throw makeError('ERR_TYPE', 'broadcastShapes: shapes must be integers or lists of integers');
  }
  if (list.some((n: number) => n < 0)) {
    throw makeError(
      'ERR_VALUE',
      `broadcastShapes: sizes must not be negative, got [${list.join(', ')}]`,
    );
  }
  return list as number[];
}

/**
 * The shape to which all of `shapes` broadcast; a number is a shape of one dimension. PyTorch:
 * `torch.broadcast_shapes`.
 * @throws TensorError ERR_SHAPE when they do not.
 */
export function broadcastShapes(...shapes: readonly (number | readonly number[])[]): number[] {
  const lists = shapes.map(checkShape);
  const result = new Array<number>(Math.max(0, ...lists.map((s) => s.length))).fill(1);
  for (const list of lists) {
    list.forEach((n, i) => {
      const at = result.length - list.length + i;
      if (n === 1 || n === result[at]) return;
      if (result[at] !== 1) {
        throw makeError(
          'ERR_SHAPE',
          `broadcastShapes: shapes ${lists.map((s) => `[${s.join(', ')}]`).join(', ')} cannot be broadcast to a single shape`,
        );
      }
      result[at] = n;
    });
  }
  return result;
}

declare module '../tensor' {
  interface Tensor {
    /** See {@link isNonzero}. */
    isNonzero(): boolean;
    /** See {@link indexPut}. */
    indexPut(
      indices: readonly (Tensor | null)[],
      values: Tensor,
      accumulate?: boolean | IndexPutOptions,
    ): Tensor;
    /** In-place form of {@link indexPut}. */
    indexPut_(
      indices: readonly (Tensor | null)[],
      values: Tensor,
      accumulate?: boolean | IndexPutOptions,
    ): this;
  }
}

type PutArguments = Parameters<Tensor['indexPut']>;

defineMethod('isNonzero', function () {
  return isNonzero(this);
});

defineMethod('indexPut', function (...[indices, values, accumulate = false]: PutArguments) {
  return indexPut(this, indices, values, accumulate);
});

defineMethod('indexPut_', function (...[indices, values, accumulate = false]: PutArguments) {
  native.ops['indexPut_']?.(...putArguments('indexPut_', this, indices, values, accumulate));
  return this;
});
