/** Normalisation. */
import { batchNorm, groupNorm, instanceNorm, layerNorm, rmsNorm } from '../reference/norms';
import type { Family, OpSpec } from '../support/sample';

const zeroDim = { zeroDim: 'needs dimensions to normalise over' } as const;
const positive = { low: 0.5, high: 2, grad: false } as const;
const still = { grad: false } as const;

/** Rows that keep statistics for their derivative; the public op prepares their arguments. */
function partOf(op: string): OpSpec {
  return { samples: () => [], coveredBy: op };
}

export const norms: Family = {
  layerNorm: {
    samples: (s) => [
      { args: [s.x([3, 4]), [4]] },
      { args: [s.x([2, 3, 4]), [3, 4], s.x([3, 4]), s.x([3, 4])] },
      { args: [s.x([2, 4]), [4], s.x([4])], options: { eps: 0.1 } },
      { args: [s.x([0, 4]), [4], s.x([4]), s.x([4])] },
    ],
    reference: layerNorm as never,
    skip: zeroDim,
  },
  rmsNorm: {
    samples: (s) => [
      { args: [s.x([3, 4]), [4]], options: { eps: 1e-5 } },
      { args: [s.x([2, 3, 4]), [3, 4], s.x([3, 4]), 0.01] },
      { args: [s.x([0, 4]), [4], s.x([4])] },
    ],
    reference: rmsNorm as never,
    skip: zeroDim,
  },
  groupNorm: {
    samples: (s) => [
      { args: [s.x([2, 4, 3]), 2] },
      { args: [s.x([2, 6, 2, 2]), 3, s.x([6]), s.x([6])] },
      { args: [s.x([2, 4]), 1, s.x([4])], options: { eps: 0.1 } },
      { args: [s.x([0, 4, 3]), 2] },
    ],
    reference: groupNorm as never,
    skip: zeroDim,
  },
  batchNorm: {
    samples: (s) => [
      { args: [s.x([4, 3]), s.x([3], still), s.x([3], positive), s.x([3]), s.x([3])] },
      { args: [s.x([4, 3]), null, null, s.x([3]), s.x([3])], options: { training: true } },
      { args: [s.x([2, 3, 4]), s.x([3], still), s.x([3], positive)], options: { training: true } },
      {
        args: [s.x([2, 2, 2, 2]), s.x([2], still), s.x([2], positive), s.x([2])],
        options: { eps: 0.1 },
      },
      { args: [s.x([0, 3]), s.x([3], still), s.x([3], positive)] },
    ],
    reference: batchNorm as never,
    skip: { ...zeroDim },
  },
  instanceNorm: {
    samples: (s) => [
      { args: [s.x([2, 3, 4])] },
      { args: [s.x([2, 3, 2, 2])], options: { weight: s.x([3]), bias: s.x([3]) } },
      {
        args: [s.x([2, 3, 4])],
        options: {
          runningMean: s.x([3], still),
          runningVar: s.x([3], positive),
          useInputStats: false,
        },
      },
    ],
    reference: instanceNorm as never,
    skip: { ...zeroDim, empty: 'PyTorch refuses it too' },
  },
  nativeLayerNorm: partOf('layerNorm'),
  layerNormBackward: partOf('layerNorm'),
  nativeRmsNorm: partOf('rmsNorm'),
  rmsNormBackward: partOf('rmsNorm'),
  nativeGroupNorm: partOf('groupNorm'),
  groupNormBackward: partOf('groupNorm'),
  nativeBatchNorm: partOf('batchNorm'),
  batchNormBackward: partOf('batchNorm'),
};
