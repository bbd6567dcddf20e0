/** Reading safetensors: all at once into one buffer, or tensor by tensor from an open file. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { checkKeys } from '../../data/options';
import { type Device, isDevice, itemSize } from '../../dtype';
import { makeError } from '../../errors';
import { type Index, type Item, Slice, toItems } from '../../functions/indexing';
import { type Tensor } from '../../tensor';
import { tensorOver } from '../elements';
import { checkPath, fileError, openSource, type Source, withSource } from '../io';
import { type Header, kind, readHeader, shorten, type TensorEntry } from './header';

export interface LoadFileOptions {
  /** Where the tensors go. Default `'cpu'`. */
  readonly device?: Device | undefined;
}

function readDevice(where: string, options: LoadFileOptions): Device {
  checkKeys(where, options, ['device']);
  const { device = 'cpu' } = options;
  if (isDevice(device)) return device;
  throw makeError('ERR_VALUE', `${where}: option 'device' must be a device, got ${String(device)}`);
}

function supportedEntry(name: string, entry: TensorEntry): asserts entry is SupportedEntry {
  if (entry.dtype !== undefined) return;
  throw makeError(
    'ERR_DTYPE',
    `safetensors: tensor '${shorten(name)}' has dtype ${entry.storedDtype}, which ampgrad does not have`,
  );
}

type SupportedEntry = TensorEntry & { readonly dtype: NonNullable<TensorEntry['dtype']> };

// Typed arrays of Node 20 end here; larger files are read tensor by tensor.
const maxShared = 2 ** 32;

function loadSource(source: Source, device: Device): Record<string, Tensor> {
  const header = readHeader(source);
  for (const [name, entry] of header.entries) supportedEntry(name, entry);
  const whole = header.dataLength <= maxShared ? new Uint8Array(header.dataLength) : undefined;
  if (whole !== undefined) source.read(whole, header.dataStart);
  const out: Record<string, Tensor> = {};
  for (const [name, entry] of header.entries) {
    supportedEntry(name, entry);
    const bytes = whole?.subarray(entry.begin, entry.end) ?? readRange(source, header, entry);
    define(out, name, tensorOver(bytes, entry.shape, entry.dtype, device));
  }
  return out;
}

/** Sets a property of any name, `__proto__` too. */
function define(out: Record<string, Tensor>, name: string, value: Tensor): void {
  const all = { enumerable: true, writable: true, configurable: true };
  Object.defineProperty(out, name, { value, ...all });
}

function readRange(
  source: Source,
  header: Header,
  { begin, end }: { begin: number; end: number },
): Uint8Array {
  const bytes = new Uint8Array(end - begin);
  source.read(bytes, header.dataStart + begin);
  return bytes;
}

/**
 * All tensors of a file. They share one buffer, into which the file is read once: the memory is
 * freed when the last of them is. Python: `safetensors.torch.load_file`.
 *
 * @throws TensorError ERR_FILE for a missing or broken file, ERR_DTYPE for a dtype that this library lacks.
 */
export function loadFile(path: string, options: LoadFileOptions = {}): Record<string, Tensor> {
  const device = readDevice('safetensors.loadFile', options);
  checkPath('safetensors.loadFile', path);
  return withSource(kind, path, (source) => loadSource(source, device));
}

/** {@link loadFile} for the content of a file. Python: `safetensors.torch.load`. */
export function load(bytes: Uint8Array, options: LoadFileOptions = {}): Record<string, Tensor> {
  const device = readDevice('safetensors.load', options);
  if (!(bytes instanceof Uint8Array)) {
    throw makeError('ERR_TYPE', "safetensors.load: argument 'bytes' must be a Uint8Array");
  }
  return withSource(kind, bytes, (source) => loadSource(source, device));
}

/** A tensor of an open file of which parts can be read. */
export class SafeSlice {
  readonly shape: readonly number[];

  constructor(
    private readonly name: string,
    private readonly entry: TensorEntry,
    private readonly read: (begin: number, end: number, shape: readonly number[]) => Tensor,
  ) {
    this.shape = Object.freeze([...entry.shape]);
  }

  /** As the file names it, for example `F32`. */
  get storedDtype(): string {
    return this.entry.storedDtype;
  }

