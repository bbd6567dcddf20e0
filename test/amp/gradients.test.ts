/**
 * Gradients across the casts of autocast: those of a weight are rounded to the dtype of the product,
 * as PyTorch's are, and arrive in the weight's own.
 */
import { amp, equal, grad, linear, mm, randn, type Tensor, tensor, zeros } from '../../lib';

const halves = ['float16', 'bfloat16'] as const;

/** Rows x features, odd and round, below and above a block of the product's inner dimension. */
const shapes = [
  [1, 1, 1],
  [3, 5, 2],
  [64, 33, 17],
  [64, 784, 128],
  [1000, 40, 50],
] as const;

describe.each(halves)('%s', (dtype) => {
  test.each(shapes)(
    'weight gradient of %i rows, %i inputs, %i outputs',
    (rows, inputs, outputs) => {
      const x = randn([rows, inputs]);
      const w = randn([outputs, inputs], { requiresGrad: true });
      const dy = randn([rows, outputs]).to(dtype);
      amp.autocast('cpu', { dtype }, () => linear(x, w)).backward(dy);
      expect(w.grad?.dtype).toBe('float32');
      const expected = mm(dy.t(), x.to(dtype)).float();
      expect(equal(w.grad as Tensor, expected)).toBe(true);
    },
  );

  test('NaN and infinity reach the weight', () => {
    const x = zeros([2, 40]).set([0, 3], NaN).set([1, 20], Infinity);
    const w = zeros([20, 40], { requiresGrad: true });
    const dy = tensor(
      Array.from({ length: 2 }, () => new Array<number>(20).fill(1)),
      { dtype },
    );
    amp.autocast('cpu', { dtype }, () => linear(x, w)).backward(dy);
    const row = (w.grad as Tensor).get(7).toArray() as number[];
    expect(row[3]).toBeNaN();
    expect(row[20]).toBe(Infinity);
    expect(row.filter((v) => v !== 0)).toHaveLength(2);
  });

  test('a weight used twice gathers both gradients', () => {
    const x = randn([8, 16]);
    const w = randn([16, 16], { requiresGrad: true });
    amp
      .autocast('cpu', { dtype }, () => linear(linear(x, w), w))
      .sum()
      .backward();
    const v = w.detach().requiresGrad_();
    linear(linear(x, v), v).sum().backward();
    const error = (w.grad as Tensor)
      .sub(v.grad as Tensor)
      .abs()
      .max()
      .item() as number;
    const size = (v.grad as Tensor).abs().max().item() as number;
    expect(error / size).toBeLessThan(dtype === 'float16' ? 2e-3 : 2e-2);
    expect(error).toBeGreaterThan(0);
  });

  test('activations in float32 see hooks, retained gradients and second derivatives', () => {
    const x = randn([4, 8], { requiresGrad: true });
    const w = randn([3, 8], { requiresGrad: true });
    const h = x.tanh();
    h.retainGrad();
    const seen: string[] = [];
    h.registerHook((g) => {
      seen.push(g.dtype);
    });
    const y = amp.autocast('cpu', { dtype }, () => linear(h, w));
    const [gx, gw] = grad(y.float().pow(2).sum(), [x, w], { createGraph: true });
    expect(seen).toEqual(['float32']);
    expect([gx?.dtype, gw?.dtype]).toEqual(['float32', 'float32']);
    const [second] = grad((gw as Tensor).sum(), [x]);
    expect(second?.shape).toEqual([4, 8]);
    expect((second as Tensor).abs().max().item()).toBeGreaterThan(0);
  });
});

test('a product too large for float16 is infinite in the weight gradient', () => {
  const x = tensor([[256], [256]], { dtype: 'float32' });
  const w = tensor([[1]], { dtype: 'float32', requiresGrad: true });
  const dy = tensor([[200], [200]], { dtype: 'float16' });
  amp.autocast('cpu', { dtype: 'float16' }, () => linear(x, w)).backward(dy);
  expect(w.grad?.item()).toBe(Infinity);
});
