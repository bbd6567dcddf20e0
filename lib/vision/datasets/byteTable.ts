/** What a pointwise transform makes of bytes, found out by asking it once for all of them. */
import { fromBuffer } from '../../functions/creation';
import { keep } from '../../memory';
import { type Tensor } from '../../tensor';
import { isBatched, isPointwise, PixelBatch, type TransformLike } from '../transforms/transform';

const byteValues = 256;

export interface ByteTable {
  /** float32 [channels, 256]. */
  readonly values: Tensor;
  /** float32 [2, channels]: shifts and scales with which (byte / 255 - shift) / scale gives `values`. */
  readonly affine: Tensor | undefined;
}

/** The float32 numbers next to `x`, `x` first. */
function neighbours(x: number, count: number): number[] {
  const bits = new Int32Array(Float32Array.of(x).buffer);
  const [at] = bits as unknown as [number];
  const out = [Math.fround(x)];
  for (let i = 1; i <= count; ++i) {
    for (const near of [at + i, at - i]) {
      bits[0] = near;
      const [value] = new Float32Array(bits.buffer) as unknown as [number];
      if (Number.isFinite(value)) out.push(value);
    }
  }
  return out;
}

const units = Float32Array.from({ length: byteValues }, (_, i) => i / 255);

function isAffine(values: Float32Array, shift: number, scale: number): boolean {
  for (let i = 0; i < byteValues; ++i) {
    const centred = Math.fround((units[i] as number) - shift);
    if (!Object.is(Math.fround(centred / scale), values[i])) return false;
  }
  return true;
}

/**
 * The shift and scale of a channel that was normalised: those that give its 256 values exactly, sought
 * around what the first and the last value say.
 */
function affineOf(values: Float32Array): [shift: number, scale: number] | undefined {
  const [first, last] = [values[0] as number, values[byteValues - 1] as number];
  const scale = 1 / (last - first);
  const reach = 8;
  if (!Number.isFinite(scale) || !Number.isFinite(first)) return undefined;
  for (const s of neighbours(scale, reach)) {
    for (const m of neighbours(-first * s, reach)) if (isAffine(values, m, s)) return [m, s];
  }
  return undefined;
}

/** Undefined for transforms that a table does not describe. */
export function byteTable(
  transform: TransformLike<never>,
  channels: number,
): ByteTable | undefined {
  if (!isBatched(transform) || !isPointwise(transform)) return undefined;
  const bytes = new Uint8Array(byteValues * channels);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = Math.floor(i / channels);
  const pixels = fromBuffer(bytes, { shape: [byteValues, 1, 1, channels] });
  const made = transform.callBatch(new PixelBatch(pixels));
  if (made instanceof PixelBatch || made.dtype !== 'float32' || made.device !== 'cpu') {
    return undefined;
  }
  const wanted = [byteValues, channels, 1, 1];
  if (made.ndim !== 4 || made.shape.some((n, i) => n !== wanted[i])) return undefined;
  const found = made.dataSync() as Float32Array;
  const values = new Float32Array(byteValues * channels);
  const affine = new Float32Array(2 * channels);
  let isWhole = true;
  for (let c = 0; c < channels; ++c) {
    const column = values.subarray(c * byteValues, (c + 1) * byteValues);
    for (let i = 0; i < byteValues; ++i) column[i] = found[i * channels + c] as number;
    const pair = affineOf(column);
    isWhole &&= pair !== undefined;
    affine[c] = pair?.[0] ?? 0;
    affine[channels + c] = pair?.[1] ?? 1;
  }
  return {
    values: keep(fromBuffer(values, { shape: [channels, byteValues] })),
    affine: isWhole ? keep(fromBuffer(affine, { shape: [2, channels] })) : undefined,
  };
}
