/**
 * Whether a worker's thread still runs, for a main thread that waits by blocking: node tells of the end of
 * a thread by an event, which a blocked thread does not get.
 */
import { existsSync, readdirSync } from 'node:fs';
import { type Worker } from 'node:worker_threads';

/** Milliseconds between two looks at a thread that the system knows by its number: a look is cheap. */
const shortPatience = 200;
/** Between two diagnostic reports, which are not. */
const longPatience = 5000;

/** Where Linux lists the threads of this process. */
const folder = '/proc/self/task';

function systemThreads(): Set<string> {
  try {
    return new Set(readdirSync(folder));
  } catch {
    return new Set();
  }
}

/** The threads of this process that node knows; its diagnostic report asks the threads themselves. */
function reportedThreads(): Set<number> {
  const report = process.report.getReport() as { workers?: { header: { threadId: number } }[] };
  return new Set(report.workers?.map((worker) => worker.header.threadId));
}

export class Liveness {
  readonly worker: Worker;
  /** How long to wait for a worker before asking whether it is there. */
  readonly patience: number;
  readonly #task: string | undefined;
  readonly #threadId: number;
  #missed = 0;

  /** @param start makes the worker; its thread is the one that is new afterwards. */
  constructor(start: () => Worker) {
    const before = systemThreads();
    this.worker = start();
    this.#threadId = this.worker.threadId;
    const added = [...systemThreads()].filter((task) => !before.has(task));
    // More than one: something else started a thread at the same time.
    if (added.length === 1) [this.#task] = added;
    this.patience = this.#task === undefined ? longPatience : shortPatience;
  }

  /** @param ready whether the worker has said that it runs. */
  isGone(ready: boolean): boolean {
    if (this.#task !== undefined) return !existsSync(`${folder}/${this.#task}`);
    if (reportedThreads().has(this.#threadId)) return false;
    // One that never got ready may still be on its way; missed twice, it has failed to start.
    return ready || ++this.#missed === 2;
  }
}
