/** A minimal reader of safetensors files, for the dumps of test/golden/models. */
import { readFileSync } from 'node:fs';

import { fromBuffer, type Tensor } from '../../lib';

const arrays = {
  F64: Float64Array,
  F32: Float32Array,
  I64: BigInt64Array,
  U8: Uint8Array,
};

interface Entry {
  readonly dtype: keyof typeof arrays;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

export function readSafetensors(path: string): Map<string, Tensor> {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, Entry>;
  const out = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data_offsets: range }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const data = new Uint8Array(bytes.subarray(start + range[0], start + range[1])).buffer;
    out.set(name, fromBuffer(new arrays[dtype](data), { shape }));
  }
  return out;
}
