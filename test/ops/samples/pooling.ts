/**
 * Pooling. The backward rows and the movement along indices have no reference of their own in
 * full: gradients of the forward rows are compared with differences.
 */
import {
  adaptiveWindows,
  average,
  type Ints,
  maxima,
  pool,
  type PoolOptions,
  slidingWindows,
} from '../reference/windows';
import { Nd } from '../support/nd';
import type { Family, InputOptions, OpSpec, Sample, Source } from '../support/sample';
import type { DType } from '../../../lib';

const skip = { zeroDim: 'needs spatial dimensions' } as const;
const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];
/** PyTorch averages no other integers. */
const averaged: readonly DType[] = [...floats, 'int64'];
const distinct: InputOptions = { distinct: true, ints: [-9, 9] };

type Case = readonly [shape: readonly number[], window: Ints, options?: PoolOptions];
type Reference = NonNullable<OpSpec['reference']>;

function spec(cases: readonly Case[], reference: Reference, dtypes?: readonly DType[]): OpSpec {
  return {
    samples: (s: Source): Sample[] =>
      cases.map(([shape, window, options = {}]) => ({
        args: [s.x(shape, distinct), window],
        options: { ...options },
        ...(dtypes === undefined ? {} : { dtypes }),
      })),
    reference,
    skip,
  };
}

function slidingMax(n: number, indices: boolean): Reference {
  return ((x: Nd, kernel: Ints, o: PoolOptions) => {
    const both = maxima(x, slidingWindows(x.shape.slice(-n), kernel, o));
    return indices ? both : both[0];
  }) as never;
}

function slidingAverage(n: number): Reference {
  return ((x: Nd, kernel: Ints, o: PoolOptions) =>
    average(x, slidingWindows(x.shape.slice(-n), kernel, o), o.divisorOverride)) as never;
}

function adaptiveMax(n: number, indices: boolean): Reference {
  return ((x: Nd, size: Ints) => {
    const both = maxima(x, adaptiveWindows(x.shape.slice(-n), size));
    return indices ? both : both[0];
  }) as never;
}

function adaptiveAverage(n: number): Reference {
  return ((x: Nd, size: Ints) => average(x, adaptiveWindows(x.shape.slice(-n), size))) as never;
}

const max1: Case[] = [
  [[2, 2, 5], 2],
  [[2, 6], 3, { stride: 2, padding: 1, ceilMode: true }],
  [[1, 1, 7], 2, { dilation: 2, stride: 1, padding: 1 }],
  [[0, 2, 5], 2],
];
const max2: Case[] = [
  [[2, 1, 4, 4], 2],
  [[1, 2, 5, 4], [3, 2], { stride: [2, 1], padding: [1, 0], ceilMode: true }],
  [[2, 5, 4], 2, { dilation: [2, 1], stride: 1, padding: 1 }],
  [[0, 2, 4, 4], 2],
];
const max3: Case[] = [
  [[1, 1, 2, 4, 2], 2],
  [[1, 1, 3, 3, 2], [2, 3, 2], { stride: 1, padding: [1, 1, 0], ceilMode: true }],
  [[1, 3, 2, 3], [2, 1, 2], { dilation: [1, 1, 2], stride: 1 }],
  [[0, 1, 2, 2, 2], 2],
];
const average1: Case[] = [
  [[2, 2, 5], 2],
  [[2, 6], 3, { stride: 2, padding: 1, ceilMode: true }],
  [[1, 2, 6], 3, { stride: 2, padding: 1, countIncludePad: false }],
  [[0, 2, 5], 2],
];
const average2: Case[] = [
  [[2, 1, 4, 4], 2],
  [[1, 2, 5, 4], [3, 2], { stride: [2, 1], padding: [1, 1], ceilMode: true }],
  [[2, 5, 4], 3, { padding: 1, countIncludePad: false, ceilMode: true }],
  [[1, 1, 3, 4], 2, { stride: 1, padding: 1, divisorOverride: 3 }],
  [[0, 2, 4, 4], 2],
];
const average3: Case[] = [
  [[1, 1, 2, 4, 2], 2],
  [[1, 1, 3, 3, 2], [2, 3, 2], { stride: 1, padding: [1, 1, 1], ceilMode: true }],
  [[1, 3, 2, 3], [2, 1, 2], { padding: [1, 0, 1], countIncludePad: false }],
  [[1, 2, 2, 2], 2, { divisorOverride: 5 }],
  [[0, 1, 2, 2, 2], 2],
];
const adaptive1: Case[] = [
  [[2, 2, 5], 3],
  [[2, 4], 1],
  [[1, 1, 3], 5],
  [[0, 2, 4], 2],
];
const adaptive2: Case[] = [
  [
    [2, 1, 4, 5],
    [2, 3],
  ],
  [[2, 4, 3], 1],
  [
    [1, 1, 3, 2],
    [4, 2],
  ],
  [[0, 1, 3, 2], 2],
];
const adaptive3: Case[] = [
  [
    [1, 1, 3, 2, 4],
    [2, 1, 3],
  ],
  [[1, 2, 2, 3], 1],
  [[0, 1, 2, 2, 2], 1],
];

