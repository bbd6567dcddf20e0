/**
 * Draws from distributions beyond the uniform and the normal one. All read the generator that
 * manualSeed sets; the in-place forms fill their tensor and return it.
 */
import { suggest } from '../call';
import { noGrad } from '../autograd';
import type { Device, DType } from '../dtype';
import { makeError } from '../errors';
import { emptyLike, randint, randn } from '../ops.gen';
import { defineMethod, Tensor } from '../tensor';

function fail(code: 'ERR_TYPE' | 'ERR_VALUE' | 'ERR_DTYPE' | 'ERR_SHAPE', text: string): Error {
  return makeError(code, text);
}

function checkTensor(name: string, argument: string, value: unknown): asserts value is Tensor {
  if (value instanceof Tensor) return;
  throw fail('ERR_TYPE', `${name}: argument '${argument}' must be a Tensor, got ${typeof value}`);
}

function number(name: string, argument: string, value: unknown): number {
  if (typeof value === 'number') return value;
  throw fail('ERR_TYPE', `${name}: argument '${argument}' must be a number, got ${typeof value}`);
}

/** Reads values by position, then an options object, into `defaults`. */
function read<T extends Record<string, unknown>>(
  name: string,
  defaults: T,
  args: readonly unknown[],
): T {
  const out: Record<string, unknown> = { ...defaults };
  const names = Object.keys(defaults);
  args.forEach((value, i) => {
    const isLast = i === args.length - 1;
    const plain = typeof value === 'object' && value !== null && !(value instanceof Tensor);
    if (isLast && plain && !Array.isArray(value)) {
      for (const [key, v] of Object.entries(value)) {
        if (!names.includes(key)) {
          const known = `options are ${names.join(', ')}`;
          throw fail(
            'ERR_TYPE',
            `${name}: unknown option '${key}'${suggest(key, names)} (${known})`,
          );
        }
        if (v !== undefined) out[key] = v;
      }
    } else if (i >= names.length) {
      throw fail(
        'ERR_TYPE',
        `${name}: takes at most ${names.length} arguments, got ${args.length}`,
      );
    } else if (value !== undefined) out[names[i] as string] = value;
  });
  return out as T;
}

function checkFloating(name: string, x: Tensor): void {
  if (x.isFloatingPoint()) return;
  throw fail(
    'ERR_DTYPE',
    `${name}: not implemented for ${x.dtype}; expected a floating point dtype`,
  );
}

/** Uniform numbers in (0, 1), float64: none of them is 0, so that logarithms are finite. */
function unit(like: Tensor): Tensor {
  return emptyLike(like, { dtype: 'float64' }).uniform_(0, 1).mul(-1).add(1);
}

/** Writes `draw` over `self`, unless that is a leaf that needs gradients. */
function fill<T extends Tensor>(self: T, draw: () => Tensor): T {
  const values = noGrad(draw);
  self.copy_(values.to(self.dtype));
  return self;
}

/** Zeros and ones, 1 with the probability that `input` holds, or `p`. */
export function bernoulli(input: Tensor, p?: number | { readonly p?: number }): Tensor {
  checkTensor('bernoulli', 'input', input);
  const given = read('bernoulli', { p: null as number | null }, p === undefined ? [] : [p]).p;
  if (given !== null) return emptyLike(input).bernoulli_(number('bernoulli', 'p', given));
  checkFloating('bernoulli', input);
  checkProbabilities('bernoulli', input);
  return noGrad(() => unit(input).le(input.double()).to(input.dtype));
}

function checkProbabilities(name: string, p: Tensor): void {
  if (p.numel() === 0 || noGrad(() => p.ge(0).logicalAnd(p.le(1)).all().item())) return;
  throw fail('ERR_VALUE', `${name}: expected all probabilities to be in [0, 1]`);
}

export interface MultinomialOptions {
  /** Draw each position any number of times. Default false. */
  readonly replacement?: boolean | undefined;
}

function checkWeights(input: Tensor, count: number, replacement: boolean): void {
  const name = 'multinomial';
  checkFloating(name, input);
  if (input.ndim < 1 || input.ndim > 2 || input.size(-1) === 0) {
    const got = `[${input.shape.join(', ')}]`;
    throw fail('ERR_SHAPE', `${name}: argument 'input' must be [N] or [rows, N], got ${got}`);
  }
  if (!Number.isSafeInteger(count) || count <= 0) {
    throw fail('ERR_VALUE', `${name}: cannot sample numSamples <= 0 samples, got ${String(count)}`);
  }
  if (!replacement && count > input.size(-1)) {
    throw fail(
      'ERR_VALUE',
      `${name}: cannot sample ${count} of ${input.size(-1)} positions without replacement`,
    );
  }
  if (input.numel() === 0) return;
  const proper = input.ge(0).logicalAnd(input.isfinite()).all().item();
  if (!proper) {
    throw fail('ERR_VALUE', `${name}: probability tensor contains either inf, nan or element < 0`);
  }
  if (input.double().sum(-1).le(0).any().item()) {
    throw fail(
      'ERR_VALUE',
      `${name}: invalid multinomial distribution (sum of probabilities <= 0)`,
    );
  }
}

