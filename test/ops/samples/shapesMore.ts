/** Rearrangements, repetition, joins, splits, diagonals, and copies with a window replaced. */
import {
  atLeast,
  blockDiag,
  cartesianProd,
  combinations,
  diag,
  diagEmbed,
  flip,
  meshgrid,
  movedim,
  repeat,
  repeatInterleave,
  roll,
  rot90,
  scattered,
  splitIndices,
  splitSections,
  tile,
  triangle,
  unfold,
} from '../reference/shapes';
import { broadcastShapes, Nd } from '../support/nd';
import type { Family, OpSpec, Source } from '../support/sample';
import {
  asStrided,
  type Call,
  catNd,
  diagonal,
  expand,
  optional,
  selectNd,
  slice,
  spec,
  splitNd,
} from './shapes';

const atLeastOne = { zeroDim: 'needs a dimension' } as const;
const atLeastTwo = { zeroDim: 'needs two dimensions' } as const;
const onlyIntegers = { zeroDim: 'the result is always a matrix of indices' } as const;

/** Samples that are lists of shapes, with arguments. */
function listSpec(
  lists: readonly (readonly number[][])[],
  reference: (list: Nd[]) => Nd | Nd[],
  extra: Partial<OpSpec> = {},
): OpSpec {
  return {
    samples: (s: Source) => lists.map((shapes) => ({ args: [shapes.map((shape) => s.x(shape))] })),
    reference: reference as never,
    special: true,
    ...extra,
  };
}

/** An input whose shape changes to that of a second one. */
function likeOther(pairs: readonly (readonly [number[], number[]])[], extra: Partial<OpSpec> = {}) {
  return {
    samples: (s: Source) =>
      pairs.map(([from, to]) => ({ args: [s.x(from), s.x(to, { grad: false })] })),
    reference: (x: Nd, other: Nd) => x.reshape(other.shape),
    special: true,
    ...extra,
  } satisfies OpSpec;
}

const changes: readonly (readonly [number[], number[]])[] = [
  [
    [2, 6],
    [3, 4],
  ],
  [[], [1, 1]],
  [
    [0, 3],
    [3, 0],
  ],
];

function triangleIndices(keeps: (beyond: number) => boolean): OpSpec {
  return {
    samples: () => [
      { args: [3, 4] },
      { args: [4, 2, 1] },
      { args: [3, 3, -1] },
      { args: [0, 3] },
      { args: [2, 2, 9] },
      { args: [2, 3, -9] },
    ],
    reference: (rows: number, columns: number, ...rest: unknown[]) => {
      const offset = optional(rest, 0, 0);
      const found: [number, number][] = [];
      for (let i = 0; i < rows; ++i) {
        for (let j = 0; j < columns; ++j) if (keeps(j - i - offset)) found.push([i, j]);
      }
      return new Nd([2, found.length], [...found.map(([i]) => i), ...found.map(([, j]) => j)]);
    },
    skip: onlyIntegers,
  };
}

type Scatter = readonly [shape: number[], src: number[], ...args: unknown[]];

function scatterSpec(
  calls: readonly Scatter[],
  view: (positions: Nd, ...args: never[]) => unknown,
  skip: OpSpec['skip'],
): OpSpec {
  return {
    samples: (s) =>
      calls.map(([shape, src, ...args]) => ({ args: [s.x(shape), s.x(src), ...args] })),
    reference: (x: Nd, src: Nd, ...rest: unknown[]) =>
      scattered(x, src, (positions) => view(positions, ...(rest as never[])) as Nd),
    special: true,
    ...(skip === undefined ? {} : { skip }),
  };
}

const ranks: readonly Call[] = [[[2, 3]], [[3]], [[]], [[0]], [[2, 3, 2]], [[0, 3]]];
const matrices: readonly Call[] = [[[3, 4]], [[4, 2], 1], [[2, 3, 3], -1], [[0, 3]], [[3, 2], 5]];
const rows: readonly (readonly number[][])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[], []],
  [
    [0, 3],
    [0, 3],
  ],
];

