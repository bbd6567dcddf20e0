/** The DataLoader: from a dataset to batches, in order or shuffled. */
import { makeError } from '../errors';
import { type RngState } from '../random';
import { type Collated } from './collate';
import { ArrayDataset, type Dataset, type IterableDataset } from './dataset';
import { type CollateFn, Fetcher, withBatchStream } from './fetch';
import { drawSeed, Generator, type RandomOptions, readGenerator } from './generator';
import { checkBoolean, checkFunction, checkInteger, checkKeys, describe } from './options';
import { BatchSampler, RandomSampler, SequentialSampler, type Sized } from './sampler';

export interface DataLoaderOptions<S, B> extends RandomOptions {
  /** Samples in a batch; null delivers samples one by one, without a batch dimension. Default 1. */
  readonly batchSize?: number | null | undefined;
  /** A fresh random order for every pass. Default false. */
  readonly shuffle?: boolean | undefined;
  /** The order of the samples. Excludes `shuffle`. */
  readonly sampler?: Iterable<number> | undefined;
  /** The indices of every batch. Excludes `batchSize`, `shuffle`, `sampler`, `dropLast`. */
  readonly batchSampler?: Iterable<readonly number[]> | undefined;
  /** Makes a batch of samples. Default: `defaultCollate`. */
  readonly collateFn?: ((samples: Awaited<S>[]) => B) | undefined;
  /** Leave out the last batch if it is smaller than the others. Default false. */
  readonly dropLast?: boolean | undefined;
}

/** Where a loader stands; what `stateDict()` returns. */
export interface DataLoaderState {
  /** Seed of the pass, or null between passes. */
  readonly passSeed: string | null;
  /** Batches of the pass already delivered. */
  readonly batches: number;
  /** State of the loader's own generator. */
  readonly generator: { readonly seed: string; readonly offset: string } | null;
}

/** What a DataLoader can load from. */
export type DataSource<S> = Dataset<S> | IterableDataset<S> | readonly S[];

const optionNames = [
  'batchSize',
  'shuffle',
  'sampler',
  'batchSampler',
  'collateFn',
  'dropLast',
  'generator',
  'seed',
];

type Stream = Iterable<unknown> & AsyncIterable<unknown>;

function isMapStyle(source: object): source is Dataset<unknown> {
  return typeof (source as Partial<Dataset<unknown>>).getItem === 'function';
}

function checkSource(source: unknown): Dataset<unknown> | IterableDataset<unknown> {
  if (Array.isArray(source)) return new ArrayDataset(source as unknown[]);
  if (typeof source === 'object' && source !== null) {
    const s = source as Dataset<unknown> & Stream;
    if (isMapStyle(s)) {
      if (typeof s.length === 'number') return s;
      throw makeError('ERR_TYPE', 'DataLoader: a dataset with getItem must have a length');
    }
    if (typeof s[Symbol.iterator] === 'function' || typeof s[Symbol.asyncIterator] === 'function') {
      return s;
    }
  }
  throw makeError(
    'ERR_TYPE',
    `DataLoader: expected a Dataset, an IterableDataset or an array, got ${describe(source)}`,
  );
}

/** One pass over the data. */
interface Pass {
  readonly seed: bigint;
  /** Batches not to deliver, because they were before the state was saved. */
  readonly skip: number;
}

function checkExclusive(options: DataLoaderOptions<unknown, unknown>, iterable: boolean): void {
  const given = (name: keyof DataLoaderOptions<unknown, unknown>): boolean =>
    options[name] !== undefined;
  const clash = (a: string, b: string): Error =>
    makeError('ERR_VALUE', `DataLoader: option '${a}' cannot be used together with '${b}'`);
  if (options.sampler !== undefined && options.shuffle === true) throw clash('sampler', 'shuffle');
  if (given('batchSampler')) {
    for (const name of ['batchSize', 'shuffle', 'sampler', 'dropLast'] as const) {
      if (given(name) && options[name] !== false) throw clash('batchSampler', name);
    }
  }
  if (options.batchSize === null && options.dropLast === true)
    throw clash('batchSize: null', 'dropLast');
  if (!iterable) return;
  for (const name of ['shuffle', 'sampler', 'batchSampler'] as const) {
    if (given(name) && options[name] !== false) {
      throw makeError(
        'ERR_VALUE',
        `DataLoader: option '${name}' needs a dataset with getItem, not an IterableDataset`,
      );
    }
  }
}

function checkIterable(name: string, value: unknown): void {
  const iterator = (value as Iterable<unknown> | null | undefined)?.[Symbol.iterator];
  if (value === undefined || typeof iterator === 'function') return;
  throw makeError(
    'ERR_TYPE',
    `DataLoader: option '${name}' must be iterable, got ${describe(value)}`,
  );
}

