/** Tensors from JavaScript data: nested arrays, typed arrays, shared buffers. */
import { suggest } from '../call';
import {
  allocateTyped,
  type Device,
  type DType,
  isDType,
  isFloatingDType,
  itemSize,
  NativeFloat16Array,
  type TypedArray,
} from '../dtype';
import { getDefaultDevice } from '../defaultDevice';
import { makeError } from '../errors';
import { native, type Handle } from '../native';
import { handleOf, Tensor, wrapTensor } from '../tensor';

/** What {@link tensor} accepts: a number, nested arrays of one length per level, a typed array. */
export type TensorData =
  number | bigint | boolean | TypedArray | Tensor | readonly TensorData[] | ArrayBufferView;

export interface TensorOptions {
  /** Default: int64 for integers, float32 for fractions, bool for booleans, else the data's own. */
  readonly dtype?: DType | null | undefined;
  /** Default: that of `setDefaultDevice`, `'cpu'` at first; for a Tensor, its own. */
  readonly device?: Device | null | undefined;
  /** Default false. */
  readonly requiresGrad?: boolean | undefined;
}

const optionNames = ['dtype', 'device', 'requiresGrad'];

function checkOptions(where: string, options: object, names: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (names.includes(key)) continue;
    throw makeError(
      'ERR_TYPE',
      `${where}: unknown option '${key}'${suggest(key, names)} (options are ${names.join(', ')})`,
    );
  }
}

function checkDType(where: string, dtype: unknown): void {
  if (dtype === undefined || dtype === null || isDType(dtype)) return;
  const code = typeof dtype === 'string' ? 'ERR_DTYPE' : 'ERR_TYPE';
  throw makeError(
    code,
    `${where}: argument 'dtype' must be a dtype name such as 'float32', got ${String(dtype)}`,
  );
}

const typedDTypes = new Map<unknown, DType>([
  [Uint8Array, 'uint8'],
  [Uint8ClampedArray, 'uint8'],
  [Int8Array, 'int8'],
  [Int16Array, 'int16'],
  [Int32Array, 'int32'],
  [BigInt64Array, 'int64'],
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
]);
if (NativeFloat16Array !== undefined) typedDTypes.set(NativeFloat16Array, 'float16');

/** The dtype a typed array carries; 16-bit patterns need to be told which. */
function typedDType(where: string, data: ArrayBufferView, wanted: DType | undefined): DType {
  for (const [constructor, dtype] of typedDTypes) {
    if (data instanceof (constructor as new () => object)) return dtype;
  }
  if (data instanceof Uint16Array && (wanted === 'float16' || wanted === 'bfloat16')) return wanted;
  throw makeError(
    'ERR_TYPE',
    `${where}: a ${data.constructor.name} carries no dtype of ampgrad` +
      (data instanceof Uint16Array ? "; pass dtype 'float16' or 'bfloat16' for bit patterns" : ''),
  );
}

type Leaf = number | bigint | boolean;

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** Sizes of nested lists, from their first elements. */
function shapeOf(data: unknown): number[] {
  const shape: number[] = [];
  let level: unknown = data;
  while (isList(level) || level instanceof Tensor) {
    if (level instanceof Tensor) return [...shape, ...level.shape];
    shape.push(level.length);
    if (level.length === 0) break;
    level = level[0];
  }
  return shape;
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'object') return isList(value) ? 'an array' : 'an object';
  return typeof value === 'string' ? `string "${value}"` : `${typeof value} ${String(value)}`;
}

/** The leaves in row-major order; ragged lists and foreign values are errors. */
function flatten(where: string, data: unknown, shape: readonly number[]): Leaf[] {
  const out: Leaf[] = [];
  const visit = (value: unknown, dim: number): void => {
    if (value instanceof Tensor && value.ndim === shape.length - dim) {
      flatten(where, value.toArray(), shape.slice(dim)).forEach((v) => out.push(v));
      return;
    }
    if (dim === shape.length) {
      if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
        out.push(value);
        return;
      }
      const ragged = isList(value);
      throw makeError(
        ragged ? 'ERR_SHAPE' : 'ERR_TYPE',
        `${where}: argument 'data' must hold numbers, bigints or booleans at depth ` +
          `${String(dim)}, got ${describe(value)}`,
      );
    }
    if (!isList(value) || value.length !== shape[dim]) {
      const got = isList(value) ? `length ${String(value.length)}` : describe(value);
      throw makeError(
        'ERR_SHAPE',
        `${where}: argument 'data' must not be ragged: expected a list of length ` +
          `${String(shape[dim])} at dim ${String(dim)}, got ${got}`,
      );
    }
    for (let i = 0; i < value.length; ++i) visit(value[i], dim + 1);
  };
  visit(data, 0);
  return out;
}

function inferDType(values: readonly Leaf[]): DType {
  let integers = false;
  let booleans = false;
  for (const v of values) {
    if (typeof v === 'number') {
      if (!Number.isInteger(v)) return 'float32';
      integers = true;
    } else if (typeof v === 'bigint') {
      integers = true;
    } else {
      booleans = true;
    }
  }
  if (integers) return 'int64';
  return booleans ? 'bool' : 'float32';
}

const integerRanges: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
};

