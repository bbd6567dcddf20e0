/** Views, copies and joins. */
import { broadcastShapes, Nd, permuteNd, sizeOf, transposeNd, wrapDim } from '../support/nd';
import type { Family, OpSpec, Sample, Source } from '../support/sample';

export type Call = readonly [shape: number[], ...args: unknown[]];
export type Reference = (x: Nd, ...args: never[]) => Nd | Nd[];

/** Samples by shape and arguments. */
export function spec(
  calls: readonly Call[],
  reference: Reference,
  extra: Partial<OpSpec> = {},
): OpSpec {
  return {
    samples: (s: Source): Sample[] =>
      calls.map(([shape, ...args]) => ({ args: [s.x(shape), ...args] })),
    reference: reference as never,
    special: true,
    ...extra,
  };
}

function resolveSize(size: readonly number[], total: number): number[] {
  const known = size.filter((n) => n !== -1).reduce((a, b) => a * b, 1);
  return size.map((n) => (n === -1 ? total / known : n));
}

const reshape: Reference = (x, size: number[]) => x.reshape(resolveSize(size, x.data.length));

export const expand: Reference = (x, size: number[]) => {
  const skip = size.length - x.ndim;
  const shape = size.map((n, d) => (n === -1 ? (x.shape[d - skip] as number) : n));
  return Nd.from(shape, (index) => x.broadcastAt(index));
};

export function narrowNd(x: Nd, dim: number, start: number, length: number, step = 1): Nd {
  const d = wrapDim(dim, x.ndim);
  const shape = x.shape.map((n, i) => (i === d ? length : n));
  return Nd.from(shape, (index) => x.at(index.map((v, i) => (i === d ? start + v * step : v))));
}

function dropDim(x: Nd, dim: number): Nd {
  const d = wrapDim(dim, x.ndim);
  return x.reshape(x.shape.filter((_, i) => i !== d));
}

export function selectNd(x: Nd, dim: number, index: number): Nd {
  const n = x.shape[wrapDim(dim, x.ndim)] as number;
  return dropDim(narrowNd(x, dim, index < 0 ? index + n : index, 1), dim);
}

export const slice: Reference = (x, ...rest: unknown[]) => {
  const options = rest.pop() as { dim?: number; start?: number; end?: number; step?: number };
  const dim = (rest[0] ?? options.dim ?? 0) as number;
  const n = x.shape[wrapDim(dim, x.ndim)] as number;
  const bound = (v: unknown, fallback: number): number => {
    const at = (v ?? fallback) as number;
    return Math.min(Math.max(at < 0 ? at + n : at, 0), n);
  };
  const start = bound(rest[1] ?? options.start, 0);
  const end = bound(rest[2] ?? options.end, n);
  const step = (rest[3] ?? options.step ?? 1) as number;
  return narrowNd(x, dim, start, Math.max(0, Math.ceil((end - start) / step)), step);
};

export const diagonal: Reference = (x, ...rest: unknown[]) => {
  const [offset, dim1, dim2] = [0, 0, 1].map((v, i) => (i < rest.length - 1 ? rest[i] : v)) as [
    number,
    number,
    number,
  ];
  const [a, b] = [wrapDim(dim1, x.ndim), wrapDim(dim2, x.ndim)];
  const rows = (x.shape[a] as number) - Math.max(0, -offset);
  const columns = (x.shape[b] as number) - Math.max(0, offset);
  const n = Math.max(0, Math.min(rows, columns));
  const others = x.shape.map((_, d) => d).filter((d) => d !== a && d !== b);
  return Nd.from([...others.map((d) => x.shape[d] as number), n], (index) => {
    const at = new Array<number>(x.ndim).fill(0);
    others.forEach((d, i) => (at[d] = index[i] as number));
    const k = index[index.length - 1] as number;
    at[a] = k + Math.max(0, -offset);
    at[b] = k + Math.max(0, offset);
    return x.at(at);
  });
};

