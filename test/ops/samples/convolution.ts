/** Convolutions. Each reference is a naive sum over taps. */
import {
  convolve,
  correlate,
  type Geometry,
  type Ints,
  spread,
  spreadOut,
} from '../reference/windows';
import { type Nd } from '../support/nd';
import type { Family, InputOptions, OpSpec, Sample, Source } from '../support/sample';
import type { DType } from '../../../lib';

const skip = { zeroDim: 'needs channels and spatial dimensions' } as const;
/** PyTorch convolves no other integers. */
const dtypes: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64', 'int64'];
/** The gradient of a weight is only asked of what differentiates. */
const floats = dtypes.filter((d) => d !== 'int64');
const small: InputOptions = { ints: [-3, 3] };

interface ConvOptions {
  readonly stride?: Ints;
  readonly padding?: Ints | string;
  readonly dilation?: Ints;
  readonly outputPadding?: Ints;
  readonly groups?: number;
}

function geometryOf(o: ConvOptions, padding: readonly number[]): Geometry {
  const n = padding.length;
  return {
    stride: spread(o.stride, n, 1),
    padding,
    dilation: spread(o.dilation, n, 1),
    groups: o.groups ?? 1,
  };
}

function batched(x: Nd, n: number, fn: (x: Nd) => Nd): Nd {
  if (x.ndim === n + 2) return fn(x);
  const y = fn(x.reshape([1, ...x.shape]));
  return y.reshape(y.shape.slice(1));
}

function forward(x: Nd, w: Nd, bias: unknown, o: ConvOptions): Nd {
  const n = w.ndim - 2;
  const reach = spread(o.dilation, n, 1).map((d, i) => d * ((w.shape[i + 2] as number) - 1));
  const same = o.padding === 'same';
  const given = spread(typeof o.padding === 'string' ? 0 : o.padding, n, 0);
  const before = same ? reach.map((v) => Math.floor(v / 2)) : given;
  return batched(x, n, (b) => {
    const g = geometryOf(o, before);
    const size = reach.map((r, i) => {
      const all = (b.shape[i + 2] as number) + (same ? r : 2 * (before[i] as number));
      return Math.floor((all - r - 1) / (g.stride[i] as number)) + 1;
    });
    return convolve(b, w, bias, size, g);
  });
}

function transposed(x: Nd, w: Nd, bias: unknown, o: ConvOptions): Nd {
  const n = w.ndim - 2;
  const padding = spread(o.padding as Ints | undefined, n, 0);
  const extra = spread(o.outputPadding, n, 0);
  return batched(x, n, (b) => {
    const g = geometryOf(o, padding);
    const size = extra.map(
      (e, i) =>
        ((b.shape[i + 2] as number) - 1) * (g.stride[i] as number) -
        2 * (padding[i] as number) +
        (g.dilation[i] as number) * ((w.shape[i + 2] as number) - 1) +
        e +
        1,
    );
    return spreadOut(b, w, bias, size, g);
  });
}

type Case = readonly [
  x: readonly number[],
  w: readonly number[],
  bias: number,
  options?: ConvOptions,
];

/** Samples of shapes; a bias of 0 channels is none. */
function conv(fn: typeof forward, cases: readonly Case[]): OpSpec {
  return {
    samples: (s: Source): Sample[] =>
      cases.map(([x, w, bias, options = {}]) => ({
        args: [s.x(x, small), s.x(w, small), ...(bias === 0 ? [] : [s.x([bias], small)])],
        options: { ...options },
        dtypes,
      })),
    reference: ((x: Nd, w: Nd, ...rest: unknown[]) =>
      fn(x, w, rest.length > 1 ? rest[0] : undefined, rest.pop() as ConvOptions)) as never,
    skip,
  };
}

type Explicit = [
  stride: number[],
  padding: number[],
  dilation: number[],
  transposed: boolean,
  outputPadding: number[],
  groups: number,
];

function explicit(
  stride: number[],
  padding: number[],
  dilation: number[],
  groups: number,
): Geometry {
  return { stride, padding, dilation, groups };
}

