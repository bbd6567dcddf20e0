/** Saving nested values: the tree becomes text, tensors and typed arrays become entries. */
import { crc32 } from 'node:zlib';

import { noGrad } from '../../autograd';
import { checkKeys, describe } from '../../data/options';
import { type DType, itemSize } from '../../dtype';
import { makeError } from '../../errors';
import { native } from '../../native';
import { Parameter } from '../../nn/parameter';
import { handleOf, Tensor } from '../../tensor';
import { bytesOf } from '../elements';
import { type Sink, writeAtomic } from '../io';
import { type WriteEntry, writeEntries } from '../safetensors/write';
import {
  checksumName,
  type Document,
  formatVersion,
  kind,
  maxDepth,
  maxDigits,
  maxTreeBytes,
  metadataName,
  type Node,
  type TensorRecord,
  typedArrays,
} from './format';

/** Tensors of one dtype on one storage, and the part of it that they span. */
interface Group {
  readonly name: string;
  readonly dtype: DType;
  readonly members: Tensor[];
  begin: number;
  end: number;
}

function span(t: Tensor): [number, number] {
  const begin = t.storageOffset();
  if (t.numel() === 0) return [begin, begin];
  const strides = t.stride();
  return [begin, t.shape.reduce((end, n, i) => end + (n - 1) * (strides[i] as number), begin + 1)];
}

/** The elements [begin, end) of the storage of `t`. */
function region(t: Tensor, begin: number, end: number): Tensor {
  return noGrad(() => t.asStrided([end - begin], [1], begin));
}

function groupEntry(group: Group): WriteEntry {
  const { name, dtype, begin, end, members } = group;
  const first = members[0] as Tensor;
  // One whole tensor keeps its shape in the file, for other readers.
  const single = members.find((t) => t.isContiguous() && t.numel() === end - begin);
  const shape = single !== undefined && end > begin ? single.shape : [end - begin];
  return { name, dtype, shape, bytes: () => bytesOf(region(first, begin, end)) };
}

/** Takes a value apart. */
class Encoder {
  readonly #where: string;
  readonly #names = new Set<string>([checksumName, '__metadata__']);
  readonly #groups = new Map<string, Group>();
  readonly #tensors = new Map<Tensor, number>();
  readonly #arrays: WriteEntry[] = [];
  readonly #open = new Set<object>();
  readonly #typedNodes: (readonly ['typed', string, number])[] = [];

  constructor(where: string) {
    this.#where = where;
  }

