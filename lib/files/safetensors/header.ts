/**
 * The header of a safetensors file: eight bytes of length, then JSON that names every tensor with
 * its dtype, shape and place. Parsed by hand, because JSON.parse hides repeated keys and can be made
 * to build structures far larger than its input.
 * Source: https://github.com/huggingface/safetensors, README.md, "Format".
 */
import { isUtf8 } from 'node:buffer';

import { type DType } from '../../dtype';
import { type CodedError } from '../../errors';
import { fileError, type Source } from '../io';

/** Where a tensor is in the file. */
export interface TensorEntry {
  /** The dtype in this library; undefined if it has none. */
  readonly dtype: DType | undefined;
  /** As the file names it: `F32`. */
  readonly storedDtype: string;
  readonly shape: readonly number[];
  /** Bytes from the beginning of the data. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the data begin in the file. */
  readonly dataStart: number;
  readonly dataLength: number;
}

/** The limit of the reference implementation. */
export const maxHeaderBytes = 100_000_000;
export const metadataKey = '__metadata__';

export const kind = 'safetensors file';

const supported = new Map<string, DType>([
  ['BOOL', 'bool'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['I16', 'int16'],
  ['I32', 'int32'],
  ['I64', 'int64'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['F32', 'float32'],
  ['F64', 'float64'],
]);

/** Bits of an element, for every dtype of the format. */
const bitsOf = new Map<string, number>([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2FNUZ', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['I64', 64],
  ['U64', 64],
  ['F64', 64],
  ['C64', 64],
]);

const storedNames = new Map(Array.from(supported, ([stored, own]) => [own, stored]));

export function storedDtypeOf(dtype: DType): string {
  return storedNames.get(dtype) as string;
}

const quote = 0x22;
const backslash = 0x5c;

/** Reads exactly the JSON that a header may hold: objects of known form, strings, integers. */
class HeaderParser {
  #at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly fail: (what: string) => CodedError,
  ) {}

  #broken(expected: string): CodedError {
    const byte = this.bytes[this.#at];
    const got =
      byte === undefined
        ? 'the end'
        : byte > 0x20 && byte < 0x7f
          ? `'${String.fromCharCode(byte)}'`
          : `byte 0x${byte.toString(16).padStart(2, '0')}`;
    return this.fail(
      `invalid header: expected ${expected} at byte ${String(this.#at)} of the JSON, got ${got}`,
    );
  }

  #space(): void {
    for (;;) {
      const c = this.bytes[this.#at];
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      ++this.#at;
    }
  }

  #accept(char: string): boolean {
    this.#space();
    if (this.bytes[this.#at] !== char.charCodeAt(0)) return false;
    ++this.#at;
    return true;
  }

  #expect(char: string): void {
    if (!this.#accept(char)) throw this.#broken(`'${char}'`);
  }

  string(what: string): string {
    this.#space();
    if (this.bytes[this.#at] !== quote) throw this.#broken(what);
    const start = this.#at++;
    for (;;) {
      const c = this.bytes[this.#at];
      if (c === undefined) throw this.#broken('the end of a string');
      this.#at += c === backslash ? 2 : 1;
      if (c === quote) break;
    }
    try {
      const text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
      return JSON.parse(text.toString('utf8', start, this.#at)) as string;
    } catch {
      throw this.fail(`invalid header: malformed string at byte ${String(start)} of the JSON`);
    }
  }

  #integer(): number {
    this.#space();
    const start = this.#at;
    let value = 0;
    for (;;) {
      const c = this.bytes[this.#at];
      if (c === undefined || c < 0x30 || c > 0x39) break;
      value = value * 10 + (c - 0x30);
      ++this.#at;
    }
    const digits = this.#at - start;
    const leadingZero = digits > 1 && this.bytes[start] === 0x30;
    if (digits === 0 || leadingZero || !Number.isSafeInteger(value)) {
      this.#at = start;
      throw this.#broken('a non-negative integer below 2^53');
    }
    return value;
  }

  integers(most: number): number[] {
    this.#expect('[');
    const out: number[] = [];
    if (this.#accept(']')) return out;
    do {
      if (out.length === most) throw this.#broken(`at most ${String(most)} integers`);
      out.push(this.#integer());
    } while (this.#accept(','));
    this.#expect(']');
    return out;
  }

  /** An object; `member` reads the value of a key. Repeated keys are errors. */
  object(member: (key: string) => void): void {
    this.#expect('{');
    if (this.#accept('}')) return;
    const seen = new Set<string>();
    do {
      const key = this.string('a key');
      if (seen.has(key)) {
        throw this.fail(`invalid header: the key '${shorten(key)}' is there twice`);
      }
      seen.add(key);
      this.#expect(':');
      member(key);
    } while (this.#accept(','));
    this.#expect('}');
  }

  end(): void {
    this.#space();
    if (this.#at !== this.bytes.length) throw this.#broken('nothing more');
  }
}

export function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

const maxDims = 64;

function parseEntry(
  parser: HeaderParser,
  name: string,
  fail: (what: string) => CodedError,
): TensorEntry {
  let storedDtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  parser.object((key) => {
    if (key === 'dtype') storedDtype = parser.string('a dtype');
    else if (key === 'shape') shape = parser.integers(maxDims);
    else if (key === 'data_offsets') offsets = parser.integers(2);
    else {
      throw fail(`invalid header: unknown field '${shorten(key)}' of tensor '${shorten(name)}'`);
    }
  });
  if (storedDtype === undefined || shape === undefined || offsets?.length !== 2) {
    throw fail(
      `invalid header: tensor '${shorten(name)}' needs the fields dtype, shape and data_offsets`,
    );
  }
  const [begin, end] = offsets as [number, number];
  return { dtype: supported.get(storedDtype), storedDtype, shape, begin, end };
}

function parse(bytes: Uint8Array, fail: (what: string) => CodedError): Omit<Header, 'dataStart'> {
  if (bytes[0] !== 0x7b) throw fail("invalid header: it does not begin with '{'");
  const parser = new HeaderParser(bytes, fail);
  const entries = new Map<string, TensorEntry>();
  const metadata = Object.create(null) as Record<string, string>;
  parser.object((key) => {
    if (key === metadataKey) {
      parser.object((name) => {
        metadata[name] = parser.string('a string');
      });
    } else {
      entries.set(key, parseEntry(parser, key, fail));
    }
  });
  parser.end();
  return { entries, metadata, dataLength: 0 };
}

/** Every range must have the size of its tensor, and together they must cover the data exactly. */
function checkRanges(
  entries: ReadonlyMap<string, TensorEntry>,
  dataLength: number,
  fail: (what: string) => CodedError,
): void {
  const order = Array.from(entries).sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const [name, { storedDtype, shape, begin, end }] of order) {
    const who = `tensor '${shorten(name)}'`;
    const bits = bitsOf.get(storedDtype);
    if (bits === undefined) throw fail(`unknown dtype '${shorten(storedDtype)}' of ${who}`);
    const range = `bytes ${String(begin)} to ${String(end)}`;
    if (end < begin || end > dataLength) {
      throw fail(
        `${who} claims ${range}, which are not within the ${String(dataLength)} bytes of data`,
      );
    }
    if (begin !== at) {
      const how = begin > at ? 'leaves a hole before' : 'overlaps another tensor in';
      throw fail(`${who} ${how} ${range}; the data before end at byte ${String(at)}`);
    }
    const size = shape.reduce((a, b) => a * b, bits);
    if (size !== (end - begin) * 8) {
      throw fail(
        `${who} of shape [${shape.join(', ')}] and dtype ${storedDtype} needs ` +
          `${String(size / 8)} bytes, its range has ${String(end - begin)}`,
      );
    }
    at = end;
  }
  if (at !== dataLength) {
    throw fail(
      `the tensors end at byte ${String(at)} of the data, the file at byte ${String(dataLength)}`,
    );
  }
}

/** Reads and checks the header. Allocates no more than the file could fill. */
export function readHeader(source: Source): Header {
  const fail = (what: string): CodedError => fileError(kind, source.name, what);
  if (source.size < 8) throw fail(`truncated: ${String(source.size)} bytes are no header`);
  const head = new Uint8Array(8);
  source.read(head, 0);
  const length = new DataView(head.buffer).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw fail(
      `header too large: it claims ${String(length)} bytes, the limit is ${String(maxHeaderBytes)}`,
    );
  }
  const dataStart = 8 + Number(length);
  if (dataStart > source.size) {
    throw fail(
      `truncated: its header claims ${String(length)} bytes, the file has ${String(source.size)}`,
    );
  }
  const bytes = new Uint8Array(Number(length));
  source.read(bytes, 8);
  if (!isUtf8(bytes)) throw fail('invalid header: not UTF-8');
  const { entries, metadata } = parse(bytes, fail);
  const dataLength = source.size - dataStart;
  checkRanges(entries, dataLength, fail);
  return { entries, metadata, dataStart, dataLength };
}
