/** Reductions over dimensions. */
import { logSoftmaxLine, softmaxLine } from '../reference/softmax';
import { alongDim, Nd, reduceDims, wrapDim } from '../support/nd';
import type { Family, InputOptions, OpSpec, Sample, Source } from '../support/sample';

interface DimOptions {
  dim?: number | number[] | null;
  keepdim?: boolean;
}

export const sum = (v: number[]): number => v.reduce((a, b) => a + b, 0);
const truth = (v: boolean): number => (v ? 1 : 0);
const anyNan = (v: number[]): boolean => v.some((x) => x !== x);
export const largest = (v: number[]): number => (anyNan(v) ? NaN : Math.max(...v));
export const smallest = (v: number[]): number => (anyNan(v) ? NaN : Math.min(...v));

/** dim and keepdim, by position or by name. */
export function readDims(rest: readonly unknown[]): { dim: number[] | null; keepdim: boolean } {
  const options = rest[rest.length - 1] as DimOptions;
  const dim = rest.length > 1 ? (rest[0] as number | number[]) : options.dim;
  const list = dim === undefined || dim === null ? null : Array.isArray(dim) ? dim : [dim];
  return {
    dim: list,
    keepdim: rest.length > 2 ? (rest[1] as boolean) : (options.keepdim ?? false),
  };
}

export function reduction(
  fn: (values: number[]) => number,
  input: InputOptions = {},
  empty: readonly Sample[] | ((s: Source) => Sample[]) = (s) => [{ args: [s.x([0, 3], input)] }],
  extra: Partial<OpSpec> = {},
): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 3], input)] },
      { args: [s.x([2, 3, 4], input), 1] },
      { args: [s.x([2, 3, 4], input), [0, -1]] },
      { args: [s.x([3, 5], input)], options: { dim: -1, keepdim: true } },
      { args: [s.x([], input)] },
      { args: [s.x([], input), 0] },
      { args: [s.x([2, 0, 3], input), 2, true] },
      ...(typeof empty === 'function' ? empty(s) : empty),
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const { dim, keepdim } = readDims(rest);
      return reduceDims(x, dim, keepdim, fn);
    },
    special: true,
    ...extra,
  };
}

const none = (): Sample[] => [];
const distinct = { distinct: true } as const;

function positionOf(pick: (v: number[]) => number): (v: number[]) => number {
  return (v) => {
    const nan = v.findIndex((x) => x !== x);
    return nan >= 0 ? nan : v.indexOf(pick(v));
  };
}

/** values and indices along one dimension. */
function extremeDim(pick: (v: number[]) => number): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 3], distinct), 1] },
      { args: [s.x([2, 3, 4], distinct), -2, true] },
      { args: [s.x([], distinct), 0] },
      { args: [s.x([0, 3], distinct), 1] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const { dim, keepdim } = readDims(rest);
      return [reduceDims(x, dim, keepdim, pick), reduceDims(x, dim, keepdim, positionOf(pick))];
    },
    special: true,
    // Repeated values: which index counts is not specified.
    skip: { expanded: 'ties' },
  };
}

function extremeIndex(pick: (v: number[]) => number): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 3], distinct)] },
      { args: [s.x([2, 3, 4], distinct), 1] },
      { args: [s.x([2, 3], distinct)], options: { dim: -1, keepdim: true } },
      { args: [s.x([], distinct)] },
      { args: [s.x([0, 3], distinct), 1] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const { dim, keepdim } = readDims(rest);
      return reduceDims(x, dim, keepdim, positionOf(pick));
    },
    special: true,
    skip: { expanded: 'ties' },
  };
}

function along(fn: (v: number[]) => number[]): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 3]), 1] },
      { args: [s.x([2, 3, 4]), 0] },
      { args: [s.x([2, 3, 4]), -2] },
      { args: [s.x([]), 0] },
      { args: [s.x([0, 3]), 1] },
      { args: [s.x([2, 0]), 1] },
    ],
    reference: (x: Nd, dim: number) => alongDim(x, dim, fn),
    nan: 'some',
  };
}

/** (grad, output, dim) -> gradient of the input, from the output of a softmax. */
function alongBackward(fn: (g: number[], y: number[]) => number[]): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([2, 3]), 1] },
      { args: [s.x([2, 3, 2]), s.x([2, 3, 2]), 0] },
      { args: [s.x([]), s.x([]), 0] },
      { args: [s.x([0, 3]), s.x([0, 3]), 1] },
    ],
    reference: (g: Nd, y: Nd, dim: number) => {
      if (g.ndim === 0) return new Nd([], fn([...g.data], [...y.data]));
      const d = wrapDim(dim, g.ndim);
      const n = g.shape[d] as number;
      return Nd.from(g.shape, (index) => {
        const line = (x: Nd): number[] =>
          Array.from({ length: n }, (_, k) => x.at(index.map((v, i) => (i === d ? k : v))));
        return fn(line(g), line(y))[index[d] as number] as number;
      });
    },
    nan: 'some',
  };
}

export const reductions: Family = {
  sum: reduction(sum),
  // The mean of nothing is NaN, and so is all that follows from it.
  mean: reduction(
    (v) => sum(v) / v.length,
    {},
    (s) => [{ args: [s.x([0, 3])], smooth: false }],
  ),
  amax: reduction(largest, distinct, none, { skip: { expanded: 'ties share the gradient' } }),
  amin: reduction(smallest, distinct, none, { skip: { expanded: 'ties share the gradient' } }),
  maxDim: extremeDim(largest),
  minDim: extremeDim(smallest),
  argmax: extremeIndex(largest),
  argmin: extremeIndex(smallest),
  all: reduction((v) => truth(v.every((x) => x !== 0)), { ints: [0, 2] }),
  any: reduction((v) => truth(v.some((x) => x !== 0)), { ints: [0, 1] }),
  softmax: along(softmaxLine),
  logSoftmax: along(logSoftmaxLine),
  softmaxBackward: alongBackward((g, y) => {
    const dot = sum(g.map((v, i) => v * (y[i] as number)));
    return g.map((v, i) => (y[i] as number) * (v - dot));
  }),
  logSoftmaxBackward: alongBackward((g, y) => {
    const total = sum(g);
    return g.map((v, i) => v - Math.exp(y[i] as number) * total);
  }),
};
