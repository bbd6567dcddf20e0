/** Writing safetensors: the header first, then tensor by tensor, widest elements first. */
import { checkKeys, describe } from '../../data/options';
import { type DType, itemSize } from '../../dtype';
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { bytesOf, byteLength } from '../elements';
import { collect, type Sink, writeAtomic } from '../io';
import { kind, maxHeaderBytes, metadataKey, shorten, storedDtypeOf } from './header';

export interface SaveFileOptions {
  /** Free text of the header, for example `{ format: 'pt' }`. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

function checkTensors(where: string, tensors: unknown): [string, Tensor][] {
  if (typeof tensors !== 'object' || tensors === null || tensors instanceof Tensor) {
    throw makeError(
      'ERR_TYPE',
      `${where}: argument 'tensors' must be an object of Tensors, got ${describe(tensors)}`,
    );
  }
  const entries = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  for (const [name, t] of entries as [unknown, unknown][]) {
    if (typeof name === 'string' && name !== metadataKey && t instanceof Tensor) continue;
    const what = t instanceof Tensor ? 'cannot be the name of a tensor' : 'must be a Tensor';
    throw makeError('ERR_TYPE', `${where}: '${shorten(String(name))}' ${what}, got ${describe(t)}`);
  }
  return entries as [string, Tensor][];
}

function checkMetadata(where: string, metadata: SaveFileOptions['metadata']): void {
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (typeof value === 'string') continue;
    throw makeError(
      'ERR_TYPE',
      `${where}: metadata '${shorten(key)}' must be a string, got ${describe(value)}`,
    );
  }
}

/** An entry of a file; its bytes are asked for when their turn comes. */
export interface WriteEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: () => Uint8Array;
}

function entryOf([name, t]: [string, Tensor]): WriteEntry {
  return { name, dtype: t.dtype, shape: t.shape, bytes: () => bytesOf(t) };
}

/** Widest elements first, so that each tensor is aligned; then by name, so that files are equal. */
function compare(a: WriteEntry, b: WriteEntry): number {
  const width = itemSize(b.dtype) - itemSize(a.dtype);
  return width !== 0 ? width : a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Writes entries in this order: a header of known size, then what each of them gives. */
export function writeEntries(
  where: string,
  entries: readonly WriteEntry[],
  metadata: Readonly<Record<string, string>> | undefined,
): (sink: Sink) => void {
  const parts: string[] = [];
  if (metadata !== undefined) {
    parts.push(`${JSON.stringify(metadataKey)}:${JSON.stringify(metadata)}`);
  }
  let at = 0;
  for (const { name, dtype, shape } of entries) {
    const end = at + byteLength(shape, dtype);
    const info = { dtype: storedDtypeOf(dtype), shape, data_offsets: [at, end] };
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(info)}`);
    at = end;
  }
  const json = Buffer.from(`{${parts.join(',')}}`);
  // Spaces up to a multiple of eight: the data are aligned when the file is mapped.
  const length = Math.ceil(json.length / 8) * 8;
  if (length > maxHeaderBytes) {
    throw makeError(
      'ERR_VALUE',
      `${where}: a header of ${String(length)} bytes is above the limit of the format, ${String(maxHeaderBytes)}`,
    );
  }
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, 8);
  return (sink) => {
    sink(header);
    for (const entry of entries) sink(entry.bytes());
  };
}

function write(where: string, tensors: unknown, options: SaveFileOptions): (sink: Sink) => void {
  checkKeys(where, options, ['metadata']);
  checkMetadata(where, options.metadata);
  const entries = checkTensors(where, tensors).map(entryOf).sort(compare);
  return writeEntries(where, entries, options.metadata);
}

/**
 * Writes tensors to a file, atomically: after a crash there is the old file or the new one. Tensors
 * that share memory are written once each. Python: `safetensors.torch.save_file`.
 */
export function saveFile(
  tensors: Readonly<Record<string, Tensor>> | ReadonlyMap<string, Tensor>,
  path: string,
  options: SaveFileOptions = {},
): void {
  writeAtomic(kind, path, write('safetensors.saveFile', tensors, options));
}

/** The bytes that {@link saveFile} would write. Python: `safetensors.torch.save`. */
export function save(
  tensors: Readonly<Record<string, Tensor>> | ReadonlyMap<string, Tensor>,
  options: SaveFileOptions = {},
): Uint8Array {
  return collect(write('safetensors.save', tensors, options));
}
