/**
 * Sampling at the points of a grid. The reference reads one element at a time; PyTorch has no
 * second derivative here, so none is checked.
 */
import * as grids from '../reference/grid';
import type { Family, Sample, Source } from '../support/sample';
import type { DType } from '../../../lib';

const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];

function gridSamples(s: Source): readonly Sample[] {
  const out: Sample[] = [];
  for (const mode of ['bilinear', 'nearest', 'bicubic']) {
    for (const paddingMode of ['zeros', 'border', 'reflection']) {
      const alignCorners = out.length % 2 === 0;
      out.push({
        args: [s.x([2, 2, 4, 3]), s.x([2, 3, 2, 2], { low: -1.4, high: 1.4 })],
        options: { mode, paddingMode, alignCorners },
        dtypes: floats,
      });
      if (mode === 'bicubic') continue;
      out.push({
        args: [s.x([1, 2, 2, 3, 4]), s.x([1, 2, 1, 3, 3], { low: -1.3, high: 1.3 })],
        options: { mode, paddingMode, alignCorners },
        dtypes: floats,
      });
    }
  }
  out.push({ args: [s.x([1, 1, 1, 1]), s.x([1, 2, 2, 2], { low: -1, high: 1 })] });
  out.push({ args: [s.x([2, 0, 3, 3]), s.x([2, 2, 2, 2])] });
  out.push({ args: [s.x([2, 1, 3, 3]), s.x([2, 0, 2, 2])] });
  return out;
}

export const grid: Family = {
  gridSample: {
    samples: gridSamples,
    reference: grids.gridSample as never,
    skip: {
      zeroDim: 'needs spatial dimensions',
      second: 'PyTorch has no second derivative either',
    },
  },
  gridSampleBackward: { samples: () => [], coveredBy: 'gridSample' },
  affineGrid: {
    samples: (s) => [
      { args: [s.x([2, 2, 3]), [2, 1, 3, 4]] },
      { args: [s.x([1, 2, 3]), [1, 2, 1, 3]], options: { alignCorners: true } },
      { args: [s.x([2, 3, 4]), [2, 1, 2, 3, 2]], options: { alignCorners: true } },
      { args: [s.x([1, 3, 4]), [1, 1, 2, 1, 2]], options: { alignCorners: false } },
    ],
    reference: grids.affineGrid as never,
    skip: { zeroDim: 'needs a batch of matrices', empty: 'an empty grid is refused' },
  },
};
