/**
 * ZIP archives from which single entries are read. Nothing is believed: sizes are checked against
 * the file and against what deflate can do, entries must not overlap, checksums must fit.
 */
import { crc32, inflateRawSync } from 'node:zlib';

import { fileError, type Source } from '../io';
import {
  centralSignature,
  centralSize,
  deflated,
  end64Signature,
  end64Size,
  endSignature,
  endSize,
  localSignature,
  localSize,
  locator64Signature,
  locator64Size,
  max16,
  max32,
  stored,
  zip64Id,
} from './format';

export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  /** Bytes in the archive. */
  readonly packed: number;
  /** Bytes of the content. */
  readonly size: number;
  readonly offset: number;
}

// A deflate stream cannot expand by more than this factor (zlib's documentation).
const maxExpansion = 1032;
const maxComment = 65535;
const encryptedFlag = 1;
const utf8Flag = 0x800;

interface Directory {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
}

function broken(source: Source, what: string): Error {
  return fileError(source.kind, source.name, what);
}

function readBuffer(source: Source, position: number, length: number): Buffer {
  const out = Buffer.alloc(length);
  source.read(out, position);
  return out;
}

function safeInteger(source: Source, value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw broken(source, `broken archive: it claims a size of ${String(value)}`);
}

/** The end record of archives beyond 4 GB, if its locator is there. */
function readEnd64(source: Source, endAt: number): Directory | undefined {
  const at = endAt - locator64Size;
  if (at < 0) return undefined;
  const locator = readBuffer(source, at, locator64Size);
  if (locator.readUInt32LE(0) !== locator64Signature) return undefined;
  const where = safeInteger(source, locator.readBigUInt64LE(8));
  if (where + end64Size > at) throw broken(source, 'broken archive: no 64-bit end record');
  const end = readBuffer(source, where, end64Size);
  if (end.readUInt32LE(0) !== end64Signature) {
    throw broken(source, 'broken archive: no 64-bit end record');
  }
  return {
    count: safeInteger(source, end.readBigUInt64LE(32)),
    size: safeInteger(source, end.readBigUInt64LE(40)),
    offset: safeInteger(source, end.readBigUInt64LE(48)),
  };
}

function readEnd(source: Source): Directory {
  const length = Math.min(source.size, endSize + maxComment);
  const tail = readBuffer(source, source.size - length, length);
  for (let i = length - endSize; i >= 0; --i) {
    if (tail.readUInt32LE(i) !== endSignature) continue;
    if (i + endSize + tail.readUInt16LE(i + 20) !== length) continue;
    const plain = {
      count: tail.readUInt16LE(i + 10),
      size: tail.readUInt32LE(i + 12),
      offset: tail.readUInt32LE(i + 16),
    };
    const wide = plain.count === max16 || plain.size === max32 || plain.offset === max32;
    return (wide ? readEnd64(source, source.size - length + i) : undefined) ?? plain;
  }
  throw broken(source, 'not a ZIP archive, or truncated: it has no end record');
}

/** Replaces 32-bit fields that are full by those of the 64-bit extra field. */
function widen(source: Source, extra: Buffer, values: number[]): void {
  if (!values.includes(max32)) return;
  for (let at = 0; at + 4 <= extra.length;) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === zip64Id) {
      let p = at + 4;
      for (let i = 0; i < values.length; ++i) {
        if (values[i] !== max32) continue;
        if (p + 8 > Math.min(end, extra.length)) {
          throw broken(source, 'broken archive: a 64-bit field is missing');
        }
        values[i] = safeInteger(source, extra.readBigUInt64LE(p));
        p += 8;
      }
      return;
    }
    at = end;
  }
}

