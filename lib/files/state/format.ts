/**
 * The container of `save`: a safetensors file. Every storage is a tensor of the file, under the path
 * of the first value that uses it; the metadata entry 'ampgrad' holds a JSON text, a {@link Document};
 * the last tensor, `checksumName`, holds the CRC-32 of that text and of every other tensor, in the
 * order of the file. So any safetensors reader sees the tensors, and nothing is ever executed.
 *
 * A value is stored as a {@link Node}: strings, booleans, null and most numbers as themselves,
 * everything else as an array that begins with its kind.
 */
export const metadataName = 'ampgrad';
export const checksumName = 'ampgrad.crc32';
export const formatVersion = 1;
export const kind = 'ampgrad file';

/** Nesting of containers that is written and read. */
export const maxDepth = 1000;
/** Length of a bigint as text, with its sign. */
export const maxDigits = 100_000;
/** Limit of the JSON text: parsing takes some ten times as much memory. */
export const maxTreeBytes = 2 ** 25;

export type Node =
  | string
  | boolean
  | null
  | number
  /** NaN, infinities and -0. */
  | ['number', string]
  | ['bigint', string]
  | ['undefined']
  | ['date', number | null]
  | ['array', ...Node[]]
  | ['set', ...Node[]]
  /** Key, value, key, value... */
  | ['object', ...Node[]]
  | ['map', ...Node[]]
  /** Position in the list of tensors. */
  | ['tensor', number]
  /** Class, entry. */
  | ['typed', string, number];

/** `tensor`: neither; `grad`: wants gradients; `parameter`, `frozen`: an nn.Parameter that does, does not. */
export type TensorKind = 'tensor' | 'grad' | 'parameter' | 'frozen';

/** Entry, shape, strides, offset in elements, kind. */
export type TensorRecord = [number, readonly number[], readonly number[], number, TensorKind];

export interface Document {
  readonly version: number;
  /** Names of the entries, by number. */
  readonly entries: readonly string[];
  readonly tensors: readonly TensorRecord[];
  readonly tree: Node;
}

/** Typed arrays by name; the file shows them as bytes. */
export const typedArrays = new Map<
  string,
  {
    make: new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayBufferView;
    size: number;
  }
>(
  [
    Uint8Array,
    Uint8ClampedArray,
    Int8Array,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
    Float32Array,
    Float64Array,
  ].map((make) => [make.name, { make, size: make.BYTES_PER_ELEMENT }]),
);
