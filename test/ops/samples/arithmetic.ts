/** Arithmetic, comparison, logic and bit operations of two operands. */
import { elementwise, type Nd } from '../support/nd';
import { binary, binarySamples, unary } from '../support/families';
import type { Family, OpSpec, Source } from '../support/sample';
import { floorDivide, gcd, logAddExp, nextAfter, pythonModulo } from '../reference/special';

const apart = { low: 0.5, high: 3, ints: [1, 4] } as const;
const divisor = { low: -3, high: 3, avoid: [0], margin: 0.5, ints: [1, 4] } as const;
// Integer rows: no floating special values.
const whole = { special: false } as const;
const truth = (v: boolean): number => (v ? 1 : 0);
const nan = (...v: number[]): boolean => v.some((x) => Number.isNaN(x));

/** add and sub: alpha scales the second operand. */
function scaled(sign: number): OpSpec {
  return {
    samples: (s) => [
      ...binarySamples(s, { scalars: [2] }),
      { args: [s.x([2, 3]), s.x([3])], options: { alpha: 2 } },
    ],
    reference: (a: unknown, b: unknown, options: { alpha?: number }) =>
      elementwise((x, y) => x + sign * (options.alpha ?? 1) * y, a, b),
    special: true,
  };
}

const rsub: OpSpec = {
  samples: (s) => [
    { args: [s.x([2, 3]), s.x([3])], options: { alpha: 3 } },
    { args: [s.x([]), 2] },
    { args: [s.x([0, 2]), s.x([2])] },
  ],
  reference: (a: unknown, b: unknown, options: { alpha?: number }) =>
    elementwise((x, y) => y - (options.alpha ?? 1) * x, a, b),
  special: true,
};

const div: OpSpec = {
  samples: (s) => [
    ...binarySamples(s, { right: divisor }),
    { args: [s.x([2, 3]), s.x([3], divisor)], options: { roundingMode: 'trunc' } },
    { args: [s.x([2, 3]), s.x([3], divisor)], options: { roundingMode: 'floor' } },
  ],
  reference: (a: unknown, b: unknown, options: { roundingMode?: string }) =>
    elementwise(
      (x, y) => {
        if (options.roundingMode === 'floor') return floorDivide(x, y);
        return options.roundingMode === 'trunc' ? Math.trunc(x / y) : x / y;
      },
      a,
      b,
    ),
  promotesIntegers: true,
};

const isclose: OpSpec = {
  samples: (s: Source) => [
    ...binarySamples(s, { tensorsOnly: true }),
    { args: [s.of([3], [1, 2, 3]), s.of([3], [1.0001, 2, 4]), 1e-3, 1e-8] },
    { args: [s.of([2], [1, 2]), s.of([2], [1.05, 3])], options: { atol: 0.1, equalNan: true } },
  ],
  reference: (a: unknown, b: unknown, ...rest: unknown[]) => {
    const options = rest[rest.length - 1] as { rtol?: number; atol?: number; equalNan?: boolean };
    const rtol = rest.length > 1 ? (rest[0] as number) : (options.rtol ?? 1e-5);
    const atol = rest.length > 2 ? (rest[1] as number) : (options.atol ?? 1e-8);
    return elementwise(
      (x, y) =>
        truth(
          x === y ||
            (options.equalNan === true && nan(x) && nan(y)) ||
            (Number.isFinite(x - y) && Math.abs(x - y) <= atol + rtol * Math.abs(y)),
        ),
      a,
      b,
    );
  },
  special: true,
};

const maxOf = (a: number, b: number): number => (nan(a, b) ? NaN : Math.max(a, b));
const minOf = (a: number, b: number): number => (nan(a, b) ? NaN : Math.min(a, b));
const ignoring =
  (fn: (a: number, b: number) => number) =>
  (a: number, b: number): number =>
    nan(a) ? b : nan(b) ? a : fn(a, b);

// Distances of 0.05 at least between the operands: no ties.
const lower = { low: -2, high: 0.5 } as const;
const shifts = { left: { ints: [0, 5] }, right: { ints: [0, 3] }, scalars: [1] } as const;

