/**
 * The IDX format of the MNIST family: two zero bytes, a type code, the number of dimensions, the sizes
 * as big-endian 32-bit integers, then the elements, big-endian. Headers are not believed: nothing is
 * allocated that the file could not fill.
 * Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants, gunzipSync } from 'node:zlib';

import { describe } from '../../data/options';
import { type DType, itemSize, type TypedArray, allocateTyped } from '../../dtype';
import { makeError } from '../../errors';

/** The content of an IDX file. */
export interface IdxArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

export interface ReadIdxOptions {
  /** Refuse files with more bytes of elements. Default 2^31. */
  readonly maxBytes?: number | undefined;
}

const typeCodes = new Map<number, DType>([
  [0x08, 'uint8'],
  [0x09, 'int8'],
  [0x0b, 'int16'],
  [0x0c, 'int32'],
  [0x0d, 'float32'],
  [0x0e, 'float64'],
]);

// A deflate stream cannot expand by more than this factor (zlib's documentation).
const maxExpansion = 1032;
const defaultMaxBytes = 2 ** 31;
const maxDims = 16;

interface Header {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Bytes of the header and of the elements. */
  readonly start: number;
  readonly bytes: number;
}

function broken(path: string, what: string): Error {
  return makeError('ERR_FILE', `IDX file '${path}': ${what}`);
}

function parseHeader(path: string, head: Uint8Array): Header {
  const hex = Array.from(head.subarray(0, 4), (b) => b.toString(16).padStart(2, '0')).join(' ');
  const dtype = typeCodes.get(head[2] ?? -1);
  const ndim = head[3] ?? 0;
  if (head.length < 4) throw broken(path, `truncated: ${String(head.length)} bytes are no header`);
  if (head[0] !== 0 || head[1] !== 0 || dtype === undefined || ndim === 0 || ndim > maxDims) {
    throw broken(path, `not an IDX file: it begins with the bytes ${hex}`);
  }
  const start = 4 + 4 * ndim;
  if (head.length < start) {
    throw broken(path, `truncated inside the header of ${String(ndim)} dimensions`);
  }
  const view = new DataView(head.buffer, head.byteOffset, start);
  const shape = Array.from({ length: ndim }, (_, i) => view.getUint32(4 + 4 * i));
  const bytes = shape.reduce((a, b) => a * b, 1) * itemSize(dtype);
  return { dtype, shape, start, bytes };
}

/** Refuses sizes that the file cannot have, before anything is allocated. */
function checkSize(path: string, header: Header, available: number, most: number): void {
  const text = `[${header.shape.join(', ')}] of ${header.dtype}`;
  if (header.bytes > available) {
    throw broken(
      path,
      `truncated: its header promises ${text} (${String(header.bytes)} bytes), but there are ` +
        `at most ${String(available)} bytes of elements`,
    );
  }
  if (header.bytes > most) {
    throw broken(path, `${text} is more than the limit of ${String(most)} bytes`);
  }
}

function readAt(path: string, fd: number, into: Uint8Array, position: number): number {
  let done = 0;
  while (done < into.length) {
    const n = readSync(fd, into, done, into.length - done, position + done);
    if (n === 0) break;
    done += n;
  }
  return done;
}

function oversized(path: string, header: Header): Error {
  return broken(
    path,
    `oversized: there is more than its header promises ([${header.shape.join(', ')}] of ` +
      `${header.dtype}, ${String(header.bytes)} bytes)`,
  );
}

function readPlain(path: string, fd: number, size: number, most: number): [Header, Uint8Array] {
  const head = new Uint8Array(Math.min(size, 4 + 4 * maxDims));
  const header = parseHeader(path, head.subarray(0, readAt(path, fd, head, 0)));
  const available = size - header.start;
  checkSize(path, header, available, most);
  if (header.bytes < available) throw oversized(path, header);
  const body = new Uint8Array(header.bytes);
  if (readAt(path, fd, body, header.start) < header.bytes) {
    throw broken(path, 'truncated while it was read');
  }
  return [header, body];
}

function gunzip(path: string, data: Uint8Array, options: object): Uint8Array {
  try {
    return gunzipSync(data, options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'Z_BUF_ERROR') throw broken(path, 'truncated: the gzip stream ends too early');
    throw broken(path, `not a readable gzip file: ${message}`);
  }
}

function readGzip(path: string, fd: number, size: number, most: number): [Header, Uint8Array] {
  if (size > most) throw broken(path, `more than the limit of ${String(most)} bytes`);
  const packed = new Uint8Array(size);
  const got = packed.subarray(0, readAt(path, fd, packed, 0));
  // The first bytes of the stream hold the header; their expansion is bounded by their number.
  const finishFlush = constants.Z_SYNC_FLUSH;
  const first = gunzip(path, got.subarray(0, 4096), { finishFlush });
  const header = parseHeader(path, first);
  checkSize(path, header, size * maxExpansion, most);
  const total = header.start + header.bytes;
  let whole: Uint8Array;
  try {
    whole = gunzip(path, got, { maxOutputLength: total + 1 });
  } catch (error) {
    if (/larger than/.test((error as Error).message)) throw oversized(path, header);
    throw error;
  }
  if (whole.length > total) throw oversized(path, header);
  checkSize(path, header, whole.length - header.start, most);
  // A copy: elements begin at their own alignment, and the header is not kept.
  return [header, new Uint8Array(whole.subarray(header.start))];
}

/** Big-endian elements to the machine's order, in place. */
function toNative(body: Uint8Array, dtype: DType): TypedArray {
  const size = itemSize(dtype);
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
  const kind = allocateTyped(dtype, 0).constructor as new (b: ArrayBufferLike) => TypedArray;
  return new kind(body.buffer);
}

/**
 * Reads an IDX file, plain or compressed by gzip.
 * @throws TensorError ERR_FILE when the file is missing, truncated, oversized or of another format.
 */
export function readIdx(path: string, options: ReadIdxOptions = {}): IdxArray {
  if (typeof path !== 'string') {
    throw makeError('ERR_TYPE', `readIdx: path must be a string, got ${describe(path)}`);
  }
  const most = options.maxBytes ?? defaultMaxBytes;
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw broken(path, `cannot be opened (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw broken(path, 'not a regular file');
    const magic = new Uint8Array(2);
    readAt(path, fd, magic, 0);
    const zipped = magic[0] === 0x1f && magic[1] === 0x8b;
    const [header, body] = (zipped ? readGzip : readPlain)(path, fd, stat.size, most);
    return { dtype: header.dtype, shape: header.shape, data: toNative(body, header.dtype) };
  } finally {
    closeSync(fd);
  }
}
