/**
 * The random generators of this environment, one a device: Philox4x32-10, so equal seeds give equal
 * numbers. What names no device is about the CPU's; seeds are for all of them.
 */
import { makeError } from './errors';
import { native } from './native';

/** Restarts the generator from `seed`. PyTorch: `torch.manual_seed`. */
export function manualSeed(seed: number | bigint): void {
  native.manualSeed(seed);
}

/** Restarts from the operating system's entropy and returns the seed it chose. */
export function seed(): number {
  return native.reseed();
}

/** The seed of the last restart. */
export function initialSeed(): bigint {
  return native.initialSeed();
}

/** Where a generator stands: its seed and how far it has gone. */
export interface RngState {
  readonly seed: bigint;
  readonly offset: bigint;
}

/** The state of the generator, to come back to with {@link setRngState}. */
export function getRngState(): RngState {
  const [start, offset] = native.rngState();
  return { seed: start, offset };
}

export function setRngState(state: RngState): void {
  if (typeof state !== 'object' || state === null) {
    throw makeError('ERR_TYPE', 'setRngState: argument must be what getRngState() returned');
  }
  native.setRngState(state.seed, state.offset);
}

/** The states of the CPU's generator and of the devices'; for this package only. */
export function saveRngStates(): RngState[] {
  return Array.from({ length: native.countGenerators() }, (_, i) => {
    const [start, offset] = native.rngState(i);
    return { seed: start, offset };
  });
}

/** Goes back to what {@link saveRngStates} returned; for this package only. */
export function restoreRngStates(states: readonly RngState[]): void {
  native.keepGenerators(states.length);
  states.forEach((state, i) => native.setRngState(state.seed, state.offset, i));
}

/** Runs `fn` and puts the generators back to where it was before. */
export function forkRng<T>(fn: () => T): T {
  const before = saveRngStates();
  const restore = <R>(value: R): R => {
    restoreRngStates(before);
    return value;
  };
  let result: T;
  try {
    result = fn();
  } catch (error) {
    throw restore(error);
  }
  if (result instanceof Promise) {
    return result.then(restore, (error: unknown) => {
      throw restore(error);
    }) as T;
  }
  return restore(result);
}
