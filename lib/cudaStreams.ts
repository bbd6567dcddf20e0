/**
 * CUDA streams, events and the current device. PyTorch: `torch.cuda.Stream`, `Event`, `stream()`,
 * `device()`. Ops are queued on the current stream of their tensors' device and run in that order;
 * work of different streams may run at the same time, and is ordered by events only.
 */
import { describeArgument } from './amp/describe';
import { makeError } from './errors';
import { native } from './native';
import { defineMethod, handleOf, Tensor } from './tensor';

/** A CUDA device by name or index. `'cuda'` is the current one. */
export type CudaDevice = number | 'cuda' | `cuda:${number}`;

/** The index of a device; the current device's when it is left out. */
export function cudaIndex(device: CudaDevice | undefined): number {
  if (device === undefined || device === 'cuda') return native.cudaCurrentDevice();
  if (typeof device === 'number') {
    if (Number.isInteger(device) && device >= 0) return device;
  } else {
    const match = /^cuda:(\d+)$/.exec(device);
    if (match) return Number(match[1]);
  }
  throw makeError(
    'ERR_VALUE',
    `cuda: argument 'device' must be 'cuda', 'cuda:<index>' or an index, got ${JSON.stringify(device)}`,
  );
}

/** Index of the device that `'cuda'` means. */
export function currentDevice(): number {
  return native.cudaCurrentDevice();
}

/** Makes `'cuda'` mean this device. */
export function setDevice(device: CudaDevice): void {
  native.cudaSetDevice(cudaIndex(device));
}

/** Runs `fn`, then `restore`; for a promise when it is settled. */
function runThen<T>(fn: () => T, restore: () => void): T {
  let result: T;
  try {
    result = fn();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}

/** Runs `fn` with `'cuda'` meaning `device`. */
export function device<T>(target: CudaDevice, fn: () => T): T {
  const before = currentDevice();
  setDevice(target);
  return runThen(fn, () => native.cudaSetDevice(before));
}

export interface StreamOptions {
  /** Default: the current device. */
  readonly device?: CudaDevice | undefined;
  /** Below 0: its work goes before that of other streams. Default 0. */
  readonly priority?: number | undefined;
}

export interface EventOptions {
  /** Whether {@link Event.elapsedTime} is wanted. Default false. */
  readonly enableTiming?: boolean | undefined;
}

function checkOptions(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const list = known.join(', ');
    throw makeError('ERR_TYPE', `${where}: unknown option '${key}' (options are ${list})`);
  }
}

const events = new FinalizationRegistry<number>((event) => native.cudaDestroyEvent(event));

/** A point in the work of a stream that others can wait for. PyTorch: `torch.cuda.Event`. */
export class Event {
  readonly #timing: boolean;
  #number: number | undefined;

  constructor(options: EventOptions = {}) {
    checkOptions('Event', options, ['enableTiming']);
    this.#timing = options.enableTiming ?? false;
  }

