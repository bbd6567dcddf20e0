/** Functions whose PyTorch forms a schema cannot express: `where(condition)`, `randint(high, size)`. */
import type { Scalar } from '../dtype';
import { makeError } from '../errors';
import {
  atleast1d as atleast1dOp,
  atleast2d as atleast2dOp,
  atleast3d as atleast3dOp,
  linspace as linspaceOp,
  type LinspaceOptions,
  narrow as narrowOp,
  randint as randintOp,
  type RandintOptions,
  where as whereOp,
} from '../ops.gen';
import { defineMethod, Tensor } from '../tensor';
import { nonzero } from './split';

type Size = number | readonly number[];
type Loose = (...args: unknown[]) => Tensor;

/** Elements of `input` where `condition` holds, else of `other`; alone, the positions as vectors. */
export function where(condition: Tensor): Tensor[];
export function where(condition: Tensor, input: Tensor | Scalar, other: Tensor | Scalar): Tensor;
export function where(...args: unknown[]): Tensor | Tensor[] {
  if (args.length === 1 && args[0] instanceof Tensor) return nonzero(args[0], { asTuple: true });
  return (whereOp as Loose)(...args);
}

/** The number that a tensor of one integer stands for. */
function position(name: string, argument: string, value: unknown): unknown {
  if (!(value instanceof Tensor)) return value;
  if (value.ndim !== 0 || value.isFloatingPoint() || value.dtype === 'bool') {
    throw makeError(
      'ERR_TYPE',
      `${name}: argument '${argument}' must be an integer or a 0-d tensor of integers, got ` +
        `${value.dtype} of shape [${value.shape.join(', ')}]`,
    );
  }
  return value.item();
}

/** A view of `length` positions of dimension `dim`, from `start` on. */
export function narrow(input: Tensor, dim: number, start: number | Tensor, length: number): Tensor;
export function narrow(...args: unknown[]): Tensor {
  return (narrowOp as Loose)(...args.map((v, i) => (i === 2 ? position('narrow', 'start', v) : v)));
}

/** Integers in [low, high), each as likely; `low` is 0 when it is left out. */
export function randint(high: number, size: readonly number[], options?: RandintOptions): Tensor;
export function randint(low: number, high: number, size: Size, options?: RandintOptions): Tensor;
export function randint(...args: unknown[]): Tensor {
  const short = Array.isArray(args[1]);
  return (randintOp as Loose)(...(short ? [0, ...args] : args));
}

function bound(name: string, argument: string, value: unknown): unknown {
  if (!(value instanceof Tensor)) return value;
  if (value.ndim !== 0) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: argument '${argument}' must be a number or a 0-d tensor, got shape ` +
        `[${value.shape.join(', ')}]`,
    );
  }
  return value.item();
}

/** `steps` values from `start` to `end`, both included; the ends may be 0-d tensors. */
export function linspace(
  start: Scalar | Tensor,
  end: Scalar | Tensor,
  steps: number,
  options?: LinspaceOptions,
): Tensor;
export function linspace(start: unknown, end: unknown, ...rest: unknown[]): Tensor {
  const ends = [bound('linspace', 'start', start), bound('linspace', 'end', end)];
  return (linspaceOp as Loose)(...ends, ...rest);
}

type AtLeast = (input: Tensor) => Tensor;

function atLeast(op: AtLeast, args: readonly unknown[]): Tensor | Tensor[] {
  const [first] = args;
  if (Array.isArray(first) && args.length === 1) return first.map((t) => op(t as Tensor));
  return args.length > 1 && args[1] instanceof Tensor
    ? args.map((t) => op(t as Tensor))
    : (op as Loose)(...args);
}

/** `input` with at least one dimension; of several tensors, or a list of them, each. */
export function atleast1d(input: Tensor): Tensor;
export function atleast1d(tensors: readonly Tensor[]): Tensor[];
export function atleast1d(...tensors: [Tensor, Tensor, ...Tensor[]]): Tensor[];
export function atleast1d(...args: unknown[]): Tensor | Tensor[] {
  return atLeast(atleast1dOp, args);
}

/** `input` with at least two dimensions, a vector as a row; of several tensors, or a list of them, each. */
export function atleast2d(input: Tensor): Tensor;
export function atleast2d(tensors: readonly Tensor[]): Tensor[];
export function atleast2d(...tensors: [Tensor, Tensor, ...Tensor[]]): Tensor[];
export function atleast2d(...args: unknown[]): Tensor | Tensor[] {
  return atLeast(atleast2dOp, args);
}

/**
 * `input` with at least three dimensions, a vector of n as [1, n, 1], a matrix as [m, n, 1]; of several
 * tensors, or a list of them, each.
 */
export function atleast3d(input: Tensor): Tensor;
export function atleast3d(tensors: readonly Tensor[]): Tensor[];
export function atleast3d(...tensors: [Tensor, Tensor, ...Tensor[]]): Tensor[];
export function atleast3d(...args: unknown[]): Tensor | Tensor[] {
  return atLeast(atleast3dOp, args);
}

declare module '../tensor' {
  interface Tensor {
    /** Elements of this tensor where `condition` holds, else of `other`. See {@link where}. */
    where(condition: Tensor, other: Tensor | Scalar): Tensor;
    /** See {@link narrow}. */
    narrow(dim: number, start: number | Tensor, length: number): Tensor;
  }
}

defineMethod('where', function (...args: unknown[]): Tensor {
  const [condition, ...rest] = args;
  const isMask = condition instanceof Tensor && condition.dtype === 'bool';
  return isMask ? (whereOp as Loose)(condition, this, ...rest) : (whereOp as Loose)(this, ...args);
});
defineMethod('narrow', function (...args: unknown[]): Tensor {
  return (narrow as Loose)(this, ...args);
});
