/** Orders in which a loader visits the samples of a dataset. */
import { makeError } from '../errors';
import { rand, randint } from '../ops.gen';
import { Tensor } from '../tensor';
import { Generator, drawSeed, type RandomOptions, readGenerator } from './generator';
import { checkBoolean, checkIndices, checkInteger, checkKeys, describe } from './options';

/** Something with a length: a dataset, an array. */
export interface Sized {
  readonly length: number;
}

/** A repeatable sequence of indices; each iteration is a pass. PyTorch: `Sampler`. */
export abstract class Sampler<T = number> implements Iterable<T> {
  abstract get length(): number;

  abstract [Symbol.iterator](): Iterator<T>;
}

function checkSized(where: string, value: unknown): asserts value is Sized {
  const length = (value as Partial<Sized> | null | undefined)?.length;
  if (typeof length === 'number') return;
  throw makeError(
    'ERR_TYPE',
    `${where}: the data source must have a length, got ${describe(value)}`,
  );
}

/** 0, 1, 2, ... PyTorch: `SequentialSampler`. */
export class SequentialSampler extends Sampler {
  readonly dataSource: Sized;

  constructor(dataSource: Sized) {
    super();
    checkSized('SequentialSampler', dataSource);
    this.dataSource = dataSource;
  }

  get length(): number {
    return this.dataSource.length;
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let i = 0; i < this.dataSource.length; ++i) yield i;
  }
}

export interface RandomSamplerOptions extends RandomOptions {
  /** Draw each index independently of the others. Default false: permutations. */
  readonly replacement?: boolean;
  /** How many indices a pass has. Default: the length of the data source. */
  readonly numSamples?: number | undefined;
}

/** A fresh random order for every pass. PyTorch: `RandomSampler`. */
export class RandomSampler extends Sampler {
  readonly dataSource: Sized;
  readonly replacement: boolean;
  readonly generator: Generator | undefined;
  readonly #numSamples: number | undefined;

  constructor(dataSource: Sized, options: RandomSamplerOptions = {}) {
    super();
    const where = 'RandomSampler';
    checkSized(where, dataSource);
    checkKeys(where, options, ['replacement', 'numSamples', 'generator', 'seed']);
    this.dataSource = dataSource;
    this.replacement = checkBoolean(where, 'replacement', options.replacement ?? false);
    this.generator = readGenerator(where, options);
    if (options.numSamples !== undefined) {
      this.#numSamples = checkInteger(where, 'numSamples', options.numSamples, 1);
    }
  }

  get length(): number {
    return this.#numSamples ?? this.dataSource.length;
  }

  *[Symbol.iterator](): Iterator<number> {
    const generator = this.generator ?? new Generator(drawSeed());
    const n = this.dataSource.length;
    const total = this.length;
    if (n === 0) {
      if (total === 0) return;
      throw makeError('ERR_VALUE', 'RandomSampler: the data source is empty');
    }
    if (this.replacement) {
      const drawn = generator.use(() => randint(0, n, [total]).dataSync()) as BigInt64Array;
      for (const i of drawn) yield Number(i);
      return;
    }
    for (let left = total; left > 0; left -= n) {
      const order = generator.permutation(n);
      yield* left >= n ? order : order.slice(0, left);
    }
  }
}

/** The given indices in a fresh random order for every pass. PyTorch: `SubsetRandomSampler`. */
export class SubsetRandomSampler extends Sampler {
  readonly indices: readonly number[];
  readonly generator: Generator | undefined;

  constructor(indices: ArrayLike<number>, options: RandomOptions = {}) {
    super();
    checkKeys('SubsetRandomSampler', options, ['generator', 'seed']);
    this.indices = checkIndices('SubsetRandomSampler', 'indices', indices);
    this.generator = readGenerator('SubsetRandomSampler', options);
  }

  get length(): number {
    return this.indices.length;
  }

