/** How datasets, samplers, loaders and transforms read what a user passes: typed errors throughout. */
import { suggest } from '../call';
import { makeError } from '../errors';

/** How a value appears in an error message. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'undefined';
  if (typeof value === 'string')
    return `'${value.length > 60 ? `${value.slice(0, 60)}...` : value}'`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return String(value);
  if (typeof value !== 'object') return `${typeof value} ${String(value)}`;
  if (Array.isArray(value)) return `an array of ${String(value.length)}`;
  const proto = Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null;
  const name = proto?.constructor?.name;
  if (name === undefined || name === 'Object') return 'an object';
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
}

/** Throws unless `options` is an object with none but known keys. */
export function checkKeys(where: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw makeError('ERR_TYPE', `${where}: options must be an object, got ${describe(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (names.includes(key)) continue;
    const known = names.length === 0 ? 'takes no options' : `options are ${names.join(', ')}`;
    throw makeError(
      'ERR_TYPE',
      `${where}: unknown option '${key}'${suggest(key, names)} (${known})`,
    );
  }
}

/** An integer of at least `least`. */
export function checkInteger(where: string, name: string, value: unknown, least: number): number {
  if (typeof value !== 'number') {
    throw makeError('ERR_TYPE', `${where}: '${name}' must be an integer, got ${describe(value)}`);
  }
  if (!Number.isSafeInteger(value) || value < least) {
    throw makeError(
      'ERR_VALUE',
      `${where}: '${name}' must be an integer of at least ${String(least)}, got ${String(value)}`,
    );
  }
  return value;
}

/** A finite number in [least, most]. */
export function checkNumber(
  where: string,
  name: string,
  value: unknown,
  least = -Infinity,
  most = Infinity,
): number {
  if (typeof value !== 'number') {
    throw makeError('ERR_TYPE', `${where}: '${name}' must be a number, got ${describe(value)}`);
  }
  if (!Number.isFinite(value) || value < least || value > most) {
    throw makeError(
      'ERR_VALUE',
      `${where}: '${name}' must be a number in [${String(least)}, ${String(most)}], got ${String(value)}`,
    );
  }
  return value;
}

export function checkBoolean(where: string, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw makeError('ERR_TYPE', `${where}: '${name}' must be a boolean, got ${describe(value)}`);
}

/** A function, or undefined for undefined and null. */
export function checkFunction<F>(
  where: string,
  name: string,
  value: F | null | undefined,
): F | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'function') return value;
  throw makeError('ERR_TYPE', `${where}: '${name}' must be a function, got ${describe(value)}`);
}

/** One of a list of words. */
export function checkWord<W extends string>(
  where: string,
  name: string,
  value: unknown,
  words: readonly W[],
): W {
  if (typeof value === 'string' && (words as readonly string[]).includes(value)) return value as W;
  const hint = typeof value === 'string' ? suggest(value, words) : '';
  throw makeError(
    typeof value === 'string' ? 'ERR_VALUE' : 'ERR_TYPE',
    `${where}: '${name}' must be one of ${words.map((w) => `'${w}'`).join(', ')}, ` +
      `got ${describe(value)}${hint}`,
  );
}

/** A position in [0, length), from one in [-length, length) as Python counts. */
export function checkIndex(where: string, index: unknown, length: number): number {
  if (typeof index !== 'number') {
    throw makeError('ERR_TYPE', `${where}: index must be an integer, got ${describe(index)}`);
  }
  if (!Number.isInteger(index) || index < -length || index >= length) {
    throw makeError(
      'ERR_RANGE',
      `${where}: index ${String(index)} is out of range for a dataset of length ${String(length)}`,
    );
  }
  return index < 0 ? index + length : index;
}

/** A list of integers as numbers. */
export function checkIndices(where: string, name: string, value: unknown): number[] {
  const isList =
    Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  if (!isList) {
    throw makeError(
      'ERR_TYPE',
      `${where}: '${name}' must be an array of integers, got ${describe(value)}`,
    );
  }
  return Array.from(value as ArrayLike<unknown>, (v) => {
    const n = typeof v === 'bigint' ? Number(v) : v;
    if (typeof n === 'number' && Number.isSafeInteger(n)) return n;
    throw makeError(
      typeof n === 'number' ? 'ERR_VALUE' : 'ERR_TYPE',
      `${where}: '${name}' must hold integers, got ${describe(v)}`,
    );
  });
}
