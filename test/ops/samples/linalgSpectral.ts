/** Dense linear algebra: orthogonal factorizations, norms, products. */
import { Nd, reduceDims } from '../support/nd';
import type { Family, OpSpec, Sample, Source } from '../support/sample';
import { eachMatrix, identity, inverseNd } from '../reference/linalg';
import { matmulNd } from './linalg';
import {
  covered,
  definite,
  expanded,
  full,
  matrices,
  noTriangle,
  regular,
  zeroDim,
} from './linalgDense';

const skip = { zeroDim, expanded };
const refused = { nan: 'refused' } as const;

/** Several rows of unlike lengths. */
const shapes = [
  [3, 3],
  [2, 4, 3],
  [2, 3],
  [0, 2],
  [2, 3, 0],
] as const;

const samplesOf =
  (...lists: readonly (readonly [readonly number[], ...unknown[]])[]) =>
  (s: Source): Sample[] =>
    lists.map(([shape, ...rest]) => ({ args: [regular(s, shape), ...rest] }));

const magnitudes = (x: Nd): Nd => x.map(Math.abs);
const total = (v: readonly number[]): number => v.reduce((a, b) => a + b, 0);

/** The norms of matrices that need no decomposition, over the last two dimensions. */
function matrixNormNd(x: Nd, order: number | string): Nd {
  if (order === 'fro') return reduceDims(x, [-2, -1], false, (v) => Math.hypot(...v));
  const large = (order as number) > 0;
  const dim = Math.abs(order as number) === 1 ? -2 : -1;
  const sums = reduceDims(magnitudes(x), [dim], false, total);
  return reduceDims(sums, [-1], false, (v) => (large ? Math.max(...v) : Math.min(...v)));
}

function cross3(a: readonly number[], b: readonly number[]): number[] {
  const at = (v: readonly number[], i: number): number => v[i % 3] as number;
  return [0, 1, 2].map((i) => at(a, i + 1) * at(b, i + 2) - at(a, i + 2) * at(b, i + 1));
}

function crossNd(a: Nd, b: Nd, dim: number): Nd {
  const shape = a.shape.map((n, d) => Math.max(n, b.shape[d] as number));
  const d = dim < 0 ? dim + shape.length : dim;
  return Nd.from(shape, (index) => {
    const line = (x: Nd): number[] =>
      [0, 1, 2].map((k) => x.at(index.map((v, i) => (i === d ? k : x.shape[i] === 1 ? 0 : v))));
    return cross3(line(a), line(b))[index[d] as number] as number;
  });
}

function powerNd(a: Nd, n: number): Nd {
  const base = n < 0 ? inverseNd(a) : a;
  let out = eachMatrix(a, a.shape.slice(-2), (m) => identity(m.length).flat());
  for (let i = 0; i < Math.abs(n); ++i) out = matmulNd(out, base);
  return out;
}

function vanderNd(x: Nd, n: number, increasing: boolean): Nd {
  return Nd.from([...x.shape, n], (index) => {
    const k = index[index.length - 1] as number;
    return x.at(index.slice(0, -1)) ** (increasing ? k : n - 1 - k);
  });
}

const chain: OpSpec = {
  samples: (s) => [
    { args: [[s.x([2, 3], { ints: [-2, 2] }), s.x([3, 4], { ints: [-2, 2] })]] },
    { args: [[s.x([4, 2]), s.x([2, 5]), s.x([5, 1]), s.x([1, 3])]], dtypes: full },
    { args: [[s.x([0, 2]), s.x([2, 3])]] },
  ],
  reference: (list: readonly Nd[]) => list.reduce(matmulNd),
  skip: { zeroDim },
};

const triangle = { ...skip, gradient: noTriangle };

