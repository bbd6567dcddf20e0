/**
 * The Tensor class: a handle on a strided window of native memory. Ops are added to its prototype
 * by lib/ops and lib/functions; this file holds what is not an op: geometry, data out, autograd state, lifetime.
 */
import { outsideAutocast, syncAutocast } from './autocastState';
import { runSelective } from './backwardPass';
import { type DType, type Device, type TypedArray, allocateTyped } from './dtype';
import { makeError } from './errors';
import { defineMember } from './lazy';
import { native, type Handle } from './native';
import { formatTensor } from './print';
import { noteCreated } from './scopes';

let getHandle: (t: Tensor) => Handle;
let forgetShape: (t: Tensor) => void;

/** Nested arrays of numbers, as deep as a tensor has dimensions. */
export type NestedArray = number | bigint | boolean | NestedArray[];

/** Removes what it was returned for. */
export interface RemovableHandle {
  remove(): void;
}

export interface BackwardOptions {
  /** Keep saved tensors so that the graph can be used again. Default: the value of createGraph. */
  readonly retainGraph?: boolean;
  /** Record the backward pass itself, for higher derivatives. Default false. */
  readonly createGraph?: boolean;
  /** Accumulate only into these leaves. Default: all. */
  readonly inputs?: readonly Tensor[];
}

const backwardKeys = new Set(['retainGraph', 'createGraph', 'inputs']);

/** A multi-dimensional array with one element type, and the unit of automatic differentiation. */
export class Tensor {
  readonly #handle: Handle;
  #shape: readonly number[] | undefined;

  static {
    getHandle = (t) => t.#handle;
    forgetShape = (t) => {
      t.#shape = undefined;
    };
  }

  /**
   * A second handle on the tensor of `source` (same data, same autograd state). Tensors are made
   * by functions such as `tensor()` and `zeros()`; subclasses call this.
   */
  constructor(source: Tensor | Handle) {
    this.#handle = source instanceof Tensor ? source.#handle : source;
  }

