/**
 * Reading constructor arguments: an optional run of positional values, then one options object.
 * Every option has a check that also gives its default; unknown names are rejected with a
 * suggestion, wrong kinds by a typed error that names the layer.
 */
import { suggest } from '../call';
import { type Device, type DType, isDevice, isDType } from '../dtype';
import { type ErrorCode, makeError } from '../errors';
import { Tensor } from '../tensor';

/** Checks one option of a layer; `undefined` means that it was not given. */
export type Check<T> = (layer: string, name: string, value: unknown) => T;

export type Spec = Readonly<Record<string, Check<unknown>>>;

export type Read<S extends Spec> = { readonly [K in keyof S]: ReturnType<S[K]> };

/** Placement of new parameters. */
export interface FactoryOptions {
  /** Default float32. */
  readonly dtype?: DType | null | undefined;
  /** Default the CPU. */
  readonly device?: Device | null | undefined;
}

export function show(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return `'${value}'`;
  if (value instanceof Tensor) return `a Tensor of shape [${value.shape.join(', ')}]`;
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'object') {
    const { name } = (value as { constructor?: { name?: string } }).constructor ?? {};
    return name === undefined || name === 'Object' ? 'an object' : `an object of class ${name}`;
  }
  if (typeof value === 'function') return 'a function';
  return `${typeof value} ${String(value)}`;
}

export function badArgument(
  layer: string,
  name: string,
  expected: string,
  value: unknown,
  code: ErrorCode = 'ERR_TYPE',
): Error {
  return makeError(code, `${layer}: argument '${name}' must be ${expected}, got ${show(value)}`);
}

function fallback<T>(check: Check<T>, value: T): Check<T> {
  return (layer, name, given) => (given === undefined ? value : check(layer, name, given));
}

const checkBool: Check<boolean> = (layer, name, value) => {
  if (typeof value !== 'boolean') throw badArgument(layer, name, 'a boolean', value);
  return value;
};

const checkNumber: Check<number> = (layer, name, value) => {
  if (typeof value !== 'number') throw badArgument(layer, name, 'a number', value);
  return value;
};

export function bool(value: boolean): Check<boolean> {
  return fallback(checkBool, value);
}

export function optionalBool(value: boolean | null): Check<boolean | null> {
  return (layer, name, given) => {
    if (given === undefined) return value;
    return given === null ? null : checkBool(layer, name, given);
  };
}

export function num(value: number): Check<number> {
  return fallback(checkNumber, value);
}

/** A number that has to be given. */
export const requiredNum: Check<number> = checkNumber;

export function optionalNum(value: number | null): Check<number | null> {
  return (layer, name, given) => {
    if (given === undefined) return value;
    return given === null ? null : checkNumber(layer, name, given);
  };
}

/** A probability: a number in [0, 1]. */
export function probability(value: number): Check<number> {
  return fallback((layer, name, given) => {
    const p = checkNumber(layer, name, given);
    if (!(p >= 0 && p <= 1)) {
      throw badArgument(layer, name, 'a probability between 0 and 1', given, 'ERR_VALUE');
    }
    return p;
  }, value);
}

/** A required integer that is at least `min`. */
export function requiredInt(min = 0): Check<number> {
  return (layer, name, value) => {
    const code = typeof value === 'number' ? 'ERR_VALUE' : 'ERR_TYPE';
    if (!Number.isSafeInteger(value)) throw badArgument(layer, name, 'an integer', value, code);
    if ((value as number) < min) {
      const expected = min === 0 ? 'a non-negative integer' : `an integer of at least ${min}`;
      throw badArgument(layer, name, expected, value, 'ERR_VALUE');
    }
    return value as number;
  };
}

export function int(value: number, min = 0): Check<number> {
  return fallback(requiredInt(min), value);
}

export function optionalInt(value: number | null, min = 0): Check<number | null> {
  const check = requiredInt(min);
  return (layer, name, given) => {
    if (given === undefined) return value;
    return given === null ? null : check(layer, name, given);
  };
}

/** One of some words. */
export function choice<T extends string>(words: readonly T[], value: T): Check<T> {
  return fallback((layer, name, given) => {
    if (!words.includes(given as T)) {
      const expected = `one of ${words.map((w) => `'${w}'`).join(', ')}`;
      const hint = typeof given === 'string' ? suggest(given, words) : '';
      const code = typeof given === 'string' ? 'ERR_VALUE' : 'ERR_TYPE';
      throw makeError(
        code,
        `${layer}: argument '${name}' must be ${expected}, got ${show(given)}${hint}`,
      );
    }
    return given as T;
  }, value);
}

export const optionalTensor: Check<Tensor | null> = (layer, name, value) => {
  if (value === undefined || value === null) return null;
  if (!(value instanceof Tensor)) throw badArgument(layer, name, 'a Tensor or null', value);
  return value;
};

export const dtype: Check<DType | null> = (layer, name, value) => {
  if (value === undefined || value === null) return null;
  if (!isDType(value)) {
    const code = typeof value === 'string' ? 'ERR_DTYPE' : 'ERR_TYPE';
    throw badArgument(layer, name, "a dtype name such as 'float32'", value, code);
  }
  return value;
};

export const device: Check<Device | null> = (layer, name, value) => {
  if (value === undefined || value === null) return null;
  if (!isDevice(value)) {
    const code = typeof value === 'string' ? 'ERR_DEVICE' : 'ERR_TYPE';
    throw badArgument(layer, name, "a device name such as 'cpu' or 'cuda:0'", value, code);
  }
  return value;
};

/** The checks of {@link FactoryOptions}. */
export const factory = { dtype, device } as const;

export function isOptions(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Throws for keys that `names` does not have. */
export function checkNames(layer: string, options: object, names: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (names.includes(key)) continue;
    const known = names.length === 0 ? 'it takes no options' : `options are ${names.join(', ')}`;
    throw makeError(
      'ERR_TYPE',
      `${layer}: unknown option '${key}'${suggest(key, names)} (${known})`,
    );
  }
}

/**
 * Reads `args`: values for the first names of `positional`, in order, and at the end at most one
 * options object. A value may come by position or by name, not both.
 */
export function readArguments<S extends Spec>(
  layer: string,
  spec: S,
  args: readonly unknown[],
  positional: readonly (keyof S & string)[] = [],
): Read<S> {
  let end = args.length;
  while (end > 0 && args[end - 1] === undefined) --end;
  const last = end > 0 ? args[end - 1] : undefined;
  const options = isOptions(last) ? last : undefined;
  if (options !== undefined) --end;
  if (end > positional.length) {
    throw badArgument(layer, 'options', 'an object', args[positional.length]);
  }
  const given: Record<string, unknown> = {};
  for (let i = 0; i < end; ++i) given[positional[i] as string] = args[i];
  if (options !== undefined) {
    checkNames(layer, options, Object.keys(spec));
    for (const [key, value] of Object.entries(options)) {
      if (given[key] !== undefined) {
        throw makeError('ERR_TYPE', `${layer}: argument '${key}' is given twice`);
      }
      given[key] = value;
    }
  }
  const out: Record<string, unknown> = {};
  for (const [name, check] of Object.entries(spec)) out[name] = check(layer, name, given[name]);
  return out as Read<S>;
}

/** Reads an options object alone. */
export function readOptions<S extends Spec>(layer: string, spec: S, options: unknown): Read<S> {
  return readArguments(layer, spec, [options]);
}
