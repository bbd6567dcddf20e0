/**
 * Padding, interpolation, rearrangements and dropout. Interpolation has no reference here: its
 * matrices are compared with float64 and with differences, and PyTorch's recorded answers check
 * their values. What dropout draws is tested in dropout.test.ts.
 */
import * as spatially from '../reference/spatial';
import { type Nd } from '../support/nd';
import type { Family, OpSpec, Sample, Source } from '../support/sample';
import type { DType } from '../../../lib';

const planes = { zeroDim: 'needs spatial dimensions' } as const;
const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];

/** PyTorch averages no other integers, and cuts the mean of these. */
const averaged: readonly DType[] = [...floats, 'int64'];

interface PadOptions {
  readonly mode?: string;
  readonly value?: number;
}

/** The modes that look at the input. */
function padModes(s: Source): readonly (readonly [Sample['args'][0], number[], string])[] {
  return [
    [s.x([2, 2, 4]), [2, 1], 'reflect'],
    [s.x([1, 2, 3, 3]), [1, 2, 2, 0], 'reflect'],
    [s.x([2, 3]), [1, 2], 'replicate'],
    [s.x([1, 1, 2, 3]), [3, 0, 0, 1], 'replicate'],
    [s.x([1, 1, 2, 2, 3]), [1, 1, 1, 0, 0, 1], 'replicate'],
    [s.x([1, 2, 4]), [-1, 1], 'replicate'],
    [s.x([2, 3]), [2, 1], 'circular'],
    [s.x([1, 1, 2, 3]), [1, 0, 1, 1], 'circular'],
    [s.x([0, 2, 4]), [2, 1], 'reflect'],
  ];
}

const numeric: readonly DType[] = [...floats, 'uint8', 'int8', 'int16', 'int32', 'int64'];

const padding: Family = {
  pad: {
    samples: (s) => [
      { args: [s.x([2, 3]), [1, 2]] },
      { args: [s.x([2, 2, 3]), [0, 1, 2, 1]], options: { value: 2 } },
      { args: [s.x([3, 4]), [-1, 2, 1, -1]], options: { value: 1.5 }, dtypes: floats },
      { args: [s.x([0, 3]), [1, 1]] },
      ...padModes(s).map(([x, amounts, mode]) => ({
        args: [x, amounts],
        options: { mode },
        dtypes: numeric,
      })),
    ],
    reference: ((x: Nd, amounts: number[], o: PadOptions) =>
      spatially.pad(x, amounts, o.mode ?? 'constant', o.value ?? 0)) as never,
    skip: { zeroDim: 'needs a dimension to pad' },
  },
  constantPadNd: {
    samples: (s) => [
      { args: [s.x([2, 3]), [1, 2]] },
      { args: [s.x([2, 2, 3]), [0, 1, 2, 1], 2] },
      { args: [s.x([3, 4]), [-1, 2, 1, -1], 1.5], dtypes: floats },
      { args: [s.x([]), []] },
      { args: [s.x([0, 3]), [1, 1, 1, 0], 1] },
    ],
    reference: ((x: Nd, amounts: number[], ...rest: unknown[]) =>
      spatially.pad(x, amounts, 'constant', rest.length > 1 ? (rest[0] as number) : 0)) as never,
  },
  padResample: {
    samples: (s) => padModes(s).map(([x, amounts, mode]) => ({ args: [x, amounts, mode] })),
    reference: ((x: Nd, amounts: number[], mode: string) =>
      spatially.pad(x, amounts, mode, 0)) as never,
    skip: planes,
  },
  padResampleBackward: {
    samples: (s) => [
      { args: [s.x([2, 2, 7]), [4], [2, 1], 'reflect'] },
      { args: [s.x([1, 1, 3, 6]), [2, 3], [3, 0, 0, 1], 'replicate'] },
      { args: [s.x([2, 6]), [3], [2, 1], 'circular'] },
      { args: [s.x([0, 2, 7]), [4], [2, 1], 'reflect'] },
    ],
    skip: planes,
  },
};

/** Integers and samples at integer positions agree: only nearest takes them. */
const interpolation: Family = {
  interpolate: {
    samples: (s) => [
      { args: [s.x([1, 2, 3]), [5]] },
      { args: [s.x([1, 1, 2, 3])], options: { scaleFactor: [2, 1.5], mode: 'nearest-exact' } },
      { args: [s.x([1, 2, 3]), [5]], options: { mode: 'linear' }, dtypes: floats },
      {
        args: [s.x([1, 1, 3, 2]), [4, 5]],
        options: { mode: 'bilinear', alignCorners: true },
        dtypes: floats,
      },
      {
        args: [s.x([1, 1, 3, 3])],
        options: { scaleFactor: [1.7], mode: 'bicubic' },
        dtypes: floats,
      },
      {
        args: [s.x([1, 1, 5, 4]), [2, 3]],
        options: { mode: 'bilinear', antialias: true },
        dtypes: floats,
      },
      { args: [s.x([1, 1, 2, 2, 2]), [3, 1, 2]], options: { mode: 'trilinear' }, dtypes: floats },
      { args: [s.x([1, 1, 4, 3]), [2, 2]], options: { mode: 'area' }, dtypes: floats },
      { args: [s.x([0, 2, 3]), [5]] },
    ],
    skip: planes,
  },
  resample: {
    samples: (s) => [
      { args: [s.x([2, 3]), [5], 'nearest', false, false, [0]] },
      { args: [s.x([1, 3, 4]), [4, 3], 'linear', true, false, [0, 0]], dtypes: floats },
      { args: [s.x([1, 4, 5]), [2, 3], 'cubic', false, true, [0, 0]], dtypes: floats },
      { args: [s.x([1, 3]), [4], 'cubic', false, false, [1.4]], dtypes: floats },
      { args: [s.x([0, 3]), [5], 'nearest', false, false, [0]] },
    ],
    skip: planes,
  },
  resampleBackward: {
    samples: (s) => [
      { args: [s.x([2, 5]), [3], [5], 'nearest', false, false, [0]] },
      { args: [s.x([1, 4, 3]), [3, 4], [4, 3], 'linear', true, false, [0, 0]], dtypes: floats },
      { args: [s.x([1, 2, 3]), [4, 5], [2, 3], 'cubic', false, true, [0, 0]], dtypes: floats },
      { args: [s.x([0, 5]), [3], [5], 'nearest', false, false, [0]] },
    ],
    skip: planes,
  },
};

