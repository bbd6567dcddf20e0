/** What code that runs inside a loading worker may know about it. */

/** The worker this code runs in; see {@link getWorkerInfo}. */
export interface WorkerInfo {
  /** From 0. */
  readonly id: number;
  readonly numWorkers: number;
  /** Seed of this worker in this pass. */
  readonly seed: bigint;
  /** The worker's own copy. */
  readonly dataset: unknown;
}

let current: WorkerInfo | null = null;

/**
 * Null outside of loading workers. Streams use it to deliver only their worker's share. PyTorch:
 * `get_worker_info`.
 */
export function getWorkerInfo(): WorkerInfo | null {
  return current;
}

export function setWorkerInfo(info: WorkerInfo): void {
  current = info;
}
