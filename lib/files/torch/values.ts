/** What a pickle can make here: values of Python that are data, and nothing else. */
import { type CodedError, makeError } from '../../errors';
import { Tensor } from '../../tensor';

/** A Python tuple; becomes an array at the end. */
export class PyTuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** A Python dict of any kind; becomes an object, or a Map if not all keys are strings. */
export class PyDict {
  readonly map = new Map<unknown, unknown>();
}

/** A class or function that was named, and may be. */
export interface PyGlobal {
  readonly global: string;
  /** What calling it gives; undefined if it is only a name. */
  readonly call?: (args: readonly unknown[]) => unknown;
  /** What it stands for when it is itself the value: a dtype. */
  readonly value?: unknown;
}

export class PyName implements PyGlobal {
  readonly call?: (args: readonly unknown[]) => unknown;
  readonly value?: unknown;

  constructor(
    readonly global: string,
    what: { call?: (args: readonly unknown[]) => unknown; value?: unknown },
  ) {
    Object.assign(this, what);
  }
}

const maxDepth = 1000;

function define(out: object, key: string, value: unknown): void {
  Object.defineProperty(out, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

/** Turns Python values into JavaScript's; what was shared stays shared. */
export class Converter {
  readonly #done = new Map<object, unknown>();
  #depth = 0;

  constructor(private readonly fail: (what: string) => CodedError) {}

  convert(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Tensor || value instanceof Uint8Array) return value;
    if (this.#done.has(value)) return this.#done.get(value);
    if (++this.#depth > maxDepth) {
      throw this.fail(`nested deeper than ${String(maxDepth)} levels`);
    }
    const out = this.#container(value);
    --this.#depth;
    return out;
  }

  #container(value: object): unknown {
    if (value instanceof PyName) {
      if (value.value !== undefined) return value.value;
      throw makeError('ERR_TYPE', this.fail(`'${value.global}' itself is not data`).message);
    }
    if (value instanceof PyDict) return this.#dict(value);
    if (value instanceof Set) {
      const out = new Set<unknown>();
      this.#done.set(value, out);
      for (const v of value) out.add(this.convert(v));
      return out;
    }
    if (Array.isArray(value) || value instanceof PyTuple) {
      const out: unknown[] = [];
      this.#done.set(value, out);
      for (const v of value instanceof PyTuple ? value.items : value) out.push(this.convert(v));
      return out;
    }
    throw this.fail('holds a value that is not data');
  }

  #dict(dict: PyDict): unknown {
    let plain = true;
    for (const key of dict.map.keys()) plain &&= typeof key === 'string';
    if (plain) {
      const out = {};
      this.#done.set(dict, out);
      for (const [key, v] of dict.map) define(out, key as string, this.convert(v));
      return out;
    }
    const out = new Map<unknown, unknown>();
    this.#done.set(dict, out);
    for (const [key, v] of dict.map) out.set(this.convert(key), this.convert(v));
    return out;
  }
}