  *[Symbol.iterator](): Iterator<number> {
    const generator = this.generator ?? new Generator(drawSeed());
    for (const i of generator.permutation(this.indices.length)) yield this.indices[i] as number;
  }
}

export interface WeightedRandomSamplerOptions extends RandomOptions {
  /** Default true. Without it an index comes at most once. */
  readonly replacement?: boolean;
}

/**
 * Indices drawn with probabilities proportional to weights, which need not add up to one. PyTorch:
 * `WeightedRandomSampler`.
 */
export class WeightedRandomSampler extends Sampler {
  readonly weights: Float64Array;
  readonly numSamples: number;
  readonly replacement: boolean;
  readonly generator: Generator | undefined;

  constructor(
    weights: ArrayLike<number> | Tensor,
    numSamples: number,
    options: WeightedRandomSamplerOptions = {},
  ) {
    super();
    const where = 'WeightedRandomSampler';
    checkKeys(where, options, ['replacement', 'generator', 'seed']);
    this.weights = readWeights(weights);
    this.numSamples = checkInteger(where, 'numSamples', numSamples, 1);
    this.replacement = checkBoolean(where, 'replacement', options.replacement ?? true);
    this.generator = readGenerator(where, options);
    const positive = this.weights.reduce((n, w) => n + (w > 0 ? 1 : 0), 0);
    if (positive === 0 || (!this.replacement && positive < this.numSamples)) {
      throw makeError(
        'ERR_VALUE',
        `${where}: ${String(this.numSamples)} samples ` +
          `${this.replacement ? '' : 'without replacement '}need ` +
          `${this.replacement ? 'a' : 'as many'} positive weight${this.replacement ? '' : 's'}, ` +
          `got ${String(positive)}`,
      );
    }
  }

  get length(): number {
    return this.numSamples;
  }

  *[Symbol.iterator](): Iterator<number> {
    const generator = this.generator ?? new Generator(drawSeed());
    const draws = this.replacement ? this.numSamples : this.weights.length;
    const u = generator.use(() => rand([draws], { dtype: 'float64' }).dataSync()) as Float64Array;
    yield* this.replacement ? this.#withReplacement(u) : this.#without(u);
  }

  /** Inverse of the cumulative distribution. */
  *#withReplacement(u: Float64Array): IterableIterator<number> {
    let total = 0;
    const ends = this.weights.map((w) => (total += w));
    for (const x of u) {
      const point = x * total;
      let low = 0;
      let high = ends.length - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((ends[middle] as number) > point) high = middle;
        else low = middle + 1;
      }
      yield low;
    }
  }

  /** The first of independent exponential clocks with the weights as rates. */
  *#without(u: Float64Array): IterableIterator<number> {
    const times = u.map((x, i) => -Math.log1p(-x) / (this.weights[i] as number));
    const order = Array.from(times.keys()).filter((i) => (this.weights[i] as number) > 0);
    order.sort((a, b) => (times[a] as number) - (times[b] as number) || a - b);
    yield* order.slice(0, this.numSamples);
  }
}

function readWeights(weights: ArrayLike<number> | Tensor): Float64Array {
  const where = 'WeightedRandomSampler';
  if (weights instanceof Tensor && weights.ndim !== 1) {
    throw makeError(
      'ERR_SHAPE',
      `${where}: weights must have one dimension, got shape [${weights.shape.join(', ')}]`,
    );
  }
  const list: unknown = weights instanceof Tensor ? weights.toArray() : weights;
  if (!Array.isArray(list) && !ArrayBuffer.isView(list)) {
    throw makeError('ERR_TYPE', `${where}: weights must be numbers, got ${describe(list)}`);
  }
  return Float64Array.from(list as ArrayLike<number>, (w) => {
    if (typeof w === 'number' && w >= 0 && w < Infinity) return w;
    throw makeError(
      typeof w === 'number' ? 'ERR_VALUE' : 'ERR_TYPE',
      `${where}: weights must be finite numbers of at least 0, got ${describe(w)}`,
    );
  });
}

