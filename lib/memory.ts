/**
 * Memory: nothing has to be freed by hand, but it can be. `tidy` frees what a function made and did
 * not return; `stats` says where memory is.
 */
import { fail } from './errors';
import { native, type MemoryStats } from './native';
import { runInScope } from './scopes';
import { Tensor } from './tensor';

export type { MemoryStats } from './native';

/** Tensors inside a result: the tensor itself, or those in arrays, maps, sets and plain objects. */
function collectTensors(value: unknown, into: Set<unknown>, seen: Set<unknown>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (value instanceof Tensor) {
    into.add(value);
  } else if (value instanceof Map) {
    for (const v of value.values()) collectTensors(v, into, seen);
  } else if (!ArrayBuffer.isView(value)) {
    const values = value instanceof Set || Array.isArray(value) ? value : Object.values(value);
    for (const v of values as Iterable<unknown>) collectTensors(v, into, seen);
  }
}

const kept = new WeakSet<object>();

/** Excludes a tensor from every enclosing {@link tidy}. */
export function keep<T extends Tensor>(t: T): T {
  kept.add(t);
  return t;
}

/**
 * Runs `fn` and disposes every tensor that was made inside and is not part of its result. Works
 * with async functions; scopes nest. Gradients and parameters are not affected: they are owned by
 * the graph and the modules.
 */
export function tidy<T>(fn: () => T): T {
  return runInScope(fn, (created, result) => {
    const returned = new Set<unknown>();
    collectTensors(result, returned, new Set());
    for (const t of created) {
      if (returned.has(t)) continue;
      created.delete(t);
      if (!kept.has(t)) t.dispose();
    }
  });
}

/** Bytes and counts of the memory system. */
export function stats(): MemoryStats {
  return native.memoryStats();
}

/** Returns cached blocks to the operating system. */
export function emptyCache(): void {
  native.emptyCache();
}

/**
 * Bounds the memory that tensors may reserve, cached blocks included: past it an allocation first
 * collects garbage and drops the cache, then raises a TensorError with code `ERR_OOM`. Applies to the
 * whole process, workers too. Without a limit, requests are compared with what the system has left.
 * @param bytes a non-negative number of bytes, or null for no limit (the default)
 */
export function setLimit(bytes: number | null): void {
  if (bytes !== null && !(Number.isSafeInteger(bytes) && bytes >= 0)) {
    fail(
      'ERR_RANGE',
      `memory.setLimit: argument 'bytes' must be a non-negative integer or null, got ${String(bytes)}`,
    );
  }
  native.setMemoryLimit(bytes);
}

/** Starts the peak figures of {@link stats} afresh. */
export function resetPeakStats(): void {
  native.resetPeakStats();
}
