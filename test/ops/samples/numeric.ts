/** Contractions, differences, integrals, distances, counts. */
import { elementwise, Nd } from '../support/nd';
import type { DType } from '../../../lib';
import type { Family, OpSpec, Sample, Source } from '../support/sample';

const ints = { ints: [-2, 2] } as const;
const numbers: readonly DType[] = [
  'float16',
  'bfloat16',
  'float32',
  'float64',
  'uint8',
  'int8',
  'int16',
  'int32',
  'int64',
];

/** Differences of coordinates wrap in bytes. */
const unwrapped = numbers.filter((dtype) => dtype !== 'uint8');

/** One sample per dtype: factories take it as an option. */
function inDTypes(dtypes: readonly DType[], ...calls: readonly (readonly unknown[])[]): Sample[] {
  return dtypes.flatMap((dtype) =>
    calls.map((args) => ({ args, options: { dtype }, dtypes: [dtype] })),
  );
}

const fixedRank = { zeroDim: 'the rank of the input is fixed' } as const;

function einsumSamples(s: Source): Sample[] {
  const sample = (equation: string, ...shapes: (readonly number[])[]): Sample => ({
    args: [equation, shapes.map((shape) => s.x(shape, ints))],
  });
  return [
    sample('ij,jk->ik', [2, 3], [3, 4]),
    sample(' ij , jk ', [2, 3], [3, 2]),
    sample('ii->i', [3, 3]),
    sample('ii', [3, 3]),
    sample('iji->j', [2, 3, 2]),
    sample('ij->', [2, 3]),
    sample('ba', [2, 3]),
    sample('b...d,de->b...e', [2, 2, 1, 3], [3, 2]),
    sample('...ij,...jk', [2, 2, 3], [1, 3, 2]),
    sample('i...->...', [2, 3]),
    sample('ij,jk,kl->il', [2, 3], [3, 2], [2, 3]),
    sample('ij,ij,ij->i', [2, 3], [2, 3], [2, 3]),
    sample('bi,bj->bij', [2, 2], [2, 3]),
    sample('ij,jk->k', [2, 1], [3, 2]),
    sample(',->', [], []),
    sample('ij,jk->ik', [2, 0], [0, 3]),
    sample('ij,jk->ik', [0, 2], [2, 3]),
  ];
}

const diffNd = (x: Nd, n: number, dim: number, dtype: DType): Nd => {
  const axis = dim < 0 ? dim + x.ndim : dim;
  let out = x;
  for (let i = 0; i < n; ++i) {
    const source = out;
    const shape = source.shape.map((v, d) => (d === axis ? Math.max(v - 1, 0) : v));
    out = Nd.from(shape, (index) => {
      const next = index.map((v, d) => (d === axis ? v + 1 : v));
      const step = source.at(next) - source.at(index);
      return dtype === 'bool' ? Math.abs(step) : step;
    });
  }
  return out;
};

const distances = (op: (s: Source) => Sample[], skip: OpSpec['skip']): OpSpec => ({
  samples: op,
  special: false,
  skip: { ...fixedRank, ...skip },
});

