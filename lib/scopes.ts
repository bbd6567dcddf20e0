/**
 * Where new tensors are noted for `tidy`. One scope per asynchronous context; costs one comparison
 * per tensor while no scope is open.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface Disposable {
  dispose(): void;
}

type Scope = Set<Disposable>;

const storage = new AsyncLocalStorage<Scope>();
let openScopes = 0;

/** Called for every tensor that an op returns. */
export function noteCreated(t: Disposable): void {
  if (openScopes !== 0) storage.getStore()?.add(t);
}

/** Runs `fn` in a scope of its own; `finish` gets what was created when it ends or fails. */
export function runInScope<T>(fn: () => T, finish: (created: Scope, result: unknown) => void): T {
  const scope: Scope = new Set();
  const outer = storage.getStore();
  ++openScopes;
  const close = (result: unknown): void => {
    --openScopes;
    finish(scope, result);
    // What survives belongs to the enclosing scope.
    if (outer !== undefined) for (const t of scope) outer.add(t);
  };
  let result: T;
  try {
    result = storage.run(scope, fn);
  } catch (error) {
    close(undefined);
    throw error;
  }
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => {
        close(value);
        return value;
      },
      (error: unknown) => {
        close(undefined);
        throw error;
      },
    ) as T;
  }
  close(result);
  return result;
}
