/** What else of torch.nn.functional has a row: slopes, unit vectors, fractional pooling. */
import * as fn from '../reference/functional';
import type { Family } from '../support/sample';

export const functional: Family = {
  prelu: {
    samples: (s) => [
      { args: [s.x([2, 3], { avoid: [0] }), s.x([3])] },
      { args: [s.x([2, 3, 2], { avoid: [0] }), s.x([1])] },
      { args: [s.x([4], { avoid: [0] }), s.x([1])] },
      { args: [s.x([], { avoid: [0] }), s.x([])] },
      { args: [s.x([0, 3]), s.x([3])] },
    ],
    reference: fn.prelu as never,
  },
  rrelu: {
    samples: (s) => [
      { args: [s.x([2, 3], { avoid: [0] })] },
      { args: [s.x([2, 3], { avoid: [0] }), 0.1, 0.2] },
      { args: [s.x([2, 2], { avoid: [0] })], options: { lower: 0.3, upper: 0.3, training: true } },
      { args: [s.x([], { avoid: [0] })] },
      { args: [s.x([0, 3])] },
    ],
    reference: fn.rrelu as never,
  },
  normalize: {
    samples: (s) => [
      { args: [s.x([2, 3], { avoid: [0] })] },
      { args: [s.x([2, 3, 2], { avoid: [0] })], options: { p: 1, dim: -1 } },
      { args: [s.x([4], { avoid: [0] })], options: { p: 3, dim: 0, eps: 0.5 } },
      { args: [s.x([], { avoid: [0] })], options: { dim: 0 } },
      { args: [s.x([0, 3])] },
    ],
    reference: fn.normalize as never,
  },
  fractionalMaxPool2d: {
    samples: (s) => [
      {
        args: [s.x([2, 2, 5, 6], { distinct: true }), 2],
        options: { outputSize: [3, 2], randomSamples: s.of([2, 2, 2], draws(8), false) },
      },
      {
        args: [s.x([1, 7, 5], { distinct: true }), [3, 2]],
        options: { outputRatio: [0.5, 0.6], randomSamples: s.of([1, 1, 2], draws(2), false) },
      },
      {
        args: [s.x([0, 2, 4, 4]), 2],
        options: { outputSize: 2, randomSamples: s.of([0, 2, 2], [], false) },
      },
    ],
    reference: fn.fractionalMaxPool as never,
    skip: { zeroDim: 'needs spatial dimensions' },
  },
  fractionalMaxPool3d: {
    samples: (s) => [
      {
        args: [s.x([1, 2, 4, 5, 4], { distinct: true }), 2],
        options: { outputSize: [2, 3, 2], randomSamples: s.of([1, 2, 3], draws(6), false) },
      },
      {
        args: [s.x([0, 2, 4, 4, 4]), 2],
        options: { outputSize: 2, randomSamples: s.of([0, 2, 3], [], false) },
      },
    ],
    reference: fn.fractionalMaxPool as never,
    skip: { zeroDim: 'needs spatial dimensions' },
  },
  fractionalMaxPool2dWithIndices: { samples: () => [], coveredBy: 'fractionalMaxPool2d' },
  fractionalMaxPool3dWithIndices: { samples: () => [], coveredBy: 'fractionalMaxPool3d' },
  fractionalMaxPoolForward: { samples: () => [], coveredBy: 'fractionalMaxPool2d' },
  multilabelMarginForward: { samples: () => [], coveredBy: 'multilabelMarginLoss' },
  multilabelMarginBackward: { samples: () => [], coveredBy: 'multilabelMarginLoss' },
};

/** Numbers in [0, 1) that every dtype holds exactly. */
function draws(n: number): number[] {
  return Array.from({ length: n }, (_, i) => ((i * 5 + 3) % 8) / 8);
}