/**
 * Batches of a dataset. Iterate with `for ... of`, or with `for await ... of` where samples are
 * promises. Every pass shuffles anew; a pass depends on the `seed` (or the generator of the
 * environment, see `manualSeed`) alone. PyTorch: `torch.utils.data.DataLoader`.
 *
 * Random transforms draw from a stream that belongs to the pass and the number of the batch, so
 * batches do not depend on how they are loaded.
 *
 * @example
 * const loader = new DataLoader(dataset, { batchSize: 64, shuffle: true });
 * for (const [images, labels] of loader) step(images, labels);
 */
export class DataLoader<S, B = Collated<Awaited<S>>> implements Iterable<B>, AsyncIterable<B> {
  readonly dataset: Dataset<S> | IterableDataset<S>;
  readonly batchSize: number | null;
  readonly dropLast: boolean;
  readonly generator: Generator | undefined;
  readonly sampler: Iterable<number> | undefined;
  readonly batchSampler: Iterable<readonly number[]> | undefined;
  readonly #shuffle: boolean;
  readonly #fetcher: Fetcher;
  #current: { seed: bigint; batches: number } | undefined;
  #resume: Pass | undefined;

  constructor(dataset: DataSource<S>, options: DataLoaderOptions<S, B> = {}) {
    const where = 'DataLoader';
    const source = checkSource(dataset);
    checkKeys(where, options, optionNames);
    checkExclusive(options as DataLoaderOptions<unknown, unknown>, !isMapStyle(source));
    this.dataset = source as Dataset<S>;
    const batchSize = options.batchSize === undefined ? 1 : options.batchSize;
    this.batchSize = batchSize === null ? null : checkInteger(where, 'batchSize', batchSize, 1);
    this.dropLast = checkBoolean(where, 'dropLast', options.dropLast ?? false);
    this.#shuffle = checkBoolean(where, 'shuffle', options.shuffle ?? false);
    this.generator = readGenerator(where, options);
    checkIterable('sampler', options.sampler);
    checkIterable('batchSampler', options.batchSampler);
    this.sampler = options.sampler;
    this.batchSampler = options.batchSampler;
    const collate = checkFunction(where, 'collateFn', options.collateFn) as CollateFn | undefined;
    const batched = this.batchSize !== null || this.batchSampler !== undefined;
    this.#fetcher = new Fetcher(source as Dataset<unknown>, collate, batched);
  }

  /**
   * Batches in a pass.
   * @throws TypeError ERR_TYPE if the dataset or the sampler does not know its length.
   */
  get length(): number {
    const counted: unknown = this.batchSampler ?? this.sampler ?? this.dataset;
    const n = (counted as Partial<Sized>).length;
    if (typeof n !== 'number') {
      throw makeError('ERR_TYPE', `DataLoader.length: ${describe(counted)} has no length`);
    }
    if (this.batchSampler !== undefined || this.batchSize === null) return n;
    return this.dropLast ? Math.floor(n / this.batchSize) : Math.ceil(n / this.batchSize);
  }

  *[Symbol.iterator](): IterableIterator<B> {
    const pass = this.#begin();
    for (const fetch of this.#fetches(pass)) {
      const batch = fetch();
      if (typeof (batch as PromiseLike<B> | null | undefined)?.then === 'function') {
        (batch as Promise<B>).then(undefined, () => undefined);
        throw makeError(
          'ERR_TYPE',
          'DataLoader: samples of this dataset are promises; iterate with `for await`',
        );
      }
      this.#delivered();
      yield batch as B;
    }
    this.#current = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<B> {
    const pass = this.#begin();
    const fetches = isMapStyle(this.dataset) ? this.#fetches(pass) : this.#asyncStream(pass);
    for await (const fetch of fetches) {
      const batch = await fetch();
      this.#delivered();
      yield batch as B;
    }
    this.#current = undefined;
  }

  /** What is needed to go on after the last delivered batch, in a loader made the same way. */
  stateDict(): DataLoaderState {
    const state = this.generator?.getState();
    return {
      passSeed: this.#current === undefined ? null : String(this.#current.seed),
      batches: this.#current?.batches ?? 0,
      generator:
        state === undefined ? null : { seed: String(state.seed), offset: String(state.offset) },
    };
  }