const squeeze: Reference = (x, ...rest: unknown[]) => {
  const given = rest.length > 1 ? rest[0] : (rest[0] as { dim?: number }).dim;
  const list =
    given === undefined || given === null ? null : Array.isArray(given) ? given : [given];
  const dims = list?.map((d) => wrapDim(d as number, x.ndim));
  return x.reshape(x.shape.filter((n, d) => n !== 1 || (dims !== undefined && !dims.includes(d))));
};

const unsqueeze: Reference = (x, dim: number) => {
  const shape = [...x.shape];
  shape.splice(dim < 0 ? dim + x.ndim + 1 : dim, 0, 1);
  return x.reshape(shape);
};

const flatten: Reference = (x, ...rest: unknown[]) => {
  if (x.ndim === 0) return x.reshape([1]);
  const start = wrapDim((rest.length > 1 ? rest[0] : 0) as number, x.ndim);
  const end = wrapDim((rest.length > 2 ? rest[1] : -1) as number, x.ndim);
  const middle = sizeOf(x.shape.slice(start, end + 1));
  return x.reshape([...x.shape.slice(0, start), middle, ...x.shape.slice(end + 1)]);
};

const unflatten: Reference = (x, dim: number, sizes: number[]) => {
  const d = wrapDim(dim, x.ndim);
  const parts = resolveSize(sizes, x.shape[d] as number);
  return x.reshape([...x.shape.slice(0, d), ...parts, ...x.shape.slice(d + 1)]);
};

export const asStrided: Reference = (x, size: number[], stride: number[], ...rest: unknown[]) => {
  const offset = rest.length > 1 ? (rest[0] as number) : 0;
  return Nd.from(
    size,
    (index) =>
      x.data[offset + index.reduce((n, v, d) => n + v * (stride[d] as number), 0)] as number,
  );
};

const sumToSize: Reference = (x, size: number[]) => {
  const skip = x.ndim - size.length;
  const totals = Nd.from(size, () => 0).data as number[];
  const target = new Nd(size, totals);
  const strides = size.map((_, d) => sizeOf(size.slice(d + 1)));
  Nd.from(x.shape, (index, i) => {
    const at = target.shape.reduce(
      (n, v, d) => n + (v === 1 ? 0 : (index[d + skip] as number)) * (strides[d] as number),
      0,
    );
    totals[at] = (totals[at] as number) + (x.data[i] as number);
    return 0;
  });
  return target;
};

export function catNd(list: readonly Nd[], dim: number): Nd {
  const parts = list.filter(
    (x) => x.ndim !== 1 || x.data.length !== 0 || list.every((y) => y.ndim === 1),
  );
  const d = wrapDim(dim, (parts[0] as Nd).ndim);
  const sizes = parts.map((x) => x.shape[d] as number);
  const shape = (parts[0] as Nd).shape.map((n, i) =>
    i === d ? sizes.reduce((a, b) => a + b, 0) : n,
  );
  return Nd.from(shape, (index) => {
    let at = index[d] as number;
    let k = 0;
    while (at >= (sizes[k] as number)) at -= sizes[k++] as number;
    return (parts[k] as Nd).at(index.map((v, i) => (i === d ? at : v)));
  });
}

export function splitNd(x: Nd, sizes: readonly number[], dim: number): Nd[] {
  let start = 0;
  return sizes.map((n) => {
    const part = narrowNd(x, dim, start, n);
    start += n;
    return part;
  });
}

function pieces(n: number, size: number): number[] {
  const count = Math.max(1, Math.ceil(n / size));
  return Array.from({ length: count }, (_, i) => Math.min(size, n - i * size));
}

export const optional = (rest: unknown[], at: number, fallback: number): number =>
  rest.length - 1 > at ? (rest[at] as number) : fallback;

const sized: readonly Call[] = [
  [
    [2, 6],
    [3, 4],
  ],
  [[2, 3], [-1]],
  [[], [1, 1]],
  [
    [0, 3],
    [3, 0],
  ],
];
const same: readonly Call[] = [[[2, 3]], [[]], [[0, 3]]];
const noView = { layouts: 'only memory that is laid out densely can be viewed so' } as const;
const atLeastOne = 'needs a dimension';