export const linalgSpectral: Family = {
  linalgQr: {
    samples: (s) => [
      ...shapes.map((shape) => ({ args: [regular(s, shape)] })),
      { args: [regular(s, [2, 3]), 'complete'] },
    ],
    skip,
  },
  qr: { samples: samplesOf([[3, 3]], [[4, 2]], [[2, 3], false], [[0, 0]]), skip },
  geqrf: matrices(regular, undefined, {}, shapes),
  linalgHouseholderProduct: {
    samples: (s) => [
      { args: [s.x([3, 3]), s.x([3])] },
      { args: [s.x([2, 4, 3]), s.x([2, 2])] },
      { args: [s.x([3, 0]), s.x([0])] },
    ],
    skip: { zeroDim },
  },
  ormqr: {
    samples: (s) => [
      { args: [s.x([3, 3]), s.x([3]), s.x([3, 2])] },
      { args: [s.x([2, 3, 2]), s.x([2, 2]), s.x([2, 2, 3]), false, true] },
      { args: [s.x([3, 2]), s.x([2]), s.x([3, 1]), true, true] },
      { args: [s.x([3, 0]), s.x([0]), s.x([3, 2])] },
    ],
    nan: 'some',
    skip: { zeroDim },
  },
  linalgEighForward: covered('linalgEigh'),
  linalgEigh: {
    samples: (s) => [
      { args: [definite(s, [3, 3])] },
      { args: [definite(s, [2, 3, 3]), 'U'] },
      { args: [definite(s, [0, 0])] },
    ],
    ...refused,
    skip: triangle,
  },
  linalgEigvalsh: {
    samples: (s) => [
      { args: [definite(s, [3, 3])] },
      { args: [definite(s, [2, 3, 3]), 'U'] },
      { args: [definite(s, [2, 0, 0])] },
    ],
    ...refused,
    skip: triangle,
  },
  linalgSvdForward: covered('linalgSvd'),
  linalgSvd: {
    samples: (s) => [
      ...shapes.map((shape) => ({ args: [regular(s, shape), false] })),
      { args: [regular(s, [3, 3])] },
      // Vectors outside of the space that the matrix spans are any of many.
      { args: [regular(s, [4, 3])], dtypes: ['float64'], smooth: false },
    ],
    ...refused,
    skip,
  },
  linalgSvdvals: { ...matrices(regular, undefined, refused, shapes) },
  svd: {
    samples: samplesOf([[3, 3]], [[2, 4, 3]], [[2, 3], true, false], [[0, 2]]),
    ...refused,
    skip,
  },
  linalgLstsq: {
    samples: (s) => [
      { args: [regular(s, [4, 2]), s.x([4, 3])] },
      { args: [regular(s, [2, 4]), s.x([2, 1])] },
      { args: [regular(s, [2, 3, 3]), s.x([2, 3])] },
      { args: [regular(s, [4, 2]), s.x([4, 3])], options: { driver: 'gelsd' } },
      { args: [regular(s, [4, 2]), s.x([4])], options: { driver: 'gelss' } },
      { args: [regular(s, [4, 2]), s.x([4, 3])], options: { driver: 'gels' } },
      { args: [s.x([0, 2]), s.x([0, 3])] },
    ],
    ...refused,
    skip,
  },
  linalgPinvForward: covered('linalgPinv'),
  linalgPinv: {
    samples: (s) => [
      ...shapes.map((shape) => ({ args: [regular(s, shape)] })),
      { args: [regular(s, [3, 4])], options: { rtol: 1e-3, atol: 1e-4 } },
    ],
    ...refused,
    skip,
  },
  pinverse: { samples: samplesOf([[3, 4]], [[0, 2]]), ...refused, skip },
  linalgMatrixRank: {
    samples: (s) => [
      { args: [regular(s, [3, 4])] },
      { args: [s.of([2, 2], [1, 2, 2, 4], false)] },
      { args: [definite(s, [2, 3, 3]), 1e-3, true] },
      { args: [s.x([2, 0, 3])] },
    ],
    ...refused,
    skip,
  },
  linalgMatrixPower: {
    samples: (s) => [
      ...[3, 5, 1, 0, 2].map((n) => ({ args: [s.x([2, 2], { ints: [-2, 2] }), n] })),
      { args: [regular(s, [2, 3, 3]), -2], dtypes: full },
      { args: [s.x([0, 0]), 3] },
    ],
    reference: powerNd,
    // The product of products is rounded at every step.
    tolerance: { float16: [2e-2, 2e-2], bfloat16: [1e-1, 1e-1] },
    skip: { zeroDim, expanded },
  },
  linalgMatrixExp: matrices((s, shape) => s.x(shape), undefined, {}, [
    [3, 3],
    [2, 2, 2],
    [0, 0],
  ]),
  linalgMultiDot: chain,
  chainMatmul: chain,
  linalgNorm: {
    samples: (s) => [
      { args: [s.x([2, 3])] },
      { args: [s.x([3]), 3] },
      { args: [s.x([2, 3], { distinct: true }), 1] },
      { args: [s.x([2, 3], { distinct: true }), 'fro'] },
      { args: [s.x([3, 2, 3])], options: { dim: 1, keepdim: true } },
      { args: [regular(s, [3, 3]), 2], dtypes: full },
      { args: [s.x([])] },
      { args: [s.x([0, 3])], smooth: false },
    ],
  },
  linalgMatrixNorm: {
    samples: (s) => [
      ...(['fro', 1, -1, Infinity, -Infinity] as const).map((order) => ({
        args: [s.x([2, 3, 4], { distinct: true, avoid: [0] }), order],
      })),
      { args: [s.x([0, 3, 3])], smooth: false },
    ],
    reference: (x: Nd, ...rest: unknown[]) =>
      matrixNormNd(x, (rest.length > 1 ? rest[0] : 'fro') as number | string),
    skip: { zeroDim },
  },
  linalgCond: {
    samples: (s) => [
      { args: [regular(s, [3, 3])] },
      { args: [regular(s, [4, 3]), -2] },
      { args: [regular(s, [3, 3]), 1] },
      { args: [regular(s, [2, 3, 3]), 'fro'] },
      { args: [s.x([0, 0])], smooth: false },
    ],
    nan: 'refused',
    skip,
  },
  linalgCross: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([2, 3])] },
      { args: [s.x([3, 2]), s.x([3, 1])], options: { dim: 0 } },
      { args: [s.x([0, 3]), s.x([0, 3])] },
    ],
    reference: (a: Nd, b: Nd, o: { dim?: number }) => crossNd(a, b, o.dim ?? -1),
    skip: { zeroDim: 'a dimension has three elements' },
  },
  cross: {
    samples: (s) => [
      { args: [s.x([3, 3]), s.x([3, 3]), 1] },
      { args: [s.x([2, 3]), s.x([2, 3])] },
      { args: [s.x([0, 3]), s.x([0, 3])] },
    ],
    reference: (a: Nd, b: Nd, ...rest: unknown[]) =>
      crossNd(a, b, rest.length > 1 ? (rest[0] as number) : a.shape.indexOf(3)),
    skip: { zeroDim: 'a dimension has three elements' },
  },
  linalgVecdot: {
    samples: (s) => [
      { args: [s.x([3]), s.x([3])] },
      { args: [s.x([2, 3]), s.x([3])] },
      { args: [s.x([2, 3]), s.x([2, 3])], options: { dim: 0 } },
      { args: [s.x([]), s.x([])] },
      { args: [s.x([2, 0]), s.x([2, 0])] },
    ],
    reference: (a: Nd, b: Nd, o: { dim?: number }) => {
      const shape = a.ndim >= b.ndim ? a.shape : b.shape;
      const product = Nd.from(shape, (index) => a.broadcastAt(index) * b.broadcastAt(index));
      return reduceDims(product, [o.dim ?? -1], false, total);
    },
  },
  linalgDiagonal: {
    samples: (s) => [
      { args: [s.x([3, 4])] },
      { args: [s.x([2, 3, 4])], options: { offset: 1, dim1: 0, dim2: -1 } },
      { args: [s.x([0, 3])] },
    ],
    skip: { zeroDim },
  },
  linalgMatmul: {
    samples: (s) => [
      { args: [s.x([2, 3], { ints: [-2, 2] }), s.x([3, 2], { ints: [-2, 2] })] },
      { args: [s.x([0, 3]), s.x([3])] },
    ],
    reference: matmulNd,
    skip: { zeroDim },
  },
  linalgVander: {
    samples: (s) => [
      { args: [s.x([3], { ints: [-2, 2] })] },
      { args: [s.x([2, 2], { ints: [-2, 2] })], options: { N: 4 } },
      { args: [s.x([2, 0])], options: { N: 3 } },
    ],
    reference: (x: Nd, o: { N?: number }) =>
      vanderNd(x, o.N ?? (x.shape[x.ndim - 1] as number), true),
    skip: { zeroDim: 'a vector is needed' },
  },
  vander: {
    samples: (s) => [
      { args: [s.x([3], { ints: [0, 2] })] },
      { args: [s.x([2], { ints: [0, 2] }), 3, true] },
      { args: [s.x([0])] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const [n, increasing] = rest.slice(0, -1) as [number?, boolean?];
      return vanderNd(x, n ?? (x.shape[0] as number), increasing === true);
    },
    // Powers are rounded one after the other.
    tolerance: { float16: [3e-3, 1e-3], bfloat16: [3e-2, 1e-2] },
    skip: { zeroDim: 'a vector is needed' },
  },
  linalgTensorinv: {
    samples: (s) => [
      {
        args: [s.of([2, 2, 4], regular(s, [4, 4]).floats)],
      },
      { args: [s.of([4, 2, 2], regular(s, [4, 4]).floats), 1] },
      { args: [s.x([0, 0]), 1] },
    ],
    reference: (a: Nd, ...rest: unknown[]) => {
      const ind = rest.length > 1 ? (rest[0] as number) : 2;
      const n = a.shape.slice(0, ind).reduce((x, y) => x * y, 1);
      const inverse = inverseNd(a.reshape([n, n]));
      return inverse.reshape([...a.shape.slice(ind), ...a.shape.slice(0, ind)]);
    },
    skip,
  },
  linalgTensorsolve: {
    samples: (s) => [
      { args: [s.of([2, 2, 4], regular(s, [4, 4]).floats), s.x([2, 2])] },
      { args: [s.of([4, 2, 2], regular(s, [4, 4]).floats), s.x([4])] },
      { args: [s.x([0, 0]), s.x([0])] },
    ],
    reference: (a: Nd, b: Nd) => {
      const n = b.data.length;
      const x = matmulNd(inverseNd(a.reshape([n, n])), b.reshape([n]));
      return x.reshape(a.shape.slice(b.ndim));
    },
    skip,
  },
};
