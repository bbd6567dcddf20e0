/** Changes of dtype and device, and Tensor properties that are short names of ops. */
import { suggest } from '../call';
import { type Device, type DType, isDevice, isDType } from '../dtype';
import { makeError } from '../errors';
import { defineMember } from '../lazy';
import { native, type Handle } from '../native';
import { empty, full, ones, permute, transpose, zeros } from '../ops.gen';
import { defineMethod, handleOf, Tensor, wrapTensor } from '../tensor';
import { tensor, type TensorData, type TensorOptions } from './creation';

export interface ToOptions {
  readonly dtype?: DType | null | undefined;
  readonly device?: Device | null | undefined;
  /** Return without waiting for the copy where the device allows it. Default false. */
  readonly nonBlocking?: boolean | undefined;
  /** Copy even if nothing changes. Default false. */
  readonly copy?: boolean | undefined;
}

const toKeys = ['dtype', 'device', 'nonBlocking', 'copy'];

interface Target {
  dtype?: DType | null | undefined;
  device?: Device | null | undefined;
  nonBlocking?: boolean | undefined;
  copy?: boolean | undefined;
}

function readTarget(arg: unknown, target: Target): void {
  if (isDType(arg)) target.dtype = arg;
  else if (isDevice(arg)) target.device = arg;
  else if (arg instanceof Tensor) Object.assign(target, { dtype: arg.dtype, device: arg.device });
  else if (typeof arg === 'object' && arg !== null) {
    for (const key of Object.keys(arg)) {
      if (!toKeys.includes(key)) {
        throw makeError(
          'ERR_TYPE',
          `to: unknown option '${key}'${suggest(key, toKeys)} (options are ${toKeys.join(', ')})`,
        );
      }
    }
    Object.assign(target, arg);
  } else {
    const code = typeof arg === 'string' ? 'ERR_VALUE' : 'ERR_TYPE';
    throw makeError(
      code,
      `to: expected a dtype such as 'float16', a device such as 'cuda:0', a Tensor or options, got ${String(arg)}`,
    );
  }
}

/** Reads the arguments of `to`; shared with Module.to. */
export function readToArguments(args: readonly unknown[]): ToOptions {
  const target: Target = {};
  const flags: boolean[] = [];
  for (const arg of args) {
    // PyTorch's last positions: nonBlocking, copy.
    if (typeof arg === 'boolean' && flags.length < 2) flags.push(arg);
    else if (arg !== undefined && arg !== null) readTarget(arg, target);
  }
  if (flags.length > 0) target.nonBlocking = flags[0];
  if (flags.length > 1) target.copy = flags[1];
  return target;
}

export interface NewOptions {
  readonly dtype?: DType | null | undefined;
  readonly device?: Device | null | undefined;
  readonly requiresGrad?: boolean | undefined;
}

type Shape = number | readonly number[];

declare module '../tensor' {
  interface Tensor {
    /**
     * This tensor in another dtype or on another device; itself when nothing changes. PyTorch:
     * `Tensor.to`.
     */
    to(dtype: DType, options?: ToOptions): Tensor;
    to(dtype: DType, nonBlocking: boolean, copy?: boolean): Tensor;
    to(device: Device, dtype: DType, nonBlocking: boolean, copy?: boolean): Tensor;
    to(other: Tensor, nonBlocking: boolean, copy?: boolean): Tensor;
    to(device: Device, options?: ToOptions): Tensor;
    to(device: Device, dtype: DType, options?: ToOptions): Tensor;
    to(other: Tensor, options?: ToOptions): Tensor;
    to(options: ToOptions): Tensor;
    float(): Tensor;
    double(): Tensor;
    half(): Tensor;
    bfloat16(): Tensor;
    int(): Tensor;
    long(): Tensor;
    short(): Tensor;
    char(): Tensor;
    byte(): Tensor;
    bool(): Tensor;
    cpu(): Tensor;
    cuda(index?: number): Tensor;
    /** The dtype, or this tensor in another one. */
    type(): DType;
    type(dtype: DType): Tensor;
    typeAs(other: Tensor): Tensor;
    viewAs(other: Tensor): Tensor;
    reshapeAs(other: Tensor): Tensor;
    /** Dimensions in reverse order. */
    readonly T: Tensor;
    /** The last two dimensions swapped. */
    readonly mT: Tensor;
    newTensor(data: TensorData, options?: TensorOptions): Tensor;
    newZeros(size: Shape, options?: NewOptions): Tensor;
    newOnes(size: Shape, options?: NewOptions): Tensor;
    newEmpty(size: Shape, options?: NewOptions): Tensor;
    newFull(size: Shape, fillValue: number, options?: NewOptions): Tensor;
    [Symbol.iterator](): Iterator<Tensor>;
  }
}