  #refuse(path: readonly string[], what: string): Error {
    const at = path.length === 0 ? 'the value' : `'${path.join('.').slice(0, 200)}'`;
    return makeError('ERR_TYPE', `${this.#where}: ${at} ${what}`);
  }

  #name(path: readonly string[]): string {
    const wanted = path.length === 0 ? 'value' : path.join('.').slice(0, 1000);
    let name = wanted;
    for (let i = 2; this.#names.has(name); ++i) name = `${wanted}#${String(i)}`;
    this.#names.add(name);
    return name;
  }

  encode(v: unknown, path: string[]): Node {
    switch (typeof v) {
      case 'string':
        // JSON keeps lone surrogates only as escapes; UTF-8 could not.
        return v;
      case 'boolean':
        return v;
      case 'number':
        return Number.isFinite(v) && !Object.is(v, -0)
          ? v
          : ['number', Object.is(v, -0) ? '-0' : String(v)];
      case 'bigint':
        return ['bigint', this.#digits(v, path)];
      case 'undefined':
        return ['undefined'];
      case 'object':
        return v === null ? null : this.#object(v, path);
      default:
        throw this.#refuse(path, `is ${describe(v)}, which cannot be saved`);
    }
  }

  #digits(v: bigint, path: readonly string[]): string {
    const text = String(v);
    if (text.length <= maxDigits) return text;
    throw this.#refuse(path, `has more than ${String(maxDigits)} digits`);
  }

  #object(v: object, path: string[]): Node {
    if (v instanceof Tensor) return ['tensor', this.#tensor(v, path)];
    if (v instanceof Date) {
      const time = v.getTime();
      return ['date', Number.isNaN(time) ? null : time];
    }
    if (ArrayBuffer.isView(v)) return this.#typed(v, path);
    if (this.#open.has(v)) throw this.#refuse(path, 'contains itself');
    if (this.#open.size === maxDepth) {
      throw this.#refuse(path.slice(0, 8), `is nested deeper than ${String(maxDepth)} levels`);
    }
    this.#open.add(v);
    const node = this.#container(v, path);
    this.#open.delete(v);
    return node;
  }

  #container(v: object, path: string[]): Node {
    if (Array.isArray(v)) {
      return ['array', ...Array.from(v, (x, i) => this.encode(x, [...path, String(i)]))];
    }
    if (v instanceof Set) {
      return ['set', ...Array.from(v, (x, i) => this.encode(x, [...path, String(i)]))];
    }
    if (v instanceof Map) {
      const items = Array.from(v as Map<unknown, unknown>, ([key, x]) => [
        this.encode(key, [...path, 'key']),
        this.encode(x, [...path, typeof key === 'object' ? 'value' : String(key)]),
      ]);
      return ['map', ...(items.flat(1) as Node[])];
    }
    const proto: unknown = Object.getPrototypeOf(v);
    if (proto !== null && proto !== Object.prototype) {
      throw this.#refuse(
        path,
        `is ${describe(v)}, which cannot be saved; save its stateDict() or plain values`,
      );
    }
    const node: Node = ['object'];
    for (const [key, x] of Object.entries(v)) node.push(key, this.encode(x, [...path, key]));
    return node;
  }

  #tensor(t: Tensor, path: readonly string[]): number {
    const known = this.#tensors.get(t);
    if (known !== undefined) return known;
    const id = `${String(native.storageId(handleOf(t)))} ${t.dtype}`;
    const [begin, end] = span(t);
    const group = this.#groups.get(id);
    if (group === undefined) {
      this.#groups.set(id, { name: this.#name(path), dtype: t.dtype, members: [t], begin, end });
    } else {
      group.members.push(t);
      group.begin = Math.min(group.begin, begin);
      group.end = Math.max(group.end, end);
    }
    this.#tensors.set(t, this.#tensors.size);
    return this.#tensors.size - 1;
  }

  #typed(v: ArrayBufferView, path: readonly string[]): Node {
    const name = Buffer.isBuffer(v) ? 'Uint8Array' : v.constructor.name;
    if (!typedArrays.has(name)) {
      throw this.#refuse(path, `is ${describe(v)}, which cannot be saved`);
    }
    const bytes = new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
    const entry: WriteEntry = {
      name: this.#name(path),
      dtype: 'uint8',
      shape: [bytes.length],
      bytes: () => bytes,
    };
    this.#arrays.push(entry);
    const node: ['typed', string, number] = ['typed', name, this.#arrays.length - 1];
    this.#typedNodes.push(node);
    return node;
  }

  /** The document, and the entries in the order of the file. */
  finish(tree: Node): { document: Document; entries: WriteEntry[] } {
    const groups = [...this.#groups.values()].sort((a, b) => itemSize(b.dtype) - itemSize(a.dtype));
    const entries = [...groups.map(groupEntry), ...this.#arrays];
    for (const node of this.#typedNodes) (node as ['typed', string, number])[2] += groups.length;
    const place = new Map<Tensor, number>();
    groups.forEach((g, i) => g.members.forEach((t) => place.set(t, i)));
    const tensors = Array.from(this.#tensors.keys(), (t): TensorRecord => {
      const at = place.get(t) as number;
      const offset = t.numel() === 0 ? 0 : t.storageOffset() - (groups[at] as Group).begin;
      return [at, t.shape, t.stride(), offset, kindOf(t)];
    });
    const names = entries.map((e) => e.name);
    return { document: { version: formatVersion, entries: names, tensors, tree }, entries };
  }
}

function kindOf(t: Tensor): TensorRecord[4] {
  if (t instanceof Parameter) return t.requiresGrad ? 'parameter' : 'frozen';
  return t.requiresGrad ? 'grad' : 'tensor';
}

/** Adds the checksums: they are the last to be written, so that everything is read once. */
function withChecksums(text: string, entries: readonly WriteEntry[]): WriteEntry[] {
  const sums = Buffer.alloc(4 * (entries.length + 1));
  sums.writeUInt32LE(crc32(text));
  const noted = entries.map((entry, i) => ({
    ...entry,
    bytes: () => {
      const bytes = entry.bytes();
      sums.writeUInt32LE(crc32(bytes), 4 * (i + 1));
      return bytes;
    },
  }));
  const last: WriteEntry = {
    name: checksumName,
    dtype: 'uint8',
    shape: [sums.length],
    bytes: () => sums,
  };
  return [...noted, last];
}

/** The bytes of a file with this value; `notes` are more entries of its metadata. */
export function writeState(
  where: string,
  value: unknown,
  notes: Readonly<Record<string, string>> = {},
): (sink: Sink) => void {
  const encoder = new Encoder(where);
  const { document, entries } = encoder.finish(encoder.encode(value, []));
  // ASCII only, also for lone surrogates: what was written is what is read.
  const text = JSON.stringify(document).replace(
    /[\u007f-\uffff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  if (text.length > maxTreeBytes) {
    throw makeError(
      'ERR_VALUE',
      `${where}: the values beside tensors take ${String(text.length)} bytes, the limit is ` +
        `${String(maxTreeBytes)}; put long lists of numbers into tensors or typed arrays`,
    );
  }
  return writeEntries(where, withChecksums(text, entries), {
    ...notes,
    [metadataName]: text,
  });
}

/**
 * Writes a value to a file, atomically: plain objects, arrays, Maps, Sets, strings, numbers, bigints,
 * booleans, null, undefined, Dates, typed arrays, tensors and parameters, nested at will. Tensors that
 * share memory share it again after {@link load}. The file is a safetensors file. PyTorch: `torch.save`.
 *
 * @example
 * save({ model: model.stateDict(), optimizer: optimizer.stateDict(), epoch }, 'state.safetensors');
 * @throws TypeError ERR_TYPE for functions and other objects, with their path in the value.
 */
export function save(value: unknown, path: string, options: Record<string, never> = {}): void {
  checkKeys('save', options, []);
  writeAtomic(kind, path, writeState('save', value));
}
