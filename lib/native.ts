/**
 * The only importer of the addon. Loads it once per environment, types its exports and hands it
 * what it needs from JavaScript: the error classes and the collector.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { type ErrorCode, makeError } from './errors';

/** What a Tensor holds: opaque to JavaScript. */
export type Handle = { readonly __handle: unique symbol };

export type NativeFunction = (...args: unknown[]) => unknown;

export interface NativeArgument {
  readonly name: string;
  readonly type: string;
  readonly default: string;
  readonly required: boolean;
  readonly keywordOnly: boolean;
}

/**
 * `fp32Dtype`: a missing `dtype` becomes float32; `promote`: to the widest dtype present; `keep`: not
 * listed, like `none`, and neither are the ops it is made of.
 */
export type AutocastPolicy =
  'none' | 'lower' | 'fp32' | 'fp32Dtype' | 'promote' | 'banned' | 'keep';

/** A row of the op table as data. */
export interface OpSchema {
  readonly name: string;
  /** PyTorch-style text, for example `softmax(Tensor input, int dim) -> Tensor`. */
  readonly schema: string;
  readonly args: readonly NativeArgument[];
  readonly returns: 'Tensor' | 'Tensors' | 'Tensor[]' | 'bool' | 'Scalar' | 'int' | 'None';
  readonly returnNames: readonly string[];
  /** Declared dtypes of the main input, after promotion. */
  readonly dtypes: readonly string[];
  /** dtypes that have a kernel of their own on the CPU. */
  readonly cpu: readonly string[];
  /** What autocast does with floating-point arguments, by PyTorch's list for each device. */
  readonly autocast: Readonly<Record<'cpu' | 'cuda', AutocastPolicy>>;
  readonly differentiable: 'yes' | 'no' | 'composite';
  readonly inplace: 'no' | 'yes' | 'view' | 'only';
  readonly view: boolean;
  /** Makes a tensor from nothing that carries gradients: takes `requiresGrad`. */
  readonly factory: boolean;
  /** The results can be written into given tensors. */
  readonly out: boolean;
}

/** A call inside an autocast region. */
export interface TracedCall {
  readonly op: string;
  readonly policy: AutocastPolicy;
  /** As the caller gave them: `float32[64, 784]`. */
  readonly inputs: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  readonly result: string;
  /** Casts made for this call, the bytes they wrote, and casts taken from the cache. */
  readonly casts: number;
  readonly castBytes: number;
  readonly cached: number;
}

/** Figures of the memory system, in bytes and counts. */
export interface MemoryStats {
  readonly allocatedBytes: number;
  readonly peakAllocatedBytes: number;
  readonly reservedBytes: number;
  readonly peakReservedBytes: number;
  readonly allocations: number;
  readonly systemAllocations: number;
  readonly liveTensors: number;
  readonly liveStorages: number;
  readonly liveHandles: number;
  readonly minorCollections: number;
  readonly majorCollections: number;
}

/** What a CUDA device is. */
export interface DeviceProperties {
  readonly name: string;
  /** Compute capability, for example 9 and 0. */
  readonly major: number;
  readonly minor: number;
  readonly multiProcessorCount: number;
  readonly totalMemory: number;
  readonly freeMemory: number;
}

/** Figures of a CUDA device's allocator, and of how often the host waited for it. */
export interface CudaMemoryStats {
  readonly allocatedBytes: number;
  readonly peakAllocatedBytes: number;
  readonly reservedBytes: number;
  readonly peakReservedBytes: number;
  readonly allocations: number;
  readonly systemAllocations: number;
  /** Allocations that first had to give cached memory back. */
  readonly retries: number;
  readonly outOfMemory: number;
  readonly segments: number;
  /** Free bytes in segments that are partly in use. */
  readonly inactiveSplitBytes: number;
  /** How often values came from the device to the host: each `item()` is one. */
  readonly copiesToHost: number;
  /** How often the host waited for the device: to read values, to reuse memory it copied from. */
  readonly hostWaits: number;
}

type Nullable = Handle | null | undefined;