const moves: Family = {
  movedim: spec(
    [
      [[2, 3, 4], [0], [2]],
      [
        [2, 3, 4],
        [0, -1],
        [1, 0],
      ],
      [[], [], []],
      [[0, 3], [1], [0]],
    ],
    movedim,
  ),
  ravel: spec([[[2, 3]], [[]], [[0, 3]]], (x) => x.reshape([x.data.length])),
  viewAs: likeOther(changes, {
    skip: { layouts: 'only memory that is laid out densely can be viewed so' },
  }),
  reshapeAs: likeOther(changes),
  atleast1d: spec(ranks, atLeast(1)),
  atleast2d: spec(ranks, atLeast(2)),
  atleast3d: spec(ranks, atLeast(3)),
  unfold: spec(
    [
      [[7, 2], 0, 3, 2],
      [[2, 5], -1, 2, 1],
      [[], 0, 1, 1],
      [[0, 3], 1, 2, 1],
    ],
    unfold,
  ),
  flip: spec(
    [
      [[2, 3, 4], [1]],
      [
        [2, 5],
        [0, -1],
      ],
      [[2, 3], []],
      [[], []],
      [[0, 3], [1]],
    ],
    flip,
  ),
  fliplr: spec([[[2, 3]], [[2, 3, 2]], [[0, 3]]], (x) => flip(x, [1]), { skip: atLeastTwo }),
  flipud: spec([[[2, 3]], [[4]], [[0, 3]]], (x) => flip(x, [0]), { skip: atLeastOne }),
  rot90: spec(
    [
      [[2, 3]],
      [[2, 3, 4], 2, [1, 2]],
      [[2, 3], 3, [-1, 0]],
      [[2, 3], -4, [0, 1]],
      [[0, 3], 1, [0, 1]],
    ],
    rot90,
    { skip: atLeastTwo },
  ),
  roll: spec(
    [
      [[2, 3], [2]],
      [
        [3, 4],
        [1, -2],
        [0, 1],
      ],
      [[2, 5], [7], [-1]],
      [[], [3]],
      [[0, 3], [1], [1]],
    ],
    roll,
  ),
};

const repetition: Family = {
  broadcastTo: spec(
    [
      [
        [2, 1],
        [2, 4],
      ],
      [[3], [2, -1]],
      [[], [2, 2]],
      [
        [0, 1],
        [0, 3],
      ],
    ],
    expand,
  ),
  broadcastTensors: listSpec(
    [
      [[2, 1], [3]],
      [[], [2]],
      [
        [0, 1],
        [1, 3],
      ],
    ],
    (list) => {
      const shape = broadcastShapes(...list.map((x) => x.shape));
      return list.map((x) => Nd.from(shape, (index) => x.broadcastAt(index)));
    },
  ),
  repeat: spec(
    [
      [
        [2, 3],
        [2, 1],
      ],
      [[2], [3, 1, 2]],
      [
        [2, 3],
        [0, 2],
      ],
      [[], [2]],
      [
        [0, 3],
        [2, 2],
      ],
    ],
    repeat,
  ),
  tile: spec(
    [
      [[2, 3], [2]],
      [[2], [3, 2]],
      [[], [2]],
      [[], []],
      [
        [0, 3],
        [2, 1],
      ],
    ],
    tile,
  ),
  repeatInterleave: {
    samples: (s) => [
      { args: [s.x([2, 3]), 2] },
      { args: [s.x([2, 3]), 3, 1] },
      { args: [s.x([2, 3]), s.fixed([3], [2, 0, 1], 'int64'), -1] },
      { args: [s.x([3, 2]), s.fixed([1], [2], 'int64'), 0], options: { outputSize: 6 } },
      { args: [s.x([]), 3] },
      { args: [s.x([0, 3]), 2, 0] },
      { args: [s.x([2, 3]), 0, 1] },
    ],
    reference: repeatInterleave,
    special: true,
  },
  meshgrid: {
    samples: (s) => [
      { args: [[s.x([2]), s.x([3])]] },
      { args: [[s.x([2]), s.x([3]), s.x([2])]], options: { indexing: 'xy' } },
      { args: [[s.x([]), s.x([2])]] },
      { args: [[s.x([3])]], options: { indexing: 'xy' } },
      { args: [[s.x([0]), s.x([2])]] },
    ],
    reference: meshgrid,
    special: true,
  },
  cartesianProd: listSpec([[[2], [3]], [[2], [2], [3]], [[3]], [[0], [2]]], cartesianProd, {
    skip: { zeroDim: 'takes vectors' },
  }),
  combinations: spec(
    [[[4]], [[3], 2, true], [[4], 3], [[3], 1], [[2], 3], [[0], 2]],
    combinations,
    { skip: { zeroDim: 'takes a vector' } },
  ),
};

