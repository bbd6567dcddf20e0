/** Element-wise functions of one operand, bounds, choice and interpolation. */
import { digamma, erf, erfc, erfinv, lgamma, roundEven, sigmoid } from '../reference/special';
import type { DType } from '../../../lib';
import { elementwise, type Nd } from '../support/nd';
import { unary, unaryWith } from '../support/families';
import type { Family, OpSpec, Source } from '../support/sample';

const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];
const signed: readonly DType[] = [...floats, 'int8', 'int16', 'int32', 'int64'];
const truth = (v: boolean): number => (v ? 1 : 0);
const float = { promotesIntegers: true } as const;
const positive = { low: 0.3, high: 3 } as const;
const inner = { low: -0.9, high: 0.9 } as const;
const away = { avoid: [0], margin: 0.2 } as const;
const whole = { avoid: [-2, -1, 0, 1, 2], margin: 0.1 } as const;
const halves = { avoid: [-1.5, -0.5, 0.5, 1.5], margin: 0.1 } as const;

const round: OpSpec = {
  samples: (s) => [
    ...[[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape, halves)] })),
    { args: [s.of([3], [1.234, -2.718, 15.58])], options: { decimals: 1 }, dtypes: floats },
    {
      args: [s.of([3], [123, -271, 1555])],
      options: { decimals: -2 },
      dtypes: ['float32', 'float64'],
    },
  ],
  reference: (x: Nd, options: { decimals?: number }) => {
    const scale = 10 ** (options.decimals ?? 0);
    return x.map((v) => (scale === 1 ? roundEven(v) : roundEven(v * scale) / scale));
  },
  special: true,
};

const clampSamples = (s: Source): ReturnType<OpSpec['samples']> => [
  { args: [s.x([2, 3], { avoid: [-1, 1] }), -1, 1], dtypes: signed },
  { args: [s.x([], { avoid: [-1] }), -1], dtypes: signed },
  { args: [s.x([0, 3]), 0, 1] },
  { args: [s.x([2, 3], { avoid: [1] })], options: { max: 1 } },
  {
    args: [
      s.x([2, 3], { low: 0.2, high: 1 }),
      s.x([3], { low: -2, high: 0 }),
      s.x([2, 1], { low: 1.2, high: 2 }),
    ],
  },
];

function clampReference(x: Nd, ...rest: unknown[]): Nd {
  const options = rest[rest.length - 1] as { min?: unknown; max?: unknown };
  const low = (rest.length > 1 ? rest[0] : options.min) ?? -Infinity;
  const high = (rest.length > 2 ? rest[1] : options.max) ?? Infinity;
  return elementwise((v, a, b) => (v !== v ? v : Math.min(Math.max(v, a), b)), x, low, high);
}

const where: OpSpec = {
  samples: (s) => [
    { args: [s.mask([2, 3]), s.x([2, 3]), s.x([3])] },
    { args: [s.mask([]), s.x([2]), 1] },
    { args: [s.mask([0, 3]), 1, s.x([3])] },
  ],
  reference: (c: unknown, a: unknown, b: unknown) =>
    elementwise((p, x, y) => (p !== 0 ? x : y), c, a, b),
  nan: 'none',
};

const lerp: OpSpec = {
  samples: (s) => [
    { args: [s.x([2, 3]), s.x([2, 3]), s.x([2, 3], { low: 0, high: 1 })] },
    { args: [s.x([2, 3]), s.x([3]), 0.3] },
    { args: [s.x([]), s.x([]), 0.7] },
    { args: [s.x([0, 3]), s.x([3]), 0.7] },
  ],
  reference: (a: unknown, b: unknown, w: unknown) =>
    elementwise((x, y, t) => (t < 0.5 ? x + t * (y - x) : y - (y - x) * (1 - t)), a, b, w),
};

function addc(fn: (x: number, a: number, b: number, v: number) => number): OpSpec {
  const over = { low: 0.5, high: 2, ints: [1, 3] } as const;
  return {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([2, 3]), s.x([2, 3], over)] },
      { args: [s.x([2, 3]), s.x([3]), s.x([2, 1], over)], options: { value: 2 } },
      { args: [s.x([]), s.x([]), s.x([], over)] },
      { args: [s.x([0, 3]), s.x([3]), s.x([3], over)] },
    ],
    reference: (x: unknown, a: unknown, b: unknown, o: { value?: number }) =>
      elementwise((p, q, r) => fn(p, q, r, o.value ?? 1), x, a, b),
  };
}

