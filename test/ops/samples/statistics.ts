/** Products, moments, norms and running extremes. */
import { alongDim, type Nd, reduceDims } from '../support/nd';
import type { Family, InputOptions, OpSpec, Sample, Source } from '../support/sample';
import { largest, readDims, reduction, smallest, sum } from './reductions';

const distinct = { distinct: true } as const;
const product = { low: 0.5, high: 1.5, ints: [1, 2] } as const;
const nanMeans = (s: Source): Sample[] => [{ args: [s.x([0, 3])], smooth: false }];

interface Moments {
  unbiased?: boolean;
  correction?: number;
}

/** The variance with a correction, by position or by name. */
function variance(v: number[], correction: number): number {
  const mean = sum(v) / v.length;
  return sum(v.map((x) => (x - mean) ** 2)) / Math.max(0, v.length - correction);
}

function moments(fns: readonly ((v: number[], correction: number) => number)[]): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 3])] },
      { args: [s.x([2, 3, 4]), 1] },
      { args: [s.x([2, 3, 4]), [0, -1], false] },
      { args: [s.x([3, 5])], options: { dim: -1, keepdim: true, correction: 2 } },
      { args: [s.x([]), null, false], smooth: false },
      { args: [s.x([])], smooth: false },
      { args: [s.x([2, 0, 3]), 2, true, true] },
      { args: [s.x([0, 3])], smooth: false },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const o = rest[rest.length - 1] as Moments;
      const [dim, unbiased, keep] = rest.slice(0, -1) as [number[]?, boolean?, boolean?];
      const { dim: dims, keepdim } = readDims(
        keep === undefined ? (rest.length > 1 ? [dim, o] : [o]) : [dim, keep, o],
      );
      const correction = o.correction ?? ((unbiased ?? o.unbiased ?? true) ? 1 : 0);
      const keptDim = keepdim || (o as { keepdim?: boolean }).keepdim === true;
      const out = fns.map((fn) => reduceDims(x, dims, keptDim, (v) => fn(v, correction)));
      return out.length === 1 ? (out[0] as Nd) : out;
    },
  };
}

const meanOf = (v: number[]): number => sum(v) / v.length;
const deviation = (v: number[], correction: number): number => Math.sqrt(variance(v, correction));

function normOf(order: number): (v: number[]) => number {
  return (v) => {
    const sizes = v.map(Math.abs);
    if (order === Infinity) return Math.max(...sizes);
    if (order === -Infinity) return Math.min(...sizes);
    if (order === 0) return sizes.filter((x) => x !== 0).length;
    return sum(sizes.map((x) => x ** order)) ** (1 / order);
  };
}

/** Norms of values away from zero, where they are smooth; (input, order, dim, keepdim). */
function norms(orders: readonly (number | null)[]): OpSpec {
  const away = { distinct: true, low: 0.3, high: 2 } as const;
  return {
    samples: (s) => [
      ...orders.flatMap((order) => [
        { args: [s.x([2, 3], away), order] },
        { args: [s.x([2, 3, 4], away), order, [0, -1], true] },
      ]),
      { args: [s.x([3, 5], { avoid: [0] })] },
      { args: [s.x([3, 5], { avoid: [0] }), 2, 1] },
      { args: [s.x([], away)] },
      { args: [s.x([0, 3]), 2, 0], smooth: false },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const order = rest.length > 1 ? ((rest[0] ?? 2) as number) : 2;
      const { dim, keepdim } = readDims(rest.length > 1 ? rest.slice(1) : rest);
      return reduceDims(x, dim, keepdim, normOf(order));
    },
  };
}

function logSum(v: number[]): number {
  const top = v.length === 0 ? -Infinity : largest(v);
  if (Math.abs(top) === Infinity) return top;
  return top + Math.log(sum(v.map((x) => Math.exp(x - top))));
}

const known = (v: number[]): number[] => v.filter((x) => !Number.isNaN(x));

function scanSamples(input: InputOptions): OpSpec['samples'] {
  return (s) => [
    { args: [s.x([2, 5], input), 1] },
    { args: [s.x([3, 2, 2], input), -3] },
    { args: [s.x([], input), 0] },
    { args: [s.x([0, 3], input), 0] },
  ];
}

