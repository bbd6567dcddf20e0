/** Reads the safetensors files of parity cases. */
import { readFileSync } from 'node:fs';

import { type DType, tensor, type Tensor } from '../../lib';
import { testDevice } from './device';

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const dtypeNames: Readonly<Record<string, DType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

const carriers = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

export class SafeTensors {
  readonly #bytes: Buffer;
  readonly #entries: Readonly<Record<string, Entry>>;
  readonly #start: number;

  constructor(path: string) {
    this.#bytes = readFileSync(path);
    const length = Number(this.#bytes.readBigUInt64LE(0));
    this.#start = 8 + length;
    this.#entries = JSON.parse(this.#bytes.toString('utf8', 8, this.#start)) as Record<
      string,
      Entry
    >;
  }

  /** A new tensor with the values under `key`. */
  get(key: string): Tensor {
    const entry = this.#entries[key];
    if (entry === undefined) throw new Error(`no tensor '${key}'`);
    const dtype = dtypeNames[entry.dtype] as DType;
    const [begin, end] = entry.data_offsets;
    const copy = Uint8Array.from(this.#bytes.subarray(this.#start + begin, this.#start + end));
    const data = new carriers[dtype](copy.buffer);
    return tensor(data, { dtype }).view(entry.shape).to(testDevice);
  }
}