/** Values put back where indices of distinct elements say. */
function unpool(s: Source, dims: readonly number[], kernel: number, o: PoolOptions = {}): Sample {
  const n = dims.reduce((a, b) => a * b, 1);
  const large = n * kernel ** dims.length;
  const at = s.random.shuffle(Array.from({ length: large }, (_, i) => i)).slice(0, n);
  return {
    args: [s.x([1, 1, ...dims]), s.fixed([1, 1, ...dims], at, 'int64'), kernel],
    options: { ...o },
  };
}

function unpooling(dims: readonly number[]): OpSpec {
  return {
    samples: (s) => [
      unpool(s, dims, 2),
      unpool(s, dims, 3, { stride: 3 }),
      { args: [s.x([0, 1, ...dims]), s.fixed([0, 1, ...dims], [], 'int64'), 2] },
    ],
    reference: ((x: Nd, at: Nd, kernel: number) =>
      scatter(
        x,
        at,
        dims.map((d) => d * kernel),
      )) as never,
    skip: { ...skip, expanded: 'PyTorch leaves repeated indices open' },
  };
}

/** Adds (or puts) each value at its flat position of the plane. */
function scatter(x: Nd, at: Nd, size: readonly number[]): Nd {
  const n = size.length;
  const lead = x.shape.slice(0, x.ndim - n);
  const small = x.shape.slice(x.ndim - n).reduce((a, b) => a * b, 1);
  const large = size.reduce((a, b) => a * b, 1);
  const out = new Array<number>(lead.reduce((a, b) => a * b, 1) * large).fill(0);
  x.data.forEach((v, i) => {
    const to = Math.floor(i / small) * large + (at.data[i] as number);
    out[to] = (out[to] as number) + v;
  });
  return new Nd([...lead, ...size], out);
}

function gather(x: Nd, at: Nd, dims: number): Nd {
  const planes = x.shape.slice(0, x.ndim - dims).reduce((a, b) => a * b, 1);
  const large = x.data.length / planes;
  const small = at.data.length / planes;
  const from = (i: number): number => Math.floor(i / small) * large + (at.data[i] as number);
  return new Nd(
    at.shape,
    at.data.map((_, i) => x.data[from(i)] as number),
  );
}

/** The mean of powers, its root, and the number of elements again. */
function lpPool(shapes: readonly (readonly number[])[]): OpSpec {
  const n = (shapes[0] as readonly number[]).length - 2;
  const input = { low: 0.5, high: 2 } as const;
  return {
    samples: (s) => [
      { args: [s.x(shapes[0] as number[], input), 2, 2] },
      { args: [s.x(shapes[1] as number[], input), 3, 2], options: { stride: 1 } },
      { args: [s.x(shapes[0] as number[], input), 1.5, 3], options: { ceilMode: true } },
      { args: [s.x([0, ...(shapes[0] as number[]).slice(1)], input), 2, 2] },
    ],
    reference: ((x: Nd, p: number, kernel: number, o: PoolOptions) =>
      pool(
        x.map((v) => v ** p),
        slidingWindows(x.shape.slice(-n), kernel, o),
        (v, _, divisor) => ((v.reduce((a, b) => a + b, 0) / divisor) * kernel ** n) ** (1 / p),
      )) as never,
    skip,
    promotesIntegers: true,
  };
}

