/** Reads and writes at positions that tensors name. */
import { type DType, dtypes } from '../../../lib';
import {
  flattened,
  gatherNd,
  indexNd,
  indexPutNd,
  indexSelectNd,
  indexWriteNd,
  reduceInto,
  scatterNd,
} from '../reference/indexing';
import { elementwise, Nd, broadcastShapes } from '../support/nd';
import type { Family, Input, OpSpec, Source } from '../support/sample';

const long = 'int64' as const;
const noNan = { nan: 'none' } as const;
const replace = (_: number, value: number): number => value;
const add = (old: number, value: number): number => old + value;
const expanded = (x: Nd, shape: readonly number[]): Nd => Nd.from(shape, (i) => x.broadcastAt(i));
/** Small enough that products and sums of them stay exact in int8. */
const small = { ints: [0, 2] } as const;

/** Element-wise writers: the index has as many dimensions as the input. */
function scattered(s: Source, ...rest: unknown[]): Call[] {
  const call = (x: number[], dim: number, index: Input, src: number[]): Call => ({
    args: [s.x(x, small), dim, index, s.x(src, small), ...rest],
  });
  return [
    call([3, 4], 0, s.fixed([2, 3], [0, 2, 1, 1, 0, 2], long), [2, 3]),
    call([2, 3], 1, s.fixed([2, 2], [0, 2, 1, 0], long), [3, 3]),
    call([2, 3, 2], -1, s.index([2, 3, 2], 2), [2, 3, 2]),
    call([], 0, s.fixed([], [0], long), []),
    call([0, 3], 1, s.fixed([0, 3], [], long), [0, 3]),
  ];
}

interface Call {
  readonly args: readonly unknown[];
  readonly options?: Readonly<Record<string, unknown>>;
  readonly smooth?: boolean;
  readonly dtypes?: readonly DType[];
}

function collided(s: Source, ...rest: unknown[]): Call {
  const index = s.fixed([3, 2], [1, 0, 1, 0, 0, 0], long);
  return { args: [s.x([2, 2], small), 0, index, s.x([3, 2], small), ...rest] };
}

/** Slice-wise writers: the index is a vector. */
function sliced(s: Source, ...rest: unknown[]): Call[] {
  const call = (x: number[], dim: number, index: number[], src: number[]): Call => ({
    args: [s.x(x, small), dim, s.fixed([index.length], index, long), s.x(src, small), ...rest],
  });
  return [
    call([3, 4], 0, [2, 0], [2, 4]),
    call([2, 3], -1, [1, 0, 2], [2, 3]),
    call([2, 3, 2], 1, [2], [2, 1, 2]),
    call([], 0, [0], []),
    call([0, 3], 1, [1, 0], [0, 2]),
  ];
}

function repeated(s: Source, ...rest: unknown[]): Call {
  return {
    args: [s.x([3, 2], small), 0, s.fixed([3], [1, 0, 1], long), s.x([3, 2], small), ...rest],
  };
}

const withOptions = (calls: Call[], options: Readonly<Record<string, unknown>>): Call[] =>
  calls.slice(0, 2).map((c) => ({ ...c, options }));

/** A mean of bool does not exist in PyTorch either. */
const numbers: readonly DType[] = dtypes.filter((d) => d !== 'bool');

const folds = ['sum', 'prod', 'mean', 'amax', 'amin'];

function reducer(
  reductions: readonly string[],
  calls: (s: Source, reduce: string) => Call[],
  writer: typeof scatterNd,
): OpSpec {
  return {
    samples: (s) =>
      reductions.flatMap((reduce) =>
        calls(s, reduce).map((c) => (reduce === 'mean' ? { ...c, dtypes: numbers } : c)),
      ),
    reference: (x: Nd, dim: number, index: Nd, src: Nd, reduce: string, o: object) =>
      reduceInto(
        writer,
        [x, dim, index, src],
        reduce,
        (o as { includeSelf?: boolean }).includeSelf ?? true,
      ),
  };
}

