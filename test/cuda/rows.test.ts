/**
 * Softmax on device 'cuda' in the shapes that take the different kernels: short and long rows,
 * rows that packs of 16 bytes do not divide, columns, and rows with infinities or NaN.
 */
import { grad, manualSeed, nn, randn, type Tensor, tensor } from '../../lib';
import { expectSame, suite } from './support';

const { functional: F } = nn;
const dtypes = ['float16', 'bfloat16', 'float32', 'float64'] as const;

suite('device cuda, softmax', () => {
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
        const run = (device: string): [Tensor, Tensor | null] => {
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
});