/** The last of equal values counts, and the first NaN wins for good. */
function running(better: (x: number, best: number) => boolean): OpSpec {
  const places = (v: number[]): number[] => {
    let best = 0;
    return v.map((x, i) => {
      const old = v[best] as number;
      if (Number.isNaN(x) || (!Number.isNaN(old) && better(x, old))) best = i;
      return best;
    });
  };
  return {
    samples: scanSamples(distinct),
    reference: (x: Nd, dim: number) => [
      alongDim(x, dim, (v) => places(v).map((i) => v[i] as number)),
      alongDim(x, dim, places),
    ],
    special: true,
  };
}

export const statistics: Family = {
  prod: {
    samples: (s) => [
      { args: [s.x([2, 3], product)] },
      { args: [s.x([2, 3, 4], product), 1] },
      { args: [s.x([3, 5], product)], options: { dim: -1, keepdim: true } },
      { args: [s.of([2, 3], [0, 2, 3, 0, 0, 2]), 1] },
      { args: [s.of([3], [2, 0, 3])] },
      { args: [s.x([], product)] },
      { args: [s.x([], product), 0] },
      { args: [s.x([0, 3])] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const { dim, keepdim } = readDims(rest);
      return reduceDims(x, dim, keepdim, (v) => v.reduce((a, b) => a * b, 1));
    },
    special: true,
  },
  var: moments([variance]),
  std: moments([deviation]),
  varMean: moments([variance, meanOf]),
  stdMean: moments([deviation, meanOf]),
  vectorNorm: norms([2, 1, 3, 0, Infinity, -Infinity]),
  norm: norms([null, 1, 3, Infinity]),
  logsumexp: {
    samples: (s) => [
      { args: [s.x([2, 3]), 1] },
      { args: [s.x([2, 3, 4]), [0, -1], true] },
      { args: [s.x([]), 0] },
      { args: [s.x([0, 3]), 1] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const { dim, keepdim } = readDims(rest);
      return reduceDims(x, dim, keepdim, logSum);
    },
    special: true,
  },
  nansum: reduction((v) => sum(known(v))),
  nanmean: reduction((v) => meanOf(known(v)), {}, nanMeans),
  countNonzero: {
    samples: (s) => [
      { args: [s.x([2, 3], { ints: [0, 1] })] },
      { args: [s.x([2, 3, 4], { ints: [0, 1] }), 1] },
      { args: [s.x([2, 3, 4], { ints: [0, 1] }), [0, -1]] },
      { args: [s.x([], { ints: [0, 1] })] },
      { args: [s.x([0, 3])] },
    ],
    reference: (x: Nd, ...rest: unknown[]) =>
      reduceDims(x, readDims(rest).dim, false, (v) => v.filter((e) => e !== 0).length),
    special: true,
  },
  aminmax: {
    samples: (s) => [
      { args: [s.x([2, 3], distinct)] },
      { args: [s.x([2, 3, 4], distinct)], options: { dim: 1 } },
      { args: [s.x([2, 3], distinct)], options: { dim: -1, keepdim: true } },
      { args: [s.x([], distinct)] },
      { args: [s.x([0, 3], distinct)], options: { dim: 1 } },
    ],
    reference: (x: Nd, o: { dim?: number; keepdim?: boolean }) =>
      [smallest, largest].map((fn) => reduceDims(x, readDims([o]).dim, o.keepdim ?? false, fn)),
    special: true,
    skip: { expanded: 'ties share the gradient' },
  },
  logcumsumexp: {
    samples: (s) => [...scanSamples({})(s), { args: [s.x([2, 4]), 1], options: { reverse: true } }],
    reference: (x: Nd, dim: number, o: { reverse?: boolean }) =>
      alongDim(x, dim, (v) =>
        v.map((_, i) => logSum(o.reverse === true ? v.slice(i) : v.slice(0, i + 1))),
      ),
    special: true,
  },
  cummax: running((x, best) => x >= best),
  cummin: running((x, best) => x <= best),
};