function toInteger(v: Leaf, dtype: DType): number {
  const n = Math.trunc(Number(v));
  const range = integerRanges[dtype];
  if (range !== undefined && n >= range[0] && n <= range[1]) return n;
  throw makeError(
    'ERR_VALUE',
    `tensor: argument 'data' holds ${String(v)}, which cannot be converted to ${dtype} without overflow`,
  );
}

function toBigInt(v: Leaf): bigint {
  const isWhole = typeof v !== 'number' || Number.isFinite(v);
  const n = isWhole ? BigInt(typeof v === 'number' ? Math.trunc(v) : v) : 0n;
  if (!isWhole || n !== BigInt.asIntN(64, n)) {
    throw makeError(
      'ERR_VALUE',
      `tensor: argument 'data' holds ${String(v)}, which cannot be converted to int64 without overflow`,
    );
  }
  return n;
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function convert(handle: Handle, from: DType, to: DType): Handle {
  return from === to ? handle : (native.ops['toCopy']?.(handle, to) as Handle);
}

function fromLeaves(values: readonly Leaf[], shape: readonly number[], dtype: DType): Handle {
  if (isFloatingDType(dtype)) {
    // Half types are rounded once, from the number itself.
    const wide = dtype === 'float32' ? 'float32' : 'float64';
    const data = allocateTyped(wide, values.length) as Float32Array | Float64Array;
    for (let i = 0; i < values.length; ++i) data[i] = Number(values[i]);
    return convert(native.fromBytes(bytesOf(data), shape, wide), wide, dtype);
  }
  const data = allocateTyped(dtype, values.length);
  if (dtype === 'int64') {
    const target = data as BigInt64Array;
    for (let i = 0; i < values.length; ++i) target[i] = toBigInt(values[i] as Leaf);
  } else {
    const target = data as Uint8Array;
    for (let i = 0; i < values.length; ++i) {
      const v = values[i] as Leaf;
      target[i] = dtype === 'bool' ? (v ? 1 : 0) : toInteger(v, dtype);
    }
  }
  return native.fromBytes(bytesOf(data), shape, dtype);
}

/**
 * A tensor with a copy of `data`. Integers make int64, fractions float32, booleans bool; typed
 * arrays keep their element type (Uint16Array needs `dtype: 'float16'` or `'bfloat16'`, as bits).
 * PyTorch: `torch.tensor`.
 *
 * @throws TensorError ERR_SHAPE for ragged lists, RangeError ERR_VALUE for numbers the dtype cannot hold.
 */
export function tensor(data: TensorData, options: TensorOptions = {}): Tensor {
  checkOptions('tensor', options, optionNames);
  checkDType('tensor', options.dtype);
  const wanted = options.dtype ?? undefined;
  let handle: Handle;
  if (data instanceof Tensor) {
    handle = native.ops['toCopy']?.(handleOf(data), wanted, options.device) as Handle;
    handle = native.ops['detach']?.(handle) as Handle;
  } else if (ArrayBuffer.isView(data)) {
    const own = typedDType('tensor', data, wanted);
    const length = data.byteLength / itemSize(own);
    handle = convert(native.fromBytes(bytesOf(data), [length], own), own, wanted ?? own);
  } else {
    const shape = shapeOf(data);
    const values = flatten('tensor', data, shape);
    handle = fromLeaves(values, shape, wanted ?? inferDType(values));
  }
  const device = options.device ?? getDefaultDevice();
  if (!(data instanceof Tensor) && device !== 'cpu')
    handle = native.ops['toCopy']?.(handle, undefined, device) as Handle;
  const out = wrapTensor(handle);
  if (options.requiresGrad !== undefined) out.requiresGrad = options.requiresGrad;
  return out;
}

/** {@link tensor}, but a Tensor that already fits is returned as it is. PyTorch: `torch.as_tensor`. */
export function asTensor(data: TensorData, options: TensorOptions = {}): Tensor {
  checkOptions('asTensor', options, optionNames);
  const fits =
    data instanceof Tensor &&
    (options.dtype ?? data.dtype) === data.dtype &&
    (options.device ?? data.device) === data.device;
  return fits ? data : tensor(data, options);
}

export interface FromBufferOptions {
  /** Default: what the typed array carries. */
  readonly dtype?: DType | null | undefined;
  /** Default: one dimension over the whole array. */
  readonly shape?: readonly number[] | undefined;
  readonly requiresGrad?: boolean | undefined;
}

/**
 * A tensor over the memory of a typed array, without a copy: changes of one show in the other. The
 * array stays alive as long as the tensor. PyTorch: `torch.from_numpy`, `torch.frombuffer`.
 */
export function fromBuffer(data: ArrayBufferView, options: FromBufferOptions = {}): Tensor {
  checkOptions('fromBuffer', options, ['dtype', 'shape', 'requiresGrad']);
  checkDType('fromBuffer', options.dtype);
  if (!ArrayBuffer.isView(data) || data instanceof DataView) {
    throw makeError(
      'ERR_TYPE',
      `fromBuffer: argument 'data' must be a typed array, got ${describe(data)}`,
    );
  }
  const dtype = options.dtype ?? typedDType('fromBuffer', data, undefined);
  const shape = options.shape ?? [Math.floor(data.byteLength / itemSize(dtype))];
  const out = wrapTensor(native.fromShared(data, shape, dtype));
  if (options.requiresGrad !== undefined) out.requiresGrad = options.requiresGrad;
  return out;
}
