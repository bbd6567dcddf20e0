/**
 * The header of a .npy file: a magic, a version, and a Python dict literal with dtype, order and
 * shape. The literal is parsed, never evaluated.
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { type DType } from '../../dtype';
import { type CodedError, makeError } from '../../errors';
import { fileError, type Source } from '../io';

export interface NpyHeader {
  readonly dtype: DType;
  readonly bigEndian: boolean;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  /** Where the elements begin. */
  readonly start: number;
}

export const magic = '\x93NUMPY';
// numpy refuses more than 10000 characters; this leaves room without a way to waste memory.
const maxHeader = 65536;
const maxDims = 64;

const types = new Map<string, DType>([
  ['b1', 'bool'],
  ['u1', 'uint8'],
  ['i1', 'int8'],
  ['i2', 'int16'],
  ['i4', 'int32'],
  ['i8', 'int64'],
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
]);

export const typeNames = new Map(Array.from(types, ([name, dtype]) => [dtype, name]));

/** A scanner over the dict literal. */
class Literal {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly fail: (what: string) => CodedError,
  ) {}

  accept(pattern: RegExp): string | undefined {
    const sticky = new RegExp(`\\s*(?:${pattern.source})`, 'y');
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.text);
    if (found === null) return undefined;
    this.#at = sticky.lastIndex;
    return found[1] ?? found[0].trim();
  }

  expect(pattern: RegExp, what: string): string {
    const found = this.accept(pattern);
    if (found !== undefined) return found;
    throw this.fail(`malformed header: expected ${what} at character ${String(this.#at)}`);
  }

  integers(): number[] {
    this.expect(/\(/, 'a tuple');
    const out: number[] = [];
    for (;;) {
      const digits = this.accept(/(\d{1,16})L?/);
      if (digits === undefined) break;
      const size = Number(digits);
      if (!Number.isSafeInteger(size)) throw this.fail(`a size of ${digits} is too large`);
      out.push(size);
      if (out.length > maxDims) throw this.fail(`more than ${String(maxDims)} dimensions`);
      if (this.accept(/,/) === undefined) break;
    }
    this.expect(/\)/, "')'");
    return out;
  }

  isList(): boolean {
    return this.accept(/\[/) !== undefined;
  }
}

function readDescr(
  source: Source,
  descr: string | undefined,
): Pick<NpyHeader, 'dtype' | 'bigEndian'> {
  const dtype = descr === undefined ? undefined : types.get(descr.slice(1));
  const order = descr?.[0] ?? '';
  if (dtype !== undefined && '<>|='.includes(order)) return { dtype, bigEndian: order === '>' };
  const why =
    descr === undefined
      ? 'records'
      : /^.?O/.test(descr)
        ? `Python objects ('${descr}'), which would have to be unpickled`
        : `elements of dtype '${descr}'`;
  throw makeError(
    'ERR_DTYPE',
    `${source.kind} '${source.name}': holds ${why}; ampgrad has bool, uint8, int8 to int64, float16 to float64`,
  );
}

function parseHeader(source: Source, text: string): Omit<NpyHeader, 'start'> {
  const fail = (what: string): CodedError => fileError(source.kind, source.name, what);
  const scan = new Literal(text, fail);
  const seen = new Set<string>();
  let descr: string | undefined;
  let fortran = false;
  let shape: number[] = [];
  scan.expect(/\{/, "'{'");
  while (scan.accept(/\}/) === undefined) {
    const key = scan.expect(/'(descr|fortran_order|shape)'/, "'descr', 'fortran_order' or 'shape'");
    if (seen.has(key)) throw fail(`malformed header: '${key}' is there twice`);
    seen.add(key);
    scan.expect(/:/, "':'");
    if (key === 'shape') shape = scan.integers();
    else if (key === 'fortran_order')
      fortran = scan.expect(/(True|False)/, 'True or False') === 'True';
    else if (scan.isList()) return { ...readDescr(source, undefined), fortran, shape };
    else descr = scan.expect(/'([^'\\]{1,64})'/, 'a dtype');
    if (scan.accept(/,/) === undefined) {
      scan.expect(/\}/, "'}'");
      break;
    }
  }
  if (seen.size !== 3) throw fail('malformed header: it needs descr, fortran_order and shape');
  scan.expect(/\s*$/, 'nothing more');
  return { ...readDescr(source, descr), fortran, shape };
}

/** Reads and checks everything before the elements. */
export function readNpyHeader(source: Source): NpyHeader {
  const fail = (what: string): CodedError => fileError(source.kind, source.name, what);
  if (source.size < 10) throw fail(`truncated: ${String(source.size)} bytes are no header`);
  const head = Buffer.alloc(Math.min(12, source.size));
  source.read(head, 0);
  if (head.toString('latin1', 0, 6) !== magic) throw fail('not a .npy file');
  const major = head[6] as number;
  const minor = head[7] as number;
  if (major < 1 || major > 3 || minor !== 0) {
    throw fail(`version ${String(major)}.${String(minor)} of the format is not known`);
  }
  const prefix = major === 1 ? 10 : 12;
  if (head.length < prefix) throw fail('truncated inside the header');
  const length = major === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (length > maxHeader) throw fail(`a header of ${String(length)} bytes is too large`);
  if (prefix + length > source.size) throw fail('truncated inside the header');
  const text = Buffer.alloc(length);
  source.read(text, prefix);
  return {
    ...parseHeader(source, text.toString(major === 3 ? 'utf8' : 'latin1')),
    start: prefix + length,
  };
}
