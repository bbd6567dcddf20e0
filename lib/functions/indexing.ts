/** Indexing: `x.get(0, slice(1, 5), null, '...', mask)` and `x.set([...], value)`, as in NumPy. */
import { opEntry } from '../call';
import type { Device, DType } from '../dtype';
import { makeError } from '../errors';
import { native, type Handle } from '../native';
import { defineMethod, handleOf, Tensor, wrapTensor } from '../tensor';
import { tensor, type TensorData } from './creation';

/** A range of positions along one dimension; see {@link slice}. */
export class Slice {
  constructor(
    readonly start: number | null,
    readonly stop: number | null,
    readonly step: number,
  ) {}

  toString(): string {
    const text = (v: number | null): string => (v === null ? '' : String(v));
    return `${text(this.start)}:${text(this.stop)}:${String(this.step)}`;
  }
}

/**
 * Positions `start`, `start + step`, ... before `stop`, as Python's `start:stop:step`. Negative
 * bounds count from the end; null stands for an open end.
 * @throws RangeError ERR_VALUE unless `step` is positive.
 */
export function slice(
  start: number | null = null,
  stop: number | null = null,
  step: number | null = null,
): Slice {
  for (const v of [start, stop, step]) {
    if (v !== null && !Number.isSafeInteger(v)) {
      throw makeError('ERR_TYPE', `slice: bounds must be integers or null, got ${String(v)}`);
    }
  }
  if (step !== null && step <= 0) {
    throw makeError('ERR_VALUE', `slice: argument 'step' must be positive, got ${String(step)}`);
  }
  return new Slice(start, stop, step ?? 1);
}

/** An index along one or more dimensions. `null` inserts a dimension, `'...'` skips over the rest. */
export type Index = number | bigint | boolean | null | string | Slice | Tensor | IndexList;
export type IndexList = readonly (number | boolean | IndexList)[];

const intPattern = /^[+-]?\d+$/;

function parseBound(text: string, whole: string): number | null {
  if (text === '') return null;
  if (!intPattern.test(text)) throw badText(whole);
  return Number(text);
}

function badText(text: string): Error {
  return makeError(
    'ERR_TYPE',
    `get: cannot read the index '${text}': expected integers, slices such as '1:5:2', '...', 'null' or ':'`,
  );
}

/** '1:3, ..., ::2' -> [slice(1, 3), '...', slice(null, null, 2)] */
function parseText(text: string): (number | null | '...' | Slice)[] {
  return text.split(',').map((part) => {
    const item = part.trim();
    if (item === '...') return '...';
    if (item === 'null' || item === 'None') return null;
    if (intPattern.test(item)) return Number(item);
    const bounds = item.split(':').map((b) => b.trim());
    if (bounds.length < 2 || bounds.length > 3) throw badText(text);
    const [start, stop, step] = bounds.map((b) => parseBound(b, text));
    return slice(start ?? null, stop ?? null, step ?? null);
  });
}

/** An index after text and arrays were read. */
export type Item = number | bigint | boolean | null | '...' | Slice | Tensor;

/** For this package only. */
export function toItems(indices: readonly Index[]): Item[] {
  const items: Item[] = [];
  for (const index of indices) {
    if (typeof index === 'string') items.push(...parseText(index));
    else if (Array.isArray(index)) items.push(tensor(index as TensorData));
    else items.push(index as Item);
  }
  return items;
}

/** How many dimensions of the indexed tensor an item uses up. */
function consumes(item: Item): number {
  if (item === null || item === '...' || typeof item === 'boolean') return 0;
  if (item instanceof Tensor) return item.dtype === 'bool' ? item.ndim : 1;
  return 1;
}

const { fn: select } = opEntry('select');

function call(name: string, ...args: unknown[]): Handle {
  return native.ops[name]?.(...args) as Handle;
}

/** What basic indices leave: a view, and index tensors by dimension of that view. */
interface Selection {
  view: Handle;
  advanced: (Handle | null)[];
  any: boolean;
}

function applyItem(s: Selection, item: Item, dim: number, ellipsis: number): number {
  if (item === '...') return dim + ellipsis;
  if (item === null) {
    s.view = call('unsqueeze', s.view, dim);
    return dim + 1;
  }
  if (typeof item === 'number' || typeof item === 'bigint') {
    s.view = call('select', s.view, dim, item);
    return dim;
  }
  if (item instanceof Slice) {
    const whole = item.start === null && item.stop === null && item.step === 1;
    if (!whole) s.view = call('slice', s.view, dim, item.start, item.stop, item.step);
    return dim + 1;
  }
  if (typeof item === 'boolean' || (item instanceof Tensor && item.ndim === 0)) {
    return applyScalar(s, item, dim);
  }
  if (!(item instanceof Tensor)) {
    throw makeError(
      'ERR_TYPE',
      `get: an index must be an integer, slice(), null, '...', a boolean, a Tensor or an array, got ${typeof item}`,
    );
  }
  return applyTensor(s, item, dim);
}

