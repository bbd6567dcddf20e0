/**
 * Results and gradients across the casts of autocast, which `linear` makes in part by itself. A
 * weight's gradient arrives in the weight's dtype: rounded to float16 on the way, as PyTorch's is, not
 * to bfloat16.
 */
import {
  allclose,
  amp,
  conv1d,
  conv2d,
  conv3d,
  convTranspose2d,
  equal,
  grad,
  linear,
  mm,
  noGrad,
  randn,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';

const halves = ['float16', 'bfloat16'] as const;

/** Rows x features, odd and round, below and above a block of the product's inner dimension. */
const shapes = [
  [1, 1, 1],
  [3, 5, 2],
  [64, 33, 17],
  [64, 784, 128],
  [1000, 40, 50],
] as const;

/** Every way a convolution may compute its weight gradient. */
const convolutions: [string, number[], number[], (x: Tensor, w: Tensor) => Tensor][] = [
  ['3x3', [2, 20, 13, 11], [18, 20, 3, 3], (x, w) => conv2d(x, w, null, 1, 1)],
  ['3x3 of many pixels', [4, 16, 30, 30], [16, 16, 3, 3], (x, w) => conv2d(x, w, null, 1, 1)],
  ['3x3 of few pixels', [3, 64, 4, 4], [48, 64, 3, 3], (x, w) => conv2d(x, w, null, 1, 1)],
  ['1x1', [3, 17, 9, 7], [21, 17, 1, 1], (x, w) => conv2d(x, w)],
  ['7x7 in steps of 2', [2, 3, 31, 33], [19, 3, 7, 7], (x, w) => conv2d(x, w, null, 2, 3)],
  ['depthwise', [2, 10, 12, 9], [10, 1, 3, 3], (x, w) => conv2d(x, w, null, 1, 1, 1, 10)],
  ['groups', [2, 12, 8, 8], [18, 4, 3, 3], (x, w) => conv2d(x, w, null, 1, 1, 1, 3)],
  ['1d', [2, 5, 40], [7, 5, 4], (x, w) => conv1d(x, w, null, 1, 0, 2)],
  ['3d', [1, 3, 5, 6, 7], [4, 3, 2, 3, 2], (x, w) => conv3d(x, w)],
  ['transposed', [2, 9, 6, 7], [9, 5, 3, 3], (x, w) => convTranspose2d(x, w, null, 2, 1)],
];

describe.each(halves)('%s', (dtype) => {
  test.each(convolutions)('weight gradient of a convolution, %s', (_, xShape, wShape, conv) => {
    const x = randn(xShape);
    const w = randn(wShape, { requiresGrad: true });
    const y = amp.autocast('cpu', { dtype }, () => conv(x, w));
    const dy = randn(y.shape).to(dtype);
    y.backward(dy);
    const gradient = w.grad as Tensor;
    expect(gradient.dtype).toBe('float32');
    const gradientIn = (type: 'float32' | typeof dtype): Tensor => {
      const v = w.detach().to(dtype).to(type).requiresGrad_();
      return grad(conv(x.to(dtype).to(type), v), [v], { gradOutputs: [dy.to(type)] })[0] as Tensor;
    };
    const half = gradientIn(dtype);
    expect(equal(gradient.to(dtype), half)).toBe(true);
    if (dtype === 'float16') {
      expect(equal(gradient, half.float())).toBe(true);
    } else {
      expect(allclose(gradient, gradientIn('float32'), { rtol: 1e-4, atol: 1e-3 })).toBe(true);
      expect(equal(gradient, half.float())).toBe(false);
    }
  });

  test.each(shapes)(
    'weight gradient of %i rows, %i inputs, %i outputs',
    (rows, inputs, outputs) => {
      const x = randn([rows, inputs]);
      const w = randn([outputs, inputs], { requiresGrad: true });
      const dy = randn([rows, outputs]).to(dtype);
      amp.autocast('cpu', { dtype }, () => linear(x, w)).backward(dy);
      expect(w.grad?.dtype).toBe('float32');
      const gradient = w.grad as Tensor;
      const half = mm(dy.t(), x.to(dtype));
      expect(equal(gradient.to(dtype), half)).toBe(true);
      if (dtype === 'float16') {
        expect(equal(gradient, half.float())).toBe(true);
      } else {
        const full = mm(dy.t().float(), x.to(dtype).float());
        expect(allclose(gradient, full, { rtol: 1e-5, atol: 1e-4 })).toBe(true);
      }
    },
  );

  test.each(shapes)(
    'linear of %i rows, %i inputs, %i outputs rounds its weight and bias',
    (rows, inputs, outputs) => {
      const x = randn([rows, inputs]);
      const b = randn([outputs]).set([0], NaN).requiresGrad_();
      const plain = randn([outputs, inputs]);
      plain.set([outputs - 1, inputs - 1], 3.4e38); // rounds to infinity
      for (const w of [plain, plain.t().contiguous().t()]) {
        w.requiresGrad_();
        const expected = linear(x.to(dtype), w.to(dtype), b.to(dtype));
        const inside = (f: () => Tensor) => amp.autocast('cpu', { dtype }, f);
        const same = (y: Tensor) => {
          expect(y.dtype).toBe(dtype);
          expect(allclose(y, expected, { rtol: 0, atol: 0, equalNan: true })).toBe(true);
        };
        same(inside(() => linear(x, w, b)));
        same(noGrad(() => inside(() => linear(x, w, b))));
        // By the cached cast, which an input that wants a gradient leaves.
        same(
          inside(() => {
            linear(x.detach().requiresGrad_(), w, b);
            return linear(x, w, b);
          }),
        );
      }
    },
  );

  test('outside a region a float32 weight is refused', () => {
    const x = randn([4, 8]);
    const w = randn([3, 8], { requiresGrad: true });
    amp.autocast('cpu', { dtype }, () => linear(x, w));
    expect(() => linear(x.to(dtype), w)).toThrow(/same dtype/);
    expect(() => linear(x.to(dtype), w.detach().to(dtype), zeros([3]))).toThrow(/same dtype/);
  });

  test('inside a region integers are refused', () => {
    const x = randn([4, 8]);
    const w = randn([3, 8], { requiresGrad: true });
    const integers = zeros([3], { dtype: 'int64' });
    const inside = (f: () => Tensor) => () => amp.autocast('cpu', { dtype }, f);
    expect(inside(() => linear(x, w, integers))).toThrow(/same dtype/);
    expect(inside(() => linear(x, zeros([3, 8], { dtype: 'int64' }), zeros([3])))).toThrow(
      /same dtype/,
    );
    expect(inside(() => linear(x, w, zeros([4])))).toThrow(/must have shape/);
  });

  test('the gradient of a bias', () => {
    const x = randn([100, 8]);
    const w = randn([7, 8]);
    const b = zeros([7], { requiresGrad: true });
    const dy = randn([100, 7]).to(dtype);
    amp.autocast('cpu', { dtype }, () => linear(x, w, b)).backward(dy);
    const gradient = b.grad as Tensor;
    expect(gradient.dtype).toBe('float32');
    const rounded = dy.sum(0).float();
    if (dtype === 'float16') expect(equal(gradient, rounded)).toBe(true);
    else expect(allclose(gradient, dy.float().sum(0), { rtol: 1e-5, atol: 1e-5 })).toBe(true);
  });

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

test('second derivatives go through the cast of a convolution', () => {
  const x = randn([1, 2, 5, 5], { requiresGrad: true });
  const w = randn([3, 2, 3, 3], { requiresGrad: true });
  const y = amp.autocast('cpu', () => conv2d(x, w));
  const [gw] = grad(y.float().pow(2).sum(), [w], { createGraph: true });
  expect(gw?.dtype).toBe('float32');
  const [second] = grad((gw as Tensor).sum(), [x]);
  expect((second as Tensor).abs().max().item()).toBeGreaterThan(0);
});

test('a product too large for float16 is infinite in the weight gradient', () => {
  const x = tensor([[256], [256]], { dtype: 'float32' });
  const w = tensor([[1]], { dtype: 'float32', requiresGrad: true });
  const dy = tensor([[200], [200]], { dtype: 'float16' });
  amp.autocast('cpu', { dtype: 'float16' }, () => linear(x, w)).backward(dy);
  expect(w.grad?.item()).toBe(Infinity);
});
