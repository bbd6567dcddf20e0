/** Activations and their fused derivatives. */
import { normalCdf, sigmoid, softplus } from '../reference/special';
import { backwardOf, unary, unaryWith } from '../support/families';
import type { DType } from '../../../lib';
import type { Nd } from '../support/nd';
import type { Family } from '../support/sample';

const at = (...avoid: number[]) => ({ avoid, margin: 0.1 }) as const;
const floats: readonly DType[] = ['float16', 'bfloat16', 'float32', 'float64'];
const signed: readonly DType[] = [...floats, 'int8', 'int16', 'int32', 'int64'];
const alpha = 1.6732632423543772;
const scale = 1.0507009873554805;

const elu = (x: number, a = 1, s = 1, i = 1): number => s * (x > 0 ? x : a * Math.expm1(i * x));
const gelu = (x: number): number => x * normalCdf(x);
const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const inner = (x: number): number => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(inner(x)));
const finite = { special: false } as const;

function geluTanhSlope(x: number): number {
  const t = Math.tanh(inner(x));
  const slope = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope;
}

function siluSlope(x: number): number {
  const s = sigmoid(x);
  return s * (1 + x * (1 - s));
}

function mishSlope(x: number): number {
  const t = Math.tanh(softplus(x));
  return t + x * (1 - t * t) * sigmoid(x);
}

function eluSlope(g: number, x: number, a: number, s: number, i: number): number {
  return g * s * (x > 0 ? 1 : a * i * Math.exp(i * x));
}

export const activations: Family = {
  relu: unary((x) => (x !== x ? x : Math.max(x, 0)), at(0)),
  hardtanh: {
    samples: (s) => [
      ...[[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape, at(-1, 1))], dtypes: signed })),
      { args: [s.x([2, 4], at(0, 1)), 0, 1] },
      { args: [s.x([2, 4], at(-0.5, 1.5)), -0.5, 1.5], dtypes: floats },
    ],
    reference: (x: Nd, ...p: unknown[]) => {
      const [low, high] = p.length > 1 ? (p as [number, number]) : [-1, 1];
      return x.map((v) => Math.min(Math.max(v, low), high));
    },
  },
  relu6: unary((x) => (x !== x ? x : Math.min(Math.max(x, 0), 6)), at(0, 6)),
  leakyRelu: unaryWith(((x: number, s = 0.01) => (x > 0 ? x : s * x)) as never, [[], [0.2]], at(0)),
  elu: {
    ...unaryWith(((x: number, a = 1) => elu(x, a)) as never, [[], [0.7]], at(0), finite),
  },
  selu: unary((x) => elu(x, alpha, scale), at(0)),
  celu: unaryWith(((x: number, a = 1) => elu(x, a, 1, 1 / a)) as never, [[], [1.5]], at(0), finite),
  gelu: {
    samples: (s) => [
      ...[[2, 3], [], [0, 3]].map((shape) => ({ args: [s.x(shape)] })),
      { args: [s.x([2, 3])], options: { approximate: 'tanh' } },
    ],
    reference: (x: Nd, o: { approximate?: string }) =>
      x.map(o.approximate === 'tanh' ? geluTanh : gelu),
  },
  geluTanh: unary(geluTanh, {}, finite),
  silu: unary((x) => x * sigmoid(x), {}, finite),
  mish: unary((x) => x * Math.tanh(softplus(x)), {}, finite),
  softplus: unaryWith(
    ((x: number, b = 1, limit = 20) => (x * b > limit ? x : softplus(b * x) / b)) as never,
    [[], [2, 1]],
    at(0.5),
    finite,
  ),
  softsign: unary((x) => x / (1 + Math.abs(x)), {}, { promotesIntegers: true }),
  tanhshrink: unary(
    (x) => x - Math.tanh(x),
    { low: 0.5, high: 2 },
    { promotesIntegers: true, ...finite },
  ),
  hardshrink: unaryWith(
    ((x: number, l = 0.5) => (Math.abs(x) <= l ? 0 : x)) as never,
    [[], [1]],
    at(-0.5, 0.5, -1, 1),
  ),
  softshrink: unaryWith(
    ((x: number, l = 0.5) => (x > l ? x - l : x < -l ? x + l : x !== x ? x : 0)) as never,
    [[], [1]],
    at(-0.5, 0.5, -1, 1),
  ),
  hardsigmoid: unary((x) => (x !== x ? x : Math.min(Math.max(x + 3, 0), 6) / 6), {}, finite),
  hardswish: unary((x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6, {}, finite),
  logSigmoid: unary((x) => -softplus(-x), {}, finite),
  threshold: unaryWith(
    ((x: number, t: number, v: number) => (x <= t ? v : x)) as never,
    [
      [1, 3],
      [2, 0],
    ],
    at(1),
  ),
  sigmoidBackward: backwardOf((g, y) => g * y * (1 - y)),
  tanhBackward: backwardOf((g, y) => g * (1 - y * y)),
  thresholdBackward: backwardOf((g, x, t) => (x <= t ? 0 : g), [0.5], at(0.5)),
  hardtanhBackward: backwardOf((g, x, a, b) => (x > a && x < b ? g : 0), [-1, 1], at(-1, 1)),
  leakyReluBackward: backwardOf((g, x, s) => (x > 0 ? g : g * s), [0.1], at(0)),
  eluBackward: backwardOf(eluSlope as never, [1.5, 2, 0.5], at(0)),
  shrinkBackward: backwardOf((g, x, l) => (Math.abs(x) <= l ? 0 : g), [0.5], at(-0.5, 0.5)),
  geluBackward: backwardOf((g, x) => g * (normalCdf(x) + x * density(x))),
  geluTanhBackward: backwardOf((g, x) => g * geluTanhSlope(x)),
  siluBackward: backwardOf((g, x) => g * siluSlope(x)),
  mishBackward: backwardOf((g, x) => g * mishSlope(x)),
  softplusBackward: backwardOf(
    (g, x, b, t) => (x * b > t ? g : g * sigmoid(b * x)),
    [2, 1],
    at(0.5),
  ),
  hardsigmoidBackward: backwardOf((g, x) => (x > -3 && x < 3 ? g / 6 : 0)),
  hardswishBackward: backwardOf((g, x) => g * (x < -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1)),
  logSigmoidBackward: backwardOf((g, x) => g * sigmoid(-x)),
};
