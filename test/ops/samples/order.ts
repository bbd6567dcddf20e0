/** Orders, ranks, counts and searches. */
import { alongDim, Nd, reduceDims, sizeOf, wrapDim } from '../support/nd';
import type { Family, Input, OpSpec, Source } from '../support/sample';
import { readDims } from './reductions';

const needsDim = 'needs a dimension';
const ties = { expanded: 'ties: which of equal values counts is not specified' } as const;
const known = (v: readonly number[]): number[] => v.filter((x) => !Number.isNaN(x));

/** 1 to n in any order: distinct, whatever the dtype. */
function ranked(s: Source, shape: readonly number[]): Input {
  const values = Array.from({ length: sizeOf(shape) }, (_, i) => i + 1);
  return s.of(shape, s.random.shuffle(values));
}

/** Ascending, NaN last. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a - b;
}

function sortedPlaces(v: readonly number[], descending: boolean): number[] {
  const sign = descending ? -1 : 1;
  return v.map((_, i) => i).sort((i, j) => sign * compare(v[i] as number, v[j] as number) || i - j);
}

/** The lower of the two middle values. */
function medianOf(v: readonly number[]): number {
  if (v.length === 0 || v.some(Number.isNaN)) return NaN;
  return [...v].sort(compare)[Math.floor((v.length - 1) / 2)] as number;
}

function whole(fn: (v: number[]) => number): OpSpec {
  return {
    samples: (s) => [
      { args: [ranked(s, [2, 4])] },
      { args: [ranked(s, [3, 1, 3])] },
      { args: [ranked(s, [])] },
      // The median of nothing is NaN, and integers have none.
      { args: [s.x([0, 3])], dtypes: ['float32', 'float64'], smooth: false },
    ],
    reference: (x: Nd) => Nd.scalar(fn([...x.data])),
    special: true,
    skip: ties,
  };
}

/** values and indices along one dimension. */
function alongOne(fn: (v: number[]) => number): OpSpec {
  const place = (v: number[]): number => {
    const value = fn(v);
    return v.findIndex((x) => Object.is(x, value) || x === value);
  };
  return {
    samples: (s) => [
      { args: [ranked(s, [2, 4]), 1] },
      { args: [ranked(s, [3, 5, 2]), -2, true] },
      { args: [ranked(s, []), 0] },
      { args: [s.x([0, 3]), 1] },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const { dim, keepdim } = readDims(rest);
      return [fn, place].map((f) => reduceDims(x, dim, keepdim, f));
    },
    special: true,
    skip: ties,
  };
}

function between(v: readonly number[], q: number, how: string): number {
  if (v.length === 0 || v.some(Number.isNaN)) return NaN;
  const sorted = [...v].sort(compare);
  const at = q * (v.length - 1);
  const [low, high] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  const weights: Readonly<Record<string, number>> = {
    linear: at - Math.floor(at),
    lower: 0,
    higher: 1,
    midpoint: at === Math.floor(at) ? 0 : 0.5,
    nearest: Math.round(at) - Math.floor(at),
  };
  return low + (high - low) * (weights[how] as number);
}

function quantiles(values: (v: readonly number[]) => readonly number[]): OpSpec {
  const distinct = { distinct: true } as const;
  const inside = { low: 0.1, high: 0.9 } as const;
  return {
    samples: (s) => [
      { args: [s.x([2, 3], distinct), 0.3] },
      { args: [s.x([3, 4, 2], distinct), s.x([3], inside), 1] },
      { args: [s.x([3, 5], distinct), s.x([], inside), -1, true] },
      ...['lower', 'higher', 'midpoint', 'nearest'].map((interpolation) => ({
        args: [s.x([3, 5], distinct), 0.4, 1],
        options: { interpolation },
      })),
      { args: [s.x([], distinct), 0.5] },
    ],
    reference: (x: Nd, q: Nd | number, ...rest: unknown[]) => {
      const { dim, keepdim } = readDims(rest);
      const how = (rest[rest.length - 1] as { interpolation?: string }).interpolation ?? 'linear';
      const list = q instanceof Nd ? q.data : [q];
      const parts = list.map((p) => reduceDims(x, dim, keepdim, (v) => between(values(v), p, how)));
      const shape = (parts[0] as Nd).shape;
      return new Nd(
        q instanceof Nd ? [...q.shape, ...shape] : shape,
        parts.flatMap((p) => p.data),
      );
    },
    skip: { empty: 'nothing has no quantiles; PyTorch refuses it too' },
  };
}

