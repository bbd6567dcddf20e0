/**
 * Softmax and row norms on device 'cuda' in the shapes that take the different kernels: short and long rows,
 * rows that packs of 16 bytes do not divide, columns, and rows with infinities or NaN.
 */
import { grad, manualSeed, nn, randn, type Tensor, tensor } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

type DeviceName = 'cpu' | 'cuda';

const { functional: F } = nn;
/** Gradients of parameters are sums over many rows. */
const loose: Record<string, readonly [number, number]> = {
  float16: [4e-3, 2e-2],
  bfloat16: [3e-2, 8e-2],
  float32: [1e-4, 1e-4],
  float64: [1e-10, 1e-10],
};

const dtypes = ['float16', 'bfloat16', 'float32', 'float64'] as const;

suite('device cuda, rows', () => {
  beforeEach(() => manualSeed(0));

  const shapes: [number[], number][] = [
    [[9, 5], 1],
    [[3, 128], 1],
    [[2, 1000], 1],
    [[2, 1001], 1],
    [[2, 1024], 1],
    [[3, 1032], 1],
    [[2, 5003], 1],
    [[40, 8], 1],
    [[2, 7, 5], 1],
    [[2, 300, 3], 1],
    [[3, 40], 0],
  ];
  test.each(shapes)('%j over %i agrees with the CPU', (shape, dim) => {
    for (const dtype of dtypes) {
      for (const f of [F.softmax, F.logSoftmax]) {
        const run = (device: DeviceName): [Tensor, Tensor | null] => {
          manualSeed(1);
          const x = randn(shape).mul(4).to(dtype).to(device).requiresGrad_();
          const y = f(x, dim);
          const g = randn(shape).to(dtype).to(device);
          return [y, grad([y], [x], { gradOutputs: [g] })[0] ?? null];
        };
        const [want, got] = [run('cpu'), run('cuda')];
        expectSame(got[0], want[0]);
        expectSame(got[1] as Tensor, want[1] as Tensor);
      }
    }
  });

  test.each([3, 40, 2000])('infinities and NaN in rows of %i', (n) => {
    const special = [
      [-Infinity, -Infinity],
      [-Infinity, 1],
      [Infinity, 1],
      [NaN, 1],
      [-Infinity, NaN],
      [Infinity, -Infinity],
    ];
    const fill = [-Infinity, 1, 0, 2, -Infinity, -3];
    const rows = special.map((pair, i) => [
      ...pair,
      ...Array.from({ length: n - 2 }, () => fill[i] as number),
    ]);
    const x = tensor(rows);
    for (const y of [x, x.t().contiguous()]) {
      const dim = y === x ? 1 : 0;
      expectSame(F.softmax(y.to('cuda'), dim), F.softmax(y, dim));
      expectSame(F.logSoftmax(y.to('cuda'), dim), F.logSoftmax(y, dim));
    }
  });

  const norms: [string, number[], (x: Tensor, w: Tensor, b: Tensor) => Tensor, number[]][] = [
    ['layerNorm of short rows', [9, 5], (x, w, b) => F.layerNorm(x, [5], w, b), [5]],
    ['layerNorm of packs', [6, 64], (x, w, b) => F.layerNorm(x, [64], w, b), [64]],
    ['layerNorm of many rows', [300, 40], (x, w, b) => F.layerNorm(x, [40], w, b), [40]],
    ['layerNorm of long rows', [3, 1056], (x, w, b) => F.layerNorm(x, [1056], w, b), [1056]],
    ['layerNorm of long, odd rows', [2, 3001], (x, w, b) => F.layerNorm(x, [3001], w, b), [3001]],
    ['rmsNorm', [4, 72], (x, w) => F.rmsNorm(x, [72], w), [72]],
    ['rmsNorm of long rows', [2, 1101], (x, w) => F.rmsNorm(x, [1101], w), [1101]],
    ['groupNorm', [3, 6, 5, 7], (x, w, b) => F.groupNorm(x, 2, w, b), [6]],
    ['groupNorm of packs', [2, 4, 16, 24], (x, w, b) => F.groupNorm(x, 2, w, b), [4]],
    ['groupNorm of large planes', [2, 2, 1100], (x, w, b) => F.groupNorm(x, 1, w, b), [2]],
    ['groupNorm without space', [5, 12], (x, w, b) => F.groupNorm(x, 3, w, b), [12]],
  ];
  test.each(norms)('%s agrees with the CPU', (_, shape, f, width) => {
    for (const dtype of dtypes) {
      for (const paramDtype of dtype === 'float16' ? (['float16', 'float32'] as const) : [dtype]) {
        const run = (device: DeviceName): Tensor[] => {
          manualSeed(2);
          const x = randn(shape).add(3).to(dtype).to(device).requiresGrad_();
          const w = randn(width).to(paramDtype).to(device).requiresGrad_();
          const b = randn(width).to(paramDtype).to(device).requiresGrad_();
          const y = f(x, w, b);
          const g = randn(shape).to(dtype).to(device);
          const grads = grad([y], [x, w, b], { gradOutputs: [g], allowUnused: true });
          return [y, ...grads.filter((t): t is Tensor => t !== null)];
        };
        const [want, got] = [run('cpu'), run('cuda')];
        got.forEach((t, i) => {
          expectSame(t, want[i] as Tensor, loose[t.dtype]);
        });
      }
    }
  });
});
