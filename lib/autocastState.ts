/**
 * The state of autocast, per environment and asynchronous context. Native code knows one state, that
 * of the code that is running; while asynchronous regions are open, every op first makes sure
 * that it is the one of its own context. With none open that costs one comparison a tensor.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

import { dtypes } from './dtype';
import { makeError } from './errors';
import { native } from './native';

/** Kinds of device that autocast knows. */
export type AutocastDeviceType = 'cpu' | 'cuda';
/** dtypes that autocast can cast to. */
export type AutocastDType = 'float16' | 'bfloat16';

export interface AutocastDevice {
  readonly enabled: boolean;
  readonly dtype: AutocastDType;
  /** Whose op list holds. */
  readonly list: AutocastDeviceType;
}

export interface AutocastFlags {
  cpu: AutocastDevice;
  cuda: AutocastDevice;
  cacheEnabled: boolean;
}

interface ContextState extends AutocastFlags {
  /** The state that holds again when this one's region is over. */
  readonly outer: ContextState | undefined;
  ended: boolean;
  /** The innermost region opened by {@link openRegion} here. */
  top: OpenRegion | undefined;
}

const base: ContextState = {
  cpu: { enabled: false, dtype: 'bfloat16', list: 'cpu' },
  cuda: { enabled: false, dtype: 'float16', list: 'cuda' },
  cacheEnabled: true,
  outer: undefined,
  ended: false,
  top: undefined,
};

const storage = new AsyncLocalStorage<ContextState>();
let current = base; // what native code has
let asyncRegions = 0;

function pack(device: AutocastDevice): number {
  const list = device.list === 'cuda' ? 2 : 0;
  return Number(device.enabled) | list | (dtypes.indexOf(device.dtype) << 2);
}

function apply(state: ContextState, entered: -1 | 0 | 1): void {
  current = state;
  native.setAutocast(pack(state.cpu), pack(state.cuda), state.cacheEnabled, entered);
}

function stateOfContext(): ContextState {
  let state = storage.getStore() ?? base;
  // Work that a region started and did not wait for outlives it.
  while (state.ended && state.outer !== undefined) state = state.outer;
  return state;
}

/** Called before every op: gives native code the state of the running context. */
export function syncAutocast(): void {
  if (asyncRegions === 0) return;
  const state = stateOfContext();
  if (state !== current) apply(state, 0);
}

function currentState(): ContextState {
  syncAutocast();
  return current;
}

/** The state in force. */
export function autocastFlags(): Readonly<AutocastFlags> {
  return currentState();
}

/** Changes the state in force, until the enclosing region ends. */
export function changeAutocast(change: Partial<AutocastFlags>): void {
  const state = currentState();
  Object.assign(state, change);
  apply(state, 0);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

function endAsyncRegion(state: ContextState): void {
  state.ended = true;
  --asyncRegions;
  apply(asyncRegions === 0 ? base : stateOfContext(), -1);
}

/** Runs `fn` in a region; a promise keeps its region, in its own context, until it settles. */
export function runRegion<T>(change: Partial<AutocastFlags>, fn: () => T): T {
  const outer = currentState();
  const { cpu, cuda, cacheEnabled } = outer;
  const fresh = { cpu, cuda, cacheEnabled, outer, ended: false, top: undefined };
  const state: ContextState = { ...fresh, ...change };
  apply(state, 1);
  let result: T;
  try {
    result = storage.run(state, fn);
  } catch (error) {
    state.ended = true;
    apply(outer, -1);
    throw error;
  }
  if (!isThenable(result)) {
    state.ended = true;
    apply(outer, -1);
    return result;
  }
  ++asyncRegions;
  apply(outer, 0);
  return Promise.resolve(result).finally(() => {
    endAsyncRegion(state);
  }) as T;
}

/** A region that lasts until {@link OpenRegion.end}. */
export class OpenRegion {
  readonly #state: ContextState;
  readonly #saved: AutocastFlags;
  readonly #below: OpenRegion | undefined;
  #open = true;
  #leaked = false;

  constructor(change: Partial<AutocastFlags>) {
    const state = currentState();
    this.#state = state;
    this.#saved = { cpu: state.cpu, cuda: state.cuda, cacheEnabled: state.cacheEnabled };
    this.#below = state.top;
    state.top = this;
    Object.assign(state, change);
    apply(state, 1);
    // The state belongs to whatever runs now; it must not reach the code that runs during an await.
    queueMicrotask(() => {
      if (!this.#open) return;
      for (let { top } = this.#state; top !== undefined && top !== this; { top } = this.#state)
        top.#leak();
      this.#leak();
    });
  }

  #close(): void {
    this.#open = false;
    this.#state.top = this.#below;
    Object.assign(this.#state, this.#saved);
    apply(this.#state, -1);
  }

  #leak(): void {
    this.#close();
    this.#leaked = true;
  }

  /** Restores the state from before. */
  end(): void {
    if (this.#leaked) {
      throw makeError(
        'ERR_VALUE',
        'autocast: a region opened without a callback ended when its synchronous code did; ' +
          'across an await use autocast(deviceType, options, async () => ...)',
      );
    }
    if (!this.#open) return;
    if (this.#state.top !== this) {
      throw makeError('ERR_VALUE', 'autocast: regions must end in the reverse order of opening');
    }
    this.#close();
  }
}

/** Runs `fn` with nothing cast, as backward passes are. */
export function outsideAutocast<T>(fn: () => T): T {
  const state = currentState();
  const { cpu, cuda } = state;
  if (!cpu.enabled && !cuda.enabled) return fn();
  state.cpu = { ...cpu, enabled: false };
  state.cuda = { ...cuda, enabled: false };
  apply(state, 0);
  try {
    return fn();
  } finally {
    state.cpu = cpu;
    state.cuda = cuda;
    apply(state, 0);
  }
}
