/** Datasets: numbered samples, streams of samples, and ways to combine them. */
import { makeError } from '../errors';
import { select } from '../ops.gen';
import { Tensor } from '../tensor';
import { type Collated } from './collate';
import { gatherRows, type Indices } from './gather';
import { drawSeed, Generator, type RandomOptions, readGenerator } from './generator';
import { checkIndex, checkIndices, checkKeys, describe } from './options';
import { type WorkerRecipe } from './workers/protocol';

/**
 * Samples with numbers from 0 to `length` - 1. Implement `length` and `getItem`. PyTorch:
 * `torch.utils.data.Dataset` with `__len__` and `__getitem__`.
 *
 * `T` is a sample, or a promise of one (then loaders must be iterated with `for await`).
 */
export abstract class Dataset<T> implements Iterable<T> {
  abstract get length(): number;

  abstract getItem(index: number): T;

  /** Several samples at once, where that is faster than one by one. PyTorch: `__getitems__`. */
  getItems?(indices: Indices): T[];

  /**
   * A whole batch, already collated: bit for bit what `defaultCollate` makes of the samples. A loader
   * with the default collate function calls it first; undefined means "not for these, one by one".
   */
  getBatch?(indices: Indices): Collated<Awaited<T>> | undefined;

  /** How a loading worker makes a copy of this dataset; see the loader's option `workerModule`. */
  workerRecipe?(): WorkerRecipe | undefined;

  *[Symbol.iterator](): Iterator<T> {
    for (let i = 0; i < this.length; ++i) yield this.getItem(i);
  }

  /** This dataset followed by another. PyTorch: `dataset + other`. */
  concat(other: Dataset<T>): ConcatDataset<T> {
    return new ConcatDataset([this, other]);
  }
}

/**
 * A stream of samples: implement `[Symbol.iterator]` or `[Symbol.asyncIterator]`, and `length` where it
 * is known. PyTorch: `torch.utils.data.IterableDataset`.
 */
export abstract class IterableDataset<T> {
  /** Number of samples, where it is known: declare a getter or a field. */
  declare readonly length?: number;

  [Symbol.iterator]?(): Iterator<T>;

  [Symbol.asyncIterator]?(): AsyncIterator<T>;

  /** This stream followed by another. */
  concat(other: IterableDataset<T>): ChainDataset<T> {
    return new ChainDataset([this, other]);
  }
}

function isDataset(value: unknown): value is Dataset<unknown> {
  const d = value as Partial<Dataset<unknown>> | null;
  return typeof d === 'object' && d !== null && typeof d.getItem === 'function' && 'length' in d;
}

function recipeOf(name: string, args: readonly unknown[]): WorkerRecipe {
  return { module: __filename, export: name, construct: true, args };
}

export function checkDataset(where: string, name: string, value: unknown): void {
  if (isDataset(value)) return;
  throw makeError(
    'ERR_TYPE',
    `${where}: '${name}' must be a Dataset (with length and getItem), got ${describe(value)}`,
  );
}

/** Tuples of rows of tensors that have the same first dimension. PyTorch: `TensorDataset`. */
export class TensorDataset<T extends Tensor[] = Tensor[]> extends Dataset<T> {
  readonly tensors: T;

  constructor(...tensors: T) {
    super();
    if (tensors.length === 0) {
      throw makeError('ERR_VALUE', 'TensorDataset: expected at least one tensor');
    }
    for (const t of tensors) {
      if (!(t instanceof Tensor)) {
        throw makeError('ERR_TYPE', `TensorDataset: expected tensors, got ${describe(t)}`);
      }
      if (t.ndim === 0 || t.shape[0] !== tensors[0]?.shape[0]) {
        throw makeError(
          'ERR_SHAPE',
          'TensorDataset: tensors must have the same first dimension, got shapes ' +
            tensors.map((x) => `[${x.shape.join(', ')}]`).join(', '),
        );
      }
    }
    this.tensors = tensors;
  }

  get length(): number {
    return this.tensors[0]?.shape[0] as number;
  }

  getItem(index: number): T {
    const i = checkIndex('TensorDataset.getItem', index, this.length);
    return this.tensors.map((t) => select(t, 0, i)) as T;
  }

  override workerRecipe(): WorkerRecipe | undefined {
    if (this.constructor !== TensorDataset) return undefined;
    return recipeOf('TensorDataset', this.tensors);
  }

  override getBatch(indices: Indices): Collated<Awaited<T>> {
    const n = this.length;
    const rows = Array.from(indices, (i) => checkIndex('TensorDataset.getBatch', i, n));
    return this.tensors.map((t) => gatherRows(t, rows)) as unknown as Collated<Awaited<T>>;
  }
}

