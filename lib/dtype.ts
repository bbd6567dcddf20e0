/** Element types, devices and their JavaScript carriers. */

/** Element type of a tensor. */
export type DType =
  | 'bool'
  | 'uint8'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float16'
  | 'bfloat16'
  | 'float32'
  | 'float64';

/** Where a tensor lives. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`;

/** A number without a tensor: takes part in type promotion by its kind only. */
export type Scalar = number | bigint | boolean;

/** Typed arrays that carry tensor elements; float16 and bfloat16 travel as bits in Uint16Array. */
export type TypedArray =
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

export const dtypes: readonly DType[] = [
  'bool',
  'uint8',
  'int8',
  'int16',
  'int32',
  'int64',
  'float16',
  'bfloat16',
  'float32',
  'float64',
];

const itemSizes: Readonly<Record<DType, number>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
};

/** Bytes of one element. */
export function itemSize(dtype: DType): number {
  return itemSizes[dtype];
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.prototype.hasOwnProperty.call(itemSizes, value);
}

export function isFloatingDType(dtype: DType): boolean {
  return dtype.includes('float');
}

export function isDevice(value: unknown): value is Device {
  return typeof value === 'string' && /^(cpu|cuda(:\d{1,2})?)$/.test(value);
}

type Float16ArrayConstructor = new (buffer: ArrayBufferLike) => ArrayBufferView & ArrayLike<number>;

/** Float16Array where the runtime has it (Node 24 and later behind no flag). */
export const NativeFloat16Array = (globalThis as { Float16Array?: Float16ArrayConstructor })
  .Float16Array;

/** An uninitialised typed array for `n` elements; half types as 16-bit patterns. */
export function allocateTyped(dtype: DType, n: number): TypedArray {
  switch (dtype) {
    case 'bool':
    case 'uint8':
      return new Uint8Array(n);
    case 'int8':
      return new Int8Array(n);
    case 'int16':
      return new Int16Array(n);
    case 'int32':
      return new Int32Array(n);
    case 'int64':
      return new BigInt64Array(n);
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(n);
    case 'float32':
      return new Float32Array(n);
    case 'float64':
      return new Float64Array(n);
  }
}