const joins: Family = {
  hstack: listSpec(
    [
      [
        [2, 3],
        [2, 1],
      ],
      [[2], [3]],
      [[], [2]],
      [
        [0, 3],
        [0, 2],
      ],
    ],
    (list) => {
      const parts = list.map(atLeast(1));
      return catNd(parts, (parts[0] as Nd).ndim === 1 ? 0 : 1);
    },
  ),
  vstack: listSpec([...rows, [[3], [2, 3]]], (list) => catNd(list.map(atLeast(2)), 0)),
  dstack: listSpec([...rows, [[2], [1, 2, 3]]], (list) => catNd(list.map(atLeast(3)), 2)),
  columnStack: listSpec([...rows, [[2], [2, 3]]], (list) =>
    catNd(
      list.map((x) => (x.ndim <= 1 ? x.reshape([x.data.length, 1]) : x)),
      1,
    ),
  ),
  blockDiag: listSpec(
    [
      [[2, 3], [1, 2], [2]],
      [[], [2]],
      [[0, 3], [2]],
    ],
    blockDiag,
  ),
  splitWithSizes: spec(
    [
      [
        [5, 3],
        [2, 3],
      ],
      [[2, 6], [1, 0, 5], -1],
      [[0, 3], [1, 2], 1],
    ],
    (x, sizes: number[], ...rest: unknown[]) => splitNd(x, sizes, optional(rest, 0, 0)),
    { skip: atLeastOne },
  ),
  splitSections: spec(
    [
      [[5, 3], 2],
      [[2, 7], 3, -1],
      [[2, 3], 4],
      [[0, 3], 2],
    ],
    splitSections,
    { skip: atLeastOne },
  ),
  splitIndices: spec(
    [
      [[5, 3], [2]],
      [[2, 7], [1, 4, -1], 1],
      [[4], [3, 1, 9]],
      [[0, 3], [1], 1],
    ],
    splitIndices,
    { skip: atLeastOne },
  ),
};

const diagonals: Family = {
  tril: spec(
    matrices,
    triangle((d) => d <= 0),
    { skip: atLeastTwo },
  ),
  triu: spec(
    matrices,
    triangle((d) => d >= 0),
    { skip: atLeastTwo },
  ),
  trilIndices: triangleIndices((d) => d <= 0),
  triuIndices: triangleIndices((d) => d >= 0),
  diag: spec([[[3]], [[2], -1], [[3, 4]], [[3, 2], -1], [[0]], [[0, 3]]], diag, {
    skip: { zeroDim: 'takes a vector or a matrix' },
  }),
  diagflat: spec([[[2, 2]], [[3], 1], [[], -1], [[0, 3]]], (x, ...rest: unknown[]) =>
    diagEmbed(x.reshape([x.data.length]), optional(rest, 0, 0), {}),
  ),
  diagEmbed: spec(
    [[[2, 3]], [[2, 3], 1, 0, -1], [[2], -2], [[2, 2, 2], 1, 3, 1], [[0, 3]]],
    diagEmbed,
    {
      skip: atLeastOne,
    },
  ),
  trace: spec(
    [[[3, 3]], [[2, 4]], [[0, 3]]],
    (x) => Nd.scalar((diagonal(x, ...([{}] as never[])) as Nd).data.reduce((a, b) => a + b, 0)),
    { special: false, skip: { zeroDim: 'takes a matrix' } },
  ),
};

const scatters: Family = {
  selectScatter: scatterSpec(
    [
      [[2, 3, 4], [2, 4], 1, 2],
      [[3], [], 0, -1],
      [[0, 3], [0], 1, 0],
    ],
    (x, dim: number, index: number) => selectNd(x, dim, index),
    atLeastOne,
  ),
  sliceScatter: scatterSpec(
    [
      [[5, 3], [3, 3], 0, 1, 4],
      [[2, 7], [2, 3], 1, 0, 7, 3],
      [[4, 3], [4, 2], 1, -2],
      [[4], [4]],
      [[0, 3], [0, 1], 1, 1, 2],
    ],
    slice as never,
    atLeastOne,
  ),
  diagonalScatter: scatterSpec(
    [
      [[3, 3], [3]],
      [[2, 4], [2], 1],
      [[2, 3, 4], [3, 2], 0, 0, 2],
      [[0, 3], [0]],
    ],
    diagonal as never,
    atLeastTwo,
  ),
  asStridedScatter: scatterSpec(
    [
      [
        [3, 4],
        [2, 2],
        [2, 2],
        [4, 1],
      ],
      [[6], [2, 2], [2, 2], [2, 1], 1],
      [[], [], [], []],
      [[0, 3], [0], [0], [1]],
    ],
    asStrided as never,
    undefined,
  ),
};

export const shapesMore: Family = {
  ...moves,
  ...repetition,
  ...joins,
  ...diagonals,
  ...scatters,
};
