/** Dense linear algebra: factorizations, systems, determinants. Matrices are far from singular. */
import { type Nd, transposeNd } from '../support/nd';
import type { Family, Input, OpSpec, Sample, Source } from '../support/sample';
import { choleskyNd, detNd, inverseNd, triangleNd } from '../reference/linalg';
import { matmulNd } from './linalg';

export const full = ['float32', 'float64'] as const;
export const zeroDim = 'matrices have two dimensions';
/** Rows that are alike make a singular matrix. */
export const expanded = 'the matrix would be singular';
export const noTriangle =
  'one triangle is read, and stands for both: test/linalg checks symmetric inputs';
const skip = { zeroDim, expanded };

/** Random matrices with a heavy diagonal. */
export function regular(s: Source, shape: readonly number[]): Input {
  const [m, n] = shape.slice(-2) as [number, number];
  const x = s.x(shape, { low: -1, high: 1 });
  return s.of(
    shape,
    x.floats.map((v, i) => {
      const at = i % (m * n);
      const row = Math.floor(at / n);
      // Distinct entries keep eigenvalues and singular values apart.
      return row === at % n ? v + 4 + 1.5 * row : v;
    }),
  );
}

/** Symmetric and positive definite. */
export function definite(s: Source, shape: readonly number[]): Input {
  const x = regular(s, shape);
  const n = shape[shape.length - 1] as number;
  return s.of(
    shape,
    x.floats.map((v, i) => {
      const at = i % (n * n);
      const [row, column] = [Math.floor(at / n), at % n];
      return row <= column ? v : (x.floats[i - at + column * n + row] as number);
    }),
  );
}

const squares = [
  [3, 3],
  [2, 3, 3],
  [1, 1],
  [0, 0],
  [2, 0, 0],
  [0, 2, 2],
] as const;

export function matrices(
  make: (s: Source, shape: readonly number[]) => Input,
  reference: OpSpec['reference'] | undefined,
  extra: Partial<OpSpec> = {},
  shapes: readonly (readonly number[])[] = squares,
): OpSpec {
  return {
    samples: (s) => shapes.map((shape) => ({ args: [make(s, shape)] })),
    ...(reference === undefined ? {} : { reference }),
    special: false,
    skip,
    ...extra,
  };
}

export const covered = (op: string): OpSpec => ({ samples: () => [], coveredBy: op });

const zeros = (x: Nd): Nd => detNd(x).map(() => 0);
const signOf = (x: Nd): Nd => detNd(x).map(Math.sign);
const logOf = (x: Nd): Nd => detNd(x).map((v) => Math.log(Math.abs(v)));

/** [A, B] that fit A X = B. */
const systems: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [3, 3],
    [3, 2],
  ],
  [[3, 3], [3]],
  [
    [2, 3, 3],
    [2, 3, 1],
  ],
  [
    [2, 3, 3],
    [2, 3],
  ],
  [
    [2, 1, 2, 2],
    [3, 2, 2],
  ],
  [
    [0, 0],
    [0, 2],
  ],
  [
    [2, 2],
    [2, 0],
  ],
];

function solveNd(a: Nd, b: Nd): Nd {
  const vector = b.ndim === 1 || b.shape.join() === a.shape.slice(0, -1).join();
  const rhs = vector && b.ndim > 1 ? b.reshape([...b.shape, 1]) : b;
  const x = matmulNd(inverseNd(a), rhs);
  return vector && b.ndim > 1 ? x.reshape(b.shape) : x;
}

function leftSolve(a: Nd, b: Nd, o: { left?: boolean }): Nd {
  return o.left === false ? matmulNd(b, inverseNd(a)) : solveNd(a, b);
}

interface Triangle {
  upper: boolean;
  left?: boolean;
  unitriangular?: boolean;
}

