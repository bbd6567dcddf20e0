/**
 * Matrix products on the device: those of integers, which have kernels of their own, in shapes of
 * several tiles, strided, as vectors and with an added term; and batches without one step.
 */
import {
  addmm,
  addr,
  baddbmm,
  type DType,
  manualSeed,
  nn,
  randint,
  randn,
  type Tensor,
} from '../../lib';
import { agree } from './agree';
import { suite } from './suite';

const integers = ['uint8', 'int8', 'int16', 'int32', 'int64'] as const;

suite('products on device cuda', () => {
  beforeEach(() => manualSeed(3));

  /** Large enough for sums to wrap in the narrow types. */
  const draw = (dtype: DType, ...shape: number[]): Tensor =>
    randint(-1000, 1000, shape)
      .mul(dtype === 'int64' ? 2 ** 31 : 1)
      .to(dtype);

  test.each(integers)('matrices of %s', (dtype) => {
    const mm = (a: Tensor, b: Tensor): Tensor => a.mm(b);
    for (const [m, k, n] of [
      [1, 1, 1],
      [3, 0, 5],
      [70, 33, 65],
      [5, 300, 130],
      [129, 17, 3],
    ] as const) {
      const [a, b] = [draw(dtype, m, k), draw(dtype, k, n)];
      agree(mm, [a, b]);
      agree((x, y) => x.t().mm(y.t()), [draw(dtype, k, m), draw(dtype, n, k)]);
      agree((x, y) => mm(x, y.t()), [a, draw(dtype, n, k)]);
      const linear = (x: Tensor, w: Tensor, bias: Tensor): Tensor =>
        nn.functional.linear(x, w, bias);
      agree(linear, [a, draw(dtype, n, k), draw(dtype, n)]);
    }
  });

  test.each(integers)('vectors and products with an added term of %s', (dtype) => {
    const [a, b, c] = [draw(dtype, 40, 70), draw(dtype, 70, 50), draw(dtype, 40, 50)];
    const [x, y] = [draw(dtype, 700), draw(dtype, 700)];
    agree((p, q) => p.dot(q), [x, y]);
    agree((p, q) => p.mv(q.narrow(0, 0, 70)), [a, x]);
    agree((p, q) => q.narrow(0, 0, 40).matmul(p), [a, x]);
    agree((p, q) => p.t().mv(q.narrow(0, 0, 40)), [a, x]);
    agree((r, p, q) => addmm(r, p, q, { beta: 3, alpha: -2 }), [c, a, b]);
    agree((r, p, q) => addmm(r, p, q, { beta: 0 }), [c, a, b]);
    agree(
      (p, q) => addr(p.narrow(0, 0, 1), q.narrow(0, 0, 90), q.narrow(0, 1, 70), { beta: 2 }),
      [a, x],
    );
    const batches = [draw(dtype, 3, 4, 6), draw(dtype, 3, 4, 5), draw(dtype, 3, 5, 6)];
    agree((r, p, q) => baddbmm(r, p, q, { beta: 2, alpha: 3 }), batches);
  });

  test.each(['int32', 'int64', 'float32', 'float64'] as const)(
    'batches of %s that broadcast without one step',
    (dtype) => {
      const make = (...shape: number[]): Tensor =>
        dtype.startsWith('int') ? draw(dtype, ...shape) : randn(shape).to(dtype);
      const bound = dtype === 'float32' ? 1e-5 : dtype === 'float64' ? 1e-12 : 0;
      const product = (a: Tensor, b: Tensor): Tensor => a.matmul(b);
      agree(product, [make(2, 1, 4, 3), make(1, 3, 3, 5)], bound);
      agree(product, [make(2, 3, 4, 3), make(3, 3, 5)], bound);
      agree((a, b) => a.transpose(0, 1).matmul(b), [make(3, 2, 4, 3), make(2, 3, 3, 5)], bound);
      agree((a, b) => product(a.flip(0), b), [make(4, 4, 3), make(4, 3, 5)], bound);
    },
  );
});