/**
 * Positions of the last dimension, drawn with the weights `input`. Without replacement each row's
 * positions are those of the largest weight / exponential number, as in PyTorch.
 */
export function multinomial(
  input: Tensor,
  numSamples: number,
  replacement?: boolean | MultinomialOptions,
): Tensor {
  checkTensor('multinomial', 'input', input);
  const args = replacement === undefined ? [] : [replacement];
  const again = read('multinomial', { replacement: false }, args).replacement;
  if (typeof again !== 'boolean') {
    throw fail('ERR_TYPE', "multinomial: argument 'replacement' must be a boolean");
  }
  return noGrad(() => {
    checkWeights(input, numSamples, again);
    const weights = input.double();
    if (!again) return weights.div(unit(weights).log().neg()).topk(numSamples, -1).indices;
    const bounds = weights.cumsum(-1);
    const total = bounds.narrow(-1, bounds.size(-1) - 1, 1);
    const shape = [...input.shape.slice(0, -1), numSamples];
    const draws = weights.newEmpty(shape).uniform_(0, 1).mul(total);
    // The first position whose bound exceeds the draw.
    return bounds.unsqueeze(-2).le(draws.unsqueeze(-1)).sum(-1);
  });
}

export interface NormalOptions {
  readonly dtype?: DType | null | undefined;
  readonly device?: Device | null | undefined;
}

/** Normal numbers of given means and deviations, one for each element, or of a given size. */
export function normal(mean: Tensor, std?: Tensor | number): Tensor;
export function normal(mean: number, std: Tensor): Tensor;
export function normal(
  mean: number,
  std: number,
  size: number | readonly number[],
  options?: NormalOptions,
): Tensor;
export function normal(mean: unknown, std?: unknown, size?: unknown, options?: unknown): Tensor {
  const named = typeof std === 'object' && std !== null && !(std instanceof Tensor);
  const deviation = named ? ((std as { std?: unknown }).std ?? 1) : (std ?? 1);
  if (deviation instanceof Tensor || mean instanceof Tensor) {
    return normalLike(mean, deviation);
  }
  const sizes = typeof size === 'number' ? [size] : size;
  if (!Array.isArray(sizes)) throw fail('ERR_TYPE', "normal: argument 'size' must be a list");
  const center = number('normal', 'mean', mean);
  const spread = number('normal', 'std', deviation);
  return randn(sizes as number[], (options ?? {}) as NormalOptions).normal_(center, spread);
}

function normalLike(mean: unknown, std: unknown): Tensor {
  if (std instanceof Tensor) {
    checkFloating('normal', std);
    if (std.numel() > 0 && !noGrad(() => std.ge(0).all().item())) {
      throw fail('ERR_VALUE', 'normal: expects all elements of std >= 0.0');
    }
  } else if (number('normal', 'std', std) < 0) {
    throw fail('ERR_VALUE', `normal: expects std >= 0.0, but found std ${String(std)}`);
  }
  if (mean instanceof Tensor) checkFloating('normal', mean);
  else number('normal', 'mean', mean);
  return noGrad(() => {
    const base = mean instanceof Tensor ? mean : (std as Tensor);
    const shape = std instanceof Tensor ? base.add(std.mul(0)) : base;
    const draws = emptyLike(shape, { dtype: base.dtype }).normal_();
    return draws
      .mul(std as Tensor)
      .add(mean as Tensor)
      .to(base.dtype);
  });
}

/** Integers in [low, high) in the shape and dtype of `input`; `low` is 0 when it is left out. */
export function randintLike(input: Tensor, high: number, options?: NormalOptions): Tensor;
export function randintLike(
  input: Tensor,
  low: number,
  high: number,
  options?: NormalOptions,
): Tensor;
export function randintLike(input: Tensor, ...args: unknown[]): Tensor {
  checkTensor('randintLike', 'input', input);
  const last = args[args.length - 1];
  const options = typeof last === 'object' && last !== null ? (args.pop() as object) : {};
  const bounds = args.length === 1 ? [0, ...args] : args;
  const [low, high] = bounds.map((v, i) => number('randintLike', i === 0 ? 'low' : 'high', v));
  if (low === undefined || high === undefined || bounds.length > 2) {
    throw fail('ERR_TYPE', 'randintLike: expected the arguments input, [low,] high');
  }
  const like = { dtype: input.dtype, device: input.device, ...options };
  return randint(low, high, [...input.shape], like);
}