const triangular: OpSpec = {
  samples: (s: Source): Sample[] => [
    { args: [regular(s, [3, 3]), s.x([3, 2])], options: { upper: true } },
    { args: [regular(s, [3, 3]), s.x([3, 2])], options: { upper: false } },
    { args: [regular(s, [3, 3]), s.x([2, 3])], options: { upper: true, left: false } },
    {
      args: [s.x([2, 3, 3]), s.x([3, 1])],
      options: { upper: false, unitriangular: true },
    },
    {
      args: [s.x([3, 3]), s.x([2, 1, 3])],
      options: { upper: true, left: false, unitriangular: true },
    },
    { args: [s.x([0, 0]), s.x([0, 2])], options: { upper: true } },
  ],
  reference: (a: Nd, b: Nd, o: Triangle) =>
    leftSolve(triangleNd(a, o.upper, o.unitriangular === true), b, o),
  special: false,
  skip,
};

export const linalgDense: Family = {
  linalgCholeskyEx: {
    ...matrices(definite, (a: Nd, o: { upper?: boolean }) => [
      choleskyNd(a, o.upper === true),
      zeros(a),
    ]),
    skip: { ...skip, gradient: noTriangle },
  },
  linalgCholesky: {
    samples: (s) => [
      ...squares.map((shape) => ({ args: [definite(s, shape)] })),
      { args: [definite(s, [3, 3])], options: { upper: true } },
    ],
    reference: (a: Nd, o: { upper?: boolean }) => choleskyNd(a, o.upper === true),
    nan: 'refused',
    skip: { ...skip, gradient: noTriangle },
  },
  cholesky: {
    samples: (s) => [
      { args: [definite(s, [3, 3])] },
      { args: [definite(s, [2, 3, 3]), true] },
      { args: [definite(s, [0, 0])] },
    ],
    reference: (a: Nd, ...rest: unknown[]) => choleskyNd(a, rest[0] === true),
    nan: 'refused',
    skip: { ...skip, gradient: noTriangle },
  },
  choleskySolve: {
    samples: (s) => [
      { args: [s.x([3, 2]), regular(s, [3, 3])] },
      { args: [s.x([2, 3, 1]), regular(s, [3, 3]), true] },
      { args: [s.x([0, 2]), s.x([0, 0])] },
    ],
    reference: (b: Nd, l: Nd, ...rest: unknown[]) => {
      const t = triangleNd(l, rest[0] === true, false);
      const other = transposeNd(t, -2, -1);
      return solveNd(rest[0] === true ? matmulNd(other, t) : matmulNd(t, other), b);
    },
    special: false,
    skip: { ...skip, gradient: noTriangle },
  },
  choleskyInverse: {
    samples: (s) => [
      { args: [regular(s, [3, 3])] },
      { args: [regular(s, [2, 3, 3]), true] },
      { args: [s.x([0, 0])] },
    ],
    reference: (l: Nd, ...rest: unknown[]) => {
      const t = triangleNd(l, rest[0] === true, false);
      const other = transposeNd(t, -2, -1);
      return inverseNd(rest[0] === true ? matmulNd(other, t) : matmulNd(t, other));
    },
    special: false,
    skip: { ...skip, gradient: noTriangle },
  },
  linalgDetForward: covered('linalgDet'),
  linalgDet: matrices(regular, detNd),
  linalgSlogdetForward: covered('linalgSlogdet'),
  linalgSlogdet: matrices(regular, (a: Nd) => [signOf(a), logOf(a)]),
  logdet: matrices(definite, logOf),
  linalgInvEx: matrices(regular, (a: Nd) => [inverseNd(a), zeros(a)]),
  linalgInv: matrices(regular, (a: Nd) => inverseNd(a)),
  linalgSolveForward: covered('linalgSolve'),
  linalgSolveEx: {
    samples: (s) => systems.map(([a, b]) => ({ args: [regular(s, a), s.x(b)] })),
    reference: (a: Nd, b: Nd) => {
      return [solveNd(a, b), zeros(a)];
    },
    special: false,
    skip,
  },
  linalgSolve: {
    samples: (s) => [
      ...systems.map(([a, b]) => ({ args: [regular(s, a), s.x(b)] })),
      { args: [regular(s, [3, 3]), s.x([2, 3])], options: { left: false } },
    ],
    reference: leftSolve,
    special: false,
    skip,
  },
  linalgSolveTriangularForward: covered('linalgSolveTriangular'),
  linalgSolveTriangular: triangular,
  triangularSolve: {
    samples: (s) => [
      { args: [s.x([3, 2]), regular(s, [3, 3])] },
      { args: [s.x([2, 3, 2]), regular(s, [3, 3]), false, true] },
      { args: [s.x([3, 2]), s.x([3, 3]), false, false, true] },
      { args: [s.x([0, 2]), s.x([0, 0])] },
    ],
    reference: (b: Nd, a: Nd, ...rest: unknown[]) => {
      const [upper = true, transpose, unit] = rest.slice(0, -1) as boolean[];
      const t = triangleNd(a, upper, unit === true);
      return [solveNd(transpose === true ? transposeNd(t, -2, -1) : t, b), a];
    },
    special: false,
    skip,
  },
  linalgLuFactorEx: matrices(regular, undefined, {}, [
    [3, 3],
    [2, 3, 4],
    [4, 2],
    [0, 2],
    [2, 0, 0],
  ]),
  linalgLuFactor: matrices(regular, undefined, {}, [
    [3, 3],
    [2, 2, 4],
    [4, 2],
    [0, 0],
  ]),
  linalgLu: matrices(regular, undefined, {}, [
    [3, 3],
    [2, 2, 4],
    [4, 2],
    [0, 2],
  ]),
  luPermutation: {
    samples: (s) => [
      { args: [s.fixed([3], [2, 3, 3], 'int32'), 3] },
      { args: [s.fixed([2, 2], [1, 2, 4, 2], 'int32'), 4] },
      { args: [s.fixed([0], [], 'int32'), 2] },
    ],
    reference: (pivots: Nd, m: number) => {
      const k = pivots.shape[pivots.ndim - 1] as number;
      const batch = pivots.shape.slice(0, -1);
      const count = batch.reduce((n, v) => n * v, 1);
      const rows = Array.from({ length: count }, (_, b) => {
        const list = Array.from({ length: m }, (_, i) => i);
        for (let i = 0; i < k; ++i) {
          const j = (pivots.data[b * k + i] as number) - 1;
          [list[i], list[j]] = [list[j] as number, list[i] as number];
        }
        return list;
      });
      return { shape: [...batch, m], data: rows.flat() } as unknown as Nd;
    },
    skip: { zeroDim: 'pivots have a dimension', layouts: 'pivots are int32' },
  },
  luUnpack: {
    samples: (s) => [
      { args: [regular(s, [3, 3]), s.fixed([3], [2, 3, 3], 'int32')] },
      { args: [s.x([2, 3, 4]), s.fixed([2, 3], [1, 2, 3, 3, 2, 3], 'int32')] },
      { args: [s.x([4, 2]), s.fixed([2], [4, 2], 'int32'), true, false] },
      { args: [s.x([0, 2]), s.fixed([0], [], 'int32')] },
    ],
    skip: { zeroDim, expanded: 'pivots of one matrix' },
  },
  luSolveForward: covered('linalgLuSolve'),
  linalgLuSolve: {
    samples: (s) => {
      const pivots = (): Input => s.fixed([3], [2, 3, 3], 'int32');
      return [
        { args: [regular(s, [3, 3]), pivots(), s.x([3, 2])] },
        { args: [regular(s, [3, 3]), pivots(), s.x([3, 2])], options: { adjoint: true } },
        { args: [regular(s, [3, 3]), pivots(), s.x([2, 2, 3])], options: { left: false } },
        {
          args: [regular(s, [3, 3]), pivots(), s.x([2, 3])],
          options: { left: false, adjoint: true },
        },
        { args: [s.x([0, 0]), s.fixed([0], [], 'int32'), s.x([0, 2])] },
      ];
    },
    skip,
  },
  luSolve: {
    samples: (s) => [
      { args: [s.x([3, 2]), regular(s, [3, 3]), s.fixed([3], [2, 3, 3], 'int32')] },
      { args: [s.x([0, 2]), s.x([0, 0]), s.fixed([0], [], 'int32')] },
    ],
    skip,
  },
};
