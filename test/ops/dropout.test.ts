/** What dropout draws: how much it drops, how it scales, that a seed decides it, its gradient. */
import { callOp, grad, manualSeed, ones, type Tensor } from '../../lib';
import { expectNoLeaks } from './support/leaks';
import { bits, make, toNd } from './support/run';

expectNoLeaks();

const n = 20000;

function drop(name: string, x: Tensor, p: number, seed = 1): Tensor {
  manualSeed(seed);
  return callOp(name, [x, p, true]) as Tensor;
}

/** Six standard deviations of the fraction of `count` independent draws. */
function margin(p: number, count: number): number {
  return 6 * Math.sqrt((p * (1 - p)) / count);
}

function fraction(values: readonly number[], of: number): number {
  return values.filter((v) => v === of).length / values.length;
}

describe.each([0.1, 0.5, 0.9])('p = %d', (p) => {
  test.each(['float32', 'float64', 'float16', 'bfloat16'] as const)('dropout in %s', (dtype) => {
    const { data } = toNd(drop('dropout', ones([n]).to(dtype), p));
    const scale = toNd(make([], [1 / (1 - p)], dtype)).data[0] as number;
    expect(data.every((v) => v === 0 || v === scale)).toBe(true);
    expect(Math.abs(fraction(data, 0) - p)).toBeLessThan(margin(p, n));
  });

  test.each([
    ['featureDropout', [100, 100, 2]],
    ['dropout1d', [100, 100, 2]],
    ['dropout2d', [100, 100, 1, 2]],
    ['dropout3d', [100, 100, 1, 2, 1]],
  ] as const)('%s drops whole channels', (name, shape) => {
    const { data } = toNd(drop(name, ones([...shape]).to('float64'), p));
    const channels = data.filter((_, i) => i % 2 === 0);
    expect(data.filter((_, i) => i % 2 === 1)).toEqual(channels);
    expect(channels.every((v) => v === 0 || Math.abs(v - 1 / (1 - p)) < 1e-12)).toBe(true);
    expect(Math.abs(fraction(channels, 0) - p)).toBeLessThan(margin(p, channels.length));
  });

  test.each([
    ['alphaDropout', [n]],
    ['featureAlphaDropout', [100, 200, 1]],
  ] as const)('%s takes one of two values, with the deviation of its input', (name, shape) => {
    // SELU's limit for large negative inputs, which dropped elements are set to.
    const limit = -1.7580993408473766;
    const a = 1 / Math.sqrt((limit * limit * p + 1) * (1 - p));
    const b = -a * limit * p;
    const { data } = toNd(drop(name, ones([...shape]).to('float64'), p));
    const dropped = data.filter((v) => Math.abs(v - (a * limit + b)) < 1e-12).length;
    const kept = data.filter((v) => Math.abs(v - (a + b)) < 1e-12).length;
    expect(dropped + kept).toBe(n);
    expect(Math.abs(dropped / n - p)).toBeLessThan(margin(p, n));
  });

  test('nativeDropout returns its mask', () => {
    manualSeed(2);
    const [out, mask] = callOp('nativeDropout', [ones([n]).to('float64'), p]) as Tensor[];
    const kept = toNd(mask as Tensor).data;
    expect((mask as Tensor).dtype).toBe('bool');
    expect(toNd(out as Tensor).data).toEqual(kept.map((v) => v / (1 - p)));
    expect(Math.abs(fraction(kept, 0) - p)).toBeLessThan(margin(p, n));
  });
});

const names = [
  'dropout',
  'dropout1d',
  'dropout2d',
  'dropout3d',
  'featureDropout',
  'alphaDropout',
  'featureAlphaDropout',
] as const;

describe.each(names)('%s', (name) => {
  const shape = { dropout2d: [8, 8, 2, 2], dropout3d: [8, 8, 2, 2, 1] }[name as string] ?? [
    8, 8, 4,
  ];

  test('draws the same bits for the same seed and others for another', () => {
    const x = ones(shape);
    expect(bits(drop(name, x, 0.5, 7))).toBe(bits(drop(name, x, 0.5, 7)));
    expect(bits(drop(name, x, 0.5, 7))).not.toBe(bits(drop(name, x, 0.5, 8)));
    manualSeed(7);
    const first = callOp(name, [x, 0.5, true]) as Tensor;
    const second = callOp(name, [x, 0.5, true]) as Tensor;
    expect(bits(first)).not.toBe(bits(second));
  });

  test('passes the gradient where it keeps, as a linear function of the input', () => {
    const x = ones(shape).to('float64').requiresGrad_();
    const out = drop(name, x, 0.5, 3);
    const origin = drop(name, ones(shape).to('float64').mul(0), 0.5, 3);
    const [g] = grad(out, [x], { gradOutputs: [ones(shape).to('float64')] }) as [Tensor];
    const slope = toNd(out).data.map((v, i) => v - (toNd(origin).data[i] as number));
    toNd(g).data.forEach((v, i) => expect(v).toBeCloseTo(slope[i] as number, 12));
  });

  test('does not look at the memory of its input', () => {
    const x = make(
      shape,
      Array.from({ length: ones(shape).numel() }, (_, i) => i + 1),
      'float32',
    );
    const turned = x.transpose(0, 1).contiguous().transpose(0, 1);
    expect(toNd(drop(name, turned, 0.5, 4))).toEqual(toNd(drop(name, x, 0.5, 4)));
  });

  test('refuses a probability outside [0, 1]', () => {
    for (const p of [-0.1, 1.1, NaN]) expect(() => drop(name, ones(shape), p)).toThrow(name);
  });
});

test('a scalar is kept or dropped', () => {
  const one = make([], [1], 'float32');
  const seen = new Set(
    Array.from({ length: 40 }, (_, seed) => toNd(drop('dropout', one, 0.5, seed)).data[0]),
  );
  expect([...seen].sort()).toEqual([0, 2]);
});
