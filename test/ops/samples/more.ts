/** Special functions, scans, order and statistics whose values PyTorch's recorded answers check. */
import type { DType } from '../../../lib';
import { alongDim, type Nd } from '../support/nd';
import { unary } from '../support/families';
import type { Family, InputOptions, OpSpec } from '../support/sample';
import { normalCdf } from '../reference/special';

const float = { promotesIntegers: true, special: false } as const;
const distinct = { distinct: true } as const;
const ties = { expanded: 'ties' } as const;
const needsDim = 'needs a dimension';

/** Values are compared with float64 of the same engine; gradients with differences. */
function plain(fn: (x: number) => number, input: InputOptions = {}): OpSpec {
  return { ...unary(fn, input, float) };
}

function unreferenced(input: InputOptions = {}, extra: Partial<OpSpec> = {}): OpSpec {
  return {
    samples: (s) => [[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape, input)] })),
    promotesIntegers: true,
    ...extra,
  };
}

function scan(step: (total: number, x: number) => number, input: InputOptions = {}): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 3], input), 1] },
      { args: [s.x([3, 2, 2], input), -3] },
      { args: [s.x([], input), 0] },
      { args: [s.x([0, 3], input), 0] },
    ],
    reference: (x: Nd, dim: number) =>
      alongDim(x, dim, (v) => {
        let total: number | undefined;
        return v.map((e) => (total = total === undefined ? e : step(total, e)));
      }),
  };
}

function ordered(...rest: readonly unknown[]): OpSpec {
  return {
    samples: (s) => [
      { args: [s.x([2, 5], { ...distinct, ints: [0, 100] }), ...rest] },
      { args: [s.x([3, 4, 2], distinct), ...rest] },
    ],
    skip: { ...ties, zeroDim: needsDim, empty: needsDim },
    nan: 'some',
  };
}

const signed: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64', 'int32', 'int64'];

export const more: Family = {
  entr: plain((x) => (x > 0 ? -x * Math.log(x) : x === 0 ? 0 : -Infinity), {
    low: 0.2,
    high: 2,
    ints: [1, 4],
  }),
  ndtr: plain(normalCdf),
  logNdtr: plain((x) => Math.log(normalCdf(x))),
  i0: unreferenced(),
  i0e: unreferenced({ avoid: [0], margin: 0.2 }),
  i1: unreferenced({ avoid: [0], margin: 0.2 }),
  i1e: unreferenced({ avoid: [0], margin: 0.2 }),
  ndtri: unreferenced({ low: 0.1, high: 0.9 }, { nan: 'some' }),
  erfcx: unreferenced({ low: -1, high: 2 }),
  cumsum: scan((a, b) => a + b),
  cumprod: scan((a, b) => a * b, { low: 0.5, high: 2, ints: [1, 2] }),
  sort: {
    ...ordered(),
    samples: (s) => [
      { args: [s.x([2, 5], distinct)] },
      { args: [s.x([], distinct)] },
      { args: [s.x([0, 3])] },
      { args: [s.x([3, 4], distinct), 0, true] },
    ],
  },
  msort: {
    ...ordered(),
    samples: (s) => [{ args: [s.x([4, 2], distinct)] }, { args: [s.x([0, 3])] }],
    skip: { ...ties, zeroDim: needsDim },
  },
  topk: ordered(2),
  kthvalue: { ...ordered(2), nan: 'some' },
  maskedFill: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.mask([2, 3]), 2] },
      { args: [s.x([2, 3]), s.mask([3]), s.x([])], dtypes: signed },
      { args: [s.x([]), s.mask([]), 1] },
      { args: [s.x([0, 3]), s.mask([3]), 1] },
    ],
    nan: 'some',
    skip: { expanded: 'covered by broadcasting' },
  },
};