export const pooling: Family = {
  maxPool1d: spec(max1, slidingMax(1, false)),
  maxPool1dWithIndices: spec(max1, slidingMax(1, true)),
  maxPool2d: spec(max2, slidingMax(2, false)),
  maxPool2dWithIndices: spec(max2, slidingMax(2, true)),
  maxPool3d: spec(max3, slidingMax(3, false)),
  maxPool3dWithIndices: spec(max3, slidingMax(3, true)),
  avgPool1d: spec(average1, slidingAverage(1), averaged),
  avgPool2d: spec(average2, slidingAverage(2), averaged),
  avgPool3d: spec(average3, slidingAverage(3), averaged),
  adaptiveAvgPool1d: spec(adaptive1, adaptiveAverage(1)),
  adaptiveAvgPool2d: spec(adaptive2, adaptiveAverage(2)),
  adaptiveAvgPool3d: spec(adaptive3, adaptiveAverage(3)),
  adaptiveMaxPool1d: spec(adaptive1, adaptiveMax(1, false)),
  adaptiveMaxPool1dWithIndices: spec(adaptive1, adaptiveMax(1, true)),
  adaptiveMaxPool2d: spec(adaptive2, adaptiveMax(2, false)),
  adaptiveMaxPool2dWithIndices: spec(adaptive2, adaptiveMax(2, true)),
  adaptiveMaxPool3d: spec(adaptive3, adaptiveMax(3, false)),
  adaptiveMaxPool3dWithIndices: spec(adaptive3, adaptiveMax(3, true)),
  maxUnpool1d: unpooling([3]),
  maxUnpool2d: unpooling([2, 2]),
  maxUnpool3d: unpooling([1, 2, 1]),
  lpPool1d: lpPool([
    [2, 2, 5],
    [2, 4],
  ]),
  lpPool2d: lpPool([
    [1, 2, 4, 3],
    [1, 3, 3],
  ]),
  lpPool3d: lpPool([
    [1, 1, 3, 3, 3],
    [1, 2, 2, 3],
  ]),
  maxPoolForward: {
    samples: (s) => [
      { args: [s.x([2, 5], distinct), [3], [2], [1], [1], true] },
      { args: [s.x([1, 4, 4], distinct), [2, 2], [1, 2], [0, 1], [2, 1], false] },
      { args: [s.x([0, 5], distinct), [3], [2], [1], [1], true] },
    ],
    reference: ((x: Nd, kernel: number[], ...rest: [number[], number[], number[], boolean]) => {
      const [stride, padding, dilation, ceilMode] = rest;
      const options = { stride, padding, dilation, ceilMode };
      return maxima(x, slidingWindows(x.shape.slice(-kernel.length), kernel, options));
    }) as never,
    skip,
  },
  adaptiveMaxPoolForward: {
    samples: (s) => [
      { args: [s.x([2, 5], distinct), [3]] },
      { args: [s.x([1, 4, 3], distinct), [2, 2]] },
      { args: [s.x([0, 5], distinct), [3]] },
    ],
    reference: ((x: Nd, size: number[]) =>
      maxima(x, adaptiveWindows(x.shape.slice(-size.length), size))) as never,
    skip,
  },
  poolScatter: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.index([2, 3], 4), [4], true] },
      { args: [s.x([2, 2]), s.fixed([2, 2], [3, 0, 1, 2], 'int64'), [5], false] },
      { args: [s.x([1, 2, 2]), s.index([1, 2, 2], 6), [2, 3], true] },
      { args: [s.x([0, 3]), s.fixed([0, 3], [], 'int64'), [4], true] },
    ],
    reference: scatter as never,
    skip,
  },
  poolGather: {
    samples: (s) => [
      { args: [s.x([2, 4]), s.index([2, 3], 4), 1] },
      { args: [s.x([2, 2, 3]), s.index([2, 1, 2], 6), 2] },
      { args: [s.x([0, 4]), s.fixed([0, 3], [], 'int64'), 1] },
    ],
    reference: gather as never,
    // im2col of truth values moves along indices too.
    promotes: ['bool'],
    skip,
  },
  avgPoolForward: {
    samples: (s) => [
      { args: [s.x([2, 5]), [3], [2], [1], true, true, 2], dtypes: averaged },
      { args: [s.x([1, 4, 4]), [2, 3], [2, 1], [1, 1], false, false, 4], dtypes: averaged },
      { args: [s.x([1, 3, 4]), [2, 2], [1, 1], [0, 0], false, true, 3], dtypes: averaged },
      { args: [s.x([0, 5]), [3], [2], [1], true, true, 2], dtypes: averaged },
    ],
    reference: ((x: Nd, kernel: number[], ...rest: unknown[]) => {
      const [stride, padding, ceilMode, countIncludePad, divisor] = rest;
      const options = { stride, padding, ceilMode, countIncludePad } as PoolOptions;
      const windows = slidingWindows(x.shape.slice(-kernel.length), kernel, options);
      return average(x, windows, divisor as number | null);
    }) as never,
    skip,
  },
  avgPoolBackward: {
    samples: (s) => [
      { args: [s.x([2, 3]), [5], [3], [2], [1], true, true, 2], dtypes: floats },
      {
        args: [s.x([1, 3, 4]), [4, 4], [2, 3], [2, 1], [1, 1], false, false, 4],
        dtypes: floats,
      },
      { args: [s.x([0, 3]), [5], [3], [2], [1], true, true, 2], dtypes: floats },
    ],
    skip,
  },
  adaptiveAvgPoolForward: {
    samples: (s) => [
      { args: [s.x([2, 5]), [3]] },
      { args: [s.x([1, 4, 3]), [2, 2]] },
      { args: [s.x([0, 5]), [3]] },
    ],
    reference: ((x: Nd, size: number[]) =>
      average(x, adaptiveWindows(x.shape.slice(-size.length), size))) as never,
    skip,
  },
  adaptiveAvgPoolBackward: {
    samples: (s) => [
      { args: [s.x([2, 3]), [5]] },
      { args: [s.x([1, 2, 2]), [4, 3]] },
      { args: [s.x([0, 3]), [5]] },
    ],
    skip,
  },
};