export const arithmetic: Family = {
  add: scaled(1),
  sub: scaled(-1),
  rsub,
  mul: binary((a, b) => a * b),
  div,
  truncDivide: binary((a, b) => Math.trunc(a / b), { right: divisor }, { special: false }),
  floorDivide: binary(floorDivide, { right: divisor }, { special: false }),
  remainder: binary(
    pythonModulo,
    { left: { low: 0.6, high: 0.9 }, right: divisor, scalars: [2] },
    { special: false },
  ),
  fmod: binary(
    (a, b) => a % b,
    { left: { low: 0.6, high: 0.9 }, right: divisor, scalars: [2] },
    { special: false },
  ),
  pow: binary((a, b) => (b === 0 || a === 1 ? 1 : a ** b), {
    left: apart,
    right: { low: -2, high: 2, ints: [0, 3] },
  }),
  floatPower: binary((a, b) => (b === 0 || a === 1 ? 1 : a ** b), {
    left: apart,
    right: { low: -2, high: 2, ints: [0, 3] },
  }),
  atan2: binary(Math.atan2, { left: divisor, right: divisor }, { promotesIntegers: true }),
  hypot: binary(Math.hypot, { left: divisor, right: divisor }),
  maximum: binary(maxOf, { left: lower, right: { low: 0.6, high: 2 } }),
  minimum: binary(minOf, { left: lower, right: { low: 0.6, high: 2 } }),
  fmax: binary(ignoring(Math.max), { left: lower, right: { low: 0.6, high: 2 } }),
  fmin: binary(ignoring(Math.min), { left: lower, right: { low: 0.6, high: 2 } }),
  copysign: binary(
    (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
    { left: divisor, right: divisor },
    { promotesIntegers: true, special: false, nan: 'some' },
  ),
  nextafter: {
    ...binary(nextAfter),
    // The reference steps in double precision; float32 is compared with itself by the C++ tests.
    tolerance: { float32: [1e-6, 1e-6] },
  },
  heaviside: binary((a, b) => (a === 0 ? b : truth(a > 0)), { tensorsOnly: true }),
  ldexp: binary(
    (a, b) => a * 2 ** b,
    { right: { low: -2, high: 2, ints: [0, 3] } },
    { special: false },
  ),
  logaddexp: binary(logAddExp, { tensorsOnly: true }),
  logaddexp2: binary((a, b) => logAddExp(a * Math.LN2, b * Math.LN2) / Math.LN2, {
    tensorsOnly: true,
  }),
  xlogy: binary(
    (a, b) => (nan(b) ? NaN : a === 0 ? 0 : a * Math.log(b)),
    { right: apart },
    { promotesIntegers: true },
  ),
  gcd: binary(gcd, { scalars: [6] }, whole),
  lcm: binary(
    (a, b) => (a === 0 || b === 0 ? 0 : Math.abs(a * b) / gcd(a, b)),
    { scalars: [6] },
    whole,
  ),
  eq: binary((a, b) => truth(a === b)),
  ne: binary((a, b) => truth(a !== b)),
  lt: binary((a, b) => truth(a < b)),
  le: binary((a, b) => truth(a <= b)),
  gt: binary((a, b) => truth(a > b)),
  ge: binary((a, b) => truth(a >= b)),
  isclose,
  logicalAnd: binary((a, b) => truth(a !== 0 && b !== 0)),
  logicalOr: binary((a, b) => truth(a !== 0 || b !== 0)),
  logicalXor: binary((a, b) => truth((a !== 0) !== (b !== 0))),
  bitwiseAnd: binary((a, b) => a & b, {}, whole),
  bitwiseOr: binary((a, b) => a | b, {}, whole),
  bitwiseXor: binary((a, b) => a ^ b, {}, whole),
  bitwiseLeftShift: binary((a, b) => a << b, shifts, whole),
  bitwiseRightShift: binary((a, b) => a >> b, shifts, whole),
  bitwiseNot: {
    ...unary((a) => ~a, {}, whole),
    reference: (x: Nd, o: { dtype: string }) => x.map((v) => (o.dtype === 'bool' ? 1 - v : ~v)),
  },
};