/** How many elements of a sorted row come before a value. */
function rank(row: readonly number[], value: number, right: boolean): number {
  return row.filter((e) => (right ? e <= value : e < value)).length;
}

interface Side {
  right?: boolean;
  side?: string;
  sorter?: Nd;
}

const fromRight = (o: Side): boolean => o.right === true || o.side === 'right';

function search(sequence: Nd, input: Nd | number, o: Side): Nd {
  const { sorter } = o;
  const n = sequence.shape[sequence.ndim - 1] as number;
  const row = (index: readonly number[]): number[] =>
    Array.from({ length: n }, (_, k) => {
      const lead = sequence.ndim === 1 ? [] : index.slice(0, -1);
      return sequence.at([...lead, sorter === undefined ? k : sorter.at([...lead, k])]);
    });
  if (!(input instanceof Nd)) return Nd.scalar(rank(row([]), input, fromRight(o)));
  return Nd.from(input.shape, (i, flat) => rank(row(i), input.data[flat] as number, fromRight(o)));
}

/** Equal elements in groups, in order of value, or of appearance when only neighbours join. */
function groups(x: Nd, ...rest: unknown[]): Nd[] {
  const consecutive = rest.length > 1 && rest[0] === true;
  const dim = rest.length > 2 ? wrapDim(rest[1] as number, x.ndim) : null;
  const n = dim === null ? x.data.length : (x.shape[dim] as number);
  const slice = (k: number): number[] =>
    dim === null ? [x.data[k] as number] : x.data.filter((_, i) => coordinate(x, i, dim) === k);
  const slices = Array.from({ length: n }, (_, k) => slice(k));
  const order = (a: number, b: number): number => {
    const [left, right] = [slices[a] as number[], slices[b] as number[]];
    const at = left.findIndex((v, i) => v !== right[i]);
    return at < 0 ? 0 : compare(left[at] as number, right[at] as number);
  };
  const places = slices.map((_, k) => k);
  if (!consecutive) places.sort((a, b) => order(a, b) || a - b);
  const first: number[] = [];
  const counts: number[] = [];
  const inverse = places.map(() => 0);
  places.forEach((k, i) => {
    if (i === 0 || order(places[i - 1] as number, k) !== 0) {
      first.push(k);
      counts.push(0);
    }
    counts[counts.length - 1] = (counts[counts.length - 1] as number) + 1;
    inverse[k] = first.length - 1;
  });
  const chosen =
    dim === null
      ? new Nd(
          [first.length],
          first.map((k) => x.data[k] as number),
        )
      : Nd.from(
          x.shape.map((m, d) => (d === dim ? first.length : m)),
          (i) => x.at(i.map((v, d) => (d === dim ? (first[v] as number) : v))),
        );
  return [chosen, new Nd(dim === null ? x.shape : [n], inverse), new Nd([counts.length], counts)];
}

function coordinate(x: Nd, flat: number, dim: number): number {
  const inner = sizeOf(x.shape.slice(dim + 1));
  return Math.floor(flat / inner) % (x.shape[dim] as number);
}

const ranks: Family = {
  argsort: {
    samples: (s) =>
      [
        { args: [s.x([2, 5])] },
        { args: [s.x([3, 4]), 0, true] },
        { args: [s.x([3, 4, 2]), -2] },
        { args: [s.x([])] },
        { args: [s.x([0, 3])] },
      ].map((c) => ({ ...c, options: { stable: true } })),
    reference: (x: Nd, ...rest: unknown[]) => {
      const dim = rest.length > 1 ? (rest[0] as number) : -1;
      return alongDim(x, dim, (v) => sortedPlaces(v, rest.length > 2 && rest[1] === true));
    },
    nan: 'none',
  },
  median: whole(medianOf),
  nanmedian: whole((v) => medianOf(known(v))),
  medianDim: alongOne((v) => medianOf(v)),
  nanmedianDim: alongOne((v) => medianOf(known(v))),
  // Which of several equal values the index names is only known from PyTorch's recorded answers.
  mode: {
    samples: (s) => [
      { args: [s.of([2, 5], [1, 3, 2, 3, 1, 4, 4, 2, 0, 2])], smooth: false },
      { args: [s.x([3, 4], { ints: [0, 3], distinct: true }), 0, true] },
      { args: [s.x([], { distinct: true })] },
      { args: [s.x([0, 3]), 1] },
    ],
    skip: ties,
  },
  quantile: quantiles((v) => v),
  nanquantile: quantiles(known),
};

