/** The pool that computes on the CPU, shared by all environments of the process. */
import { native } from './native';

/**
 * Number of threads that compute, the calling one included. Default: the environment variable
 * AMPGRAD_NUM_THREADS, otherwise the cores this process may use.
 */
export function getNumThreads(): number {
  return native.getNumThreads();
}

/** @throws RangeError unless `n` is an integer in [1, 1024]. */
export function setNumThreads(n: number): void {
  native.setNumThreads(n);
}