  /**
   * The elements at `indices`, as `Tensor.get`. Of the first dimension, no more is read than its
   * integer or slice selects.
   */
  get(...indices: Index[]): Tensor {
    supportedEntry(this.name, this.entry);
    const items = toItems(indices);
    const [first] = items;
    const { shape } = this;
    const rows = shape[0];
    if (rows === undefined || !(typeof first === 'number' || first instanceof Slice)) {
      return this.#rows(0, rows ?? 1).get(...items);
    }
    const { start, stop, rest } = rowRange(first, rows, items.slice(1));
    return this.#rows(start, stop).get(...rest);
  }

  /** Rows [start, stop) of the first dimension; everything of a 0-d tensor. */
  #rows(start: number, stop: number): Tensor {
    const { shape } = this;
    const bytesPerRow =
      shape.slice(1).reduce((a, b) => a * b, 1) * itemSize((this.entry as SupportedEntry).dtype);
    const sizes = shape.length === 0 ? [] : [stop - start, ...shape.slice(1)];
    return this.read(start * bytesPerRow, stop * bytesPerRow, sizes);
  }
}

/** The rows that an index needs, and how to index them. */
function rowRange(
  first: number | Slice,
  rows: number,
  others: readonly Item[],
): { start: number; stop: number; rest: Item[] } {
  if (typeof first === 'number') {
    // Out of range: the indexing itself reports it, on the size of the whole.
    if (!Number.isInteger(first) || first < -rows || first >= rows) {
      throw makeError(
        'ERR_RANGE',
        `getSlice: index ${String(first)} is out of bounds for dimension 0 with size ${String(rows)}`,
      );
    }
    const start = first < 0 ? first + rows : first;
    return { start, stop: start + 1, rest: [0, ...others] };
  }
  const clamp = (v: number): number => Math.min(Math.max(v < 0 ? v + rows : v, 0), rows);
  const start = clamp(first.start ?? 0);
  const stop = Math.max(start, clamp(first.stop ?? rows));
  return { start, stop, rest: [new Slice(null, null, first.step), ...others] };
}

/**
 * An open safetensors file, or a sharded model behind its index: only the header is in memory until
 * a tensor is asked for. Close it, or let `using` do so.
 */
export class SafeFile {
  readonly #open: (name: string) => { source: Source; header: Header };
  readonly #keys: readonly string[];
  readonly #metadata: () => Readonly<Record<string, string>>;
  readonly #sources: Set<Source>;
  readonly #device: Device;

  /** For this package only; users call `safeOpen`. */
  constructor(parts: {
    open: (name: string) => { source: Source; header: Header };
    keys: readonly string[];
    metadata: () => Readonly<Record<string, string>>;
    sources: Set<Source>;
    device: Device;
  }) {
    this.#open = parts.open;
    this.#keys = parts.keys;
    this.#metadata = parts.metadata;
    this.#sources = parts.sources;
    this.#device = parts.device;
    if (typeof Symbol.dispose === 'symbol') {
      Object.defineProperty(this, Symbol.dispose, { value: () => this.close() });
    }
  }

