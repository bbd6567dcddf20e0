/**
 * Loading workers as the main thread sees them: batches are handed out in turn, come back in any order
 * and are delivered in theirs. The same pool serves blocking and asynchronous iteration: the main thread
 * either sleeps on the workers' signal or listens to their ports.
 */
import { join } from 'node:path';
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  type ResourceLimits,
  Worker,
} from 'node:worker_threads';

import { makeError } from '../../errors';
import { Liveness } from './liveness';
import {
  decode,
  describeError,
  encode,
  type Encoded,
  type RemoteError,
  type Reply,
  type Task,
  type WorkerRecipe,
} from './protocol';

/** Passed on to node's Worker. */
export interface WorkerThreadOptions {
  /** Default: those of the process. */
  readonly execArgv?: string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly resourceLimits?: ResourceLimits;
}

export interface PoolOptions {
  readonly numWorkers: number;
  readonly prefetchFactor: number;
  /** Milliseconds to wait for a batch; 0 for ever. */
  readonly timeout: number;
  readonly recipe: WorkerRecipe;
  readonly batchSize: number | null;
  readonly dropLast: boolean;
  readonly thread: WorkerThreadOptions;
}

interface Member {
  readonly id: number;
  readonly worker: Worker;
  readonly liveness: Liveness;
  readonly port: MessagePort;
  /** Why it is gone, once it is. */
  failure?: Error;
  /** Has said that it runs. */
  ready: boolean;
  /** A stream that has come to its end. */
  finished: boolean;
}

