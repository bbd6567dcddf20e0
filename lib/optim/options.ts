/**
 * Options of optimizers and schedulers as data: a default and a check per name, so that every class
 * rejects unknown names and meaningless values in the same words.
 */
import { suggest } from '../call';
import { makeError } from '../errors';
import { Tensor } from '../tensor';

/** Returns what the value must be, or nothing when it is fine. */
export type OptionCheck = (value: unknown) => string | undefined;

export interface OptionSpec {
  readonly default: unknown;
  readonly check: OptionCheck;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** How a value appears in messages. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `string "${value}"`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return `${typeof value} ${String(value)}`;
  }
  if (value instanceof Tensor) return `a Tensor of shape [${value.shape.join(', ')}]`;
  if (Array.isArray(value)) return `[${value.map((v) => String(v)).join(', ')}]`;
  if (value === null || value === undefined) return String(value);
  return typeof value === 'function' ? 'a function' : 'an object';
}

const isNumber = (v: unknown): v is number => typeof v === 'number' && !Number.isNaN(v);

/** A number for which `test` holds; `what` says so in words. */
export function number(fallback: unknown, what: string, test: (v: number) => boolean): OptionSpec {
  return {
    default: fallback,
    check: (v) => (isNumber(v) && test(v) ? undefined : what),
  };
}

export function nonNegative(fallback: number): OptionSpec {
  return number(fallback, 'a number >= 0', (v) => v >= 0);
}

export function anyNumber(fallback: number): OptionSpec {
  return number(fallback, 'a number', () => true);
}

/** A learning rate: a number >= 0, or a Tensor that holds one. */
export function learningRate(fallback: number): OptionSpec {
  return {
    default: fallback,
    check: (v) =>
      (v instanceof Tensor && v.numel() === 1) || (isNumber(v) && v >= 0)
        ? undefined
        : 'a number >= 0 (or a Tensor with one)',
  };
}

/** A probability-like number in [0, 1). */
export function fraction(fallback: number): OptionSpec {
  return number(fallback, 'a number in [0, 1)', (v) => v >= 0 && v < 1);
}

/** Pairs of numbers. */
export function pair(
  fallback: readonly [unknown, unknown],
  what: string,
  test: (a: number, b: number) => boolean,
): OptionSpec {
  return {
    default: fallback,
    check: (v) =>
      Array.isArray(v) && v.length === 2 && isNumber(v[0]) && isNumber(v[1]) && test(v[0], v[1])
        ? undefined
        : what,
  };
}

export function betas(first: number, second: number): OptionSpec {
  return pair(
    [first, second],
    'two numbers in [0, 1)',
    (a, b) => a >= 0 && a < 1 && b >= 0 && b < 1,
  );
}

export function flag(fallback: boolean): OptionSpec {
  return {
    default: fallback,
    check: (v) => (typeof v === 'boolean' ? undefined : 'a boolean'),
  };
}

/** An option with one possible value. */
export function fixed(value: unknown, what: string): OptionSpec {
  return { default: value, check: (v) => (v === value ? undefined : what) };
}

/**
 * PyTorch's choice between implementations. Every step here is one fused multi-tensor call, so the
 * value is kept, for state dicts, and changes nothing.
 */
export const implementation: OptionSpec = {
  default: null,
  check: (v) => (v === null || typeof v === 'boolean' ? undefined : 'a boolean or null'),
};

/** Steps are not recorded for differentiation. */
export const notDifferentiable: OptionSpec = {
  default: false,
  check: (v) => (v === false ? undefined : 'false: steps cannot be differentiated'),
};

/** Rejects unknown names and wrong values. Names in `also` are let through. */
export function checkOptions(
  where: string,
  options: Readonly<Record<string, unknown>>,
  specs: OptionSpecs,
  also: readonly string[] = [],
): void {
  for (const [key, value] of Object.entries(options)) {
    if (also.includes(key) || value === undefined) continue;
    const spec = Object.hasOwn(specs, key) ? specs[key] : undefined;
    if (spec === undefined) {
      const names = [...Object.keys(specs), ...also];
      throw makeError(
        'ERR_TYPE',
        `${where}: unknown option '${key}'${suggest(key, names)} (options are ${names.join(', ')})`,
      );
    }
    const expected = spec.check(value);
    if (expected !== undefined) {
      const kind = typeof value === typeof spec.default ? 'ERR_VALUE' : 'ERR_TYPE';
      throw makeError(kind, `${where}: option '${key}' must be ${expected}, got ${show(value)}`);
    }
  }
}

/** Rejects an options argument that is not a plain object, such as a number given by position. */
export function checkObject(where: string, options: unknown): void {
  if (
    typeof options !== 'object' ||
    options === null ||
    Array.isArray(options) ||
    options instanceof Tensor
  ) {
    throw makeError(
      'ERR_TYPE',
      `${where}: options must be an object such as { lr: 0.01 }, got ${show(options)}`,
    );
  }
}

/** Options with the defaults for what is missing. */
export function withDefaults(
  options: Readonly<Record<string, unknown>>,
  specs: OptionSpecs,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, spec] of Object.entries(specs)) {
    out[key] = options[key] === undefined ? spec.default : options[key];
  }
  return out;
}

/** Options that every optimizer has. */
export interface CommonOptions {
  /** Ascend instead of descend. Default false. */
  readonly maximize?: boolean;
  /** Keep float32 copies of half parameters. Default false. */
  readonly masterWeights?: boolean;
  /** Accepted as PyTorch's: every step is one native call over all parameters. */
  readonly foreach?: boolean | null;
  readonly differentiable?: false;
}

export interface CapturableOptions extends CommonOptions {
  readonly capturable?: boolean;
}

export interface FusedOptions extends CommonOptions {
  readonly fused?: boolean | null;
}

export const commonSpecs = {
  maximize: flag(false),
  foreach: implementation,
  differentiable: notDifferentiable,
  masterWeights: flag(false),
};
export const capturableSpecs = { ...commonSpecs, capturable: flag(false) };
export const fusedSpecs = { ...commonSpecs, fused: implementation };