  /** Names of the tensors, in the order of the file. */
  keys(): string[] {
    return [...this.#keys];
  }

  has(name: string): boolean {
    return this.#keys.includes(name);
  }

  /** The free text of the file. */
  metadata(): Record<string, string> {
    return { ...this.#metadata() };
  }

  #entry(name: string): { source: Source; header: Header; entry: TensorEntry } {
    const { source, header } = this.#open(name);
    const entry = header.entries.get(name);
    if (entry !== undefined) return { source, header, entry };
    throw makeError(
      'ERR_VALUE',
      `safetensors: '${source.name}' has no tensor '${shorten(String(name))}'`,
    );
  }

  /** Reads one tensor. @throws TensorError ERR_DTYPE for a dtype that this library lacks. */
  getTensor(name: string): Tensor {
    const { source, header, entry } = this.#entry(name);
    supportedEntry(name, entry);
    return tensorOver(readRange(source, header, entry), entry.shape, entry.dtype, this.#device);
  }

  /** A tensor of which only parts are to be read. */
  getSlice(name: string): SafeSlice {
    const { source, header, entry } = this.#entry(name);
    return new SafeSlice(name, entry, (begin, end, shape) => {
      supportedEntry(name, entry);
      const range = { begin: entry.begin + begin, end: entry.begin + end };
      return tensorOver(readRange(source, header, range), shape, entry.dtype, this.#device);
    });
  }

  close(): void {
    for (const source of this.#sources) source.close();
  }
}

function openSingle(path: string, device: Device): SafeFile {
  const source = openSource(kind, path);
  try {
    const header = readHeader(source);
    return new SafeFile({
      open: () => ({ source, header }),
      keys: [...header.entries.keys()],
      metadata: () => header.metadata,
      sources: new Set([source]),
      device,
    });
  } catch (error) {
    source.close();
    throw error;
  }
}

const indexKind = 'safetensors index';
const maxIndexBytes = 100_000_000;

/** The shard of every tensor, from `model.safetensors.index.json`. */
function readIndex(path: string): { shards: Map<string, string>; metadata: object } {
  const text = withSource(indexKind, path, (source) => {
    if (source.size > maxIndexBytes) throw fileError(indexKind, path, 'too large');
    return readFileSync(path, 'utf8');
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw fileError(indexKind, path, `not JSON: ${(error as Error).message}`);
  }
  const { weight_map: map, metadata } = (parsed ?? {}) as Record<string, unknown>;
  if (typeof map !== 'object' || map === null) {
    throw fileError(indexKind, path, "it has no object 'weight_map'");
  }
  const shards = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    // A file elsewhere is none of the model's business.
    if (typeof file !== 'string' || file === '' || /[/\\\0]|^\.{1,2}$/.test(file)) {
      const what = `tensor '${shorten(name)}' must be in a file of the same folder`;
      throw fileError(indexKind, path, `${what}, got '${shorten(String(file))}'`);
    }
    shards.set(name, file);
  }
  return { shards, metadata: typeof metadata === 'object' && metadata !== null ? metadata : {} };
}

function openSharded(path: string, device: Device): SafeFile {
  const { shards, metadata } = readIndex(path);
  const open = new Map<string, { source: Source; header: Header }>();
  const sources = new Set<Source>();
  let closed = false;
  const openShard = (name: string): { source: Source; header: Header } => {
    const file = shards.get(name);
    if (file === undefined) {
      throw makeError('ERR_VALUE', `safetensors: '${path}' has no tensor '${shorten(name)}'`);
    }
    if (closed) throw fileError(indexKind, path, 'was closed');
    let shard = open.get(file);
    if (shard === undefined) {
      const source = openSource(kind, join(dirname(path), file));
      sources.add(source);
      shard = { source, header: readHeader(source) };
      open.set(file, shard);
    }
    return shard;
  };
  const text = Object.entries(metadata).map(([k, v]) => [k, String(v)] as const);
  const file = new SafeFile({
    open: openShard,
    keys: [...shards.keys()],
    metadata: () => Object.fromEntries(text),
    sources,
    device,
  });
  const { close } = SafeFile.prototype;
  file.close = () => {
    closed = true;
    close.call(file);
  };
  return file;
}

/**
 * Opens a file, or the index of a sharded model (a path that ends in `.json`), for reading tensor by
 * tensor. Python: `safetensors.safe_open`.
 *
 * @example
 * const file = safetensors.safeOpen('model.safetensors');
 * const row = file.getSlice('embedding.weight').get(42);
 * file.close();
 */
export function safeOpen(path: string, options: LoadFileOptions = {}): SafeFile {
  const device = readDevice('safetensors.safeOpen', options);
  checkPath('safetensors.safeOpen', path);
  return path.endsWith('.json') ? openSharded(path, device) : openSingle(path, device);
}

/** All tensors of a sharded model, from its `model.safetensors.index.json`. */
export function loadSharded(path: string, options: LoadFileOptions = {}): Record<string, Tensor> {
  const device = readDevice('safetensors.loadSharded', options);
  checkPath('safetensors.loadSharded', path);
  const { shards } = readIndex(path);
  const out: Record<string, Tensor> = {};
  for (const file of new Set(shards.values())) {
    const loaded = loadFile(join(dirname(path), file), { device });
    for (const [name, t] of Object.entries(loaded)) {
      if (shards.get(name) === file) define(out, name, t);
    }
  }
  for (const [name, file] of shards) {
    if (!Object.hasOwn(out, name)) {
      throw fileError(indexKind, path, `'${file}' has no tensor '${shorten(name)}'`);
    }
  }
  return out;
}