export interface Native {
  /** Ops by name, in-place forms (`add_`) too; undefined for other names. */
  readonly ops: Readonly<Record<string, NativeFunction>>;
  opNames(): string[];
  setup(makeFailure: unknown, collect: (major: boolean) => void): void;
  opSchemas(): OpSchema[];
  /** The row that the function of that name in `ops` belongs to. */
  opSchema(name: string): OpSchema;
  /** Other names of ops: alias to target. */
  opAliases(): Readonly<Record<string, string>>;
  /** Calls an op by its name and writes its results into `outs`. */
  callInto(name: string, outs: readonly Handle[], values: readonly unknown[]): void;
  shape(h: Handle): number[];
  strides(h: Handle): number[];
  dtype(h: Handle): string;
  device(h: Handle): string;
  numel(h: Handle): number;
  storageOffset(h: Handle): number;
  isContiguous(h: Handle): boolean;
  version(h: Handle): number;
  sharesStorage(a: Handle, b: Handle): boolean;
  /** Equal for tensors that share a storage, while they are alive. */
  storageId(h: Handle): number;
  isSame(a: Handle, b: Handle): boolean;
  dispose(h: Handle): void;
  isDisposed(h: Handle): boolean;
  setData(h: Handle, source: Handle): void;
  fromBytes(data: ArrayBufferView, shape: readonly number[], dtype: string): Handle;
  fromShared(data: ArrayBufferView, shape: readonly number[], dtype: string): Handle;
  /**
   * Some of `pixels` (uint8 [n, height, width, channels]) with their `labels` (int64 [n]): float32
   * [k, channels, height, width], each byte replaced by its value in `table` (float32 [channels, 256]).
   * With `affine`, float32 [2, channels], (byte / 255 - affine[0]) / affine[1] must give the same bits.
   */
  gatherImages(
    pixels: Handle,
    labels: Handle,
    indices: Int32Array,
    table: Handle,
    affine: Nullable,
  ): [Handle, Handle];
  copyTo(h: Handle, target: ArrayBufferView): void;
  item(h: Handle): number | bigint | boolean;
  requiresGrad(h: Handle): boolean;
  setRequiresGrad(h: Handle, value: boolean): void;
  isLeaf(h: Handle): boolean;
  gradFn(h: Handle): string | null;
  grad(h: Handle): Handle | null;
  setGrad(h: Handle, grad: Nullable): void;
  grads(list: readonly Handle[]): (Handle | null)[];
  /** dtype, device and index of the first tensor, for every kind of gradient there is. */
  gradientKinds(list: readonly Handle[]): (string | number)[];
  unscaleGradients(list: readonly Handle[], flag: Handle, factor: Handle): void;
  zeroGrads(list: readonly Handle[], setToNone: boolean): void;
  retainGrad(h: Handle): void;
  detachInPlace(h: Handle): void;
  runBackward(
    tensors: readonly Handle[],
    gradients: readonly Nullable[],
    inputs: readonly Handle[],
    retainGraph: boolean,
    createGraph: boolean,
  ): void;
  runGrad(
    outputs: readonly Handle[],
    gradients: readonly Nullable[],
    inputs: readonly Handle[],
    retainGraph: boolean,
    createGraph: boolean,
    allowUnused: boolean,
  ): (Handle | null)[];
  addHook(h: Handle, hook: (grad: Handle) => Nullable): number;
  removeHook(h: Handle, id: number): void;
  addPostAccumulateHook(h: Handle, hook: (t: Handle) => Nullable): number;
  removePostAccumulateHook(h: Handle, id: number): void;
  isGradEnabled(): boolean;
  /** Returns the previous value. */
  setGradEnabled(value: boolean): boolean;
  customFunction(
    name: string,
    inputs: readonly Nullable[],
    outputs: readonly Handle[],
    backward: (grads: (Handle | null)[]) => Nullable[],
  ): void;
  bumpVersion(h: Handle): void;
  enableAnomaly(checkNan: boolean, where: () => string): void;
  disableAnomaly(): void;
  inconsistentDerivatives(): string[];
  /** States packed by lib/autocastState.ts; `entered` 1 opens a region, -1 ends one. */
  setAutocast(cpu: number, cuda: number, cacheEnabled: boolean, entered: -1 | 0 | 1): void;
  clearAutocastCache(): void;
  autocastCacheStats(): { depth: number; entries: number; bytes: number };
  deviceAvailable(device: string): boolean;
  startAutocastTrace(): void;
  /** The calls since the start that autocast saw; empty when there was no start. */
  stopAutocastTrace(): TracedCall[];
  memoryStats(): MemoryStats;
  emptyCache(): void;
  setMemoryLimit(bytes: number | null): void;
  resetPeakStats(): void;
  cudaCount(): number;
  cudaUnavailableReason(): string | null;
  cudaProperties(device: number): DeviceProperties;
  cudaSynchronize(device: number): void;
  cudaMemory(device: number): CudaMemoryStats;
  cudaEmptyCache(device: number): void;
  cudaResetPeak(device: number): void;
  cudaSetFraction(device: number, fraction: number): void;
  cudaCurrentDevice(): number;
  cudaSetDevice(device: number): void;
  // Streams and events by number; stream 0 is a device's own.
  cudaNextStream(device: number, highPriority: boolean): number;
  cudaCurrentStream(device: number): number;
  cudaSetStream(device: number, stream: number): void;
  cudaStreamDone(device: number, stream: number): boolean;
  cudaSynchronizeStream(device: number, stream: number): void;
  cudaMakeEvent(device: number, timing: boolean): number;
  cudaDestroyEvent(event: number): void;
  cudaRecordEvent(event: number, stream: number): void;
  cudaWaitEvent(device: number, stream: number, event: number): void;
  cudaSynchronizeEvent(event: number): void;
  cudaEventDone(event: number): boolean;
  cudaElapsed(from: number, to: number): number;
  cudaRecordStream(t: Handle, device: number, stream: number): void;
  matmulFlag(name: string): boolean;
  setMatmulFlag(name: string, value: boolean): void;
  pinMemory(t: Handle): Handle;
  isPinned(t: Handle): boolean;
  manualSeed(seed: number | bigint): void;
  initialSeed(generator?: number): bigint;
  reseed(): number;
  // Generators by number: 0 (the default) is the CPU's, 1 + i that of cuda:i.
  rngState(generator?: number): [bigint, bigint];
  setRngState(seed: bigint, offset: bigint, generator?: number): void;
  seedGenerator(seed: number | bigint, generator: number): void;
  countGenerators(): number;
  keepGenerators(count: number): void;
  getNumThreads(): number;
  setNumThreads(n: number): void;
  setDefaultDevice(device: string | null): void;
}

