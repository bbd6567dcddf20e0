/** Comparisons of whole tensors, and element-wise rows with arguments of their own. */
import { digamma, polygamma } from '../reference/special';
import { asNd, elementwise, type Nd } from '../support/nd';
import { binary } from '../support/families';
import type { Family } from '../support/sample';

interface Closeness {
  rtol?: number;
  atol?: number;
  equalNan?: boolean;
}

function isClose(a: number, b: number, o: Closeness): boolean {
  if (a === b) return true;
  if (Number.isNaN(a) || Number.isNaN(b)) {
    return o.equalNan === true && Number.isNaN(a) && Number.isNaN(b);
  }
  const bound = (o.atol ?? 1e-8) + (o.rtol ?? 1e-5) * Math.abs(b);
  return Number.isFinite(b) && Math.abs(a - b) <= bound;
}

export const pointwise: Family = {
  floatPower_: {
    // The result is float64, and so must be what it is written to.
    samples: (s) =>
      [
        { args: [s.x([2, 3], { low: 0.2, high: 2 }), s.x([3])] },
        { args: [s.x([2, 3], { avoid: [0] }), 3] },
        { args: [s.x([], { low: 0.2, high: 2 }), s.x([])] },
        { args: [s.x([0, 3]), 2] },
      ].map((sample) => ({ ...sample, dtypes: ['float64'] as const })),
    reference: (x: Nd, y: unknown) =>
      asNd(y).ndim > x.ndim ? x : elementwise((a, b) => a ** b, x, y),
  },
  allclose: {
    samples: (s) => {
      const near = [1, 2, 3];
      return [
        { args: [s.x([2, 3]), s.x([2, 3])] },
        { args: [s.of([3], near), s.of([3], near)] },
        { args: [s.of([3], near), s.of([3], [1, 2, 3.5])], options: { rtol: 0.2 } },
        { args: [s.of([3], near), s.of([], [2])], options: { atol: 1 } },
        { args: [s.of([3], near), s.of([3], near)], options: { equalNan: true } },
        { args: [s.x([]), s.x([])] },
        { args: [s.x([0, 3]), s.x([3])] },
      ];
    },
    reference: (x: Nd, y: Nd, o: Closeness) =>
      elementwise((a, b) => (isClose(a, b, o) ? 1 : 0), x, y).data.every((v) => v === 1),
    special: true,
  },
  equal: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([2, 3])] },
      { args: [s.of([2, 2], [1, 2, 3, 4]), s.of([2, 2], [1, 2, 3, 4])] },
      { args: [s.of([2, 2], [1, 2, 3, 4]), s.of([4], [1, 2, 3, 4])] },
      { args: [s.of([], [1]), s.of([], [1])] },
      { args: [s.x([0, 3]), s.x([0, 3])] },
    ],
    reference: (x: Nd, y: Nd) =>
      x.shape.join() === y.shape.join() && x.data.every((v, i) => v === y.data[i]),
    special: true,
  },
  isreal: {
    samples: (s) => [[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape)] })),
    reference: (x: Nd) => x.map(() => 1),
    special: true,
  },
  polygamma: {
    samples: (s) => {
      const input = { low: 0.5, high: 3, ints: [1, 4] } as const;
      return [
        { args: [1, s.x([2, 3], input)] },
        { args: [0, s.x([2, 3], input)] },
        { args: [2, s.x([4], input)] },
        { args: [3, s.x([4], input)] },
        { args: [1, s.x([], input)] },
        { args: [1, s.x([0, 3], input)] },
      ];
    },
    reference: (n: number, x: Nd) => x.map((v) => (n === 0 ? digamma(v) : polygamma(n, v))),
    promotesIntegers: true,
  },
  xlog1py: binary(
    (x, y) => (Number.isNaN(y) ? NaN : x === 0 ? 0 : x * Math.log1p(y)),
    { right: { low: -0.8, high: 2, ints: [0, 4] } },
    { promotesIntegers: true },
  ),
  binaryCrossEntropyTerms: binary(
    (x, y) => (y - 1) * Math.max(Math.log1p(-x), -100) - y * Math.max(Math.log(x), -100),
    { left: { low: 0.1, high: 0.9 }, right: { low: 0, high: 1 }, tensorsOnly: true },
    { special: false },
  ),
};
