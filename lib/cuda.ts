/**
 * CUDA devices: whether there are any and what they are, waiting for them, their memory. PyTorch:
 * `torch.cuda`. Every function takes a device as `'cuda'`, `'cuda:1'` or an index (default: the
 * current device), and throws ERR_DEVICE when it does not exist.
 */
import type { DType } from './dtype';
import { makeError } from './errors';
import { type CudaDevice, cudaIndex } from './cudaStreams';
import { type CudaMemoryStats, type DeviceProperties, native } from './native';
import type { RngState } from './random';

export {
  currentDevice,
  currentStream,
  defaultStream,
  device,
  Event,
  setDevice,
  setStream,
  Stream,
  stream,
} from './cudaStreams';
export type { CudaDevice, EventOptions, StreamOptions } from './cudaStreams';
export type { CudaMemoryStats, DeviceProperties } from './native';

/** Whether a tensor can be moved to `'cuda'` here. Never throws. */
export function isAvailable(): boolean {
  return native.cudaCount() > 0;
}

/** What is missing for {@link isAvailable} to be true: a library, a driver, a device. */
export function unavailableReason(): string | null {
  return native.cudaUnavailableReason();
}

/** Number of devices; 0 where CUDA is not available. */
export function deviceCount(): number {
  return native.cudaCount();
}

export function getDeviceProperties(device?: CudaDevice): DeviceProperties {
  return native.cudaProperties(cudaIndex(device));
}

export function getDeviceName(device?: CudaDevice): string {
  return getDeviceProperties(device).name;
}

/** Major and minor compute capability, for example `[9, 0]`. */
export function getDeviceCapability(device?: CudaDevice): [number, number] {
  const { major, minor } = getDeviceProperties(device);
  return [major, minor];
}

/** The lowest capability whose Tensor Cores multiply a dtype; float32 means TF32. */
const tensorCoreCapability: Readonly<Partial<Record<DType, number>>> = {
  float16: 7,
  bfloat16: 8,
  float32: 8,
  float64: 8,
  int8: 7.2,
};

/** The GTX 16 series has capability 7.5 and no Tensor Cores. */
function lacksTensorCores({ name }: DeviceProperties): boolean {
  return /\bGTX 16\d\d/.test(name);
}

/** Whether matrix products in float16 run on Tensor Cores: capability 7.0 or higher. */
export function hasTensorCores(device?: CudaDevice): boolean {
  const properties = getDeviceProperties(device);
  return properties.major >= 7 && !lacksTensorCores(properties);
}

/**
 * Whether products of a dtype would run on Tensor Cores there, in one sentence that gives the reason.
 * Never throws for want of a device.
 *
 * @example
 * cuda.describeTensorCores(0, 'bfloat16');
 * // 'Tensor Cores: not for bfloat16 on Tesla T4, capability 7.5; it needs 8.0, float16 would use them'
 */
export function describeTensorCores(device?: CudaDevice, dtype: DType = 'float16'): string {
  if (!isAvailable()) return `Tensor Cores: no CUDA device (${unavailableReason() ?? 'unknown'})`;
  const properties = getDeviceProperties(device);
  const { name, major, minor } = properties;
  const where = `${name}, capability ${String(major)}.${String(minor)}`;
  const needed = tensorCoreCapability[dtype];
  if (needed === undefined) return `Tensor Cores: no GPU multiplies ${dtype} on them`;
  if (!hasTensorCores(device)) return `Tensor Cores: ${where} has none`;
  if (major + minor / 10 < needed) {
    const instead = dtype === 'bfloat16' ? ', float16 would use them' : '';
    return `Tensor Cores: not for ${dtype} on ${where}; it needs ${needed.toFixed(1)}${instead}`;
  }
  const note = dtype === 'float32' ? ', as TF32 and only where that is allowed' : '';
  return `Tensor Cores: used for products in ${dtype} on ${where}${note}`;
}

/** Whether the device computes in bfloat16: capability 8.0 or higher. */
export function isBf16Supported(device?: CudaDevice): boolean {
  return getDeviceProperties(device).major >= 8;
}

