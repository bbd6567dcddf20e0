/** Loading what `save` wrote. The file may come from anywhere: every part of it is checked. */
import { crc32 } from 'node:zlib';

import { noGrad } from '../../autograd';
import { checkKeys } from '../../data/options';
import { type Device, isDevice, itemSize } from '../../dtype';
import { type CodedError, makeError } from '../../errors';
import { Parameter } from '../../nn/parameter';
import { type Tensor } from '../../tensor';
import { tensorOver } from '../elements';
import { checkPath, fileError, type Source, withSource } from '../io';
import { type Header, readHeader, type TensorEntry } from '../safetensors/header';
import {
  checksumName,
  formatVersion,
  kind,
  maxDepth,
  maxDigits,
  maxTreeBytes,
  metadataName,
  typedArrays,
} from './format';

export interface LoadOptions {
  /** Where the tensors go, whatever device they were on. Default `'cpu'`. */
  readonly device?: Device | undefined;
}

type Fail = (what: string) => CodedError;

/** Nesting of brackets outside strings; parsing deeper text could exhaust the stack. */
function checkNesting(text: string, fail: Fail): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; ++i) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) ++i;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x5b || c === 0x7b) {
      // The document adds a few levels of its own.
      if (++depth > maxDepth + 4) throw fail(`nested deeper than ${String(maxDepth)} levels`);
    } else if (c === 0x5d || c === 0x7d) --depth;
  }
}

interface RawDocument {
  entries: string[];
  tensors: unknown[];
  tree: unknown;
}

function parseDocument(text: string, fail: Fail): RawDocument {
  if (text.length > maxTreeBytes) throw fail('its values beside tensors are too large');
  checkNesting(text, fail);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw fail('broken: its description is not JSON');
  }
  const { version, entries, tensors, tree } = (parsed ?? {}) as Record<string, unknown>;
  if (version !== formatVersion) {
    throw fail(`version ${String(version)} of the format is not known; it may be newer`);
  }
  const names = Array.isArray(entries) && entries.every((n) => typeof n === 'string');
  if (!names || !Array.isArray(tensors)) throw fail('broken: malformed description');
  return { entries, tensors, tree };
}

interface Loaded {
  readonly entry: TensorEntry;
  readonly bytes: Uint8Array;
}