function defineGetter(name: string, get: (this: Tensor) => Tensor): void {
  defineMember(Tensor.prototype, name, { get });
}

function convert(x: Tensor, target: ToOptions): Tensor {
  const result = native.ops['to']?.(
    handleOf(x),
    target.dtype,
    target.device,
    target.nonBlocking,
    target.copy,
  ) as Handle;
  return result === handleOf(x) ? x : wrapTensor(result);
}

defineMethod('to', function (this: Tensor, ...args: unknown[]) {
  return convert(this, readToArguments(args));
});

const shortNames: Readonly<Record<string, DType>> = {
  float: 'float32',
  double: 'float64',
  half: 'float16',
  bfloat16: 'bfloat16',
  int: 'int32',
  long: 'int64',
  short: 'int16',
  char: 'int8',
  byte: 'uint8',
  bool: 'bool',
};
for (const [name, dtype] of Object.entries(shortNames)) {
  defineMethod(name, function (this: Tensor) {
    return convert(this, { dtype });
  });
}

defineMethod('cpu', function (this: Tensor) {
  return convert(this, { device: 'cpu' });
});
defineMethod('cuda', function (this: Tensor, index?: number) {
  return convert(this, { device: index === undefined ? 'cuda' : `cuda:${index}` });
});
defineMethod('type', function (this: Tensor, dtype?: DType) {
  return dtype === undefined ? this.dtype : convert(this, readToArguments([dtype]));
});
defineMethod('typeAs', function (this: Tensor, other: Tensor) {
  return convert(this, readToArguments([other]));
});
defineMethod('viewAs', function (this: Tensor, other: Tensor) {
  return this.view(other.shape);
});
defineMethod('reshapeAs', function (this: Tensor, other: Tensor) {
  return this.reshape(other.shape);
});

defineGetter('T', function () {
  return permute(
    this,
    Array.from({ length: this.ndim }, (_, i) => this.ndim - 1 - i),
  );
});
defineGetter('mT', function () {
  return transpose(this, -2, -1);
});

function like(x: Tensor, options: NewOptions = {}): NewOptions {
  return { dtype: x.dtype, device: x.device, ...options };
}

defineMethod('newTensor', function (this: Tensor, data: TensorData, options?: TensorOptions) {
  return tensor(data, like(this, options));
});
defineMethod('newZeros', function (this: Tensor, size: Shape, options?: NewOptions) {
  return zeros(size, like(this, options));
});
defineMethod('newOnes', function (this: Tensor, size: Shape, options?: NewOptions) {
  return ones(size, like(this, options));
});
defineMethod('newEmpty', function (this: Tensor, size: Shape, options?: NewOptions) {
  return empty(size, like(this, options));
});
defineMethod(
  'newFull',
  function (this: Tensor, size: Shape, fillValue: number, options?: NewOptions) {
    return full(size, fillValue, like(this, options));
  },
);

/** Iterates over the first dimension. */
defineMethod(Symbol.iterator, function* (this: Tensor): Generator<Tensor> {
  if (this.ndim === 0) throw makeError('ERR_TYPE', 'iteration over a 0-d tensor');
  for (let i = 0; i < this.size(0); ++i) yield this.select(0, i);
});
