/**
 * What a sample is. A family file gives, for each op, a function from a source of inputs to a list
 * of samples; inputs are described, not made, so that the suite can make them in every dtype and
 * memory layout, and hand them to reference implementations.
 */
import type { DType } from '../../../lib';
import { type Nd, sizeOf } from './nd';
import { Random } from './random';

export interface InputOptions {
  /** Range of values. Default [-2, 2]. */
  readonly low?: number;
  readonly high?: number;
  /** Range of values for integer dtypes (uint8 and bool fold it to what they hold). */
  readonly ints?: readonly [number, number];
  /** Points to keep a distance of `margin` from: kinks and poles. */
  readonly avoid?: readonly number[];
  readonly margin?: number;
  /** No two values equal (floating dtypes). */
  readonly distinct?: boolean;
  /** Whether the gradient is checked. Default true. */
  readonly grad?: boolean;
}

/** A tensor to be made in whichever dtype and layout is under test. */
export class Input {
  constructor(
    readonly shape: readonly number[],
    readonly floats: readonly number[],
    readonly integers: readonly number[],
    /** Set: always this dtype, never differentiated (indices, masks). */
    readonly dtype: DType | undefined,
    readonly grad: boolean,
  ) {}

  values(dtype: DType): readonly number[] {
    const actual = this.dtype ?? dtype;
    if (actual.includes('float')) return this.floats;
    if (actual === 'bool') return this.integers.map((v) => (v === 0 ? 0 : 1));
    return actual === 'uint8' ? this.integers.map((v) => Math.abs(v)) : this.integers;
  }
}

/** A tensor argument, a list of them, or any plain value. */
export type SampleArg = Input | readonly Input[] | unknown;

export interface Sample {
  readonly args: readonly SampleArg[];
  readonly options?: Readonly<Record<string, unknown>>;
  /** False: the gradient of this sample is not checked. */
  readonly smooth?: boolean;
  /** Only for these dtypes (an op that fills with a fraction, say). */
  readonly dtypes?: readonly DType[];
}

/** Makes the inputs of one op. */
export class Source {
  readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** A tensor of the dtype under test. */
  x(shape: readonly number[], options: InputOptions = {}): Input {
    const { low = -2, high = 2, avoid = [], margin = 0.1, grad = true } = options;
    const [lowest, highest] = options.ints ?? [-4, 4];
    const n = sizeOf(shape);
    const draw = (): number => {
      for (;;) {
        const v = this.random.uniform(low, high);
        if (avoid.every((a) => Math.abs(v - a) >= margin)) return v;
      }
    };
    const floats = options.distinct === true ? this.#spread(n, low, high) : fill(n, draw);
    const integers = fill(n, () => this.random.integer(lowest, highest));
    return new Input(shape, floats, integers, undefined, grad);
  }

  #spread(n: number, low: number, high: number): number[] {
    const step = (high - low) / Math.max(n, 1);
    return this.random.shuffle(fill(n, (i) => low + (i + 0.4 + 0.2 * this.random.next()) * step));
  }

  /** A tensor of the dtype under test with given values. */
  of(shape: readonly number[], values: readonly number[], grad = true): Input {
    return new Input(shape, values, values.map(Math.trunc), undefined, grad);
  }

  /** A tensor whose dtype does not change. */
  fixed(shape: readonly number[], values: readonly number[], dtype: DType): Input {
    return new Input(shape, values, values, dtype, false);
  }

  /** Indices in [low, n). */
  index(shape: readonly number[], n: number, low = 0): Input {
    return this.fixed(
      shape,
      fill(sizeOf(shape), () => this.random.integer(low, n - 1)),
      'int64',
    );
  }

  mask(shape: readonly number[]): Input {
    return this.fixed(
      shape,
      fill(sizeOf(shape), () => this.random.integer(0, 1)),
      'bool',
    );
  }
}

function fill(n: number, at: (i: number) => number): number[] {
  return Array.from({ length: n }, (_, i) => at(i));
}

/**
 * What a reference gets: Nd for tensors, lists of Nd, other values as they are, then the options
 * (in which `dtype` is the dtype under test).
 */
export type Reference = (...args: never[]) => Nd | readonly Nd[] | number | boolean;

export interface OpSpec {
  /**
   * A row that is only called by another op, with arguments that op prepares: the ops whose
   * samples run it, or the test folder that does. Such a row needs no samples of its own.
   */
  readonly coveredBy?: string;
  readonly samples: (s: Source) => readonly Sample[];
  /** An independent implementation in plain JavaScript. */
  readonly reference?: Reference;
  /** The reference also answers for NaN and infinities. Needs a reference. */
  readonly special?: boolean;
  /**
   * Without `special`: whether a NaN in the first input shows in the output, or is an error.
   * Default 'some'.
   */
  readonly nan?: 'some' | 'none' | 'refused';
  /** Results depend on the generator; values are not compared. */
  readonly random?: boolean;
  /** Memory is not initialised: only shape and dtype count. */
  readonly uninitialised?: boolean;
  /** Integers and bool compute in float32 although they are not in the declared set. */
  readonly promotesIntegers?: boolean;
  /** Which outputs differentiate; default: the floating ones. */
  readonly outputs?: readonly number[];
  /** Reason why a check does not apply. */
  readonly skip?: {
    readonly zeroDim?: string;
    readonly empty?: string;
    readonly gradient?: string;
    readonly second?: string;
    readonly expanded?: string;
    readonly halves?: string;
    readonly inplace?: string;
    readonly layouts?: string;
  };
  /** dtypes outside the declared set that promote to one inside (bool to int64). */
  readonly promotes?: readonly DType[];
  /** Wider tolerance for some dtypes, with the reason in a comment beside it. */
  readonly tolerance?: Partial<Record<DType, readonly [number, number]>>;
}

export type Family = Readonly<Record<string, OpSpec>>;