/** Reads all entries and verifies their checksums; `visit` gets one after the other. */
function readEntries(
  source: Source,
  header: Header,
  text: string,
  names: readonly string[],
  visit: (loaded: Loaded) => void,
): void {
  const fail: Fail = (what) => fileError(kind, source.name, what);
  const read = (name: string): Loaded => {
    const entry = header.entries.get(name);
    if (entry === undefined) throw fail(`broken: entry '${name.slice(0, 80)}' is missing`);
    // Memory of their own: a tensor that is kept does not keep the others.
    const bytes = new Uint8Array(entry.end - entry.begin);
    source.read(bytes, header.dataStart + entry.begin);
    return { entry, bytes };
  };
  if (header.entries.size !== names.length + 1 || new Set(names).size !== names.length) {
    throw fail('broken: malformed description');
  }
  const sums = Buffer.from(read(checksumName).bytes);
  if (sums.length !== 4 * (names.length + 1)) throw fail('broken: malformed checksums');
  if (sums.readUInt32LE(0) !== crc32(text)) throw fail('broken: a checksum does not fit');
  names.forEach((name, i) => {
    const found = read(name);
    if (sums.readUInt32LE(4 * (i + 1)) !== crc32(found.bytes)) {
      throw fail(`broken: the checksum of '${name.slice(0, 80)}' does not fit`);
    }
    visit(found);
  });
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

/** Puts a value together again. */
class Decoder {
  readonly #bases: (Tensor | undefined)[] = [];
  readonly #tensors: (Tensor | undefined)[] = [];
  readonly #used = new Set<number>();

  constructor(
    private readonly document: RawDocument,
    private readonly entries: readonly Loaded[],
    private readonly device: Device,
    private readonly fail: Fail,
  ) {}

  #malformed(): CodedError {
    return this.fail('broken: malformed description');
  }

  /** A position that a node gives. */
  #index(value: unknown, length: number): number {
    const ok = Number.isInteger(value) && (value as number) >= 0 && (value as number) < length;
    if (ok) return value as number;
    throw this.#malformed();
  }

  decode(node: unknown): unknown {
    if (typeof node !== 'object' || node === null) return node;
    if (!Array.isArray(node)) throw this.#malformed();
    const [tag, ...rest] = node as unknown[];
    const [first] = rest;
    switch (tag) {
      case 'array':
        return rest.map((n) => this.decode(n));
      case 'set':
        return new Set(rest.map((n) => this.decode(n)));
      case 'object':
        return this.#object(rest);
      case 'map':
        return this.#map(rest);
      case 'undefined':
        return undefined;
      case 'tensor':
        return this.#tensor(first);
      case 'typed':
        return this.#typed(first, rest[1]);
      default:
        return this.#scalar(tag, first);
    }
  }

  #scalar(tag: unknown, value: unknown): unknown {
    if (tag === 'number' && ['NaN', 'Infinity', '-Infinity', '-0'].includes(value as string)) {
      return Number(value);
    }
    const digits = typeof value === 'string' && value.length <= maxDigits && /^-?\d+$/.test(value);
    if (tag === 'bigint' && digits) return BigInt(value);
    if (tag === 'date' && (typeof value === 'number' || value === null)) {
      return new Date(value ?? NaN);
    }
    throw this.#malformed();
  }

  #object(items: readonly unknown[]): object {
    const out = {};
    if (items.length % 2 !== 0) throw this.#malformed();
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== 'string') throw this.#malformed();
      const value = this.decode(items[i + 1]);
      const all = { enumerable: true, writable: true, configurable: true };
      Object.defineProperty(out, key, { value, ...all });
    }
    return out;
  }

  #map(items: readonly unknown[]): Map<unknown, unknown> {
    const out = new Map<unknown, unknown>();
    if (items.length % 2 !== 0) throw this.#malformed();
    for (let i = 0; i < items.length; i += 2) {
      out.set(this.decode(items[i]), this.decode(items[i + 1]));
    }
    return out;
  }

  #typed(name: unknown, index: unknown): ArrayBufferView {
    const type = typedArrays.get(name as string);
    if (type === undefined) throw this.#malformed();
    const at = this.#index(index, this.entries.length);
    const { bytes } = this.entries[at] as Loaded;
    // One array an entry: otherwise a small file could ask for any number of copies.
    const again = this.#used.has(at);
    if (again || bytes.length % type.size !== 0) throw this.#malformed();
    this.#used.add(at);
    return new type.make(bytes.buffer, 0, bytes.length / type.size);
  }

  #base(index: number): Tensor {
    const known = this.#bases[index];
    if (known !== undefined) return known;
    const at = this.#index(index, this.entries.length);
    const { entry, bytes } = this.entries[at] as Loaded;
    if (entry.dtype === undefined) throw this.#malformed();
    const n = bytes.length / itemSize(entry.dtype);
    return (this.#bases[index] = tensorOver(bytes, [n], entry.dtype, this.device));
  }

  #tensor(position: unknown): Tensor {
    const index = this.#index(position, this.document.tensors.length);
    const known = this.#tensors[index];
    if (known !== undefined) return known;
    const record = this.document.tensors[index];
    if (!Array.isArray(record) || record.length !== 5) throw this.#malformed();
    const [at, shape, strides, offset, what] = record as unknown[];
    const ok = isCounts(shape) && isCounts(strides) && isCounts([at, offset]) && shape.length <= 64;
    if (!ok || strides.length !== shape.length) throw this.#malformed();
    const base = this.#base(at as number);
    const last = shape.reduce(
      (sum, n, i) => sum + (n - 1) * (strides[i] as number),
      offset as number,
    );
    if (!shape.includes(0) && !(last < base.numel())) throw this.#malformed();
    let t = noGrad(() => base.asStrided(shape, strides, offset as number));
    if (what === 'parameter' || what === 'frozen') {
      t = new Parameter(t, { requiresGrad: what === 'parameter' });
    } else if (what === 'grad') t.requiresGrad = true;
    else if (what !== 'tensor') throw this.#malformed();
    return (this.#tensors[index] = t);
  }
}

function openState(source: Source): { header: Header; text: string; document: RawDocument } {
  const fail: Fail = (what) => fileError(kind, source.name, what);
  checkMagic(source);
  const header = readHeader(source);
  const text = header.metadata[metadataName];
  if (text === undefined) {
    throw fail('a safetensors file that save() did not write; read it with safetensors.loadFile()');
  }
  return { header, text, document: parseDocument(text, fail) };
}

function loadSource(source: Source, device: Device): unknown {
  const fail: Fail = (what) => fileError(kind, source.name, what);
  const { header, text, document } = openState(source);
  const entries: Loaded[] = [];
  readEntries(source, header, text, document.entries, (loaded) => entries.push(loaded));
  return new Decoder(document, entries, device, fail).decode(document.tree);
}

/** Reads a whole file and verifies its checksums, entry by entry. @throws as {@link load}. */
export function verify(path: string): void {
  withSource(kind, path, (source) => {
    const { header, text, document } = openState(source);
    readEntries(source, header, text, document.entries, () => undefined);
  });
}

/** The metadata of a file, from its header alone. */
export function readNotes(path: string): Readonly<Record<string, string>> {
  return withSource(kind, path, (source) => readHeader(source).metadata);
}

function checkMagic(source: Source): void {
  const head = Buffer.alloc(Math.min(6, source.size));
  source.read(head, 0);
  const text = head.toString('latin1');
  const hint = text.startsWith('PK')
    ? 'a ZIP archive; read it with loadTorch() or npz.load()'
    : text === '\x93NUMPY'
      ? 'a .npy file; read it with npy.load()'
      : undefined;
  if (hint !== undefined) throw fileError(kind, source.name, hint);
}

/**
 * Reads what {@link save} wrote. Checksums are verified; nothing is executed.
 * @throws TensorError ERR_FILE for a missing, broken or foreign file.
 */
export function load(path: string, options: LoadOptions = {}): unknown {
  checkKeys('load', options, ['device']);
  const { device = 'cpu' } = options;
  if (!isDevice(device)) {
    throw makeError('ERR_VALUE', `load: option 'device' must be a device, got ${String(device)}`);
  }
  checkPath('load', path);
  return withSource(kind, path, (source) => loadSource(source, device));
}
