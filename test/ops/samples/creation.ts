/** Tensors from nothing, and fills in place. */
import type { DType } from '../../../lib';
import { Nd } from '../support/nd';
import type { Family, OpSpec, Sample } from '../support/sample';

const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];
const numbers: readonly DType[] = [...floats, 'uint8', 'int8', 'int16', 'int32', 'int64'];
const every: readonly DType[] = [...numbers, 'bool'];
const noNan = { nan: 'none' } as const;

/** One sample per dtype: factories take it as an option. */
function inDTypes(dtypes: readonly DType[], ...calls: readonly (readonly unknown[])[]): Sample[] {
  return dtypes.flatMap((dtype) =>
    calls.map((args) => ({ args, options: { dtype }, dtypes: [dtype] })),
  );
}

/** A factory whose result is `value(args)` repeated over the size in the first argument. */
function filled(value: (args: unknown[]) => number, ...rest: unknown[]): OpSpec {
  return {
    samples: () => inDTypes(every, [[2, 3], ...rest], [[], ...rest], [[0, 3], ...rest]),
    reference: (size: number[], ...args: unknown[]) => Nd.from(size, () => value(args)),
    ...noNan,
  };
}

function like(value: number, ...rest: unknown[]): OpSpec {
  return {
    samples: (s) =>
      [[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape, { grad: false }), ...rest] })),
    reference: (x: Nd) => x.map(() => value),
    ...noNan,
  };
}

const random = { random: true, ...noNan } as const;

function fill(...rest: unknown[]): OpSpec {
  return {
    samples: (s) => [[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape), ...rest] })),
    ...noNan,
  };
}

export const creation: Family = {
  empty: { ...filled(() => 0), uninitialised: true },
  zeros: filled(() => 0),
  ones: filled(() => 1),
  full: filled((args) => args[0] as number, 2),
  emptyLike: { ...like(0), uninitialised: true },
  zerosLike: like(0),
  onesLike: like(1),
  fullLike: like(2, 2),
  arange: {
    samples: () =>
      inDTypes(numbers, [5], [1, 7], [1, 8, 3], [5, 5], [6, 0, -2]).concat(
        inDTypes(floats, [0, 1, 0.25]),
      ),
    reference: (...all: unknown[]) => {
      const args = all.slice(0, -1) as number[];
      const [start, end] = args.length === 1 ? [0, args[0] as number] : (args as [number, number]);
      const step = args[2] ?? 1;
      const n = Math.max(0, Math.ceil((end - start) / step));
      return Nd.from([n], (_, i) => start + i * step);
    },
    skip: { zeroDim: 'always one dimension' },
    ...noNan,
  },
  linspace: {
    samples: () =>
      inDTypes(numbers, [0, 8, 5], [1, 3, 1], [1, 3, 0]).concat(inDTypes(floats, [-1, 2, 7])),
    reference: (start: number, end: number, steps: number) =>
      Nd.from([steps], (_, i) => (steps === 1 ? start : start + ((end - start) * i) / (steps - 1))),
    skip: { zeroDim: 'always one dimension' },
    ...noNan,
  },
  eye: {
    samples: () => inDTypes(every, [3], [2, 4], [0], [4, 2]),
    reference: (n: number, ...rest: unknown[]) =>
      Nd.from([n, rest.length > 1 ? (rest[0] as number) : n], ([i, j]) => (i === j ? 1 : 0)),
    skip: { zeroDim: 'always two dimensions' },
    ...noNan,
  },
  rand: { samples: () => inDTypes(floats, [[2, 3]], [[]], [[0, 3]]), ...random },
  randn: { samples: () => inDTypes(floats, [[2, 3]], [[]], [[0, 3]]), ...random },
  randint: { samples: () => inDTypes(numbers, [0, 9, [2, 3]], [3, 4, []], [0, 2, [0]]), ...random },
  randperm: {
    samples: () => inDTypes(numbers, [7], [0], [1]),
    ...random,
    skip: { zeroDim: 'always one dimension' },
  },
  randLike: { ...like(0), ...random },
  randnLike: { ...like(0), ...random },
  fill_: {
    samples: (s) => [
      ...[[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape), 2] })),
      { args: [s.x([2, 3]), s.x([])] },
    ],
    reference: (x: Nd, v: unknown) =>
      x.map(() => (v instanceof Nd ? (v.data[0] as number) : (v as number))),
    ...noNan,
  },
  zero_: { ...fill(), reference: (x: Nd) => x.map(() => 0) },
  uniform_: { ...fill(-1, 2), ...random },
  normal_: { ...fill(1, 2), ...random },
  bernoulli_: { ...fill(0.5), ...random },
};
