/** Batches from samples: tensors are stacked, numbers become tensors, containers are kept. */
import { type TypedArray } from '../dtype';
import { makeError } from '../errors';
import { tensor, type TensorData } from '../functions/creation';
import { stack } from '../ops.gen';
import { Tensor } from '../tensor';
import { describe } from './options';

/** What {@link defaultCollate} makes of samples of type `T`. */
export type Collated<T> = T extends Tensor | number | bigint | boolean | TypedArray
  ? Tensor
  : T extends string
    ? string[]
    : T extends Map<infer K, infer V>
      ? Map<K, Collated<V>>
      : T extends (...args: never[]) => unknown
        ? never
        : T extends object
          ? { -readonly [K in keyof T]: Collated<T[K]> }
          : unknown;

function mixed(path: string, kind: string, other: unknown): Error {
  return makeError(
    'ERR_TYPE',
    `defaultCollate: samples must be of one kind, got ${kind} and ${describe(other)}${path}`,
  );
}

function collateNumbers(batch: readonly unknown[], path: string): Tensor {
  let fraction = false;
  for (const v of batch) {
    if (typeof v === 'number') fraction ||= !Number.isInteger(v);
    else if (typeof v !== 'bigint' && typeof v !== 'boolean') throw mixed(path, 'a number', v);
  }
  const data = batch as readonly (number | bigint | boolean)[];
  return fraction ? tensor(data, { dtype: 'float64' }) : tensor(data);
}

function collateTensors(batch: readonly unknown[], path: string): Tensor {
  const first = batch[0] as Tensor;
  const { shape } = first;
  for (const t of batch) {
    if (!(t instanceof Tensor)) throw mixed(path, 'a Tensor', t);
    if (t.shape.length !== shape.length || t.shape.some((n, i) => n !== shape[i])) {
      throw makeError(
        'ERR_SHAPE',
        `defaultCollate: tensors of a batch must have one shape, got [${shape.join(', ')}] and ` +
          `[${t.shape.join(', ')}]${path}; pass a 'collateFn' that pads them`,
      );
    }
  }
  return stack(batch as readonly Tensor[]);
}

function collateArrays(batch: readonly unknown[], path: string): unknown[] {
  const { length } = batch[0] as unknown[];
  for (const sample of batch) {
    if (!Array.isArray(sample)) throw mixed(path, 'an array', sample);
    if (sample.length !== length) {
      throw makeError(
        'ERR_SHAPE',
        `defaultCollate: each array in a batch must have the same length, got ${String(length)} ` +
          `and ${String(sample.length)}${path}`,
      );
    }
  }
  return Array.from({ length }, (_, i) =>
    collate(
      batch.map((sample) => (sample as unknown[])[i]),
      `${path} at [${String(i)}]`,
    ),
  );
}

function collateMaps(batch: readonly unknown[], path: string): Map<unknown, unknown> {
  const out = new Map<unknown, unknown>();
  for (const key of (batch[0] as Map<unknown, unknown>).keys()) {
    const values = batch.map((sample) => {
      if (!(sample instanceof Map)) throw mixed(path, 'a Map', sample);
      if (!sample.has(key)) throw missing(String(key), path);
      return sample.get(key) as unknown;
    });
    out.set(key, collate(values, `${path} at key ${String(key)}`));
  }
  return out;
}

function missing(key: string, path: string): Error {
  return makeError(
    'ERR_VALUE',
    `defaultCollate: a sample lacks the key '${key}' of the first sample${path}`,
  );
}

function collateObjects(batch: readonly unknown[], path: string): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(batch[0] as object)) {
    const values = batch.map((sample) => {
      if (!isPlain(sample)) throw mixed(path, 'an object', sample);
      if (!Object.hasOwn(sample, key)) throw missing(key, path);
      return sample[key];
    });
    // A key named __proto__ must become a property like any other.
    Object.defineProperty(out, key, {
      value: collate(values, `${path} at key '${key}'`),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return out;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === null || proto === Object.prototype || Object.getPrototypeOf(proto) === null;
}

function isTyped(value: unknown): boolean {
  return ArrayBuffer.isView(value) && !(value instanceof DataView) && !Buffer.isBuffer(value);
}

function collate(batch: readonly unknown[], path: string): unknown {
  const first = batch[0];
  if (first instanceof Tensor) return collateTensors(batch, path);
  switch (typeof first) {
    case 'number':
    case 'bigint':
    case 'boolean':
      return collateNumbers(batch, path);
    case 'string':
      for (const v of batch) if (typeof v !== 'string') throw mixed(path, 'a string', v);
      return [...batch];
    default:
  }
  if (Buffer.isBuffer(first)) return [...batch];
  if (isTyped(first)) {
    const rows = batch.map((v) => {
      if (!isTyped(v)) throw mixed(path, 'a typed array', v);
      return tensor(v as TensorData);
    });
    return collateTensors(rows, path);
  }
  if (Array.isArray(first)) return collateArrays(batch, path);
  if (first instanceof Map) return collateMaps(batch, path);
  if (isPlain(first)) return collateObjects(batch, path);
  if (first instanceof Promise) {
    throw makeError(
      'ERR_TYPE',
      'defaultCollate: samples are promises; iterate over the loader with `for await`',
    );
  }
  throw makeError(
    'ERR_TYPE',
    'defaultCollate: batch must contain tensors, typed arrays, numbers, strings, arrays, Maps or ' +
      `plain objects, got ${describe(first)}${path}`,
  );
}

/**
 * Makes a batch of samples, with a new first dimension. Tensors and typed arrays are stacked; integers
 * (and bigints) become int64, numbers with a fraction among them float64, booleans bool; strings and
 * Buffers stay a list; arrays, plain objects and Maps are collated element by element. PyTorch:
 * `default_collate`.
 *
 * @throws TypeError ERR_TYPE for other kinds, TensorError ERR_SHAPE for shapes or lengths that differ.
 */
export function defaultCollate<T>(batch: readonly T[]): Collated<T> {
  if (!Array.isArray(batch)) {
    throw makeError('ERR_TYPE', `defaultCollate: expected an array, got ${describe(batch)}`);
  }
  if (batch.length === 0) throw makeError('ERR_VALUE', 'defaultCollate: the batch is empty');
  return collate(batch, '') as Collated<T>;
}

/**
 * What a loader without batches does to a sample: typed arrays become tensors, everything else stays.
 * PyTorch: `default_convert`.
 */
export function defaultConvert(sample: unknown): unknown {
  if (sample instanceof Tensor) return sample;
  if (isTyped(sample)) return tensor(sample as TensorData);
  if (Array.isArray(sample)) return sample.map(defaultConvert);
  if (sample instanceof Map) return new Map(Array.from(sample, ([k, v]) => [k, defaultConvert(v)]));
  if (!isPlain(sample)) return sample;
  return Object.fromEntries(Object.entries(sample).map(([k, v]) => [k, defaultConvert(v)]));
}
