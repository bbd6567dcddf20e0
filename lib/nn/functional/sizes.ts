/** Sizes of windows: one number for all spatial dimensions, or one for each. */
import { makeError } from '../../errors';
import type { Check } from '../options';
import { badArgument, show } from '../options';

export type Size = number | readonly number[];

/** Checks a size of `dims` dimensions and writes it out. */
export function sizeOf(dims: number, min = 0): Check<number[]> {
  return (layer, name, value) => {
    const list = typeof value === 'number' ? new Array<number>(dims).fill(value) : value;
    if (!Array.isArray(list) || !list.every((n) => typeof n === 'number')) {
      throw badArgument(layer, name, 'an integer or a list of integers', value);
    }
    if (list.length !== dims) {
      throw makeError(
        'ERR_SHAPE',
        `${layer}: argument '${name}' must have ${dims} entries, got ${show(value)}`,
      );
    }
    if (!list.every((n) => Number.isSafeInteger(n) && n >= min)) {
      throw badArgument(layer, name, `integers of at least ${min}`, value, 'ERR_VALUE');
    }
    return [...(list as number[])];
  };
}

/** As {@link sizeOf}, with a value when nothing is given. */
export function size(dims: number, value: number, min = 0): Check<number[]> {
  const check = sizeOf(dims, min);
  return (layer, name, given) => check(layer, name, given ?? value);
}

/** As {@link sizeOf}; null when nothing is given. */
export function optionalSize(dims: number, min = 0): Check<number[] | null> {
  const check = sizeOf(dims, min);
  return (layer, name, given) =>
    given === undefined || given === null ? null : check(layer, name, given);
}

/** One number if all are equal, else a list: how sizes print. */
export function showSize(list: readonly number[]): string {
  return `[${list.join(', ')}]`;
}
