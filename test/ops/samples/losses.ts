/** Losses. */
import { crossEntropy, nllLoss, reduceLoss } from '../reference/losses';
import { elementwise, type Nd } from '../support/nd';
import type { Family, OpSpec, Sample, Source } from '../support/sample';

function partOf(op: string): OpSpec {
  return { samples: () => [], coveredBy: op };
}

function classSamples(s: Source): Sample[] {
  const weight = { low: 0.2, high: 2, grad: false } as const;
  return [
    { args: [s.x([4, 3]), s.index([4], 3)] },
    { args: [s.x([4, 3]), s.index([4], 3)], options: { weight: s.x([3], weight) } },
    { args: [s.x([4, 3]), s.fixed([4], [0, -100, 2, 1], 'int64')], options: { reduction: 'sum' } },
    { args: [s.x([4, 3]), s.index([4], 3)], options: { reduction: 'none', ignoreIndex: 1 } },
    { args: [s.x([2, 3, 4]), s.index([2, 4], 3)], options: { weight: s.x([3], weight) } },
    { args: [s.x([3]), s.index([], 3)] },
    { args: [s.x([0, 3]), s.index([0], 3)], options: { reduction: 'sum' } },
  ];
}

const zeroDim = { zeroDim: 'needs a dimension of classes' } as const;

export const losses: Family = {
  nllLoss: { samples: classSamples, reference: nllLoss as never, skip: zeroDim },
  crossEntropy: {
    samples: (s) => [
      ...classSamples(s),
      {
        args: [s.x([4, 3]), s.index([4], 3)],
        options: { labelSmoothing: 0.2, weight: s.x([3], { low: 0.2, high: 2, grad: false }) },
      },
    ],
    reference: crossEntropy as never,
    skip: zeroDim,
  },
  mseLoss: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([2, 3])] },
      { args: [s.x([2, 3]), s.x([2, 3])], options: { reduction: 'sum' } },
      { args: [s.x([]), s.x([])], options: { reduction: 'none' } },
      { args: [s.x([0, 3]), s.x([0, 3])], options: { reduction: 'none' } },
    ],
    reference: (x: Nd, y: Nd, o: { reduction?: string }) =>
      reduceLoss(
        elementwise((a, b) => (a - b) ** 2, x, y),
        o.reduction,
      ),
  },
  nllLossForward: partOf('nllLoss'),
  nllLossBackward: partOf('nllLoss'),
  crossEntropyForward: partOf('crossEntropy'),
  crossEntropyBackward: partOf('crossEntropy'),
};