/** Waits until the device has done everything that was asked of it. */
export function synchronize(device?: CudaDevice): void {
  native.cudaSynchronize(cudaIndex(device));
}

/** All figures of the device's allocator, and how often the host waited for the device. */
export function memoryStats(device?: CudaDevice): CudaMemoryStats {
  return native.cudaMemory(cudaIndex(device));
}

/** Bytes in use by tensors. */
export function memoryAllocated(device?: CudaDevice): number {
  return memoryStats(device).allocatedBytes;
}

/** Highest {@link memoryAllocated} since the start or the last {@link resetPeakMemoryStats}. */
export function maxMemoryAllocated(device?: CudaDevice): number {
  return memoryStats(device).peakAllocatedBytes;
}

/** Bytes held from the device, in use or cached. */
export function memoryReserved(device?: CudaDevice): number {
  return memoryStats(device).reservedBytes;
}

/** Highest {@link memoryReserved} since the start or the last {@link resetPeakMemoryStats}. */
export function maxMemoryReserved(device?: CudaDevice): number {
  return memoryStats(device).peakReservedBytes;
}

/** Starts the peak figures afresh. */
export function resetPeakMemoryStats(device?: CudaDevice): void {
  native.cudaResetPeak(cudaIndex(device));
}

/** Gives cached memory that no tensor uses back to the device. */
export function emptyCache(device?: CudaDevice): void {
  native.cudaEmptyCache(cudaIndex(device));
}

/** Free and total bytes of the device, as the driver sees them. */
export function memGetInfo(device?: CudaDevice): [number, number] {
  const { freeMemory, totalMemory } = getDeviceProperties(device);
  return [freeMemory, totalMemory];
}

/**
 * Limits what this process may hold of the device to a share of its memory, above 0 and at most 1;
 * beyond it allocations fail with ERR_OOM.
 */
export function setPerProcessMemoryFraction(fraction: number, device?: CudaDevice): void {
  if (!(fraction > 0 && fraction <= 1)) {
    throw makeError(
      'ERR_VALUE',
      `setPerProcessMemoryFraction: argument 'fraction' must be above 0 and at most 1, got ${fraction}`,
    );
  }
  native.cudaSetFraction(cudaIndex(device), fraction);
}

/** The figures of {@link memoryStats} as a text for people. */
export function memorySummary(device?: CudaDevice): string {
  const s = memoryStats(device);
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1).padStart(10)} MiB`;
  return [
    `Memory of cuda:${cudaIndex(device)} (${getDeviceName(device)})`,
    `  in use        ${mib(s.allocatedBytes)}   peak ${mib(s.peakAllocatedBytes)}`,
    `  reserved      ${mib(s.reservedBytes)}   peak ${mib(s.peakReservedBytes)}`,
    `  free in parts ${mib(s.inactiveSplitBytes)}   in ${s.segments} segments`,
    `  allocations   ${s.allocations}, of the device ${s.systemAllocations}, retried ${s.retries}, failed ${s.outOfMemory}`,
  ].join('\n');
}

/** Restarts the random numbers of one device; `manualSeed` of the package restarts those of all. */
export function manualSeed(seed: number | bigint, device?: CudaDevice): void {
  native.seedGenerator(seed, 1 + cudaIndex(device));
}

/** Restarts the random numbers of every device. */
export function manualSeedAll(seed: number | bigint): void {
  for (let i = 0; i < deviceCount(); ++i) manualSeed(seed, i);
}

/** The seed of the device's last restart. */
export function initialSeed(device?: CudaDevice): bigint {
  return native.initialSeed(1 + cudaIndex(device));
}

/** Where the device's random numbers stand. */
export function getRngState(device?: CudaDevice): RngState {
  const [seed, offset] = native.rngState(1 + cudaIndex(device));
  return { seed, offset };
}

export function setRngState(state: RngState, device?: CudaDevice): void {
  native.setRngState(state.seed, state.offset, 1 + cudaIndex(device));
}