export const shapes: Family = {
  view: spec(sized, reshape, { skip: noView }),
  permute: spec(
    [
      [
        [2, 3, 4],
        [2, 0, 1],
      ],
      [
        [2, 3],
        [-1, 0],
      ],
      [[], []],
      [
        [0, 3],
        [1, 0],
      ],
    ],
    (x, d: number[]) => permuteNd(x, d),
  ),
  expand: spec(
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
  select: spec(
    [
      [[2, 3, 4], 1, 2],
      [[2, 3], -1, -1],
      [[0, 3], 1, 0],
    ],
    (x, d: number, i: number) => selectNd(x, d, i),
    {
      skip: { zeroDim: atLeastOne },
    },
  ),
  slice: spec(
    [
      [[5, 3], 0, 1, 4],
      [[2, 7], 1, 0, 7, 3],
      [[4, 3], 1, -2],
      [[5]],
      [[0, 3], 1, 1, 2],
      [[3], 0, 2, 1],
    ],
    slice,
    { skip: { zeroDim: atLeastOne } },
  ),
  asStrided: spec(
    [
      [
        [3, 4],
        [2, 2],
        [4, 1],
      ],
      [[6], [2, 2], [2, 1], 1],
      [[6], [2, 3], [1, 2]],
      [[], [], []],
      [[0, 3], [0], [1]],
    ],
    asStrided,
    {
      skip: { layouts: 'reads memory, not elements' },
    },
  ),
  asStridedView: spec(
    [
      [[3, 4], [2, 2], [4, 1], 1, [4, 1], 0],
      [[], [], [], 0, [], 0],
      [[0, 3], [0], [1], 0, [3, 1], 0],
    ],
    (x, size: number[], stride: number[], offset: number) =>
      asStrided(x, ...([size, stride, offset, {}] as never[])),
    { skip: { layouts: 'reads memory, not elements' } },
  ),
  diagonal: spec([[[3, 3]], [[2, 4], 1], [[4, 2], -1], [[2, 3, 4], 0, 0, 2], [[0, 3]]], diagonal, {
    skip: { zeroDim: 'needs two dimensions' },
  }),
  squeeze: spec(
    [
      [[2, 1, 3, 1]],
      [[2, 1, 3, 1], 1],
      [
        [1, 2, 1],
        [0, 2],
      ],
      [[2, 3], 0],
      [[]],
      [[0, 1]],
    ],
    squeeze,
  ),
  unsqueeze: spec(
    [
      [[2, 3], 0],
      [[2, 3], -1],
      [[2, 3], 1],
      [[], 0],
      [[0], 1],
    ],
    unsqueeze,
  ),
  transpose: spec(
    [
      [[2, 3], 0, 1],
      [[2, 3, 4], -1, 0],
      [[], 0, 0],
      [[0, 3], 0, 1],
    ],
    (x, a: number, b: number) => (x.ndim === 0 ? x : transposeNd(x, a, b)),
  ),
  detach: spec(same, (x) => x),
  t: spec([[[2, 3]], [[3]], [[]], [[0, 3]]], (x) => (x.ndim < 2 ? x : transposeNd(x, 0, 1))),
  reshape: spec(sized, reshape),
  flatten: spec([[[2, 3, 4]], [[2, 3, 4], 1], [[2, 3, 4], 0, 1], [[]], [[0, 3]]], flatten),
  unflatten: spec(
    [
      [[2, 6], 1, [2, 3]],
      [[4, 3], 0, [-1, 2]],
      [[0, 4], 1, [2, 2]],
    ],
    unflatten,
    {
      skip: { zeroDim: atLeastOne },
    },
  ),
  narrow: spec(
    [
      [[4, 3], 0, 1, 2],
      [[2, 5], -1, 2, 3],
      [[0, 3], 1, 0, 2],
    ],
    (x, d: number, a: number, n: number) => narrowNd(x, d, a, n),
    {
      skip: { zeroDim: atLeastOne },
    },
  ),
  expandAs: {
    samples: (s) => [
      { args: [s.x([2, 1]), s.x([2, 4], { grad: false })] },
      { args: [s.x([]), s.x([3], { grad: false })] },
      { args: [s.x([0, 1]), s.x([0, 3], { grad: false })] },
    ],
    reference: (x: Nd, y: Nd) =>
      Nd.from(broadcastShapes(x.shape, y.shape), (i) => x.broadcastAt(i)),
    special: true,
  },
  contiguous: spec(same, (x) => x),
  clone: spec(same, (x) => x),
  copy_: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([3])] },
      { args: [s.x([]), s.x([])] },
      { args: [s.x([0, 3]), s.x([3])] },
      { args: [s.x([2, 2]), 3] },
    ],
    reference: (x: Nd, y: unknown) =>
      Nd.from(x.shape, (i) => (y instanceof Nd ? y.broadcastAt(i) : (y as number))),
    nan: 'none',
  },
  toCopy: spec(same, (x) => x),
  to: spec(same, (x) => x),
  sumToSize: spec(
    [
      [
        [2, 3],
        [1, 3],
      ],
      [
        [2, 3, 4],
        [3, 1],
      ],
      [[], []],
      [[0, 3], [3]],
    ],
    sumToSize,
    { special: false, promotes: ['bool'] },
  ),
  cat: {
    samples: (s) => [
      { args: [[s.x([2, 3]), s.x([1, 3])]] },
      { args: [[s.x([2, 3]), s.x([2, 1]), s.x([2, 2])], -1] },
      { args: [[s.x([0]), s.x([2, 3])], 0] },
      { args: [[s.x([0, 3]), s.x([0, 3])]] },
    ],
    reference: (list: Nd[], ...rest: unknown[]) => catNd(list, optional(rest, 0, 0)),
    special: true,
    skip: { zeroDim: 'zero-dimensional tensors cannot be concatenated' },
  },
  stack: {
    samples: (s) => [
      { args: [[s.x([2, 3]), s.x([2, 3])]] },
      { args: [[s.x([2]), s.x([2]), s.x([2])], -1] },
      { args: [[s.x([]), s.x([])]] },
      { args: [[s.x([0, 3]), s.x([0, 3])], 1] },
    ],
    reference: (list: Nd[], ...rest: unknown[]) => {
      const dim = optional(rest, 0, 0);
      return catNd(
        list.map((x) => unsqueeze(x, dim as never) as Nd),
        dim,
      );
    },
    special: true,
  },
  split: spec(
    [
      [[5, 3], [2]],
      [[5, 3], 2],
      [[2, 6], [1, 5], 1],
      [[0, 3], 2],
      [[2, 4], [1, 3], -1],
    ],
    (x, ...rest: unknown[]) => {
      const dim = optional(rest, 1, 0);
      const n = x.shape[wrapDim(dim, x.ndim)] as number;
      const sizes = rest[0] as number | number[];
      const one = Array.isArray(sizes) ? (sizes.length === 1 ? (sizes[0] as number) : null) : sizes;
      return splitNd(x, one === null ? (sizes as number[]) : pieces(n, one), dim);
    },
    { skip: { zeroDim: atLeastOne } },
  ),
  chunk: spec(
    [
      [[5, 3], 2],
      [[2, 6], 3, 1],
      [[0, 3], 2],
      [[4], 3],
    ],
    (x, ...rest: unknown[]) => {
      const dim = optional(rest, 1, 0);
      const n = x.shape[wrapDim(dim, x.ndim)] as number;
      const chunks = rest[0] as number;
      if (n === 0) return splitNd(x, new Array<number>(chunks).fill(0), dim);
      return splitNd(x, pieces(n, Math.ceil(n / chunks)), dim);
    },
    { skip: { zeroDim: atLeastOne } },
  ),
  unbind: spec(
    [[[2, 3]], [[2, 3], 1], [[3]], [[2, 0], 0]],
    (x, ...rest: unknown[]) => {
      const dim = optional(rest, 0, 0);
      const n = x.shape[wrapDim(dim, x.ndim)] as number;
      return Array.from({ length: n }, (_, i) => selectNd(x, dim, i));
    },
    { skip: { zeroDim: atLeastOne } },
  ),
};