/** The error of a worker, as one of this thread: with the worker's stack, and the original as cause. */
function remoteError(id: number, what: string, remote: RemoteError): Error {
  const cause = Object.assign(new Error(remote.message), { code: remote.code });
  cause.name = remote.name;
  cause.stack = remote.stack;
  const error = makeError(
    'ERR_WORKER',
    `DataLoader: worker ${String(id)} failed ${what}: ${remote.name}: ${remote.message}`,
  );
  error.cause = cause;
  error.stack = `${error.stack ?? error.message}\nIn worker ${String(id)}: ${remote.stack}`;
  return error;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #members: Member[];
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  #pass = 0;
  #closed = false;
  /** Replies of the current pass that are not delivered yet. */
  readonly #replies = new Map<number, Reply & { pass: number }>();
  /** Who works on which batch. */
  readonly #owners = new Map<number, Member>();
  #wake: (() => void) | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    const args = encode(options.recipe.args ?? [], true);
    this.#members = Array.from({ length: options.numWorkers }, (_, id) => this.#start(id, args));
  }

  get closed(): boolean {
    return this.#closed;
  }

  #start(id: number, args: Encoded): Member {
    const { numWorkers, recipe, batchSize, dropLast, thread } = this.#options;
    const { port1, port2 } = new MessageChannel();
    const { args: _, ...rest } = recipe;
    const setup = { id, numWorkers, recipe: rest, batchSize, dropLast, signal: this.#signal };
    const entry = join(__dirname, __filename.endsWith('.ts') ? 'entry.ts' : 'entry.js');
    const liveness = new Liveness(
      () =>
        new Worker(entry, {
          ...thread,
          workerData: { ...setup, port: port2, args },
          transferList: [port2],
        }),
    );
    const { worker } = liveness;
    const member: Member = { id, worker, liveness, port: port1, ready: false, finished: false };
    port1.on('message', (reply: Reply) => {
      this.#accept(member, reply);
    });
    worker.on('error', (error) => {
      this.#lose(member, remoteError(id, 'and is gone', describeError(error)));
    });
    worker.on('exit', (code) => {
      this.#lose(member, this.#exited(member, code));
    });
    // Nothing here keeps the process alive except a pass that waits.
    worker.unref();
    port1.unref();
    return member;
  }

  #exited({ id, ready }: Member, code?: number): Error {
    let how = code === undefined ? ' (out of memory?)' : ` with code ${String(code)}`;
    if (!ready) how = ` before it was ready: see option 'workerOptions'`;
    return makeError('ERR_WORKER', `DataLoader: worker ${String(id)} exited unexpectedly${how}`);
  }

  #lose(member: Member, failure: Error): void {
    member.failure ??= failure;
    this.#wake?.();
  }

  #accept(member: Member, reply: Reply): void {
    if (reply.kind === 'ready') {
      member.ready = true;
    } else if (reply.kind === 'failed') {
      this.#lose(member, remoteError(member.id, 'and is gone', reply.error));
    } else if (reply.kind === 'exit') {
      this.#lose(member, this.#exited(member, reply.code));
    } else if (reply.pass === this.#pass) {
      if (reply.kind === 'end') member.finished = true;
      this.#replies.set(reply.index, reply);
      this.#wake?.();
    }
  }

  #drain(): void {
    for (const member of this.#members) {
      for (;;) {
        const message = receiveMessageOnPort(member.port) as { message: Reply } | undefined;
        if (message === undefined) break;
        this.#accept(member, message.message);
      }
    }
  }

  /** Waits by blocking until batch `index` is there. */
  #waitSync(index: number): Reply {
    const owner = this.#owners.get(index) as Member;
    const end = this.#deadline();
    for (;;) {
      const seen = Atomics.load(this.#signal, 0);
      this.#drain();
      const reply = this.#replies.get(index);
      if (reply !== undefined) return reply;
      if (owner.failure !== undefined) throw owner.failure;
      const left = end - performance.now();
      if (left <= 0) throw this.#timedOut(index, owner);
      const { liveness } = owner;
      const state = Atomics.wait(this.#signal, 0, seen, Math.min(left, liveness.patience));
      if (state === 'timed-out' && liveness.isGone(owner.ready)) {
        // What it said before it went is more than that it is gone.
        this.#drain();
        this.#lose(owner, this.#exited(owner));
      }
    }
  }

  async #waitAsync(index: number): Promise<Reply> {
    const owner = this.#owners.get(index) as Member;
    const end = this.#deadline();
    for (;;) {
      const reply = this.#replies.get(index);
      if (reply !== undefined) return reply;
      if (owner.failure !== undefined) throw owner.failure;
      const left = end - performance.now();
      if (left <= 0) throw this.#timedOut(index, owner);
      await new Promise<void>((resolve) => {
        const timer = left === Infinity ? undefined : setTimeout(resolve, Math.ceil(left));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
  }

  #deadline(): number {
    const { timeout } = this.#options;
    return timeout === 0 ? Infinity : performance.now() + timeout;
  }

  #timedOut(index: number, owner: Member): Error {
    return makeError(
      'ERR_WORKER',
      `DataLoader: batch ${String(index)} of worker ${String(owner.id)} did not come within ` +
        `${String(this.#options.timeout)} ms`,
    );
  }

  #begin(seed: bigint): void {
    ++this.#pass;
    this.#replies.clear();
    this.#owners.clear();
    for (const member of this.#members) {
      if (member.failure !== undefined) throw member.failure;
      member.finished = false;
      this.#post(member, { kind: 'begin', pass: this.#pass, seed });
    }
  }

  #post(member: Member, task: Task): void {
    member.port.postMessage(task);
  }

  /** Hands a batch to the worker whose turn it is; false when there is none left. */
  #assign(index: number, indices: readonly number[] | undefined): boolean {
    const { length } = this.#members;
    for (let k = 0; k < length; ++k) {
      const member = this.#members[(index + k) % length] as Member;
      if (indices === undefined && member.finished) continue;
      this.#owners.set(index, member);
      this.#post(member, { kind: 'batch', pass: this.#pass, index, indices });
      return true;
    }
    return false;
  }

  #open(index: number, reply: Reply): unknown {
    const owner = this.#owners.get(index) as Member;
    this.#replies.delete(index);
    this.#owners.delete(index);
    if (reply.kind === 'error') {
      throw remoteError(owner.id, `on batch ${String(index)}`, reply.error);
    }
    if (reply.kind === 'batch') return decode(reply.batch);
    return ended;
  }

  /** Keeps the queues of the workers filled. */
  *#schedule(
    tasks: Iterator<readonly [number, readonly number[] | undefined]>,
  ): Generator<number, void, void> {
    const waiting: number[] = [];
    const room = this.#options.numWorkers * this.#options.prefetchFactor;
    let more = true;
    for (;;) {
      while (more && waiting.length < room) {
        const { done, value } = tasks.next();
        more = done !== true && this.#assign(value[0], value[1]);
        if (more) waiting.push((value as readonly [number, unknown])[0]);
      }
      const next = waiting.shift();
      if (next === undefined) return;
      yield next;
    }
  }

  /** The batches of a pass, in order, waiting by blocking. */
  *run(
    seed: bigint,
    tasks: Iterator<readonly [number, readonly number[] | undefined]>,
  ): Generator<unknown, void, void> {
    let failed = true;
    try {
      this.#begin(seed);
      for (const index of this.#schedule(tasks)) {
        const batch = this.#open(index, this.#waitSync(index));
        failed = false;
        if (batch !== ended) yield batch;
        failed = true;
      }
      failed = false;
    } finally {
      tasks.return?.();
      if (failed) void this.close();
    }
  }

  /** The batches of a pass, in order, without blocking the event loop. */
  async *runAsync(
    seed: bigint,
    tasks: Iterator<readonly [number, readonly number[] | undefined]>,
  ): AsyncGenerator<unknown, void, void> {
    for (const member of this.#members) member.port.ref();
    let failed = true;
    try {
      this.#begin(seed);
      for (const index of this.#schedule(tasks)) {
        const batch = this.#open(index, await this.#waitAsync(index));
        failed = false;
        if (batch !== ended) yield batch;
        failed = true;
      }
      failed = false;
    } finally {
      tasks.return?.();
      for (const member of this.#members) member.port.unref();
      if (failed) void this.close();
    }
  }

  /** Ends the workers, whatever they do. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const member of this.#members) {
      member.failure ??= makeError('ERR_WORKER', 'DataLoader: the workers were closed');
      member.port.close();
    }
    this.#wake?.();
    await Promise.all(this.#members.map((member) => member.worker.terminate()));
  }
}

const ended = Symbol('end of a stream');
