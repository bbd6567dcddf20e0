/** Products of vectors and matrices with an added term. */
import { elementwise, Nd, permuteNd } from '../support/nd';
import type { Family, OpSpec, Sample, Source } from '../support/sample';
import { matmulNd } from './linalg';

const fixedRank = { zeroDim: 'the rank of every operand is fixed' } as const;
const ints = { ints: [-2, 2] } as const;

interface Factors {
  readonly beta?: number;
  readonly alpha?: number;
}

/** beta * input + alpha * product; beta 0 does not read the input. */
function added(product: (a: Nd, b: Nd) => Nd) {
  return (input: Nd, a: Nd, b: Nd, { beta = 1, alpha = 1 }: Factors): Nd => {
    const p = product(a, b);
    if (beta === 0) return p.map((v) => alpha * v);
    return elementwise((x, y) => beta * x + alpha * y, input, p);
  };
}

type Shapes = readonly [readonly number[], readonly number[], readonly number[]];

function addedSamples(shapes: readonly Shapes[]) {
  return (s: Source): Sample[] => [
    ...shapes.map(([input, a, b]) => ({ args: [s.x(input, ints), s.x(a, ints), s.x(b, ints)] })),
    ...[
      { beta: 2, alpha: -1 },
      { beta: 0, alpha: 3 },
    ].map((options) => {
      const [input, a, b] = shapes[0] as Shapes;
      return { args: [s.x(input, ints), s.x(a, ints), s.x(b, ints)], options };
    }),
  ];
}

function addedProduct(product: (a: Nd, b: Nd) => Nd, shapes: readonly Shapes[]): OpSpec {
  return {
    samples: addedSamples(shapes),
    reference: added(product),
    special: false,
  };
}

const outerNd = (a: Nd, b: Nd): Nd =>
  matmulNd(a.reshape([a.shape[0] as number, 1]), b.reshape([1, b.shape[0] as number]));

const sumOfProducts = (a: Nd, b: Nd): Nd => {
  const [batch, n, k] = a.shape as [number, number, number];
  return matmulNd(
    permuteNd(a, [1, 0, 2]).reshape([n, batch * k]),
    b.reshape([batch * k, b.shape[2] as number]),
  );
};

const vectors = {
  samples: (s: Source) => [3, 17, 1, 0].map((n) => ({ args: [s.x([n], ints), s.x([n], ints)] })),
  reference: matmulNd,
  special: false,
  skip: fixedRank,
} satisfies OpSpec;

export const matrix: Family = {
  mv: {
    samples: (s) =>
      (
        [
          [3, 4],
          [5, 17],
          [3, 0],
          [0, 2],
        ] as const
      ).map(([n, k]) => ({ args: [s.x([n, k], ints), s.x([k], ints)] })),
    reference: matmulNd,
    special: false,
    skip: fixedRank,
  },
  dot: vectors,
  vdot: vectors,
  outer: {
    samples: (s) => [
      { args: [s.x([3], ints), s.x([4], ints)] },
      { args: [s.x([0], ints), s.x([2], ints)] },
    ],
    reference: outerNd,
    special: false,
    skip: fixedRank,
  },
  inner: {
    samples: (s) => [
      { args: [s.x([3], ints), s.x([3], ints)] },
      { args: [s.x([2, 3], ints), s.x([4, 2, 3], ints)] },
      { args: [s.x([], ints), s.x([2, 2], ints)] },
      { args: [s.x([2, 0], ints), s.x([3, 0], ints)] },
    ],
    reference: (a: Nd, b: Nd) => {
      if (a.ndim === 0 || b.ndim === 0) return elementwise((x, y) => x * y, a, b);
      const k = a.shape[a.ndim - 1] as number;
      const rows = a.shape.slice(0, -1).reduce((n, v) => n * v, 1);
      const columns = b.shape.slice(0, -1).reduce((n, v) => n * v, 1);
      const product = matmulNd(a.reshape([rows, k]), permuteNd(b.reshape([columns, k]), [1, 0]));
      return product.reshape([...a.shape.slice(0, -1), ...b.shape.slice(0, -1)]);
    },
    special: false,
  },
  bilinear: {
    samples: (s) => [
      { args: [s.x([3, 2]), s.x([3, 4]), s.x([5, 2, 4]), s.x([5])] },
      { args: [s.x([2, 3, 2]), s.x([2, 3, 3]), s.x([2, 2, 3])] },
      { args: [s.x([2]), s.x([3]), s.x([4, 2, 3]), s.x([4])] },
      { args: [s.x([0, 2]), s.x([0, 3]), s.x([4, 2, 3]), s.x([4])] },
    ],
    reference: (a: Nd, b: Nd, w: Nd, bias?: Nd) => {
      const [out = 0, in1 = 0, in2 = 0] = w.shape;
      return Nd.from([...a.shape.slice(0, -1), out], (index) => {
        const k = index[index.length - 1] as number;
        const row = index.slice(0, -1);
        let sum = bias instanceof Nd ? bias.at([k]) : 0;
        for (let i = 0; i < in1; ++i) {
          for (let j = 0; j < in2; ++j)
            sum += a.at([...row, i]) * w.at([k, i, j]) * b.at([...row, j]);
        }
        return sum;
      });
    },
    special: false,
    skip: fixedRank,
  },
  addmm: addedProduct(matmulNd, [
    [
      [2, 4],
      [2, 3],
      [3, 4],
    ],
    [[4], [2, 3], [3, 4]],
    [
      [2, 1],
      [2, 3],
      [3, 4],
    ],
    [[], [2, 3], [3, 4]],
    [
      [2, 3],
      [2, 0],
      [0, 3],
    ],
  ]),
  addmv: addedProduct(matmulNd, [
    [[3], [3, 4], [4]],
    [[], [3, 4], [4]],
    [[1], [3, 4], [4]],
    [[3], [3, 0], [0]],
  ]),
  addr: addedProduct(outerNd, [
    [[3, 4], [3], [4]],
    [[], [3], [4]],
    [[4], [3], [4]],
    [[0, 2], [0], [2]],
  ]),
  addbmm: addedProduct(sumOfProducts, [
    [
      [2, 4],
      [3, 2, 3],
      [3, 3, 4],
    ],
    [[4], [3, 2, 3], [3, 3, 4]],
    [[], [2, 2, 3], [2, 3, 2]],
    [
      [2, 2],
      [0, 2, 3],
      [0, 3, 2],
    ],
  ]),
  baddbmm: addedProduct(matmulNd, [
    [
      [3, 2, 4],
      [3, 2, 3],
      [3, 3, 4],
    ],
    [[4], [3, 2, 3], [3, 3, 4]],
    [
      [3, 1, 1],
      [3, 2, 3],
      [3, 3, 4],
    ],
    [[], [2, 2, 3], [2, 3, 2]],
    [
      [0, 2, 2],
      [0, 2, 3],
      [0, 3, 2],
    ],
  ]),
};
