/** Sizes that pooling layers share. */
import { makeError } from '../errors';
import type { Tensor } from '../tensor';
import { optionalSize } from './functional/sizes';
import { badArgument, type Check } from './options';

/** One size for all dimensions or one for each; null keeps the size of the input. */
export type OutputSize = number | readonly (number | null)[] | null;

/** A stride that is the kernel's size when none is given. */
export function strideOf(dims: number, kernel: readonly number[]): Check<number[]> {
  const check = optionalSize(dims, 1);
  return (layer, name, value) => check(layer, name, value) ?? [...kernel];
}

/** Writes an output size out; without input only checks it. */
export function outputSize(
  name: string,
  dims: number,
  wanted: OutputSize,
  input?: Tensor,
): number[] {
  const list = Array.isArray(wanted)
    ? (wanted as readonly (number | null)[])
    : new Array<number | null>(dims).fill(wanted as number | null);
  const isSize = (n: unknown): boolean =>
    n === null || (Number.isSafeInteger(n) && (n as number) >= 0);
  if (!list.every(isSize)) {
    throw badArgument(name, 'outputSize', 'non-negative integers or null', wanted);
  }
  if (list.length !== dims) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: argument 'outputSize' must have ${dims} entries, got ${list.length}`,
    );
  }
  return list.map((n, i) => n ?? input?.shape[input.ndim - dims + i] ?? 0);
}