export const numeric: Family = {
  einsum: { samples: einsumSamples },
  tensordot: {
    samples: (s) => [
      { args: [s.x([2, 3, 4], ints), s.x([4, 3, 2], ints), [2, 1], [0, 1]] },
      { args: [s.x([2, 3], ints), s.x([3, 2], ints), [], []] },
      { args: [s.x([2, 1], ints), s.x([3, 2], ints), [1], [0]] },
      { args: [s.x([], ints), s.x([2], ints), [], []] },
      { args: [s.x([2, 0], ints), s.x([0, 3], ints), [-1], [0]] },
    ],
  },
  kron: {
    samples: (s) => [
      { args: [s.x([2, 3], ints), s.x([3, 2], ints)] },
      { args: [s.x([2], ints), s.x([2, 1, 2], ints)] },
      { args: [s.x([], ints), s.x([2, 2], ints)] },
      { args: [s.x([0, 2], ints), s.x([2], ints)] },
    ],
    reference: (a: Nd, b: Nd) => {
      const n = Math.max(a.ndim, b.ndim);
      const wide = (x: Nd): Nd => x.reshape([...new Array<number>(n - x.ndim).fill(1), ...x.shape]);
      const [p, q] = [wide(a), wide(b)];
      return Nd.from(
        p.shape.map((v, d) => v * (q.shape[d] as number)),
        (index) =>
          p.at(index.map((v, d) => Math.floor(v / (q.shape[d] as number)))) *
          q.at(index.map((v, d) => v % (q.shape[d] as number))),
      );
    },
    special: false,
  },
  cov: {
    samples: (s) => [
      { args: [s.x([3, 5], ints)] },
      { args: [s.x([2, 4], ints)], options: { correction: 0 } },
      {
        args: [s.x([2, 4], ints)],
        options: { fweights: s.fixed([4], [1, 2, 1, 3], 'int64') },
      },
      {
        args: [s.x([2, 4], ints)],
        options: { aweights: s.of([4], [0.5, 2, 1, 3], false), correction: 1 },
        dtypes: ['float32', 'float64'],
      },
      { args: [s.x([4], ints)] },
      { args: [s.x([], ints)], smooth: false, dtypes: ['float32', 'float64'] },
    ],
    skip: { empty: 'the covariance of nothing is NaN' },
  },
  corrcoef: {
    samples: (s) => [
      { args: [s.x([3, 5], { distinct: true, ints: [-4, 4] })], dtypes: ['float32', 'float64'] },
      { args: [s.x([2, 4], { distinct: true })], dtypes: ['float32', 'float64'] },
      { args: [s.x([], ints)], smooth: false, dtypes: ['float32', 'float64'] },
    ],
    skip: {
      empty: 'the correlation of nothing is NaN',
      expanded: 'equal rows have a correlation of one, where the clamp has a corner',
      gradient: 'the diagonal stands at the corner of the clamp',
      second: 'the diagonal stands at the corner of the clamp',
    },
  },
  diff: {
    samples: (s) => [
      { args: [s.x([3, 5])] },
      { args: [s.x([4, 3]), 2, 0] },
      { args: [s.x([3]), 0] },
      { args: [s.x([3]), 5] },
      { args: [s.x([0, 3])] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const { dtype } = rest[rest.length - 1] as { dtype: DType };
      const n = rest.length > 1 ? (rest[0] as number) : 1;
      return diffNd(x, n, rest.length > 2 ? (rest[1] as number) : -1, dtype);
    },
    special: true,
    skip: { zeroDim: 'a number has no neighbours' },
  },
  gradient: {
    samples: (s) => [
      { args: [s.x([3, 4]), [], [1, 0.5], 1], dtypes: unwrapped },
      { args: [s.x([4, 3]), [], [2], 2, [0]], dtypes: unwrapped },
      { args: [s.x([2, 3]), [], [1, 2], 1, [0, -1]], dtypes: unwrapped },
      {
        args: [s.x([4, 3]), [s.of([4], [0, 1, 2.5, 4]), s.of([3], [0, 2, 3.5])], [], 1, [0, 1]],
        dtypes: unwrapped,
      },
      { args: [s.x([4]), [s.of([4], [0, 1, 2.5, 4])], [], 2, [0]], dtypes: unwrapped },
    ],
    skip: { zeroDim: 'needs neighbours', empty: 'needs neighbours' },
  },
  trapezoid: {
    samples: (s) => [
      { args: [s.x([3, 4])] },
      { args: [s.x([3, 4])], options: { dx: 2, dim: 0 } },
      { args: [s.x([3, 4]), s.x([4])], dtypes: unwrapped },
      { args: [s.x([3, 4]), s.x([3, 4])], options: { dim: 0 }, dtypes: unwrapped },
      { args: [s.x([2, 0])] },
    ],
    skip: { zeroDim: 'needs a dimension' },
    promotes: ['bool'],
  },
  cumulativeTrapezoid: {
    samples: (s) => [
      { args: [s.x([3, 4])] },
      { args: [s.x([3, 4])], options: { dx: 2, dim: 0 } },
      { args: [s.x([3, 4]), s.x([4])], dtypes: unwrapped },
      { args: [s.x([3, 4]), s.x([3, 4])], options: { dim: 0 }, dtypes: unwrapped },
      { args: [s.x([2, 0])] },
    ],
    skip: { zeroDim: 'needs a dimension' },
    promotes: ['bool'],
  },
  histogram: {
    samples: (s) => [
      { args: [s.x([20]), 4] },
      { args: [s.x([3, 4]), s.of([4], [-2, -1, 0.5, 2])] },
      { args: [s.x([12]), 3], options: { range: [-1, 1], density: true } },
      { args: [s.x([12]), 3], options: { weight: s.x([12]) } },
      { args: [s.x([]), 2] },
      { args: [s.x([0]), 2] },
    ],
    nan: 'refused',
  },
  isin: {
    samples: (s) => [
      { args: [s.of([2, 3], [1, 2, 3, 4, 5, 6]), s.of([3], [2, 5, 9])] },
      { args: [s.of([4], [1, 2, 3, 4]), s.of([2], [2, 5])], options: { invert: true } },
      {
        args: [
          s.of([4], [1, 40, 3, 99]),
          s.of(
            [20],
            Array.from({ length: 20 }, (_, i) => 3 * i),
          ),
        ],
      },
      { args: [s.of([3], [1, 2, 3]), 2] },
      { args: [s.of([], [1]), s.of([2], [1, 2])] },
      { args: [s.of([0], []), s.of([2], [1, 2])] },
      { args: [s.of([2], [1, 2]), s.of([0], [])] },
    ],
    reference: (a: Nd, b: Nd | number, options: { invert?: boolean }) => {
      const wanted = new Set(b instanceof Nd ? b.data : [b]);
      wanted.delete(NaN);
      return a.map((v) => Number(wanted.has(v) !== (options.invert ?? false)));
    },
    special: true,
  },
  unravelIndex: {
    samples: (s) => [
      { args: [s.index([5], 24), [2, 3, 4]] },
      { args: [s.index([2, 2], 6), [6]] },
      { args: [s.index([], 6), [2, 3]] },
      { args: [s.index([0], 6), [2, 3]] },
    ],
    reference: (x: Nd, shape: readonly number[]) => {
      let step = shape.reduce((n, v) => n * v, 1);
      return shape.map((size) => {
        step /= size;
        const by = step;
        return x.map((v) => Math.floor(v / by) % size);
      });
    },
  },
  renorm: distances(
    (s) => [
      { args: [s.x([3, 4]), 2, 0, 1] },
      { args: [s.x([2, 3, 2]), 1, -1, 3] },
      { args: [s.x([3, 4], { distinct: true }), Infinity, 1, 1] },
      { args: [s.x([0, 3]), 2, 0, 1] },
    ],
    {},
  ),
  dist: {
    samples: (s) => [
      { args: [s.x([3, 2]), s.x([3, 2])] },
      { args: [s.x([3, 2]), s.x([2]), 1] },
      { args: [s.x([4]), s.x([4]), 3] },
      { args: [s.x([4], { distinct: true }), s.x([4], { low: 5, high: 6 }), Infinity] },
      { args: [s.x([4]), s.x([4]), 0], smooth: false },
      { args: [s.x([]), s.x([])] },
      { args: [s.x([0]), s.x([0])], smooth: false },
    ],
    special: false,
  },
  cdist: distances(
    (s) => [
      { args: [s.x([4, 3]), s.x([5, 3])] },
      ...[1, 1.5, 3, Infinity].map((p) => ({ args: [s.x([4, 3]), s.x([2, 3]), p] })),
      { args: [s.x([3, 2]), s.x([2, 2]), 0], smooth: false },
      { args: [s.x([2, 1, 3, 2]), s.x([2, 2, 2]), 2] },
      {
        args: [s.x([3, 2], { low: 3, high: 5 }), s.x([2, 2])],
        options: { computeMode: 'use_mm_for_euclid_dist' },
      },
      { args: [s.x([0, 3]), s.x([2, 3])] },
      { args: [s.x([2, 0]), s.x([3, 0])], smooth: false },
    ],
    { expanded: 'equal rows are at distance zero, where the norm has a corner' },
  ),
  pdist: distances(
    (s) => [
      { args: [s.x([4, 3])] },
      ...[1, 1.5, 3, Infinity].map((p) => ({ args: [s.x([3, 2]), p] })),
      { args: [s.x([1, 3])] },
      { args: [s.x([0, 3])] },
    ],
    { expanded: 'equal rows are at distance zero, where the norm has a corner' },
  ),
  cdistForward: { samples: () => [], coveredBy: 'cdist' },
  cdistBackward: { samples: () => [], coveredBy: 'cdist' },
  euclideanDistance: { samples: () => [], coveredBy: 'cdist' },
  frexp: {
    samples: (s) => [
      { args: [s.x([3, 4], { avoid: [-1, -0.5, -0.25, 0, 0.25, 0.5, 1], margin: 0.02 })] },
      { args: [s.of([], [0.7])] },
      { args: [s.of([0], [])] },
    ],
    outputs: [0],
  },
  fill: {
    samples: (s) => [
      { args: [s.x([2, 3]), 3] },
      { args: [s.x([2, 3]), s.x([], ints)] },
      { args: [s.x([]), 1] },
      { args: [s.x([0, 2]), 1] },
    ],
    reference: (x: Nd, value: Nd | number) =>
      elementwise((_, v) => v, x, value instanceof Nd ? value : Nd.scalar(value)),
    special: true,
    nan: 'none',
  },
  fillDiagonal_: {
    samples: (s) => [
      { args: [s.x([3, 4]), 2] },
      { args: [s.x([7, 2]), 1, true] },
      { args: [s.x([2, 2, 2]), 1] },
      { args: [s.x([0, 2]), 1] },
    ],
    reference: (x: Nd, value: number, wrap: unknown) =>
      Nd.from(x.shape, (index) => {
        const [row, column] = index as [number, number];
        const lap = wrap === true ? row % ((x.shape[1] as number) + 1) : row;
        const on = index.length === 2 ? lap === column : index.every((v) => v === row);
        return on ? value : x.at(index);
      }),
    special: true,
    skip: fixedRank,
  },
  scalarTensor: {
    samples: () => inDTypes([...numbers, 'bool'], [1]),
    reference: (value: number) => Nd.scalar(value),
    skip: { zeroDim: 'takes no tensor', empty: 'has one element' },
    nan: 'none',
  },
  logspace: {
    samples: () =>
      inDTypes(numbers, [0, 2, 3], [1, 4, 4, 2], [1, 1, 1, 3], [0, 1, 0]).concat(
        inDTypes(['float32', 'float64'], [0, 1, 5], [0.5, 1, 4, 2]),
      ),
    reference: (start: number, end: number, steps: number, ...rest: unknown[]) => {
      const base = rest.length > 1 ? (rest[0] as number) : 10;
      const step = steps > 1 ? (end - start) / (steps - 1) : 0;
      return Nd.from([steps], (_, i) => Math.pow(base, start + step * i));
    },
    nan: 'none',
    skip: { zeroDim: 'always one dimension' },
  },
};