const reads: Family = {
  indexSelect: {
    samples: (s) => [
      { args: [s.x([3, 4]), 0, s.fixed([4], [2, 0, 2, 1], long)] },
      { args: [s.x([2, 3, 2]), -2, s.fixed([2], [1, 1], 'int32')] },
      { args: [s.x([]), 0, s.fixed([1], [0], long)] },
      { args: [s.x([0, 3]), 1, s.fixed([2], [2, 0], long)] },
      { args: [s.x([2, 3]), 1, s.fixed([0], [], long)] },
    ],
    reference: indexSelectNd as never,
    special: true,
  },
  gather: {
    samples: (s) => [
      { args: [s.x([3, 4]), 0, s.index([2, 3], 3)] },
      { args: [s.x([2, 3]), 1, s.index([2, 5], 3)] },
      { args: [s.x([2, 3, 2]), -1, s.index([2, 2, 3], 2)] },
      { args: [s.x([]), 0, s.fixed([], [0], long)] },
      { args: [s.x([0, 3]), 1, s.fixed([0, 2], [], long)] },
    ],
    reference: gatherNd as never,
    special: true,
  },
  index: {
    samples: (s) => [
      { args: [s.x([3, 4]), [s.fixed([3], [2, -1, 0], long)]] },
      { args: [s.x([3, 4, 2]), [s.index([2, 1], 3), s.index([3], 4)]] },
      { args: [s.x([3, 2]), [s.index([], 3), s.index([], 2)]] },
      { args: [s.x([0, 3]), [s.fixed([0], [], long)]] },
    ],
    reference: indexNd as never,
    special: true,
    skip: { zeroDim: 'needs a dimension to index' },
  },
  take: {
    samples: (s) => [
      { args: [s.x([3, 4]), s.fixed([2, 2], [11, -1, 0, 5], long)] },
      { args: [s.x([]), s.fixed([2], [0, 0], long)] },
      { args: [s.x([0, 3]), s.fixed([0], [], long)] },
    ],
    reference: (x: Nd, index: Nd) => indexNd(flattened(x), [index]),
    special: true,
  },
  takeAlongDim: {
    samples: (s) => [
      { args: [s.x([3, 4]), s.index([1, 4], 3), 0] },
      { args: [s.x([2, 3]), s.index([2, 2], 3), -1] },
      { args: [s.x([2, 3]), s.index([4], 6)] },
      { args: [s.x([]), s.fixed([1], [0], long)] },
      { args: [s.x([0, 3]), s.fixed([0, 1], [], long), 1] },
    ],
    reference: (x: Nd, index: Nd, ...rest: unknown[]) => {
      if (rest.length < 2) return gatherNd(flattened(x), 0, index);
      const dim = ((rest[0] as number) + x.ndim) % x.ndim;
      const others = (y: Nd): number[] => y.shape.map((n, d) => (d === dim ? 1 : n));
      const shape = broadcastShapes(others(x), others(index));
      const sized = (y: Nd): Nd =>
        expanded(
          y,
          shape.map((n, d) => (d === dim ? (y.shape[d] as number) : n)),
        );
      return gatherNd(sized(x), dim, sized(index));
    },
    special: true,
  },
  maskedSelect: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.mask([2, 3])] },
      { args: [s.x([2, 3]), s.fixed([3], [1, 0, 1], 'bool')] },
      { args: [s.x([3]), s.mask([2, 1])] },
      { args: [s.x([]), s.fixed([], [1], 'bool')] },
      { args: [s.x([0, 3]), s.mask([3])] },
    ],
    reference: (x: Nd, mask: Nd) => {
      const shape = broadcastShapes(x.shape, mask.shape);
      const chosen = expanded(mask, shape);
      const data = expanded(x, shape).data.filter((_, i) => chosen.data[i] === 1);
      return new Nd([data.length], data);
    },
    special: true,
  },
  nonzero: {
    samples: (s) =>
      [[2, 3], [4], [2, 2, 2], [], [0, 3]].map((shape) => ({
        args: [s.x(shape, { ints: [0, 1] })],
      })),
    reference: (x: Nd) => {
      const rows: number[] = [];
      Nd.from(x.shape, (i, flat) => (x.data[flat] === 0 ? 0 : rows.push(...i)));
      const count = x.data.filter((v) => v !== 0).length;
      return new Nd([count, x.ndim], rows);
    },
    special: true,
  },
};