  /** Marks what is queued on `stream` (default: the current one) so far; replaces an earlier mark. */
  record(stream: Stream = currentStream()): this {
    if (this.#number === undefined) {
      this.#number = native.cudaMakeEvent(stream.deviceIndex, this.#timing);
      events.register(this, this.#number);
    }
    native.cudaRecordEvent(this.#number, stream.id);
    return this;
  }

  /** What comes next on `stream` (default: the current one) waits for the mark. */
  wait(stream: Stream = currentStream()): this {
    if (this.#number !== undefined) {
      native.cudaWaitEvent(stream.deviceIndex, stream.id, this.#number);
    }
    return this;
  }

  /** Whether all marked work is done; true for an event that was never recorded. */
  query(): boolean {
    return this.#number === undefined || native.cudaEventDone(this.#number);
  }

  /** Waits until all marked work is done. */
  synchronize(): void {
    if (this.#number !== undefined) native.cudaSynchronizeEvent(this.#number);
  }

  /** Milliseconds of the device's time from this event to `end`; both must have happened. */
  elapsedTime(end: Event): number {
    if (this.#number === undefined || end.#number === undefined) {
      throw makeError('ERR_VALUE', 'elapsedTime: both events must be recorded first');
    }
    return native.cudaElapsed(this.#number, end.#number);
  }
}

/** A queue of work of one device. PyTorch: `torch.cuda.Stream`. */
export class Stream {
  readonly deviceIndex: number;
  /** Number of the stream among those of its device; 0 is the device's own. */
  readonly id: number;

  constructor(options: StreamOptions = {}) {
    checkOptions('Stream', options, ['device', 'priority']);
    this.deviceIndex = cudaIndex(options.device);
    this.id = knownNumber ?? native.cudaNextStream(this.deviceIndex, (options.priority ?? 0) < 0);
  }

  /** The device, for example `'cuda:0'`. */
  get device(): CudaDevice {
    return `cuda:${this.deviceIndex}`;
  }

  /** Whether everything queued is done. */
  query(): boolean {
    return native.cudaStreamDone(this.deviceIndex, this.id);
  }

  /** Waits until everything queued is done. */
  synchronize(): void {
    native.cudaSynchronizeStream(this.deviceIndex, this.id);
  }

  /** Marks what is queued so far with `event`, or with a new one, and returns it. */
  recordEvent(event: Event = new Event()): Event {
    return event.record(this);
  }

  /** What comes next waits for `event`. */
  waitEvent(event: Event): void {
    event.wait(this);
  }

  /** What comes next waits for what is queued on `other` so far. */
  waitStream(other: Stream): void {
    this.waitEvent(other.recordEvent());
  }

  equals(other: Stream): boolean {
    return this.deviceIndex === other.deviceIndex && this.id === other.id;
  }
}

/** The number that the constructor of Stream takes instead of a new stream's. */
let knownNumber: number | undefined;

function streamOf(deviceIndex: number, number: number): Stream {
  knownNumber = number;
  try {
    return new Stream({ device: deviceIndex });
  } finally {
    knownNumber = undefined;
  }
}

/** The stream that ops of a device are queued on. */
export function currentStream(device?: CudaDevice): Stream {
  const index = cudaIndex(device);
  return streamOf(index, native.cudaCurrentStream(index));
}

/** The device's own stream. */
export function defaultStream(device?: CudaDevice): Stream {
  const index = cudaIndex(device);
  native.cudaCurrentStream(index);
  return streamOf(index, 0);
}

function checkStream(stream: unknown): void {
  if (stream instanceof Stream) return;
  throw makeError(
    'ERR_TYPE',
    `cuda: argument 'stream' must be a cuda.Stream, got ${describeArgument(stream)}`,
  );
}

/** Makes `stream` the current one of its device, and its device the current one. */
export function setStream(stream: Stream): void {
  checkStream(stream);
  native.cudaSetStream(stream.deviceIndex, stream.id);
  native.cudaSetDevice(stream.deviceIndex);
}

/**
 * Runs `fn` with its ops queued on `stream`. `stream` does not wait for the streams that made the
 * tensors it uses: call `stream.waitStream(...)`, and `tensor.recordStream(stream)` for tensors that
 * may be freed before the work is done. Null runs `fn` as it is.
 */
export function stream<T>(target: Stream | null, fn: () => T): T {
  if (target === null) return fn();
  checkStream(target);
  const device = currentDevice();
  const before = currentStream(target.deviceIndex);
  setStream(target);
  return runThen(fn, () => {
    native.cudaSetStream(before.deviceIndex, before.id);
    native.cudaSetDevice(device);
  });
}

declare module './tensor' {
  interface Tensor {
    /** This tensor's copy in page-locked memory; itself when it is pinned. */
    pinMemory(): Tensor;
    /** Whether the memory is page-locked, so that copies to a device need not be waited for. */
    isPinned(): boolean;
    /** Tells the allocator that `stream` uses this tensor: freed, its memory waits for the stream. */
    recordStream(stream: Stream): void;
  }
}

defineMethod('pinMemory', function (this: Tensor) {
  const handle = native.pinMemory(handleOf(this));
  return handle === handleOf(this) ? this : new Tensor(handle);
});
defineMethod('isPinned', function (this: Tensor) {
  return native.isPinned(handleOf(this));
});
defineMethod('recordStream', function (this: Tensor, target: Stream) {
  if (!(target instanceof Stream)) {
    throw makeError('ERR_TYPE', "recordStream: argument 'stream' must be a cuda.Stream");
  }
  native.cudaRecordStream(handleOf(this), target.deviceIndex, target.id);
});
