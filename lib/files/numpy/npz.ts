/** NumPy's .npz files: a ZIP archive of .npy files. */
import { checkBoolean, checkInteger, checkKeys, describe } from '../../data/options';
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { bytesSource, collect, fileError, type Sink, withSource, writeAtomic } from '../io';
import { ZipReader } from '../zip/reader';
import { ZipWriter } from '../zip/writer';
import { readNpy, writeNpy } from './npy';

const kind = '.npz file';
const suffix = '.npy';
const defaultMaxBytes = 2 ** 32;

export interface NpzLoadOptions {
  /** Refuse archives whose arrays have more bytes together. Default 2^32. */
  readonly maxBytes?: number | undefined;
}

export interface NpzSaveOptions {
  /** Deflate the arrays. Default false. */
  readonly compressed?: boolean | undefined;
}

/**
 * The arrays of a .npz file, or of its bytes, by name. Python: `numpy.load`.
 * @throws TensorError ERR_FILE for a broken archive or one that unpacks to more than `maxBytes`.
 */
export function load(
  from: string | Uint8Array,
  options: NpzLoadOptions = {},
): Record<string, Tensor> {
  checkKeys('npz.load', options, ['maxBytes']);
  const maxBytes = checkInteger('npz.load', 'maxBytes', options.maxBytes ?? defaultMaxBytes, 0);
  return withSource(kind, from, (source) => {
    const zip = new ZipReader(source);
    let total = 0;
    for (const { size } of zip.entries.values()) total += size;
    if (total > maxBytes) {
      throw fileError(
        kind,
        source.name,
        `unpacks to ${String(total)} bytes, more than the limit 'maxBytes' of ${String(maxBytes)}`,
      );
    }
    const out: Record<string, Tensor> = {};
    for (const entry of zip.entries.values()) {
      const { name } = entry;
      if (!name.endsWith(suffix)) {
        throw fileError(kind, source.name, `entry '${name}' is not an array`);
      }
      const content = bytesSource(kind, zip.read(entry, maxBytes));
      const value = readNpy({ ...content, name: `${source.name}:${name}` });
      const all = { enumerable: true, writable: true, configurable: true };
      Object.defineProperty(out, name.slice(0, -suffix.length), { value, ...all });
    }
    return out;
  });
}

function write(where: string, tensors: unknown, options: NpzSaveOptions): (sink: Sink) => void {
  checkKeys(where, options, ['compressed']);
  const compressed = checkBoolean(where, 'compressed', options.compressed ?? false);
  if (typeof tensors !== 'object' || tensors === null || tensors instanceof Tensor) {
    throw makeError(
      'ERR_TYPE',
      `${where}: argument 'tensors' must be an object of Tensors, got ${describe(tensors)}`,
    );
  }
  const writers = Object.entries(tensors).map(([name, t]: [string, unknown]) => {
    if (t instanceof Tensor) return [name, writeNpy(where, t)] as const;
    throw makeError('ERR_TYPE', `${where}: '${name}' must be a Tensor, got ${describe(t)}`);
  });
  return (sink) => {
    const zip = new ZipWriter(sink);
    for (const [name, writer] of writers) zip.add(name + suffix, collect(writer), compressed);
    zip.finish();
  };
}

/** Writes tensors as a .npz file, atomically. Python: `numpy.savez`, `numpy.savez_compressed`. */
export function save(
  tensors: Readonly<Record<string, Tensor>>,
  path: string,
  options: NpzSaveOptions = {},
): void {
  writeAtomic(kind, path, write('npz.save', tensors, options));
}

/** The bytes that {@link save} would write. */
export function encode(
  tensors: Readonly<Record<string, Tensor>>,
  options: NpzSaveOptions = {},
): Uint8Array {
  return collect(write('npz.encode', tensors, options));
}