const writes: Family = {
  scatter: {
    samples: (s) => [
      ...scattered(s),
      { args: [s.x([2, 3]), 1, s.fixed([2, 1], [2, 0], long), 1] },
      ...withOptions(scattered(s), { reduce: 'add' }).map((c) => ({ ...c, smooth: false })),
    ],
    reference: (x: Nd, dim: number, index: Nd, src: Nd | number, o: { reduce?: string }) =>
      scatterNd(x, dim, index, src, o.reduce === 'add' ? add : replace),
    special: true,
  },
  scatterAdd: {
    samples: (s) => [...scattered(s), collided(s)],
    reference: (x: Nd, dim: number, index: Nd, src: Nd) => scatterNd(x, dim, index, src, add),
    special: true,
  },
  scatterReduce: reducer(
    folds,
    (s, reduce) => [
      ...scattered(s, reduce),
      collided(s, reduce),
      ...withOptions([...scattered(s, reduce).slice(0, 1), collided(s, reduce)], {
        includeSelf: false,
      }),
    ],
    scatterNd,
  ),
  indexReduce: reducer(
    folds.slice(1),
    (s, reduce) => [
      ...sliced(s, reduce),
      repeated(s, reduce),
      ...withOptions([repeated(s, reduce)], { includeSelf: false }),
    ],
    indexWriteNd,
  ),
  indexAdd: {
    samples: (s) => [...sliced(s), repeated(s), ...withOptions(sliced(s), { alpha: 2 })],
    reference: (x: Nd, dim: number, index: Nd, src: Nd, o: { alpha?: number }) =>
      indexWriteNd(x, dim, index, src, (a, b) => a + (o.alpha ?? 1) * b),
  },
  indexCopy: {
    samples: (s) => sliced(s),
    reference: (x: Nd, dim: number, index: Nd, src: Nd) =>
      indexWriteNd(x, dim, index, src, replace),
    special: true,
  },
  indexFill: {
    samples: (s) => [
      { args: [s.x([3, 4]), 0, s.fixed([2], [2, 0], long), 1] },
      { args: [s.x([2, 3]), -1, s.fixed([3], [2, 1, 2], long), s.x([])] },
      { args: [s.x([]), 0, s.fixed([1], [0], long), 1] },
      { args: [s.x([0, 3]), 1, s.fixed([1], [1], long), 1] },
    ],
    reference: (x: Nd, dim: number, index: Nd, value: Nd | number) =>
      indexWriteNd(x, dim, index, value instanceof Nd ? (value.data[0] as number) : value, replace),
  },
  indexPut: {
    samples: (s) => [
      { args: [s.x([3, 4]), [s.fixed([2], [2, -3], long)], s.x([2, 4])] },
      { args: [s.x([3, 4]), [s.fixed([2], [2, 0], long), s.fixed([2], [1, 3], long)], s.x([])] },
      { args: [s.x([3, 2], small), [s.fixed([3], [1, 0, 1], long)], s.x([3, 2], small), true] },
      { args: [s.x([0, 3]), [s.fixed([0], [], long)], s.x([0, 3])] },
    ],
    reference: (x: Nd, indices: Nd[], values: Nd, ...rest: unknown[]) =>
      indexPutNd(x, indices, values, rest.length > 1 && rest[0] === true),
    skip: { zeroDim: 'needs a dimension to index' },
  },
  put: {
    samples: (s) => [
      { args: [s.x([3, 4]), s.fixed([2, 2], [11, -2, 0, 5], long), s.x([4])] },
      { args: [s.x([2, 2], small), s.fixed([3], [1, 0, 1], long), s.x([3], small), true] },
      { args: [s.x([]), s.fixed([1], [0], long), s.x([1])] },
      { args: [s.x([0, 3]), s.fixed([0], [], long), s.x([0])] },
    ],
    reference: (x: Nd, index: Nd, source: Nd, ...rest: unknown[]) =>
      indexPutNd(
        flattened(x),
        [flattened(index)],
        flattened(source),
        rest.length > 1 && rest[0] === true,
      ).reshape(x.shape),
  },
  maskedScatter: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.mask([2, 3]), s.x([6])] },
      { args: [s.x([2, 3]), s.fixed([3], [1, 0, 1], 'bool'), s.x([2, 3])] },
      { args: [s.x([]), s.fixed([], [1], 'bool'), s.x([])] },
      { args: [s.x([0, 3]), s.mask([3]), s.x([0])] },
    ],
    reference: (x: Nd, mask: Nd, source: Nd) => {
      let next = 0;
      return elementwise((v, m) => (m === 1 ? (source.data[next++] as number) : v), x, mask);
    },
    special: true,
  },
};