export const convolution: Family = {
  conv1d: conv(forward, [
    [[2, 2, 5], [3, 2, 2], 3],
    [[1, 4, 6], [2, 2, 2], 0, { stride: 2, padding: 1, dilation: 2, groups: 2 }],
    [[2, 5], [1, 2, 2], 1, { padding: 'same' }],
    [[0, 2, 5], [3, 2, 2], 3],
  ]),
  conv2d: conv(forward, [
    [[2, 2, 3, 4], [2, 2, 2, 2], 2],
    [[1, 2, 4, 3], [2, 2, 2, 3], 0, { stride: [2, 1], padding: [1, 2], dilation: [2, 1] }],
    [[1, 4, 3, 3], [4, 2, 2, 2], 4, { groups: 2, padding: 1, stride: 2 }],
    [[1, 3, 3, 3], [3, 1, 3, 3], 3, { groups: 3, padding: 1 }],
    [[2, 3, 2, 2], [2, 3, 1, 1], 2],
    // Many channels, of which pixels between the steps get no gradient.
    [[1, 18, 3, 3], [17, 18, 1, 1], 0, { stride: 2 }],
    [[2, 3, 3], [1, 2, 2, 2], 1, { padding: 'same', dilation: 2 }],
    [[1, 1, 3, 3], [1, 1, 2, 2], 0, { padding: 'valid' }],
    [[0, 2, 3, 3], [2, 2, 2, 2], 2],
  ]),
  conv3d: conv(forward, [
    [[1, 2, 2, 3, 2], [1, 2, 1, 2, 2], 1],
    [[1, 2, 3, 2, 2], [2, 1, 2, 1, 2], 0, { groups: 2, padding: [1, 0, 1], stride: [2, 1, 1] }],
    [[1, 2, 2, 2], [1, 1, 2, 2, 1], 1],
    [[0, 1, 2, 2, 2], [1, 1, 2, 2, 1], 0],
  ]),
  convTranspose1d: conv(transposed, [
    [[2, 2, 3], [2, 3, 2], 3],
    [[1, 4, 3], [4, 1, 2], 0, { stride: 2, padding: 1, outputPadding: 1, groups: 2, dilation: 2 }],
    [[2, 3], [2, 1, 2], 1],
    [[0, 2, 3], [2, 3, 2], 3],
  ]),
  convTranspose2d: conv(transposed, [
    [[2, 2, 2, 3], [2, 2, 2, 2], 2],
    [[1, 2, 3, 2], [2, 1, 2, 3], 0, { stride: [2, 1], padding: [1, 0], outputPadding: [1, 0] }],
    [[1, 4, 2, 2], [4, 2, 2, 2], 4, { groups: 2, stride: 2, dilation: 2 }],
    [[2, 2, 2], [2, 1, 2, 2], 1],
    [[0, 2, 2, 2], [2, 1, 2, 2], 1],
  ]),
  convTranspose3d: conv(transposed, [
    [[1, 2, 2, 2, 1], [2, 1, 1, 2, 2], 1],
    [[1, 2, 2, 1, 2], [2, 1, 2, 2, 1], 0, { groups: 2, padding: [1, 0, 0], stride: [2, 1, 1] }],
    [[0, 1, 2, 2, 2], [1, 1, 2, 2, 1], 0],
  ]),
  convolution: {
    samples: (s) => {
      const plain = [s.x([2, 2, 4], small), s.x([3, 2, 2], small), s.x([3], small)];
      const turned = [s.x([1, 2, 2, 2], small), s.x([2, 1, 2, 2], small), null];
      const empty = [s.x([0, 2, 4]), s.x([3, 2, 2]), null];
      return [
        { args: [...plain, [1], [1], [2], false, [0], 1], dtypes },
        { args: [...turned, [2, 1], [0, 1], [1, 1], true, [1, 0], 2], dtypes },
        { args: [...empty, [1], [0], [1], false, [0], 1], dtypes },
      ];
    },
    reference: ((x: Nd, w: Nd, bias: unknown, ...rest: Explicit) => {
      const [stride, padding, dilation, turned, outputPadding, groups] = rest;
      const options = { stride, padding, dilation, outputPadding, groups };
      return (turned ? transposed : forward)(x, w, bias, options);
    }) as never,
    skip,
  },
  convForward: {
    samples: (s) => [
      {
        args: [
          s.x([2, 2, 4], small),
          s.x([2, 1, 2], small),
          s.x([2], small),
          [5],
          [1],
          [1],
          [1],
          2,
        ],
        dtypes,
      },
      {
        args: [s.x([1, 1, 3, 3]), s.x([1, 1, 2, 2]), null, [2, 2], [1, 1], [0, 0], [1, 1], 1],
        dtypes,
      },
      { args: [s.x([0, 2, 4]), s.x([2, 1, 2]), null, [5], [1], [1], [1], 2], dtypes },
    ],
    reference: ((x: Nd, w: Nd, bias: unknown, size: number[], ...rest: unknown[]) =>
      convolve(x, w, bias, size, explicit(...(rest as Parameters<typeof explicit>)))) as never,
    skip,
  },
  convInputGrad: {
    samples: (s) => [
      {
        args: [
          s.x([2, 2, 5], small),
          s.x([2, 1, 2], small),
          s.x([2], small),
          [4],
          [1],
          [1],
          [1],
          2,
        ],
        dtypes,
      },
      {
        args: [s.x([1, 1, 2, 2]), s.x([1, 1, 2, 2]), null, [3, 3], [1, 1], [0, 0], [1, 1], 1],
        dtypes,
      },
      { args: [s.x([0, 2, 5]), s.x([2, 1, 2]), null, [4], [1], [1], [1], 2], dtypes },
    ],
    reference: ((y: Nd, w: Nd, bias: unknown, size: number[], ...rest: unknown[]) =>
      spreadOut(y, w, bias, size, explicit(...(rest as Parameters<typeof explicit>)))) as never,
    skip,
  },
  convWeightGrad: {
    samples: (s) => [
      {
        args: [s.x([2, 2, 5], small), s.x([2, 2, 4], small), [2], [1], [1], [1], 2],
        dtypes: floats,
      },
      {
        args: [s.x([1, 1, 2, 2]), s.x([1, 1, 3, 3]), [2, 2], [1, 1], [0, 0], [1, 1], 1],
        dtypes: floats,
      },
      { args: [s.x([0, 2, 5]), s.x([0, 2, 4]), [2], [1], [1], [1], 2], dtypes: floats },
    ],
    reference: ((y: Nd, x: Nd, kernel: number[], ...rest: unknown[]) =>
      correlate(y, x, kernel, explicit(...(rest as Parameters<typeof explicit>)))) as never,
    skip,
  },
};