/** Young objects if `minor`, else all; options in an object would take V8 several microseconds to read. */
type Collector = (minor?: true) => void;

let collector: Collector | undefined;

/** V8's collector, which is reachable at run time without a command-line flag. */
function getCollector(): Collector {
  if (collector === undefined) {
    collector = (globalThis as { gc?: Collector }).gc;
    const { setFlagsFromString } = process.getBuiltinModule('node:v8');
    const { runInNewContext } = process.getBuiltinModule('node:vm');
    // The flag is the process's: another thread that does the same may have taken it back before
    // the context was made.
    for (let attempt = 0; collector === undefined && attempt < 1000; ++attempt) {
      setFlagsFromString('--expose-gc');
      collector = runInNewContext('globalThis.gc') as Collector | undefined;
      setFlagsFromString('--no-expose-gc');
    }
    if (collector === undefined) throw new Error("ampgrad: V8's collector cannot be reached");
  }
  return collector;
}

function collect(major: boolean): void {
  if (major) getCollector()();
  else getCollector()(true);
}

function packageRoot(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('ampgrad: package.json not found above ' + __dirname);
    folder = parent;
  }
  return folder;
}

/** What a native function returns instead of throwing; see native/binding/env.h. */
interface Failure {
  readonly thrown: unknown;
}

type FailureClass = new (thrown: unknown) => Failure;

/** The addon as it was loaded; copies of this library in one environment share its exports. */
interface Addon extends Record<string, unknown> {
  op: (name: string) => NativeFunction | undefined;
  setup: NativeFunction;
  Failure?: FailureClass;
}

function guarded(fn: NativeFunction, failure: FailureClass): NativeFunction {
  return (...args) => {
    const result = fn(...args);
    if (result instanceof failure) throw result.thrown;
    return result;
  };
}

/** The addon's functions, throwing what they report as failed. */
function guard(addon: Addon): Native {
  const failure = (addon.Failure ??= class {
    constructor(readonly thrown: unknown) {}
  });
  const makeFailure = (code: ErrorCode | undefined, detail: unknown): Failure =>
    new failure(code === undefined ? detail : makeError(code, detail as string));
  addon.setup(makeFailure, collect);
  const wrapped = Object.entries(addon).map(([name, value]) => [
    name,
    typeof value === 'function' && value !== failure
      ? guarded(value as NativeFunction, failure)
      : value,
  ]);
  return { ...Object.fromEntries(wrapped), ops: lazyOps(addon, failure) } as Native;
}

/**
 * Functions of ops, each made when it is first asked for: 700 of them would be a tenth of the time
 * that this package takes to load. From then on it is a plain property.
 */
function lazyOps(addon: Addon, failure: FailureClass): Native['ops'] {
  const ops = Object.create(
    new Proxy(Object.create(null) as object, {
      get(_, name) {
        const fn = typeof name === 'string' ? addon.op(name) : undefined;
        return fn === undefined ? undefined : (ops[name as string] = guarded(fn, failure));
      },
    }),
  ) as Record<string, NativeFunction>;
  return ops;
}

function load(): Native {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- resolves the binary at run time
  const loadAddon = require('node-gyp-build') as (root: string) => Addon;
  const root = packageRoot();
  let addon: Addon;
  try {
    addon = loadAddon(root);
  } catch (cause) {
    throw new Error(
      `ampgrad: the native addon for ${process.platform}-${process.arch} (Node ${process.version}) ` +
        `could not be loaded from ${root}. Build it with 'npm run build:native' ` +
        `(needs cmake, ninja, a C++20 compiler and libhwy-dev).`,
      { cause },
    );
  }
  return guard(addon);
}

export const native: Native = load();
