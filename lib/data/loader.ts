/** The DataLoader: from a dataset to batches, in order or shuffled. */
import { resolve } from 'node:path';

import { makeError } from '../errors';
import { type RngState } from '../random';
import { type Collated } from './collate';
import { ArrayDataset, type Dataset, type IterableDataset } from './dataset';
import { type CollateFn, Fetcher, withBatchStream } from './fetch';
import { grouped, groupedAsync } from './groups';
import { drawSeed, Generator, type RandomOptions, readGenerator } from './generator';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkKeys,
  checkNumber,
  describe,
} from './options';
import { pinBatch, readPinMemory } from './pin';
import { BatchSampler, type Sized } from './sampler';
import { type PoolOptions, WorkerPool, type WorkerThreadOptions } from './workers/pool';
import { type WorkerRecipe } from './workers/protocol';

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
  /** Threads that load batches; 0 loads in the calling thread. Default 0. */
  readonly numWorkers?: number | undefined;
  /**
   * The module from which a worker gets its copy of the dataset: it exports, as `dataset` or default, a
   * dataset or a function that makes one (given `workerData`), and may export `collateFn` and
   * `workerInitFn(id)`. Datasets with a `workerRecipe`, such as TensorDataset, do not need it.
   * @example workerModule: new URL('./dataset.js', import.meta.url)
   */
  readonly workerModule?: string | URL | undefined;
  /** Argument of the module's function; must be cloneable, may hold tensors. */
  readonly workerData?: unknown;
  /** Batches that each worker prepares in advance. Default 2. */
  readonly prefetchFactor?: number | undefined;
  /** Keep the workers between passes, until `close()`. Default false. */
  readonly persistentWorkers?: boolean | undefined;
  /** Milliseconds to wait for a batch of a worker; 0, the default, for ever. */
  readonly timeout?: number | undefined;
  /**
   * Put batches into memory from which copies to a GPU are faster. Without a GPU a warning and nothing
   * else. Default false.
   */
  readonly pinMemory?: boolean | undefined;
  /** Options of the worker threads. */
  readonly workerOptions?: WorkerThreadOptions | undefined;
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
  'numWorkers',
  'workerModule',
  'workerData',
  'prefetchFactor',
  'persistentWorkers',
  'timeout',
  'pinMemory',
  'workerOptions',
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

const workerOptionNames = [
  'workerModule',
  'workerData',
  'prefetchFactor',
  'persistentWorkers',
  'timeout',
  'workerOptions',
] as const;

type AnyOptions = DataLoaderOptions<unknown, unknown>;

function readRecipe(source: unknown, options: AnyOptions): WorkerRecipe {
  const { workerModule, workerData } = options;
  if (workerModule !== undefined) {
    const isUrl = workerModule instanceof URL;
    if (!isUrl && typeof workerModule !== 'string') {
      throw makeError(
        'ERR_TYPE',
        `DataLoader: option 'workerModule' must be a URL or a path, got ${describe(workerModule)}`,
      );
    }
    return { module: isUrl ? workerModule.href : resolve(workerModule), args: [workerData] };
  }
  const recipe = (source as Partial<Dataset<unknown>>).workerRecipe?.();
  if (recipe !== undefined) return recipe;
  throw makeError(
    'ERR_VALUE',
    'DataLoader: workers cannot copy this dataset (or its transforms); put what makes it into a module and ' +
      "pass that as option 'workerModule', for example new URL('./dataset.js', import.meta.url)",
  );
}

/** Settings of the workers; undefined for none. */
function readWorkers(
  source: unknown,
  options: AnyOptions,
  batching: { batchSize: number | null; dropLast: boolean },
): (PoolOptions & { readonly persistent: boolean }) | undefined {
  const where = 'DataLoader';
  const numWorkers = checkInteger(where, 'numWorkers', options.numWorkers ?? 0, 0);
  if (numWorkers === 0) {
    const given = workerOptionNames.find((name) => options[name] !== undefined);
    const idle = given === 'workerModule' || given === 'workerData' || given === 'workerOptions';
    if (given === undefined || idle || options[given] === false || options[given] === 0) {
      return undefined;
    }
    throw makeError('ERR_VALUE', `${where}: option '${given}' needs 'numWorkers' greater than 0`);
  }
  if (options.collateFn !== undefined) {
    throw makeError(
      'ERR_VALUE',
      `${where}: a function cannot be sent to workers; export 'collateFn' from the 'workerModule'`,
    );
  }
  const thread = options.workerOptions ?? {};
  checkKeys(`${where}: workerOptions`, thread, ['execArgv', 'env', 'resourceLimits']);
  return {
    numWorkers,
    prefetchFactor: checkInteger(where, 'prefetchFactor', options.prefetchFactor ?? 2, 1),
    timeout: checkNumber(where, 'timeout', options.timeout ?? 0, 0, 2 ** 31 - 1),
    persistent: checkBoolean(where, 'persistentWorkers', options.persistentWorkers ?? false),
    recipe: readRecipe(source, options),
    thread,
    ...batching,
  };
}

/** One pass over the data. */
interface Pass {
  readonly seed: bigint;
  /** Batches not to deliver, because they were before the state was saved. */
  readonly skip: number;
}

