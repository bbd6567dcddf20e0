/** What the main thread and loading workers say to each other, and how batches travel. */
import { type MessagePort } from 'node:worker_threads';

import { type DType, type TypedArray } from '../../dtype';
import { makeError } from '../../errors';
import { fromBuffer } from '../../functions/creation';
import { Tensor } from '../../tensor';
import { describe } from '../options';

/** How a worker makes its dataset: calls `export` (or `dataset`, or the default) of a module. */
export interface WorkerRecipe {
  /** File URL or absolute path. */
  readonly module: string;
  readonly export?: string;
  /** Whether the export is a class. */
  readonly construct?: boolean;
  readonly args?: readonly unknown[];
}

/** Handed to a worker when it starts. */
export interface WorkerSetup {
  readonly id: number;
  readonly numWorkers: number;
  readonly recipe: WorkerRecipe;
  /** Samples in a batch; null for none. */
  readonly batchSize: number | null;
  readonly dropLast: boolean;
  /** Counts messages of this worker; the main thread sleeps on it. */
  readonly signal: Int32Array;
  readonly port: MessagePort;
}

/** To a worker. */
export type Task =
  | { readonly kind: 'begin'; readonly pass: number; readonly seed: bigint }
  | {
      readonly kind: 'batch';
      readonly pass: number;
      readonly index: number;
      /** Undefined for the next batch of a stream. */
      readonly indices?: readonly number[] | undefined;
    };

export interface RemoteError {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly code?: string | undefined;
}

/** From a worker. */
export type Reply =
  | {
      readonly kind: 'batch';
      readonly pass: number;
      readonly index: number;
      readonly batch: Encoded;
    }
  | { readonly kind: 'end'; readonly pass: number; readonly index: number }
  | {
      readonly kind: 'error';
      readonly pass: number;
      readonly index: number;
      readonly error: RemoteError;
    }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: RemoteError }
  | { readonly kind: 'exit'; readonly code: number };

export function describeError(error: unknown): RemoteError {
  const e = error as Partial<Error & { code: string }> | null | undefined;
  if (typeof e?.message !== 'string') {
    const text = `thrown value: ${describe(error)}`;
    return { name: 'Error', message: text, stack: text };
  }
  const name = typeof e.name === 'string' ? e.name : 'Error';
  const stack = typeof e.stack === 'string' ? e.stack : `${name}: ${e.message}`;
  return { name, message: e.message, stack, code: typeof e.code === 'string' ? e.code : undefined };
}

/** A value whose tensors are apart, so that their memory can be handed over. */
export interface Encoded {
  readonly tree: Node;
  readonly tensors: readonly { dtype: DType; shape: readonly number[]; data: TypedArray }[];
}

type Node =
  | readonly ['tensor', number]
  | readonly ['array', readonly Node[]]
  | readonly ['object', readonly (readonly [string, Node])[]]
  | readonly ['map', readonly (readonly [unknown, Node])[]]
  | readonly ['made', RecipeNode]
  | readonly ['plain', unknown];

interface RecipeNode {
  readonly module: string;
  readonly export?: string | undefined;
  readonly construct?: boolean | undefined;
  readonly args: Node;
}

/** Something that a worker can make again: a dataset, a transform. */
interface Remakeable {
  workerRecipe(): WorkerRecipe | undefined;
}

function isRemakeable(value: object): value is Remakeable {
  return typeof (value as Partial<Remakeable>).workerRecipe === 'function';
}

const cloneable = [Date, RegExp, Error, ArrayBuffer, SharedArrayBuffer, Set];

function checkCloneable(value: object): void {
  if (ArrayBuffer.isView(value) || cloneable.some((kind) => value instanceof kind)) return;
  throw makeError(
    'ERR_TYPE',
    `DataLoader: a worker cannot send ${describe(value)}; batches may hold tensors, typed arrays, ` +
      'plain values, arrays, Maps and plain objects',
  );
}

/** A copy in memory that all threads see. */
function share(data: TypedArray): TypedArray {
  const bytes = new Uint8Array(new SharedArrayBuffer(data.byteLength));
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return new (data.constructor as new (b: ArrayBufferLike) => TypedArray)(bytes.buffer);
}

/**
 * Takes the tensors out of a value. Half types travel as bits.
 * @param shared put tensors into memory that several threads can use at once.
 */
export function encode(value: unknown, shared = false): Encoded {
  const tensors: { dtype: DType; shape: readonly number[]; data: TypedArray }[] = [];
  const visit = (v: unknown): Node => {
    if (v instanceof Tensor) {
      const data = v.dataSync();
      tensors.push({ dtype: v.dtype, shape: [...v.shape], data: shared ? share(data) : data });
      return ['tensor', tensors.length - 1];
    }
    if (typeof v === 'function' || typeof v === 'symbol') {
      throw makeError('ERR_TYPE', `DataLoader: a worker cannot send ${describe(v)}`);
    }
    if (typeof v !== 'object' || v === null) return ['plain', v];
    if (Array.isArray(v)) return ['array', v.map(visit)];
    if (v instanceof Map) return ['map', Array.from(v, ([k, x]) => [k, visit(x)] as const)];
    const proto: unknown = Object.getPrototypeOf(v);
    if (proto === null || proto === Object.prototype) {
      return ['object', Object.entries(v).map(([k, x]) => [k, visit(x)] as const)];
    }
    const recipe = isRemakeable(v) ? v.workerRecipe() : undefined;
    if (recipe !== undefined) return ['made', { ...recipe, args: visit(recipe.args ?? []) }];
    checkCloneable(v);
    return ['plain', v];
  };
  const tree = visit(value);
  return { tree, tensors };
}

/** The buffers of an encoded value: they change hands instead of being copied. */
export function transfersOf(encoded: Encoded): ArrayBuffer[] {
  return encoded.tensors.map((t) => t.data.buffer as ArrayBuffer);
}

/** Makes an object from the recipe of {@link Remakeable}. */
export type Maker = (recipe: Omit<WorkerRecipe, 'args'>, args: unknown[]) => unknown;

/** The modules of all recipes inside. */
export function modulesOf(encoded: Encoded): string[] {
  const found: string[] = [];
  const visit = (node: Node): void => {
    if (node[0] === 'made') {
      found.push(node[1].module);
      visit(node[1].args);
    } else if (node[0] === 'array') node[1].forEach(visit);
    else if (node[0] === 'object' || node[0] === 'map') node[1].forEach(([, v]) => visit(v));
  };
  visit(encoded.tree);
  return found;
}

export function decode(encoded: Encoded, make?: Maker): unknown {
  const { tensors } = encoded;
  const build = (node: Node): unknown => {
    switch (node[0]) {
      case 'tensor': {
        const { data, shape, dtype } = tensors[node[1]] as Encoded['tensors'][number];
        return fromBuffer(data, { shape, dtype });
      }
      case 'array':
        return node[1].map(build);
      case 'map':
        return new Map(node[1].map(([k, v]) => [k, build(v)]));
      case 'object': {
        const out: Record<string, unknown> = {};
        for (const [key, v] of node[1]) {
          const value = build(v);
          Object.defineProperty(out, key, {
            value,
            enumerable: true,
            writable: true,
            configurable: true,
          });
        }
        return out;
      }
      case 'made':
        if (make === undefined) throw makeError('ERR_INTERNAL', 'DataLoader: unexpected recipe');
        return make(node[1], build(node[1].args) as unknown[]);
      case 'plain':
        return node[1];
    }
  };
  return build(encoded.tree);
}