  /** The next pass goes on where the saved one stopped, without loading what it had delivered. */
  loadStateDict(state: DataLoaderState): void {
    const where = 'DataLoader.loadStateDict';
    checkKeys(where, state, ['passSeed', 'batches', 'generator']);
    const skip = checkInteger(where, 'batches', state.batches, 0);
    const read = (text: unknown): bigint => {
      if (typeof text === 'string' && /^\d{1,20}$/.test(text)) return BigInt(text);
      throw makeError('ERR_VALUE', `${where}: expected what stateDict() returned`);
    };
    if ((state.generator === null) !== (this.generator === undefined)) {
      throw makeError('ERR_VALUE', `${where}: the state and this loader differ in having a seed`);
    }
    if (state.generator !== null) {
      const rng: RngState = {
        seed: read(state.generator.seed),
        offset: read(state.generator.offset),
      };
      this.generator?.setState(rng);
    }
    this.#resume = state.passSeed === null ? undefined : { seed: read(state.passSeed), skip };
  }

  #begin(): Pass {
    let pass = this.#resume;
    this.#resume = undefined;
    if (pass === undefined) {
      const seed = this.generator === undefined ? drawSeed() : this.generator.use(drawSeed);
      pass = { seed: BigInt(seed), skip: 0 };
    }
    this.#current = { seed: pass.seed, batches: pass.skip };
    return pass;
  }

  #delivered(): void {
    if (this.#current !== undefined) ++this.#current.batches;
  }

  /** The indices of every batch of a pass. */
  #batches(pass: Pass): Iterable<readonly number[]> {
    const stream = new Generator(pass.seed);
    if (this.batchSampler !== undefined) return drawFrom(stream, this.batchSampler);
    const source = this.dataset as Dataset<S>;
    const size = this.batchSize ?? 1;
    if (this.sampler !== undefined) {
      return drawFrom(stream, new BatchSampler(this.sampler, size, this.dropLast));
    }
    const sampler = this.#shuffle
      ? new RandomSampler(source, { generator: stream })
      : new SequentialSampler(source);
    return new BatchSampler(sampler, size, this.dropLast);
  }

  /** A function for each batch of a pass that loads it. */
  *#fetches(pass: Pass): Iterable<() => unknown> {
    let number = 0;
    if (!isMapStyle(this.dataset)) {
      const stream = checkSync(this.dataset);
      const groups = grouped(stream, this.batchSize ?? 1, this.dropLast);
      for (const group of drawFrom(new Generator(pass.seed), groups)) {
        if (number++ >= pass.skip) yield () => this.#finish(group);
      }
      return;
    }
    for (const indices of this.#batches(pass)) {
      const at = number++;
      if (at < pass.skip) continue;
      yield () => withBatchStream(pass.seed, at, () => this.#fetcher.fetch(indices));
    }
  }

  async *#asyncStream(pass: Pass): AsyncIterable<() => unknown> {
    const source = this.dataset as Stream;
    if (typeof source[Symbol.asyncIterator] !== 'function') {
      yield* this.#fetches(pass);
      return;
    }
    let number = 0;
    for await (const group of groupedAsync(source, this.batchSize ?? 1, this.dropLast)) {
      if (number++ >= pass.skip) yield () => this.#finish(group);
    }
  }

  #finish(samples: unknown[]): unknown {
    return this.batchSize === null
      ? this.#fetcher.convert(samples[0])
      : this.#fetcher.collate(samples);
  }
}

function checkSync(source: unknown): Iterable<unknown> {
  if (typeof (source as Iterable<unknown>)[Symbol.iterator] === 'function') {
    return source as Iterable<unknown>;
  }
  throw makeError('ERR_TYPE', 'DataLoader: this dataset is asynchronous; iterate with `for await`');
}

/** The samples of a stream in groups of `size`. */
function* grouped(stream: Iterable<unknown>, size: number, dropLast: boolean): Iterable<unknown[]> {
  let group: unknown[] = [];
  for (const sample of stream) {
    group.push(sample);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0 && !dropLast) yield group;
}

async function* groupedAsync(
  stream: AsyncIterable<unknown>,
  size: number,
  dropLast: boolean,
): AsyncIterable<unknown[]> {
  let group: unknown[] = [];
  for await (const sample of stream) {
    group.push(sample);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0 && !dropLast) yield group;
}

/** Iterates so that what `source` draws comes from `stream`. */
function* drawFrom<T>(stream: Generator, source: Iterable<T>): Iterable<T> {
  const iterator = stream.use(() => source[Symbol.iterator]());
  let finished = false;
  try {
    for (;;) {
      const result = stream.use(() => iterator.next());
      if (result.done === true) {
        finished = true;
        return;
      }
      yield result.value;
    }
  } finally {
    if (!finished) iterator.return?.();
  }
}