type Draw = (self: Tensor, args: readonly unknown[]) => Tensor;

const draws: Readonly<Record<string, Draw>> = {
  exponential_(self, args) {
    const { lambd } = read('exponential_', { lambd: 1 }, args);
    checkFloating('exponential_', self);
    if (!(number('exponential_', 'lambd', lambd) > 0)) {
      throw fail('ERR_VALUE', `exponential_: expects lambda > 0.0, but found lambda=${lambd}`);
    }
    return unit(self).log().div(-lambd);
  },
  geometric_(self, args) {
    const { p } = read('geometric_', { p: NaN }, args);
    if (!(number('geometric_', 'p', p) > 0 && p < 1)) {
      throw fail('ERR_VALUE', `geometric_: expects p to be in (0, 1), but got p=${p}`);
    }
    return unit(self).log().div(Math.log1p(-p)).ceil().clampMin(1);
  },
  cauchy_(self, args) {
    const { median, sigma } = read('cauchy_', { median: 0, sigma: 1 }, args);
    checkFloating('cauchy_', self);
    if (!(number('cauchy_', 'sigma', sigma) > 0)) {
      throw fail('ERR_VALUE', `cauchy_: expects sigma > 0.0, but found sigma=${sigma}`);
    }
    const angle = unit(self).sub(0.5).mul(Math.PI);
    return angle
      .tan()
      .mul(sigma)
      .add(number('cauchy_', 'median', median));
  },
  logNormal_(self, args) {
    const { mean, std } = read('logNormal_', { mean: 1, std: 2 }, args);
    checkFloating('logNormal_', self);
    if (!(number('logNormal_', 'std', std) > 0)) {
      throw fail('ERR_VALUE', `logNormal_: expects std > 0.0, but found std=${std}`);
    }
    const base = emptyLike(self, { dtype: 'float64' });
    return base.normal_(number('logNormal_', 'mean', mean), std).exp();
  },
  random_(self, args) {
    const bounds = args.length === 1 && typeof args[0] === 'number' ? [0, args[0]] : args;
    const { from, to } = read('random_', { from: 0, to: null as number | null }, bounds);
    const high = to ?? largestStep(self.dtype) + 1;
    return randint(from, high, [...self.shape], { dtype: self.dtype, device: self.device });
  },
};

/** The largest integer such that it and all below it are numbers of the dtype. */
function largestStep(dtype: DType): number {
  const bits: Readonly<Partial<Record<DType, number>>> = {
    bool: 1,
    uint8: 8,
    int8: 7,
    int16: 15,
    int32: 31,
    float16: 11,
    bfloat16: 8,
    float32: 24,
  };
  return 2 ** (bits[dtype] ?? 53) - 1;
}

declare module '../tensor' {
  interface Tensor {
    /** See {@link bernoulli}. */
    bernoulli(p?: number): Tensor;
    /** See {@link multinomial}. */
    multinomial(numSamples: number, replacement?: boolean | MultinomialOptions): Tensor;
    /** Fills with exponential numbers of rate `lambd` (default 1). */
    exponential_(lambd?: number | { readonly lambd?: number }): this;
    /** Fills with the number of trials up to the first success, of probability `p`. */
    geometric_(p: number): this;
    /** Fills with Cauchy numbers. */
    cauchy_(median?: number, sigma?: number): this;
    /** Fills with exponentials of normal numbers; the defaults are mean 1, std 2. */
    logNormal_(mean?: number, std?: number): this;
    /** Fills with integers in [from, to), or up to what the dtype holds exactly. */
    random_(from?: number, to?: number | null): this;
  }
}

for (const [name, draw] of Object.entries(draws)) {
  defineMethod(name, function (this: Tensor, ...args: unknown[]) {
    return fill(this, () => draw(this, args));
  });
}
defineMethod('bernoulli', function (this: Tensor, ...args: unknown[]) {
  return (bernoulli as (...all: unknown[]) => Tensor)(this, ...args);
});
defineMethod('multinomial', function (this: Tensor, ...args: unknown[]) {
  return (multinomial as (...all: unknown[]) => Tensor)(this, ...args);
});
