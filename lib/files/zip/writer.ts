/** Writing ZIP archives, entry after entry, with 64-bit fields where sizes need them. */
import { crc32, deflateRawSync } from 'node:zlib';

import { type Sink } from '../io';
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

const utf8Flag = 0x800;
const versionPlain = 20;
const version64 = 45;
// 1 January 1980, the first day of the format: equal content makes equal files.
const date = 0x21;

interface Written {
  readonly name: Buffer;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly offset: number;
}

function extra64(values: readonly number[]): Buffer {
  if (values.length === 0) return Buffer.alloc(0);
  const out = Buffer.alloc(4 + 8 * values.length);
  out.writeUInt16LE(zip64Id, 0);
  out.writeUInt16LE(8 * values.length, 2);
  values.forEach((v, i) => out.writeBigUInt64LE(BigInt(v), 4 + 8 * i));
  return out;
}

const clamp = (v: number): number => Math.min(v, max32);

function localHeader(e: Written): Buffer {
  const wide = e.size >= max32 || e.packed >= max32;
  const extra = extra64(wide ? [e.size, e.packed] : []);
  const head = Buffer.alloc(localSize);
  head.writeUInt32LE(localSignature, 0);
  head.writeUInt16LE(wide ? version64 : versionPlain, 4);
  head.writeUInt16LE(utf8Flag, 6);
  head.writeUInt16LE(e.method, 8);
  head.writeUInt16LE(date, 12);
  head.writeUInt32LE(e.crc, 14);
  head.writeUInt32LE(wide ? max32 : e.packed, 18);
  head.writeUInt32LE(wide ? max32 : e.size, 22);
  head.writeUInt16LE(e.name.length, 26);
  head.writeUInt16LE(extra.length, 28);
  return Buffer.concat([head, e.name, extra]);
}

function centralHeader(e: Written): Buffer {
  const full = [e.size, e.packed, e.offset].filter((v) => v >= max32);
  const extra = extra64(full);
  const head = Buffer.alloc(centralSize);
  head.writeUInt32LE(centralSignature, 0);
  head.writeUInt16LE(version64, 4);
  head.writeUInt16LE(full.length > 0 ? version64 : versionPlain, 6);
  head.writeUInt16LE(utf8Flag, 8);
  head.writeUInt16LE(e.method, 10);
  head.writeUInt16LE(date, 14);
  head.writeUInt32LE(e.crc, 16);
  head.writeUInt32LE(clamp(e.packed), 20);
  head.writeUInt32LE(clamp(e.size), 24);
  head.writeUInt16LE(e.name.length, 28);
  head.writeUInt16LE(extra.length, 30);
  head.writeUInt32LE(clamp(e.offset), 42);
  return Buffer.concat([head, e.name, extra]);
}

function endRecords(count: number, size: number, offset: number): Buffer {
  const end = Buffer.alloc(endSize);
  end.writeUInt32LE(endSignature, 0);
  end.writeUInt16LE(Math.min(count, max16), 8);
  end.writeUInt16LE(Math.min(count, max16), 10);
  end.writeUInt32LE(clamp(size), 12);
  end.writeUInt32LE(clamp(offset), 16);
  if (count < max16 && size < max32 && offset < max32) return end;
  const wide = Buffer.alloc(end64Size + locator64Size);
  wide.writeUInt32LE(end64Signature, 0);
  wide.writeBigUInt64LE(BigInt(end64Size - 12), 4);
  wide.writeUInt16LE(version64, 12);
  wide.writeUInt16LE(version64, 14);
  wide.writeBigUInt64LE(BigInt(count), 24);
  wide.writeBigUInt64LE(BigInt(count), 32);
  wide.writeBigUInt64LE(BigInt(size), 40);
  wide.writeBigUInt64LE(BigInt(offset), 48);
  wide.writeUInt32LE(locator64Signature, end64Size);
  wide.writeBigUInt64LE(BigInt(offset + size), end64Size + 8);
  wide.writeUInt32LE(1, end64Size + 16);
  return Buffer.concat([wide, end]);
}

/** Writes entries to a sink; call `finish` at the end. */
export class ZipWriter {
  readonly #entries: Written[] = [];
  #at = 0;

  constructor(private readonly sink: Sink) {}

  #put(bytes: Uint8Array): void {
    this.sink(bytes);
    this.#at += bytes.length;
  }

  add(name: string, content: Uint8Array, compress: boolean): void {
    const body = compress ? deflateRawSync(content) : content;
    const entry: Written = {
      name: Buffer.from(name),
      method: compress ? deflated : stored,
      crc: crc32(content),
      packed: body.length,
      size: content.length,
      offset: this.#at,
    };
    this.#put(localHeader(entry));
    this.#put(body);
    this.#entries.push(entry);
  }

  finish(): void {
    const offset = this.#at;
    for (const entry of this.#entries) this.#put(centralHeader(entry));
    this.#put(endRecords(this.#entries.length, this.#at - offset, offset));
  }
}
