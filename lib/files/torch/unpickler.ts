/**
 * A reader of pickles (protocols 2 to 5) that runs nothing: names are looked up in a list of what is
 * harmless, calls are only possible to these, and work and depth are bounded by the size of the input.
 * Source: Python's Lib/pickletools.py, which documents every opcode.
 */
import { type CodedError, makeError } from '../../errors';
import { PyDict, PyName, PyTuple } from './values';

export interface UnpicklerOptions {
  readonly fail: (what: string) => CodedError;
  /** A class or function by its full name; undefined if it is not allowed. */
  readonly findGlobal: (name: string) => PyName | undefined;
  readonly persistentLoad: (id: unknown) => unknown;
}

// Values take up to about 100 bytes each: a bound for the memory of a pickle of one-byte opcodes.
const maxOpcodes = 5_000_000;
const maxLongBytes = 1024;

type Handler = (u: Unpickler) => void;

/** State of a run: the input, the stack, the memo. */
export class Unpickler {
  readonly #view: DataView;
  readonly #memo = new Map<number, unknown>();
  readonly #marks: unknown[][] = [];
  #stack: unknown[] = [];
  #at = 0;

  constructor(
    private readonly bytes: Buffer,
    readonly options: UnpicklerOptions,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  broken(what: string): CodedError {
    return this.options.fail(`broken pickle: ${what} at byte ${String(this.#at)}`);
  }

  /** Runs to the end and returns the value. */
  run(): unknown {
    for (let count = 0; ; ++count) {
      if (count === maxOpcodes) {
        throw this.options.fail(`its pickle has more than ${String(maxOpcodes)} opcodes`);
      }
      const code = this.byte();
      if (code === 0x2e) return this.pop();
      const handler = handlers[code];
      if (handler === undefined) {
        const hex = code.toString(16).padStart(2, '0');
        throw this.broken(`opcode 0x${hex} is not supported`);
      }
      handler(this);
    }
  }

  // --- Input

  take(n: number): Buffer {
    const end = this.#at + n;
    if (!(end <= this.bytes.length)) throw this.broken('truncated');
    const out = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return out;
  }

  byte(): number {
    return this.take(1)[0] as number;
  }

  uint16(): number {
    return this.take(2).readUInt16LE(0);
  }

  uint32(): number {
    return this.take(4).readUInt32LE(0);
  }

  int32(): number {
    return this.take(4).readInt32LE(0);
  }

  uint64(): number {
    return Number(this.take(8).readBigUInt64LE(0));
  }

  float64(): number {
    this.take(8);
    return this.#view.getFloat64(this.#at - 8);
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.broken('truncated');
    const text = this.bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** An integer of `n` bytes, two's complement; a bigint beyond 2^53. */
  long(n: number): number | bigint {
    if (n > maxLongBytes) throw this.broken(`an integer of ${String(n)} bytes`);
    if (n === 0) return 0;
    const hex = Buffer.from(this.take(n)).reverse().toString('hex');
    const value = BigInt.asIntN(8 * n, BigInt(`0x${hex}`));
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  // --- Stack

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    if (this.#stack.length === 0) throw this.broken('a value is missing');
    return this.#stack.pop();
  }

  top(): unknown {
    if (this.#stack.length === 0) throw this.broken('a value is missing');
    return this.#stack.at(-1);
  }

  mark(): void {
    this.#marks.push(this.#stack);
    this.#stack = [];
  }

  /** The values since the last mark. */
  popMark(): unknown[] {
    const items = this.#stack;
    const outer = this.#marks.pop();
    if (outer === undefined) throw this.broken('a mark is missing');
    this.#stack = outer;
    return items;
  }

  /** POP, which also takes back a mark. */
  discard(): void {
    if (this.#stack.length > 0) this.#stack.pop();
    else this.popMark();
  }

  tuple(n: number): void {
    const items = Array.from({ length: n }, () => this.pop()).reverse();
    this.push(new PyTuple(items));
  }

  // --- Memo

  remember(index: number = this.#memo.size): void {
    this.#memo.set(index, this.top());
  }

  recall(index: number): void {
    if (!this.#memo.has(index)) throw this.broken(`nothing was stored as ${String(index)}`);
    this.push(this.#memo.get(index));
  }

  // --- Containers

  extend(items: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.broken('append to what is no list');
    for (const item of items) list.push(item);
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof PyDict)) throw this.broken('an item set of what is no dict');
    if (items.length % 2 !== 0) throw this.broken('a key without a value');
    for (let i = 0; i < items.length; i += 2) dict.map.set(items[i], items[i + 1]);
  }

  addItems(items: readonly unknown[]): void {
    const set = this.top();
    if (!(set instanceof Set)) throw this.broken('an item added to what is no set');
    for (const item of items) set.add(item);
  }

  // --- Names and calls

  global(module: unknown, name: unknown): void {
    // Anything else would be turned into text, and a small pickle can describe a list of endless text.
    if (typeof module !== 'string' || typeof name !== 'string') {
      throw this.broken('a name that is not a string');
    }
    const full = `${module}.${name}`;
    const found = this.options.findGlobal(full);
    if (found === undefined) {
      throw makeError(
        'ERR_FILE',
        this.options.fail(
          `it names '${full.slice(0, 200)}', which is not one of the classes and functions that ` +
            'are allowed; nothing was executed',
        ).message,
      );
    }
    this.push(found);
  }

  reduce(): void {
    const args = this.pop();
    const callee = this.pop();
    if (!(callee instanceof PyName) || !(args instanceof PyTuple)) {
      throw this.broken('a call of what is no function');
    }
    if (callee.call === undefined) throw this.broken(`'${callee.global}' cannot be called`);
    this.push(callee.call(args.items));
  }

  /** Attributes: those of an OrderedDict (`_metadata` of state dicts) are left out. */
  build(): void {
    const state = this.pop();
    if (this.top() instanceof PyDict && state instanceof PyDict) return;
    throw this.broken('attributes of what is no OrderedDict');
  }
}

const text = (u: Unpickler, n: number): void => u.push(u.take(n).toString('utf8'));
const data = (u: Unpickler, n: number): void => u.push(new Uint8Array(u.take(n)));

function dictOf(u: Unpickler): void {
  const items = u.popMark();
  u.push(new PyDict());
  u.setItems(items);
}

/** By opcode. Those of protocols 0 and 1 only, extensions and out-of-band buffers are left out. */
const handlers: Readonly<Record<number, Handler>> = {
  // PROTO, FRAME
  0x80: (u) => {
    const version = u.byte();
    if (version < 2 || version > 5) throw u.broken(`protocol ${String(version)}`);
  },
  0x95: (u) => void u.take(8),
  // MARK, POP, POP_MARK, DUP
  0x28: (u) => u.mark(),
  0x30: (u) => u.discard(),
  0x31: (u) => void u.popMark(),
  0x32: (u) => u.push(u.top()),
  // NONE, NEWTRUE, NEWFALSE
  0x4e: (u) => u.push(null),
  0x88: (u) => u.push(true),
  0x89: (u) => u.push(false),
  // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
  0x4a: (u) => u.push(u.int32()),
  0x4b: (u) => u.push(u.byte()),
  0x4d: (u) => u.push(u.uint16()),
  0x8a: (u) => u.push(u.long(u.byte())),
  0x8b: (u) => u.push(u.long(u.uint32())),
  0x47: (u) => u.push(u.float64()),
  // SHORT_BINSTRING, BINSTRING, BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
  0x55: (u) => text(u, u.byte()),
  0x54: (u) => text(u, u.uint32()),
  0x58: (u) => text(u, u.uint32()),
  0x8c: (u) => text(u, u.byte()),
  0x8d: (u) => text(u, u.uint64()),
  // BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
  0x42: (u) => data(u, u.uint32()),
  0x43: (u) => data(u, u.byte()),
  0x8e: (u) => data(u, u.uint64()),
  0x96: (u) => data(u, u.uint64()),
  // EMPTY_LIST, LIST, APPEND, APPENDS
  0x5d: (u) => u.push([]),
  0x6c: (u) => u.push(u.popMark()),
  0x61: (u) => {
    const value = u.pop();
    u.extend([value]);
  },
  0x65: (u) => {
    const items = u.popMark();
    u.extend(items);
  },
  // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
  0x29: (u) => u.tuple(0),
  0x74: (u) => u.push(new PyTuple(u.popMark())),
  0x85: (u) => u.tuple(1),
  0x86: (u) => u.tuple(2),
  0x87: (u) => u.tuple(3),
  // EMPTY_DICT, DICT, SETITEM, SETITEMS
  0x7d: (u) => u.push(new PyDict()),
  0x64: dictOf,
  0x73: (u) => {
    const value = u.pop();
    const key = u.pop();
    u.setItems([key, value]);
  },
  0x75: (u) => {
    const items = u.popMark();
    u.setItems(items);
  },
  // EMPTY_SET, ADDITEMS, FROZENSET
  0x8f: (u) => u.push(new Set()),
  0x90: (u) => {
    const items = u.popMark();
    u.addItems(items);
  },
  0x91: (u) => u.push(new Set(u.popMark())),
  // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
  0x71: (u) => u.remember(u.byte()),
  0x72: (u) => u.remember(u.uint32()),
  0x94: (u) => u.remember(),
  0x68: (u) => u.recall(u.byte()),
  0x6a: (u) => u.recall(u.uint32()),
  // GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, BUILD, BINPERSID
  0x63: (u) => {
    const module = u.line();
    u.global(module, u.line());
  },
  0x93: (u) => {
    const name = u.pop();
    u.global(u.pop(), name);
  },
  0x52: (u) => u.reduce(),
  0x81: (u) => u.reduce(),
  0x62: (u) => u.build(),
  0x51: (u) => u.push(u.options.persistentLoad(u.pop())),
};
