/** From indices to a batch: the quickest of the ways a dataset offers. Workers do the same. */
import { makeError } from '../errors';
import { defaultCollate, defaultConvert } from './collate';
import { type Dataset } from './dataset';
import { type RngState, getRngState, setRngState } from '../random';
import { describe } from './options';

export type CollateFn = (samples: unknown[]) => unknown;

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}

export class Fetcher {
  readonly #dataset: Dataset<unknown>;
  readonly #collate: CollateFn | undefined;
  readonly #batched: boolean;

  /**
   * @param collate undefined for the default.
   * @param batched whether batches are made, or samples delivered one by one.
   */
  constructor(dataset: Dataset<unknown>, collate: CollateFn | undefined, batched: boolean) {
    this.#dataset = dataset;
    this.#collate = collate;
    this.#batched = batched;
  }

  /** The batch of `indices`; a promise only if the dataset or the collate function makes promises. */
  fetch(indices: readonly number[]): unknown {
    const dataset = this.#dataset;
    if (!this.#batched) {
      const sample = dataset.getItem(indices[0] as number);
      return isPromise(sample) ? sample.then((s) => this.convert(s)) : this.convert(sample);
    }
    if (this.#collate === undefined && dataset.getBatch !== undefined) {
      const batch = dataset.getBatch(indices);
      if (batch !== undefined) return batch;
    }
    const samples = this.#samples(indices);
    return isPromise(samples) ? samples.then((list) => this.collate(list)) : this.collate(samples);
  }

  /** A sample on its own, when no batches are made. */
  convert(sample: unknown): unknown {
    const convert = this.#collate as ((sample: unknown) => unknown) | undefined;
    return convert === undefined ? defaultConvert(sample) : convert(sample);
  }

  collate(samples: unknown[]): unknown {
    return this.#collate === undefined ? defaultCollate(samples) : this.#collate(samples);
  }

  #samples(indices: readonly number[]): unknown[] | PromiseLike<unknown[]> {
    const dataset = this.#dataset;
    if (dataset.getItems !== undefined) {
      const samples: unknown = dataset.getItems(indices);
      if (isPromise(samples)) return samples as PromiseLike<unknown[]>;
      if (!Array.isArray(samples) || samples.length !== indices.length) {
        throw makeError(
          'ERR_VALUE',
          `DataLoader: getItems must return an array of ${String(indices.length)} samples, ` +
            `got ${describe(samples)}`,
        );
      }
      return samples.some(isPromise) ? Promise.all(samples as unknown[]) : (samples as unknown[]);
    }
    const samples: unknown[] = [];
    for (const index of indices) {
      const sample = dataset.getItem(index);
      // One after the other from here on: random transforms then draw in the order of the samples.
      if (isPromise(sample)) return this.#inOrder(indices, samples, sample);
      samples.push(sample);
    }
    return samples;
  }

  async #inOrder(
    indices: readonly number[],
    done: readonly unknown[],
    next: PromiseLike<unknown>,
  ): Promise<unknown[]> {
    const samples = [...done, await next];
    for (const index of indices.slice(samples.length)) {
      samples.push(await (this.#dataset.getItem(index) as unknown));
    }
    return samples;
  }
}

/**
 * Runs `fn` with the random stream of batch number `index` of a pass. Random transforms so depend on
 * the pass and the position alone, not on the number of workers.
 */
export function withBatchStream<T>(seed: bigint, index: number, fn: () => T): T {
  const outer = getRngState();
  setRngState(batchStream(seed, index));
  let result: T;
  try {
    result = fn();
  } catch (error) {
    setRngState(outer);
    throw error;
  }
  if (isPromise(result)) {
    return Promise.resolve(result).finally(() => {
      setRngState(outer);
    }) as T;
  }
  setRngState(outer);
  return result;
}

/** Each batch has 2^32 counter values of its own; the first stretch belongs to the sampler. */
export function batchStream(seed: bigint, index: number): RngState {
  return { seed, offset: BigInt(index + 1) << 32n };
}