/** The elements of an array as samples. */
export class ArrayDataset<T> extends Dataset<T> {
  readonly items: readonly T[];

  constructor(items: readonly T[]) {
    super();
    if (!Array.isArray(items)) {
      throw makeError('ERR_TYPE', `ArrayDataset: expected an array, got ${describe(items)}`);
    }
    this.items = items;
  }

  get length(): number {
    return this.items.length;
  }

  getItem(index: number): T {
    return this.items[checkIndex('ArrayDataset.getItem', index, this.length)] as T;
  }
}

/** Some samples of another dataset, by their numbers. PyTorch: `Subset`. */
export class Subset<T> extends Dataset<T> {
  readonly dataset: Dataset<T>;
  readonly indices: readonly number[];

  constructor(dataset: Dataset<T>, indices: ArrayLike<number>) {
    super();
    checkDataset('Subset', 'dataset', dataset);
    this.dataset = dataset;
    this.indices = checkIndices('Subset', 'indices', indices);
    const n = dataset.length;
    for (const i of this.indices) checkIndex('Subset', i, n);
  }

  get length(): number {
    return this.indices.length;
  }

  #map(where: string, index: number): number {
    return this.indices[checkIndex(where, index, this.indices.length)] as number;
  }

  getItem(index: number): T {
    return this.dataset.getItem(this.#map('Subset.getItem', index));
  }

  override getItems(indices: Indices): T[] {
    const inner = Array.from(indices, (i) => this.#map('Subset.getItems', i));
    return this.dataset.getItems?.(inner) ?? inner.map((i) => this.dataset.getItem(i));
  }

  override workerRecipe(): WorkerRecipe | undefined {
    // Indices are small; the dataset is made again.
    if (this.constructor !== Subset || this.dataset.workerRecipe?.() === undefined)
      return undefined;
    return recipeOf('Subset', [this.dataset, this.indices]);
  }

  override getBatch(indices: Indices): Collated<Awaited<T>> | undefined {
    if (this.dataset.getBatch === undefined) return undefined;
    return this.dataset.getBatch(Array.from(indices, (i) => this.#map('Subset.getBatch', i)));
  }
}

/** Datasets one after the other. PyTorch: `ConcatDataset`. */
export class ConcatDataset<T> extends Dataset<T> {
  readonly datasets: readonly Dataset<T>[];

  constructor(datasets: readonly Dataset<T>[]) {
    super();
    if (!Array.isArray(datasets) || datasets.length === 0) {
      throw makeError('ERR_VALUE', 'ConcatDataset: expected a non-empty array of datasets');
    }
    for (const d of datasets as readonly Dataset<T>[]) checkDataset('ConcatDataset', 'datasets', d);
    this.datasets = [...(datasets as readonly Dataset<T>[])];
  }

  get length(): number {
    return this.datasets.reduce((n, d) => n + d.length, 0);
  }

  /** Where each dataset ends. */
  get cumulativeSizes(): number[] {
    let end = 0;
    return this.datasets.map((d) => (end += d.length));
  }

  override workerRecipe(): WorkerRecipe | undefined {
    const sendable = this.datasets.every((d) => d.workerRecipe?.() !== undefined);
    if (this.constructor !== ConcatDataset || !sendable) return undefined;
    return recipeOf('ConcatDataset', [this.datasets]);
  }

  getItem(index: number): T {
    let i = checkIndex('ConcatDataset.getItem', index, this.length);
    for (const d of this.datasets) {
      const n = d.length;
      if (i < n) return d.getItem(i);
      i -= n;
    }
    throw makeError('ERR_INTERNAL', 'ConcatDataset: a dataset changed its length');
  }
}

/** Streams one after the other. PyTorch: `ChainDataset`. */
export class ChainDataset<T> extends IterableDataset<T> {
  readonly datasets: readonly IterableDataset<T>[];

  constructor(datasets: readonly IterableDataset<T>[]) {
    super();
    if (!Array.isArray(datasets)) {
      throw makeError('ERR_TYPE', `ChainDataset: expected an array, got ${describe(datasets)}`);
    }
    this.datasets = [...(datasets as readonly IterableDataset<T>[])];
    let total: number | undefined = 0;
    for (const d of this.datasets) {
      if (
        typeof d?.[Symbol.iterator] !== 'function' &&
        typeof d?.[Symbol.asyncIterator] !== 'function'
      ) {
        throw makeError('ERR_TYPE', `ChainDataset: expected iterable datasets, got ${describe(d)}`);
      }
      total = total === undefined || d.length === undefined ? undefined : total + d.length;
    }
    if (total !== undefined) Object.defineProperty(this, 'length', { value: total });
    // A chain with an asynchronous link can only be followed asynchronously.
    if (this.datasets.some((d) => typeof d[Symbol.iterator] !== 'function')) {
      Object.defineProperty(this, Symbol.iterator, { value: undefined });
    }
  }

  override *[Symbol.iterator](): Iterator<T> {
    for (const d of this.datasets) yield* d as Iterable<T>;
  }

  override async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (const d of this.datasets) yield* d as AsyncIterable<T> | Iterable<T>;
  }
}

type SampleOf<D> = D extends Dataset<infer T> ? T : never;

/** Samples of several datasets side by side: arrays, or objects by name. PyTorch: `StackDataset`. */
export class StackDataset<
  D extends readonly Dataset<unknown>[] | Readonly<Record<string, Dataset<unknown>>>,
> extends Dataset<{ -readonly [K in keyof D]: SampleOf<D[K]> }> {
  readonly datasets: D;

  /** @param datasets an array or an object of datasets of one length. */
  constructor(datasets: D) {
    super();
    if (typeof datasets !== 'object' || datasets === null) {
      throw makeError(
        'ERR_TYPE',
        `StackDataset: expected an array or an object of datasets, got ${describe(datasets)}`,
      );
    }
    const list = Object.values(datasets) as Dataset<unknown>[];
    if (list.length === 0) throw makeError('ERR_VALUE', 'StackDataset: expected a dataset');
    for (const d of list) checkDataset('StackDataset', 'datasets', d);
    if (list.some((d) => d.length !== list[0]?.length)) {
      const sizes = list.map((d) => String(d.length)).join(', ');
      throw makeError('ERR_VALUE', `StackDataset: lengths must be equal, got ${sizes}`);
    }
    this.datasets = datasets;
  }

  get length(): number {
    return (Object.values(this.datasets)[0] as Dataset<unknown>).length;
  }

  #map(fn: (d: Dataset<unknown>) => unknown): unknown {
    const { datasets } = this;
    if (Array.isArray(datasets)) return datasets.map(fn);
    const entries = Object.entries(datasets as Record<string, Dataset<unknown>>);
    return Object.fromEntries(entries.map(([k, d]) => [k, fn(d)]));
  }

  getItem(index: number): { -readonly [K in keyof D]: SampleOf<D[K]> } {
    const i = checkIndex('StackDataset.getItem', index, this.length);
    return this.#map((d) => d.getItem(i)) as { -readonly [K in keyof D]: SampleOf<D[K]> };
  }
}

/** Whole numbers of samples for fractions, as PyTorch hands out the remainder: one each in turn. */
function lengthsOf(fractions: readonly number[], total: number): number[] {
  const lengths = fractions.map((f, i) => {
    if (f < 0 || f > 1) {
      throw makeError('ERR_VALUE', `randomSplit: fraction at index ${i} is not between 0 and 1`);
    }
    return Math.floor(total * f);
  });
  const rest = total - lengths.reduce((a, b) => a + b, 0);
  for (let i = 0; i < rest; ++i) ++(lengths[i % lengths.length] as number);
  return lengths;
}

/**
 * Splits a dataset at random into parts of the given lengths, or fractions that add up to 1. The
 * parts depend on the seed alone. PyTorch: `random_split`.
 */
export function randomSplit<T>(
  dataset: Dataset<T>,
  lengths: readonly number[],
  options: RandomOptions = {},
): Subset<T>[] {
  const where = 'randomSplit';
  checkDataset(where, 'dataset', dataset);
  checkKeys(where, options, ['generator', 'seed']);
  if (!Array.isArray(lengths) || !lengths.every((v) => typeof v === 'number' && v >= 0)) {
    throw makeError('ERR_TYPE', `${where}: 'lengths' must be an array of numbers of at least 0`);
  }
  const list = lengths as readonly number[];
  const total = dataset.length;
  const sum = list.reduce((a, b) => a + b, 0);
  const fractions = Math.abs(sum - 1) < 1e-9 && list.length > 0;
  const sizes = fractions ? lengthsOf(list, total) : list;
  if (sizes.some((n) => !Number.isInteger(n)) || sizes.reduce((a, b) => a + b, 0) !== total) {
    throw makeError(
      'ERR_VALUE',
      `${where}: 'lengths' must add up to the length of the dataset (${String(total)}) or to 1, ` +
        `got [${list.join(', ')}]`,
    );
  }
  const generator = readGenerator(where, options) ?? new Generator(drawSeed());
  const order = Array.from(generator.permutation(total));
  let at = 0;
  return sizes.map((n) => new Subset(dataset, order.slice(at, (at += n))));
}
