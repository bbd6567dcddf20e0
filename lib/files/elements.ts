/** Elements of tensors as little-endian bytes, which is what all file formats here store. */
import { endianness } from 'node:os';

import { noGrad } from '../autograd';
import { type Device, type DType, allocateTyped, itemSize } from '../dtype';
import { native } from '../native';
import { type Tensor, wrapTensor } from '../tensor';

const bigEndianHost = endianness() === 'BE';

/** Reverses the bytes of every element, in place. */
export function swapBytes(bytes: Uint8Array, size: number): void {
  if (size === 1) return;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (size === 2) view.swap16();
  else if (size === 4) view.swap32();
  else view.swap64();
}

/** The elements in row-major order, copied, little-endian. */
export function bytesOf(t: Tensor): Uint8Array {
  const data = t.dataSync();
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (bigEndianHost) swapBytes(bytes, itemSize(t.dtype));
  return bytes;
}

/** Bytes of a tensor of this shape; NaN or more than 2^53 where the sizes are absurd. */
export function byteLength(shape: readonly number[], dtype: DType): number {
  return shape.reduce((a, b) => a * b, 1) * itemSize(dtype);
}

/** Bool elements from a file may be any byte; the engine knows 0 and 1. */
function normalizeBools(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; ++i) if ((bytes[i] as number) > 1) bytes[i] = 1;
}

/**
 * A tensor over `bytes`, little-endian, without a copy where they are aligned for the dtype. The
 * tensor owns the bytes from then on.
 */
export function tensorOver(
  bytes: Uint8Array,
  shape: readonly number[],
  dtype: DType,
  device: Device = 'cpu',
): Tensor {
  if (dtype === 'bool') normalizeBools(bytes);
  if (bigEndianHost) swapBytes(bytes, itemSize(dtype));
  const aligned = bytes.byteOffset % itemSize(dtype) === 0;
  const handle = aligned
    ? native.fromShared(bytes, shape, dtype)
    : native.fromBytes(bytes, shape, dtype);
  const t = wrapTensor(handle);
  return device === 'cpu' ? t : noGrad(() => t.to(device));
}

/** An uninitialised array for the bytes of a tensor. */
export function allocateBytes(length: number): Uint8Array {
  return new Uint8Array(allocateTyped('uint8', length).buffer);
}