/** Groups the indices of another sampler. PyTorch: `BatchSampler`. */
export class BatchSampler extends Sampler<number[]> {
  readonly sampler: Iterable<number>;
  readonly batchSize: number;
  readonly dropLast: boolean;

  constructor(sampler: Iterable<number>, batchSize: number, dropLast = false) {
    super();
    const where = 'BatchSampler';
    if (typeof (sampler as Iterable<number> | undefined)?.[Symbol.iterator] !== 'function') {
      throw makeError('ERR_TYPE', `${where}: sampler must be iterable, got ${describe(sampler)}`);
    }
    this.sampler = sampler;
    this.batchSize = checkInteger(where, 'batchSize', batchSize, 1);
    this.dropLast = checkBoolean(where, 'dropLast', dropLast);
  }

  /** @throws TypeError ERR_TYPE if the sampler does not know its length. */
  get length(): number {
    checkSized('BatchSampler.length', this.sampler);
    const n = this.sampler.length / this.batchSize;
    return this.dropLast ? Math.floor(n) : Math.ceil(n);
  }

  *[Symbol.iterator](): Iterator<number[]> {
    let batch: number[] = [];
    for (const index of this.sampler) {
      batch.push(index);
      if (batch.length < this.batchSize) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0 && !this.dropLast) yield batch;
  }
}

export interface DistributedSamplerOptions {
  /** Number of processes. */
  readonly numReplicas: number;
  /** Number of this process, from 0. */
  readonly rank: number;
  /** Default true. */
  readonly shuffle?: boolean;
  /** Must be equal in all processes. Default 0. */
  readonly seed?: number;
  /** Drop the tail so that all get equally many; else the first samples are repeated. Default false. */
  readonly dropLast?: boolean;
}

/** The share of one process; call `setEpoch` before every pass. PyTorch: `DistributedSampler`. */
export class DistributedSampler extends Sampler {
  readonly dataset: Sized;
  readonly numReplicas: number;
  readonly rank: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly dropLast: boolean;
  epoch = 0;

  constructor(dataset: Sized, options: DistributedSamplerOptions) {
    super();
    const where = 'DistributedSampler';
    checkSized(where, dataset);
    checkKeys(where, options, ['numReplicas', 'rank', 'shuffle', 'seed', 'dropLast']);
    this.dataset = dataset;
    this.numReplicas = checkInteger(where, 'numReplicas', options.numReplicas, 1);
    this.rank = checkInteger(where, 'rank', options.rank, 0);
    if (this.rank >= this.numReplicas) {
      throw makeError(
        'ERR_VALUE',
        `${where}: 'rank' must be less than ${String(this.numReplicas)}, got ${String(this.rank)}`,
      );
    }
    this.shuffle = checkBoolean(where, 'shuffle', options.shuffle ?? true);
    this.seed = checkInteger(where, 'seed', options.seed ?? 0, 0);
    this.dropLast = checkBoolean(where, 'dropLast', options.dropLast ?? false);
  }

  get length(): number {
    const n = this.dataset.length / this.numReplicas;
    return this.dropLast ? Math.floor(n) : Math.ceil(n);
  }

  /** Makes the next pass a new permutation, the same in all processes. */
  setEpoch(epoch: number): void {
    this.epoch = checkInteger('DistributedSampler.setEpoch', 'epoch', epoch, 0);
  }

  *[Symbol.iterator](): Iterator<number> {
    const n = this.dataset.length;
    const order = this.shuffle ? new Generator(this.seed + this.epoch).permutation(n) : undefined;
    for (let k = 0; k < this.length; ++k) {
      const at = (k * this.numReplicas + this.rank) % n;
      yield order === undefined ? at : (order[at] as number);
    }
  }
}
