/** Streams of random numbers of their own, beside the generator of the environment. */
import { makeError } from '../errors';
import { randint, randperm } from '../ops.gen';
import { getRngState, manualSeed, type RngState, setRngState } from '../random';
import { describe } from './options';

/** What options named `generator` and `seed` accept together. */
export interface RandomOptions {
  /** Where random numbers come from. Default: a stream seeded from the environment's generator. */
  readonly generator?: Generator | undefined;
  /** Short for `generator: new Generator(seed)`. */
  readonly seed?: number | bigint | undefined;
}

/**
 * A random stream that others do not disturb. Random functions called inside {@link use} draw from
 * it. PyTorch: `torch.Generator`.
 */
export class Generator {
  #state: RngState;

  /** @param seed default: drawn from the generator of the environment. */
  constructor(seed?: number | bigint) {
    this.#state = stateOf(seed ?? drawSeed());
  }

  /** Restarts from `seed`. */
  manualSeed(seed: number | bigint): this {
    this.#state = stateOf(seed);
    return this;
  }

  initialSeed(): bigint {
    return this.#state.seed;
  }

  getState(): RngState {
    return this.#state;
  }

  setState(state: RngState): this {
    if (typeof state?.seed !== 'bigint' || typeof state.offset !== 'bigint') {
      throw makeError('ERR_TYPE', 'Generator.setState: argument must be what getState() returned');
    }
    this.#state = { seed: state.seed, offset: state.offset };
    return this;
  }

  /** Runs a synchronous `fn` with this stream in the place of the environment's generator. */
  use<T>(fn: () => T): T {
    const outer = getRngState();
    setRngState(this.#state);
    try {
      return fn();
    } finally {
      this.#state = getRngState();
      setRngState(outer);
    }
  }

  /** The integers 0 to n-1 in random order. */
  permutation(n: number): Int32Array | number[] {
    return this.use(() => permutation(n));
  }
}

/** The state of a generator that was just seeded; the native side checks the seed. */
function stateOf(seed: number | bigint): RngState {
  const outer = getRngState();
  try {
    manualSeed(seed);
    return getRngState();
  } finally {
    setRngState(outer);
  }
}

/** A seed from the generator of the environment: always one draw, whatever it is used for. */
export function drawSeed(): number {
  return Number(randint(0, Number.MAX_SAFE_INTEGER, [1]).item());
}

function permutation(n: number): Int32Array | number[] {
  if (n < 2 ** 31) return randperm(n, { dtype: 'int32' }).dataSync() as Int32Array;
  return Array.from(randperm(n).dataSync() as BigInt64Array, Number);
}

/** Reads `generator` and `seed`; undefined when neither is given. */
export function readGenerator(where: string, options: RandomOptions): Generator | undefined {
  const { generator, seed } = options;
  if (generator !== undefined && generator !== null) {
    if (seed !== undefined && seed !== null) {
      throw makeError('ERR_VALUE', `${where}: give 'generator' or 'seed', not both`);
    }
    if (generator instanceof Generator) return generator;
    throw makeError(
      'ERR_TYPE',
      `${where}: 'generator' must be a Generator, got ${describe(generator)}`,
    );
  }
  if (seed === undefined || seed === null) return undefined;
  const fits =
    typeof seed === 'bigint'
      ? seed >= 0n && seed < 2n ** 64n
      : Number.isSafeInteger(seed) && seed >= 0;
  if (fits) return new Generator(seed);
  throw makeError(
    typeof seed === 'number' || typeof seed === 'bigint' ? 'ERR_VALUE' : 'ERR_TYPE',
    `${where}: 'seed' must be an integer of at least 0, got ${describe(seed)}`,
  );
}