  /** Sizes of the dimensions. */
  get shape(): readonly number[] {
    return (this.#shape ??= Object.freeze(native.shape(this.#handle)));
  }

  /** Element type. */
  get dtype(): DType {
    return native.dtype(this.#handle) as DType;
  }

  get device(): Device {
    return native.device(this.#handle) as Device;
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.shape.length;
  }

  /** Number of dimensions, PyTorch's `dim()`. */
  dim(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  numel(): number {
    return native.numel(this.#handle);
  }

  /** All sizes, or the size of one dimension (negative counts from the end). */
  size(): readonly number[];
  size(dim: number): number;
  size(dim?: number): readonly number[] | number {
    if (dim === undefined) return this.shape;
    return this.shape[this.#wrap('size', dim)] as number;
  }

  /** All strides in elements, or that of one dimension. */
  stride(): number[];
  stride(dim: number): number;
  stride(dim?: number): number[] | number {
    const strides = native.strides(this.#handle);
    return dim === undefined ? strides : (strides[this.#wrap('stride', dim)] as number);
  }

  #wrap(op: string, dim: number): number {
    const n = this.ndim;
    if (!Number.isInteger(dim) || dim < -n || dim >= n) {
      throw makeError(
        'ERR_RANGE',
        `${op}: argument 'dim' must be an integer in [${String(-n)}, ${String(n - 1)}], got ${String(dim)}`,
      );
    }
    return dim < 0 ? dim + n : dim;
  }

  /** Position of the first element in the storage, in elements. */
  storageOffset(): number {
    return native.storageOffset(this.#handle);
  }

  /** Whether elements lie densely in row-major order. */
  isContiguous(): boolean {
    return native.isContiguous(this.#handle);
  }

  /** Bytes of one element. */
  elementSize(): number {
    return this.numel() === 0
      ? allocateTyped(this.dtype, 1).byteLength
      : this.nbytes / this.numel();
  }

  /** Bytes of all elements. */
  get nbytes(): number {
    return allocateTyped(this.dtype, 1).byteLength * this.numel();
  }

  isFloatingPoint(): boolean {
    return this.dtype.includes('float');
  }

  /** Number of in-place changes of the storage so far. */
  get version(): number {
    return native.version(this.#handle);
  }

  /** Whether both tensors look at the same storage. */
  sharesStorage(other: Tensor): boolean {
    return native.sharesStorage(this.#handle, other.#handle);
  }

  // --- Data out

  /**
   * The only element as a number (boolean for bool; bigint for an int64 beyond 2^53).
   * @throws TensorError ERR_SHAPE if there is not exactly one element.
   */
  item(): number {
    return native.item(this.#handle) as number;
  }

  /** The only element, without blocking the event loop on devices that compute asynchronously. */
  itemAsync(): Promise<number> {
    return Promise.resolve().then(() => this.item());
  }

  /** All elements, row-major, copied; float16 and bfloat16 as 16-bit patterns. */
  dataSync(): TypedArray {
    const out = allocateTyped(this.dtype, this.numel());
    native.copyTo(this.#handle, out);
    return out;
  }

  /** As {@link dataSync}, without blocking on devices that compute asynchronously. */
  data(): Promise<TypedArray> {
    return Promise.resolve().then(() => this.dataSync());
  }

  /** Elements as nested arrays (booleans for bool, bigints for int64 beyond 2^53). */
  toArray(): NestedArray {
    const flat = this.#flat();
    const { shape } = this;
    let at = 0;
    const build = (dim: number): NestedArray => {
      if (dim === shape.length) return flat[at++] as number;
      return Array.from({ length: shape[dim] as number }, () => build(dim + 1));
    };
    return build(0);
  }

  /** PyTorch's name for {@link toArray}. */
  tolist(): NestedArray {
    return this.toArray();
  }

  #flat(): ArrayLike<number | bigint | boolean> {
    const { dtype } = this;
    if (dtype === 'float16' || dtype === 'bfloat16') {
      return (this as unknown as { float(): Tensor }).float().dataSync();
    }
    const data = this.dataSync();
    if (dtype === 'bool') return Array.from(data as Uint8Array, (v) => v !== 0);
    if (dtype === 'int64') {
      return Array.from(data as BigInt64Array, (v) => {
        const n = Number(v);
        return Number.isSafeInteger(n) ? n : v;
      });
    }
    return data as Exclude<TypedArray, BigInt64Array>;
  }

  // --- Autograd

  /** Whether gradients are wanted for this tensor or something it was computed from. */
  get requiresGrad(): boolean {
    return native.requiresGrad(this.#handle);
  }

  set requiresGrad(value: boolean) {
    native.setRequiresGrad(this.#handle, value);
  }

  /** Sets {@link requiresGrad} and returns this tensor. */
  requiresGrad_(value = true): this {
    this.requiresGrad = value;
    return this;
  }

  /** Whether this tensor was made by the user and not by a recorded op. */
  get isLeaf(): boolean {
    return native.isLeaf(this.#handle);
  }

  /** Name of the node that computed this tensor, such as `MulBackward`; null for a leaf. */
  get gradFn(): string | null {
    return native.gradFn(this.#handle);
  }

  /** The gradient accumulated by `backward()`, or null. */
  get grad(): Tensor | null {
    const grad = native.grad(this.#handle);
    return grad === null ? null : wrapTensor(grad);
  }

  set grad(value: Tensor | null | undefined) {
    native.setGrad(this.#handle, value === null || value === undefined ? null : value.#handle);
  }

  /** Keeps the gradient of a non-leaf in its {@link grad}. */
  retainGrad(): void {
    native.retainGrad(this.#handle);
  }

  /** Drops the history: the tensor becomes a leaf that does not require grad. */
  detach_(): this {
    native.detachInPlace(this.#handle);
    return this;
  }

  /**
   * Computes gradients of this tensor with respect to the leaves and adds them to their `grad`.
   * @param gradient gradient of some scalar with respect to this tensor; may be left out for one element.
   * @throws TensorError ERR_AUTOGRAD when nothing requires grad or the graph was already freed.
   */
  backward(gradient?: Tensor | null, options?: BackwardOptions): void;
  backward(options: BackwardOptions): void;
  backward(a?: Tensor | BackwardOptions | null, b: BackwardOptions = {}): void {
    const gradient = a instanceof Tensor || a === null || a === undefined ? a : undefined;
    const options = gradient === undefined && a !== undefined && !(a instanceof Tensor) ? a : b;
    checkKeys('backward', options ?? {}, backwardKeys);
    const { createGraph = false, retainGraph = createGraph, inputs = [] } = options ?? {};
    const run = (): void => {
      native.runBackward(
        [this.#handle],
        [gradient ? gradient.#handle : null],
        inputs.map((t) => t.#handle),
        retainGraph,
        createGraph,
      );
    };
    outsideAutocast(inputs.length === 0 ? run : () => runSelective(run));
  }

  /** Calls `hook` with the gradient of this tensor; what it returns replaces the gradient. */
  registerHook(hook: (grad: Tensor) => Tensor | null | undefined | void): RemovableHandle {
    const id = native.addHook(this.#handle, (grad) => {
      const result = hook(wrapTensor(grad));
      return result instanceof Tensor ? result.#handle : undefined;
    });
    return { remove: () => native.removeHook(this.#handle, id) };
  }

  /** Calls `hook` with this leaf after its `grad` was updated. */
  registerPostAccumulateGradHook(hook: (leaf: this) => void): RemovableHandle {
    const id = native.addPostAccumulateHook(this.#handle, () => {
      hook(this);
      return undefined;
    });
    return { remove: () => native.removePostAccumulateHook(this.#handle, id) };
  }

  // --- Lifetime

  /** Lets go of the tensor now; the memory is freed when no other tensor shares it. */
  dispose(): void {
    native.dispose(this.#handle);
  }

  get isDisposed(): boolean {
    return native.isDisposed(this.#handle);
  }

  /** Makes this tensor refer to the memory and geometry of `source`, keeping its autograd state. */
  setData(source: Tensor): this {
    native.setData(this.#handle, source.#handle);
    this.#shape = undefined;
    return this;
  }

  /** PyTorch's text form. */
  toString(): string {
    return formatTensor(this);
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

if (typeof Symbol.dispose === 'symbol') {
  Object.defineProperty(Tensor.prototype, Symbol.dispose, {
    value(this: Tensor) {
      this.dispose();
    },
    configurable: true,
    writable: true,
  });
}

function checkKeys(where: string, options: object, known: ReadonlySet<string>): void {
  for (const key of Object.keys(options)) {
    if (!known.has(key)) {
      throw makeError(
        'ERR_TYPE',
        `${where}: unknown option '${key}' (options are ${[...known].join(', ')})`,
      );
    }
  }
}

/** Adds a method of tensors; for this package only. */
export function defineMethod(
  name: PropertyKey,
  value: (this: Tensor, ...args: never[]) => unknown,
): void {
  if (typeof name === 'string') Object.defineProperty(value, 'name', { value: name });
  defineMember(Tensor.prototype, name, { value });
}

/** The native handle of a tensor; for this package only. */
export function handleOf(t: Tensor): Handle {
  syncAutocast();
  return getHandle(t);
}

/** The tensor itself, after native code changed its shape; for this package only. */
export function reshaped<T extends Tensor>(t: T): T {
  forgetShape(t);
  return t;
}

/** A Tensor around a handle that native code returned; for this package only. */
export function wrapTensor(handle: Handle): Tensor {
  const t = new Tensor(handle);
  noteCreated(t);
  return t;
}
