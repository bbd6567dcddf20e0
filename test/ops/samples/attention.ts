/** Attention. The fused rows are called by scaledDotProductAttention, which prepares the mask. */
import { attention as attend } from '../reference/attention';
import { type Nd } from '../support/nd';
import type { Family, Sample, Source } from '../support/sample';

function triple(s: Source, lead: readonly number[], rows = 3, keys = 4): Sample['args'] {
  return [s.x([...lead, rows, 2]), s.x([...lead, keys, 2]), s.x([...lead, keys, 3])];
}

export const attention: Family = {
  scaledDotProductAttention: {
    samples: (s) => [
      { args: triple(s, [1, 2]) },
      { args: triple(s, []) },
      { args: triple(s, [2], 3, 3), options: { isCausal: true, scale: 0.3 } },
      { args: triple(s, [2]), options: { attnMask: s.x([3, 4]) } },
      { args: triple(s, [2]), options: { attnMask: s.x([2, 1, 4], { grad: false }) } },
      {
        // The last row attends to nothing.
        args: triple(s, [2], 3, 3),
        options: { attnMask: s.fixed([3, 3], [1, 0, 1, 0, 1, 0, 0, 0, 0], 'bool') },
      },
      {
        args: [s.x([1, 4, 2, 2]), s.x([1, 2, 3, 2]), s.x([1, 2, 3, 2])],
        options: { enableGqa: true },
      },
      { args: triple(s, [0, 2]) },
    ],
    reference: ((q: Nd, k: Nd, v: Nd, o: { attnMask?: Nd }) => {
      const boolMask = o.attnMask?.shape.join() === '3,3';
      return attend(q, k, v, { ...o, boolMask });
    }) as never,
    skip: { zeroDim: 'needs positions and channels' },
  },
  nativeAttention: { samples: () => [], coveredBy: 'scaledDotProductAttention' },
  attentionBackward: { samples: () => [], coveredBy: 'scaledDotProductAttention' },
};