const searches: Family = {
  uniqueGroups: {
    samples: (s) => [
      { args: [s.of([2, 4], [3, 1, 2, 1, 3, 3, 0, 1])] },
      { args: [s.of([6], [1, 1, 2, 2, 1, 0]), true] },
      { args: [s.of([3, 2], [1, 2, 0, 1, 1, 2]), false, 0] },
      { args: [s.of([2, 3], [1, 0, 1, 2, 1, 2]), false, -1] },
      { args: [s.x([])] },
      { args: [s.x([0, 3])] },
    ],
    reference: groups as never,
  },
  bincount: {
    samples: (s) => [
      { args: [s.x([6], { ints: [0, 4] })] },
      { args: [s.x([6], { ints: [0, 4] }), s.fixed([6], [1, 2, 0.5, 3, 1, 4], 'float64'), 8] },
      { args: [s.x([0])], options: { minlength: 3 } },
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const o = rest[rest.length - 1] as { minlength?: number };
      const weights = rest.length > 1 ? (rest[0] as Nd) : x.map(() => 1);
      const least = rest.length > 2 ? (rest[1] as number) : (o.minlength ?? 0);
      const totals = new Array<number>(Math.max(least, ...x.data.map((v) => v + 1))).fill(0);
      x.data.forEach((v, i) => (totals[v] = (totals[v] as number) + (weights.data[i] as number)));
      return new Nd([totals.length], totals);
    },
    skip: { zeroDim: needsDim },
  },
  histc: {
    samples: (s) => [
      { args: [s.x([2, 5]), 4, -1.5, 1.5] },
      { args: [s.of([5], [0, 1, 1, 2, 4]), 4] },
      { args: [s.x([]), 3, -3, 3] },
      { args: [s.x([0, 3]), 3, 0, 1] },
    ],
    reference: (x: Nd, bins: number, ...rest: unknown[]) => {
      const given = rest.length > 1;
      const low = given ? (rest[0] as number) : Math.min(...x.data);
      const high = given ? (rest[1] as number) : Math.max(...x.data);
      const counts = new Array<number>(bins).fill(0);
      for (const v of x.data) {
        const bin = Math.floor(((v - low) / (high - low)) * bins);
        if (v < low || v > high) continue;
        counts[Math.min(bin, bins - 1)] = (counts[Math.min(bin, bins - 1)] as number) + 1;
      }
      return new Nd([bins], counts);
    },
    nan: 'none',
    skip: { expanded: 'a range of one value is widened' },
  },
  searchsorted: {
    samples: (s) => [
      { args: [s.of([4], [0, 1.5, 2, 3]), s.x([2, 3], { low: 0, high: 4 })] },
      { args: [s.of([4], [0, 1, 1, 3]), s.of([3], [1, 3, 0])], options: { right: true } },
      { args: [s.of([2, 3], [0, 1, 2, 1, 2, 3]), s.of([2, 2], [1, 2, 2, 4])] },
      { args: [s.of([2, 2], [0, 1, 2, 3]), s.of([2, 1], [1, 2])], options: { side: 'right' } },
      {
        args: [s.of([3], [2, 0, 1]), s.of([2], [1, 3])],
        options: { sorter: s.fixed([3], [1, 2, 0], 'int64') },
      },
      { args: [s.of([3], [0, 1, 2]), 1] },
      { args: [s.of([3], [0, 1, 2]), s.x([0, 3])], options: { outInt32: true } },
    ],
    reference: search,
    nan: 'none',
    skip: { zeroDim: needsDim },
  },
  bucketize: {
    samples: (s) => [
      { args: [s.x([2, 3], { low: 0, high: 4 }), s.of([4], [0, 1.5, 2, 3])] },
      { args: [s.of([3], [1, 3, 0]), s.of([4], [0, 1, 1, 3])], options: { right: true } },
      { args: [s.x([]), s.of([3], [0, 1, 2])] },
      { args: [1, s.of([3], [0, 1, 2])] },
      { args: [s.x([0, 3]), s.of([3], [0, 1, 2])], options: { outInt32: true } },
    ],
    reference: (x: Nd | number, boundaries: Nd, o: Side) => search(boundaries, x, o),
    nan: 'none',
  },
};

export const order: Family = { ...ranks, ...searches };
