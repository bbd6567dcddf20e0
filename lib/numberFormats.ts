/** What the number formats can hold: `finfo` and `iinfo`. */
import { type DType } from './dtype';
import { makeError } from './errors';

/** Limits of a floating-point dtype. PyTorch: `torch.finfo`. */
export interface FloatInfo {
  readonly dtype: DType;
  readonly bits: number;
  /** Distance from 1 to the next larger number. */
  readonly eps: number;
  readonly max: number;
  readonly min: number;
  /** Smallest positive normal number. */
  readonly tiny: number;
  readonly smallestNormal: number;
  /** Smallest positive number. */
  readonly smallestSubnormal: number;
  /** Decimal digits that survive. */
  readonly resolution: number;
}

/** Limits of an integer dtype; those of int64 beyond 2^53 are bigints. PyTorch: `torch.iinfo`. */
export interface IntegerInfo {
  readonly dtype: DType;
  readonly bits: number;
  readonly min: number | bigint;
  readonly max: number | bigint;
}

/** Width, explicit mantissa bits, exponent bias, decimal digits. */
const floats: Partial<Record<DType, readonly [number, number, number, number]>> = {
  float16: [16, 10, 15, 3],
  bfloat16: [16, 7, 127, 2],
  float32: [32, 23, 127, 6],
  float64: [64, 52, 1023, 15],
};

const integers: Partial<Record<DType, readonly [number, boolean]>> = {
  uint8: [8, false],
  int8: [8, true],
  int16: [16, true],
  int32: [32, true],
  int64: [64, true],
};

/** @throws TypeError unless `dtype` is a floating-point dtype. */
export function finfo(dtype: DType = 'float32'): FloatInfo {
  const format = Object.hasOwn(floats, dtype) ? floats[dtype] : undefined;
  if (format === undefined) {
    throw makeError(
      'ERR_TYPE',
      `finfo: needs a floating point dtype, got '${String(dtype)}'; iinfo is for integers`,
    );
  }
  const [bits, mantissa, bias, digits] = format;
  const eps = 2 ** -mantissa;
  const max = (2 - eps) * 2 ** bias;
  const tiny = 2 ** (1 - bias);
  return {
    dtype,
    bits,
    eps,
    max,
    min: -max,
    tiny,
    smallestNormal: tiny,
    smallestSubnormal: 2 ** (1 - bias - mantissa),
    resolution: Number(`1e-${String(digits)}`),
  };
}

/** @throws TypeError unless `dtype` is an integer dtype. */
export function iinfo(dtype: DType): IntegerInfo {
  const format = Object.hasOwn(integers, dtype) ? integers[dtype] : undefined;
  if (format === undefined) {
    throw makeError(
      'ERR_TYPE',
      `iinfo: needs an integer dtype, got '${String(dtype)}'; finfo is for floating point`,
    );
  }
  const [bits, signed] = format;
  if (bits === 64) return { dtype, bits, min: -(2n ** 63n), max: 2n ** 63n - 1n };
  const max = 2 ** (signed ? bits - 1 : bits) - 1;
  return { dtype, bits, min: signed ? -max - 1 : 0, max };
}