function checkExclusive(options: AnyOptions, iterable: boolean): void {
  const given = (name: keyof AnyOptions): boolean => options[name] !== undefined;
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
  readonly #workers: ReturnType<typeof readWorkers>;
  readonly #pin: boolean;
  #pool: WorkerPool | undefined;
  /** Those at work on a pass. */
  readonly #hired = new Set<WorkerPool>();
  #current: { seed: bigint; batches: number } | undefined;
  #resume: Pass | undefined;

  constructor(dataset: DataSource<S>, options: DataLoaderOptions<S, B> = {}) {
    const where = 'DataLoader';
    const source = checkSource(dataset);
    checkKeys(where, options, optionNames);
    checkExclusive(options as AnyOptions, !isMapStyle(source));
    this.dataset = source as Dataset<S>;
    const batchSize = options.batchSize === undefined ? 1 : options.batchSize;
    this.batchSize = batchSize === null ? null : checkInteger(where, 'batchSize', batchSize, 1);
    this.dropLast = checkBoolean(where, 'dropLast', options.dropLast ?? false);
    this.#shuffle = checkBoolean(where, 'shuffle', options.shuffle ?? false);
    this.#pin = readPinMemory(options.pinMemory);
    this.generator = readGenerator(where, options);
    checkIterable('sampler', options.sampler);
    checkIterable('batchSampler', options.batchSampler);
    this.sampler = options.sampler;
    this.batchSampler = options.batchSampler;
    const collate = checkFunction(where, 'collateFn', options.collateFn) as CollateFn | undefined;
    const batched = this.batchSize !== null || this.batchSampler !== undefined;
    this.#fetcher = new Fetcher(source as Dataset<unknown>, collate, batched);
    this.#workers = readWorkers(source, options as AnyOptions, {
      batchSize: batched ? (this.batchSize ?? 1) : null,
      dropLast: this.dropLast,
    });
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
    if (this.#workers !== undefined) {
      yield* this.#fromWorkers(pass);
      return;
    }
    for (const fetch of this.#fetches(pass)) {
      const batch = fetch();
      if (typeof (batch as PromiseLike<B> | null | undefined)?.then === 'function') {
        (batch as Promise<B>).then(undefined, () => undefined);
        throw makeError(
          'ERR_TYPE',
          'DataLoader: samples of this dataset are promises; iterate with `for await`',
        );
      }
      yield this.#delivered(batch as B);
    }
    this.#current = undefined;
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<B> {
    const pass = this.#begin();
    if (this.#workers !== undefined) {
      yield* this.#fromWorkersAsync(pass);
      return;
    }
    const fetches = isMapStyle(this.dataset) ? this.#fetches(pass) : this.#asyncStream(pass);
    for await (const fetch of fetches) {
      const batch = await fetch();
      yield this.#delivered(batch as B);
    }
    this.#current = undefined;
  }

  /**
   * Ends all workers; passes that wait for them fail. The loader can still be used: the next pass starts
   * new ones.
   */
  async close(): Promise<void> {
    const pools = [...this.#hired];
    if (this.#pool !== undefined) pools.push(this.#pool);
    this.#pool = undefined;
    await Promise.all(pools.map((pool) => pool.close()));
  }

  /** Workers for one pass, and what to do with them after it. */
  #hire(): { pool: WorkerPool; dismiss: () => void } {
    const options = this.#workers as NonNullable<ReturnType<typeof readWorkers>>;
    // Persistent workers serve one pass at a time; a second one at once gets its own.
    let pool = this.#pool;
    this.#pool = undefined;
    if (pool === undefined || pool.closed) pool = new WorkerPool(options);
    const hired = pool;
    this.#hired.add(hired);
    const dismiss = (): void => {
      this.#hired.delete(hired);
      const keep = options.persistent && !hired.closed && this.#pool === undefined;
      if (keep) this.#pool = hired;
      else void hired.close();
    };
    return { pool, dismiss };
  }

  *#tasks(pass: Pass): IterableIterator<readonly [number, readonly number[] | undefined]> {
    let number = 0;
    if (!isMapStyle(this.dataset)) {
      for (;;) yield [number++, undefined];
    }
    for (const indices of this.#batches(pass)) {
      const at = number++;
      if (at >= pass.skip) yield [at, indices];
    }
  }

  *#fromWorkers(pass: Pass): IterableIterator<B> {
    const { pool, dismiss } = this.#hire();
    let toSkip = isMapStyle(this.dataset) ? 0 : pass.skip;
    try {
      for (const batch of pool.run(pass.seed, this.#tasks(pass))) {
        if (toSkip-- > 0) continue;
        yield this.#delivered(batch as B);
      }
      this.#current = undefined;
    } finally {
      dismiss();
    }
  }

  async *#fromWorkersAsync(pass: Pass): AsyncIterableIterator<B> {
    const { pool, dismiss } = this.#hire();
    let toSkip = isMapStyle(this.dataset) ? 0 : pass.skip;
    try {
      for await (const batch of pool.runAsync(pass.seed, this.#tasks(pass))) {
        if (toSkip-- > 0) continue;
        yield this.#delivered(batch as B);
      }
      this.#current = undefined;
    } finally {
      dismiss();
    }
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

  #delivered(batch: B): B {
    if (this.#current !== undefined) ++this.#current.batches;
    return this.#pin ? pinBatch(batch) : batch;
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
    return slices(source.length, size, this.dropLast, this.#shuffle ? stream : undefined);
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

/**
 * The batches of a BatchSampler over a RandomSampler or SequentialSampler, without an iterator step for
 * each sample.
 */
function* slices(
  n: number,
  size: number,
  dropLast: boolean,
  stream: Generator | undefined,
): Iterable<number[]> {
  const order = stream?.permutation(n);
  const end = dropLast ? n - (n % size) : n;
  for (let at = 0; at < end; at += size) {
    const batch = new Array<number>(Math.min(size, n - at));
    for (let i = 0; i < batch.length; ++i) {
      batch[i] = order === undefined ? at + i : (order[at + i] as number);
    }
    yield batch;
  }
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