function nanToNum(
  v: number,
  nan = 0,
  posinf = Number.MAX_VALUE,
  neginf = -Number.MAX_VALUE,
): number {
  if (Number.isNaN(v)) return nan;
  return v === Infinity ? posinf : v === -Infinity ? neginf : v;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function log2(x: number): number {
  return Math.log(x) / Math.LN2;
}

export const elementary: Family = {
  logicalNot: unary((x) => truth(x === 0)),
  isnan: unary((x) => truth(Number.isNaN(x))),
  isinf: unary((x) => truth(Math.abs(x) === Infinity)),
  isfinite: unary((x) => truth(Number.isFinite(x))),
  isposinf: unary((x) => truth(x === Infinity)),
  isneginf: unary((x) => truth(x === -Infinity)),
  signbit: unary((x) => truth(x < 0 || Object.is(x, -0)), {}, { special: false, nan: 'none' }),
  neg: unary((x) => -x),
  positive: unary((x) => x),
  abs: unary(Math.abs, away),
  sign: unary((x) => (Number.isNaN(x) ? 0 : Math.sign(x)), away),
  floor: unary(Math.floor, whole),
  ceil: unary(Math.ceil, whole),
  trunc: unary(Math.trunc, whole),
  round,
  frac: unary((x) => x - Math.trunc(x), whole),
  square: unary((x) => x * x, {}, { promotes: ['bool'] }),
  reciprocal: unary((x) => 1 / x, away, float),
  sqrt: unary(Math.sqrt, positive, float),
  rsqrt: unary((x) => 1 / Math.sqrt(x), positive, float),
  nanToNum: unaryWith(nanToNum as never, [[], [1], [1, 2, 3]], {}, { special: false, nan: 'none' }),
  deg2rad: unary((x) => (x * Math.PI) / 180, {}, float),
  rad2deg: unary((x) => (x * 180) / Math.PI, {}, float),
  exp: unary(Math.exp, {}, float),
  exp2: unary((x) => 2 ** x, {}, float),
  expm1: unary(Math.expm1, {}, float),
  log: unary(Math.log, positive, float),
  log2: unary(log2, positive, float),
  log10: unary(Math.log10, positive, float),
  log1p: unary(Math.log1p, inner, float),
  sin: unary(Math.sin, {}, float),
  cos: unary(Math.cos, {}, float),
  tan: unary(Math.tan, inner, float),
  asin: unary(Math.asin, inner, float),
  acos: unary(Math.acos, inner, float),
  atan: unary(Math.atan, {}, float),
  sinh: unary(Math.sinh, {}, float),
  cosh: unary(Math.cosh, {}, float),
  tanh: unary(Math.tanh, {}, float),
  asinh: unary(Math.asinh, {}, float),
  acosh: unary(Math.acosh, { low: 1.2, high: 3 }, float),
  atanh: unary(Math.atanh, inner, float),
  sinc: unary(sinc, away, float),
  sigmoid: unary(sigmoid, {}, float),
  logit: unaryWith(
    ((x: number, eps?: number) => {
      const v = eps === undefined ? x : Math.min(Math.max(x, eps), 1 - eps);
      return Math.log(v / (1 - v));
    }) as never,
    [[], [0.2]],
    { low: 0.05, high: 0.95, avoid: [0.2, 0.8], margin: 0.02 },
    { ...float, special: false },
  ),
  erf: unary(erf, {}, float),
  erfc: unary(erfc, {}, float),
  erfinv: unary(erfinv, inner, float),
  lgamma: unary(lgamma, positive, { ...float, skip: { second: 'digamma has no derivative' } }),
  digamma: unary(digamma, positive, { ...float }),
  clamp: { samples: clampSamples, reference: clampReference, promotes: ['bool'] },
  clampMin: {
    samples: (s) => [
      { args: [s.x([2, 3], { avoid: [0.5] }), 0.5], dtypes: floats },
      { args: [s.x([2, 3], { low: 0, high: 1 }), s.x([3], { low: -2, high: -0.2 })] },
      { args: [s.x([], { avoid: [1] }), 1] },
      { args: [s.x([0, 3]), 1] },
    ],
    reference: (x: Nd, m: unknown) => elementwise(Math.max, x, m),
  },
  clampMax: {
    samples: (s) => [
      { args: [s.x([2, 3], { low: 0, high: 1 }), s.x([3], { low: -2, high: -0.2 })] },
      { args: [s.x([], { avoid: [1] }), 1] },
      { args: [s.x([0, 3]), 1] },
    ],
    promotes: ['bool'],
    reference: (x: Nd, m: unknown) => elementwise(Math.min, x, m),
  },
  where,
  lerp,
  addcmul: addc((x, a, b, v) => x + v * a * b),
  addcdiv: addc((x, a, b, v) => x + (v * a) / b),
};
