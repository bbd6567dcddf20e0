/** The data of every workload: a counter-based hash that gives the same numbers in any language. */
import { cuda, type Device, fromBuffer, type nn, type Tensor } from '../../lib';

let device: Device = 'cpu';

/** Where the data and the models of the workloads are. */
export function setDevice(name: string): void {
  if (!/^(cpu|cuda(:\d+)?)$/.test(name)) throw new Error(`--device must be cpu or cuda: '${name}'`);
  if (name !== 'cpu' && !cuda.isAvailable()) {
    throw new Error(`--device ${name}: ${cuda.unavailableReason()}`);
  }
  device = name as Device;
}

export function currentDevice(): Device {
  return device;
}

/** The kind of device, as autocast wants it. */
export function deviceKind(): 'cpu' | 'cuda' {
  return device === 'cpu' ? 'cpu' : 'cuda';
}

export function place<M extends nn.Module>(model: M): M {
  return model.to(device);
}

/** Waits for what was queued, so that a clock may stop. */
export function finish(): void {
  if (device !== 'cpu') cuda.synchronize(device as cuda.CudaDevice);
}

/** murmur3's finaliser of `i + seed * 0x9E3779B9`, modulo 2^32. */
function hash(i: number, seed: number): number {
  let x = (i + Math.imul(seed, 0x9e3779b9)) >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function count(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * Numbers of JavaScript in memory of the engine: large tensors lie in huge pages there, as the results of
 * operations do and large arrays of NumPy, which the peers read. `fromBuffer` alone would leave them
 * in V8's small pages.
 */
function owned(data: Float32Array | BigInt64Array, shape: readonly number[]): Tensor {
  return fromBuffer(data, { shape }).to({ device, copy: true });
}

/** U(shape, seed, lo, hi): float32 numbers in [lo, hi), computed in double. */
export function uniform(shape: readonly number[], seed: number, lo = -1, hi = 1): Tensor {
  const n = count(shape);
  const data = new Float32Array(n);
  for (let i = 0; i < n; ++i) data[i] = lo + (hi - lo) * ((hash(i, seed) >>> 8) / 16777216);
  return owned(data, shape);
}

/** I(shape, seed, n): integers in [0, n), int64. */
export function integers(shape: readonly number[], seed: number, n: number): Tensor {
  const total = count(shape);
  const data = new BigInt64Array(total);
  for (let i = 0; i < total; ++i) {
    data[i] = BigInt(Math.floor(((hash(i, seed) >>> 8) / 16777216) * n));
  }
  return owned(data, shape);
}