function parseCentral(source: Source, directory: Buffer, at: number): [ZipEntry, number] {
  const truncated = (): Error => broken(source, 'broken archive: its directory is truncated');
  if (at + centralSize > directory.length) throw truncated();
  if (directory.readUInt32LE(at) !== centralSignature) {
    throw broken(source, 'broken archive: no entry where its directory promises one');
  }
  const flags = directory.readUInt16LE(at + 8);
  const nameEnd = at + centralSize + directory.readUInt16LE(at + 28);
  const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
  const next = extraEnd + directory.readUInt16LE(at + 32);
  if (next > directory.length) throw truncated();
  const encoding = (flags & utf8Flag) !== 0 ? 'utf8' : 'latin1';
  const name = directory.toString(encoding, at + centralSize, nameEnd);
  if ((flags & encryptedFlag) !== 0) throw broken(source, `entry '${name}' is encrypted`);
  const values = [
    directory.readUInt32LE(at + 24),
    directory.readUInt32LE(at + 20),
    directory.readUInt32LE(at + 42),
  ];
  widen(source, directory.subarray(nameEnd, extraEnd), values);
  const [size, packed, offset] = values as [number, number, number];
  const method = directory.readUInt16LE(at + 10);
  const crc = directory.readUInt32LE(at + 16);
  return [{ name, method, crc, packed, size, offset }, next];
}

/** What an entry claims must be possible. */
function checkEntry(source: Source, e: ZipEntry, limit: number): void {
  const { name } = e;
  if (e.offset + localSize + e.packed > limit) {
    throw broken(source, `broken archive: entry '${name}' lies outside`);
  }
  if (e.method === stored) {
    if (e.packed !== e.size) throw broken(source, `broken archive: sizes of entry '${name}'`);
  } else if (e.method !== deflated) {
    throw broken(source, `entry '${name}' has compression method ${String(e.method)}`);
  } else if (e.size > e.packed * maxExpansion) {
    throw broken(
      source,
      `broken archive: entry '${name}' claims ${String(e.size)} bytes from ${String(e.packed)}, more than deflate can do`,
    );
  }
}

/** An archive whose directory was read and checked. */
export class ZipReader {
  readonly entries: ReadonlyMap<string, ZipEntry>;

  constructor(private readonly source: Source) {
    const end = readEnd(source);
    if (end.offset + end.size > source.size || end.count * centralSize > end.size) {
      throw broken(source, 'broken archive: its directory lies outside or is too small');
    }
    const directory = readBuffer(source, end.offset, end.size);
    const entries = new Map<string, ZipEntry>();
    let at = 0;
    for (let i = 0; i < end.count; ++i) {
      const [entry, next] = parseCentral(source, directory, at);
      checkEntry(source, entry, end.offset);
      if (entries.has(entry.name)) {
        throw broken(source, `broken archive: entry '${entry.name}' is there twice`);
      }
      entries.set(entry.name, entry);
      at = next;
    }
    this.#checkOverlap([...entries.values()]);
    this.entries = entries;
  }

  /** Entries that share bytes are how small archives claim to be huge. */
  #checkOverlap(entries: ZipEntry[]): void {
    entries.sort((a, b) => a.offset - b.offset);
    let end = 0;
    for (const e of entries) {
      if (e.offset < end) {
        throw broken(this.source, `broken archive: entry '${e.name}' overlaps another`);
      }
      end = e.offset + localSize + e.packed;
    }
  }

  /** The content of an entry, of at most `most` bytes. */
  read(entry: ZipEntry, most: number): Uint8Array {
    const { source } = this;
    const { name, size } = entry;
    if (size > most) {
      throw broken(
        source,
        `entry '${name}' has ${String(size)} bytes, more than the limit of ${String(most)}`,
      );
    }
    const head = readBuffer(source, entry.offset, localSize);
    if (head.readUInt32LE(0) !== localSignature) {
      throw broken(source, `broken archive: entry '${name}' is not where its directory says`);
    }
    const start = entry.offset + localSize + head.readUInt16LE(26) + head.readUInt16LE(28);
    const packed = new Uint8Array(entry.packed);
    source.read(packed, start);
    const content = entry.method === stored ? packed : this.#inflate(entry, packed);
    if (content.length !== size) {
      throw broken(
        source,
        `broken archive: entry '${name}' has ${String(content.length)} bytes instead of ${String(size)}`,
      );
    }
    if (crc32(content) !== entry.crc) {
      throw broken(source, `broken archive: the checksum of entry '${name}' does not fit`);
    }
    return content;
  }

  #inflate(entry: ZipEntry, packed: Uint8Array): Uint8Array {
    try {
      return inflateRawSync(packed, { maxOutputLength: Math.max(1, entry.size) });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const what =
        code === 'ERR_BUFFER_TOO_LARGE' ? 'it is longer than its directory says' : message;
      throw broken(this.source, `broken archive: entry '${entry.name}': ${what}`);
    }
  }
}