const table = (s: Source): Input => s.fixed([4, 2], [1, 2, 3, 4, 5, 6, 7, 8], 'float32');
const classes = { ints: [0, 3] } as const;

const tables: Family = {
  oneHot: {
    samples: (s) => [
      { args: [s.x([2, 3], classes), 4] },
      { args: [s.of([3], [0, 2, 1])] },
      { args: [s.x([], classes), 5] },
      { args: [s.x([0, 3], classes), 2] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const n = rest.length > 1 ? (rest[0] as number) : 1 + Math.max(...x.data);
      return Nd.from([...x.shape, n], (i) => (x.at(i.slice(0, -1)) === i[x.ndim] ? 1 : 0));
    },
    ...noNan,
  },
  embedding: {
    samples: (s) => [
      { args: [s.x([2, 3], classes), table(s)] },
      { args: [s.x([], classes), table(s)], options: { paddingIdx: 1 } },
      { args: [s.x([0, 3], classes), table(s)] },
    ],
    reference: (x: Nd, weight: Nd) => indexNd(weight, [x]),
  },
  embeddingLookup: {
    samples: (s) => [
      { args: [s.x([4, 2]), s.index([2, 3], 4), -1, false] },
      { args: [s.x([4, 2]), s.fixed([4], [1, 0, 1, 2], long), -1, false] },
      { args: [s.x([4, 2]), s.index([], 4), -1, false] },
      { args: [s.x([4, 2]), s.fixed([0], [], long), -1, false] },
      // These change the gradient on purpose.
      { args: [s.x([4, 2]), s.fixed([4], [1, 0, 1, 2], long), 2, true], smooth: false },
    ],
    reference: (weight: Nd, x: Nd) => indexNd(weight, [x]),
    // Tables of integers are looked up as well; they have no gradient.
    promotes: ['uint8', 'int8', 'int16', 'int32', 'int64', 'bool'],
    skip: { zeroDim: 'the table is a matrix' },
  },
  embeddingBag: {
    samples: (s) => [
      ...['sum', 'mean', 'max'].map((mode) => ({
        args: [s.x([3, 2], classes), table(s)],
        options: { mode },
      })),
      { args: [s.x([0, 2], classes), table(s)] },
    ],
    reference: (x: Nd, weight: Nd, { mode = 'mean' }: { mode?: string }) => {
      const [bags, size] = x.shape as [number, number];
      return Nd.from([bags, weight.shape[1] as number], ([bag, column]) => {
        const values = Array.from({ length: size }, (_, k) =>
          weight.at([x.at([bag as number, k]), column as number]),
        );
        if (mode === 'max') return Math.max(...values);
        const total = values.reduce(add, 0);
        return mode === 'mean' ? total / size : total;
      });
    },
    skip: { zeroDim: 'needs bags' },
  },
};

export const indexing: Family = { ...reads, ...writes, ...tables };