/** A single boolean selects all or nothing along a new dimension; a 0-d integer tensor is a number. */
function applyScalar(s: Selection, item: boolean | Tensor, dim: number): number {
  const isBool = typeof item === 'boolean' || item.dtype === 'bool';
  if (!isBool) {
    s.view = call('select', s.view, dim, (item as Tensor).item());
    return dim;
  }
  const mask = tensor([typeof item === 'boolean' ? item : Boolean(item.item())]);
  s.view = call('unsqueeze', s.view, dim);
  return applyTensor(s, mask, dim);
}

function applyTensor(s: Selection, item: Tensor, dim: number): number {
  while (s.advanced.length < dim) s.advanced.push(null);
  s.advanced[dim] = handleOf(item);
  s.any = true;
  // A mask is one entry of the list but stands for as many dimensions as it has.
  return dim + 1;
}

function resolve(where: string, x: Tensor, indices: readonly Index[]): Selection {
  const items = toItems(indices);
  const used = items.reduce((n: number, item) => n + consumes(item), 0);
  const ellipses = items.filter((item) => item === '...').length;
  if (ellipses > 1) {
    throw makeError('ERR_VALUE', `${where}: an index can only have a single ellipsis ('...')`);
  }
  if (used > x.ndim) {
    throw makeError(
      'ERR_RANGE',
      `${where}: too many indices for tensor of dimension ${String(x.ndim)}: got ${String(used)}`,
    );
  }
  const s: Selection = { view: handleOf(x), advanced: [], any: false };
  let dim = 0;
  for (const item of items) dim = applyItem(s, item, dim, x.ndim - used);
  return s;
}

declare module '../tensor' {
  interface Tensor {
    /**
     * The elements at `indices`: a view for integers, slices, null and '...'; a copy when index
     * tensors, masks or arrays take part. PyTorch: `x[...]`.
     * @example x.get(0, slice(1, 5, 2), null, '...', mask); x.get('1:3, ..., ::2')
     */
    get(...indices: Index[]): Tensor;
    /** Writes `value` (broadcast) to the elements at `indices`, in place. PyTorch: `x[...] = value`. */
    set(indices: Index | readonly Index[], value: TensorData): this;
  }
}

/** The view at one number; `undefined` where the general way has to say what is wrong. */
function selectOne(x: Tensor, index: number): Tensor | undefined {
  try {
    return wrapTensor(select(handleOf(x), 0, index) as Handle);
  } catch {
    return undefined;
  }
}

defineMethod('get', function (this: Tensor, ...indices: Index[]): Tensor {
  if (indices.length === 1 && typeof indices[0] === 'number') {
    const row = selectOne(this, indices[0]);
    if (row !== undefined) return row;
  }
  const s = resolve('get', this, indices);
  if (s.any) return wrapTensor(call('index', s.view, s.advanced));
  // Nothing selected: still a tensor of its own, as x[...] is in PyTorch.
  if (s.view === handleOf(this)) return wrapTensor(call('view', s.view, this.shape));
  return wrapTensor(s.view);
});

function placeOf(target: Tensor): { dtype: DType; device: Device } {
  return { dtype: target.dtype, device: target.device };
}

function asValue(value: TensorData, target: Tensor): unknown {
  if (value instanceof Tensor) {
    const typed = value.dtype === target.dtype ? value : value.to(target.dtype);
    // As in PyTorch, a number in a tensor may come from the CPU.
    return handleOf(typed.ndim === 0 && typed.device === 'cpu' ? typed.to(target.device) : typed);
  }
  if (typeof value === 'object') return handleOf(tensor(value, placeOf(target)));
  return value;
}

defineMethod('set', function (indices: Index | readonly Index[], value: TensorData): Tensor {
  const list = Array.isArray(indices) ? (indices as readonly Index[]) : [indices as Index];
  const s = resolve('set', this, list);
  if (!s.any) {
    call('copy_', s.view, asValue(value, this));
    return this;
  }
  const source =
    typeof value === 'object' ? asValue(value, this) : handleOf(tensor(value, placeOf(this)));
  call('indexPut_', s.view, s.advanced, source);
  return this;
});