const rearrangements: Family = {
  pixelShuffle: {
    samples: (s) => [
      { args: [s.x([1, 8, 2, 3]), 2] },
      { args: [s.x([9, 1, 2]), 3] },
      { args: [s.x([0, 4, 2, 2]), 2] },
    ],
    reference: spatially.pixelShuffle as never,
    skip: planes,
  },
  pixelUnshuffle: {
    samples: (s) => [
      { args: [s.x([1, 2, 4, 6]), 2] },
      { args: [s.x([1, 3, 6]), 3] },
      { args: [s.x([0, 1, 2, 2]), 2] },
    ],
    reference: spatially.pixelUnshuffle as never,
    skip: planes,
  },
  channelShuffle: {
    samples: (s) => [
      { args: [s.x([2, 6, 2]), 3] },
      { args: [s.x([1, 4, 2, 2]), 2] },
      { args: [s.x([0, 4, 2]), 2] },
    ],
    reference: spatially.channelShuffle as never,
    skip: planes,
  },
  im2col: {
    samples: (s) => [
      { args: [s.x([1, 2, 3, 4]), [2, 2]] },
      {
        args: [s.x([2, 4, 3]), [2, 1]],
        options: { dilation: [2, 1], padding: [1, 1], stride: [1, 2] },
      },
      { args: [s.x([0, 2, 3, 3]), [2, 2]] },
    ],
    reference: spatially.im2col as never,
    skip: planes,
  },
  col2im: {
    samples: (s) => [
      { args: [s.x([1, 8, 6]), [3, 4], [2, 2]] },
      {
        args: [s.x([4, 12]), [4, 3], [2, 1]],
        options: { dilation: [2, 1], padding: [1, 1], stride: [1, 2] },
      },
      { args: [s.x([0, 4, 4]), [3, 3], [2, 2]] },
    ],
    reference: spatially.col2im as never,
    skip: planes,
  },
  glu: {
    samples: (s) => [{ args: [s.x([2, 4])] }, { args: [s.x([4, 3]), 0] }, { args: [s.x([0, 4])] }],
    reference: ((x: Nd, ...rest: unknown[]) =>
      spatially.glu(x, rest.length > 1 ? (rest[0] as number) : -1)) as never,
    skip: { zeroDim: 'needs a dimension to halve' },
  },
  localResponseNorm: {
    samples: (s) => [
      { args: [s.x([2, 4, 2]), 3], dtypes: averaged },
      { args: [s.x([1, 3, 2, 2]), 2, 0.5, 0.6, 2], dtypes: averaged },
    ],
    reference: ((x: Nd, size: number, ...rest: unknown[]) => {
      const { dtype } = rest.pop() as { dtype: DType };
      const [alpha, beta, k] = rest.length === 0 ? [1e-4, 0.75, 1] : (rest as number[]);
      const coefficients = [alpha, beta, k] as [number, number, number];
      return spatially.localResponseNorm(x, size, coefficients, dtype === 'int64');
    }) as never,
    skip: { ...planes, empty: 'is returned as it is' },
  },
};

/** Dropout that keeps everything: the input itself, of any dtype. */
function dropping(shape: readonly number[], drops = true): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x(shape), 0, true] },
      { args: [s.x(shape), 0.5, false] },
      ...(drops ? [{ args: [s.x(shape), 1, true] }] : []),
      { args: [s.x([0, ...shape.slice(1)]), 0.5, true] },
    ],
    reference: ((x: Nd, p: number, training: boolean) =>
      x.map((v) => (training && p === 1 ? 0 : v))) as never,
    promotes: ['bool', 'uint8', 'int8', 'int16', 'int32', 'int64'],
    skip: { zeroDim: 'is tested in dropout.test.ts' },
  };
}

const dropouts: Family = {
  dropout: dropping([2, 3]),
  alphaDropout: dropping([2, 3]),
  featureDropout: dropping([2, 3, 2]),
  featureAlphaDropout: dropping([2, 3, 2]),
  dropout1d: dropping([2, 3, 2]),
  dropout2d: dropping([2, 3, 2, 1]),
  dropout3d: dropping([1, 2, 2, 1, 2]),
  nativeDropout: {
    samples: (s) => [
      { args: [s.x([2, 3]), 0] },
      { args: [s.x([2, 3]), 1] },
      { args: [s.x([]), 0] },
      { args: [s.x([0, 3]), 0.5] },
    ],
    reference: ((x: Nd, p: number) => [
      x.map((v) => (p === 1 ? 0 : v)),
      x.map(() => 1 - p),
    ]) as never,
  },
  dropoutBackward: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.mask([2, 3]), 2] },
      { args: [s.x([]), s.mask([]), 1.5] },
      { args: [s.x([0, 3]), s.mask([0, 3]), 2] },
    ],
    reference: ((g: Nd, mask: Nd, scale: number) => spatially.masked(g, mask, scale)) as never,
  },
};

export const spatial: Family = {
  ...padding,
  ...interpolation,
  ...rearrangements,
  ...dropouts,
};
