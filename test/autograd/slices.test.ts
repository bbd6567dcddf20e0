/** Gradients of rows that are picked by index: sums over equal indices, zeros elsewhere. */
import { allclose, equal, nn, oneHot, randint, randn, type Tensor, tensor, zeros } from '../../lib';

const { embedding } = nn.functional;

function close(a: Tensor, b: Tensor, rtol: number): boolean {
  return allclose(a.double(), b.double(), { rtol, atol: rtol });
}

describe.each(['float16', 'bfloat16', 'float32', 'float64'] as const)('%s', (dtype) => {
  const rounding = { float16: 1e-3, bfloat16: 8e-3, float32: 1e-5, float64: 1e-12 }[dtype];

  // Rows of less and more than a cache line, few and many of them, more picks than rows.
  test.each([
    [5, 3, 40],
    [1, 64, 7],
    [300, 33, 100],
    [50, 65, 5000],
    [2000, 128, 1],
  ])('%i rows of %i, %i picks', (rows, size, picks) => {
    const weight = randn([rows, size]).to(dtype).requiresGrad_();
    const index = randint(0, rows, [picks]);
    const dy = randn([picks, size]).to(dtype);
    const expected = oneHot(index, rows).double().t().matmul(dy.double());
    embedding(index, weight).backward(dy);
    expect(weight.grad?.dtype).toBe(dtype);
    expect(
      close(weight.grad as Tensor, expected, rounding * (dtype.startsWith('float') ? 4 : 1)),
    ).toBe(true);
    weight.grad = null;
    weight.indexSelect(0, index.int()).backward(dy);
    expect(close(weight.grad as unknown as Tensor, expected, rounding)).toBe(true);
  });

  test('slices of a first dimension of one, and of a view', () => {
    const x = randn([1, 6, 40]).to(dtype).requiresGrad_();
    const index = tensor([4, 0, 4], { dtype: 'int64' });
    const dy = randn([1, 40, 3]).to(dtype).transpose(1, 2);
    x.indexSelect(-2, index).backward(dy);
    const gradient = x.grad as Tensor;
    expect(equal(gradient.get(0, 0), dy.get(0, 1).contiguous())).toBe(true);
    const both = dy.get(0, 0).double().add(dy.get(0, 2).double());
    expect(close(gradient.get(0, 4), both, rounding)).toBe(true);
    expect(equal(gradient.get(0, 1), zeros([40], { dtype }))).toBe(true);
  });
});

test('a table too large for the caches', () => {
  const weight = zeros([40000, 128], { requiresGrad: true });
  const index = randint(0, 40000, [500]);
  const dy = randn([500, 128]);
  embedding(index, weight).backward(dy);
  const gradient = weight.grad as Tensor;
  const expected = zeros([40000, 128]).indexAdd(0, index, dy);
  expect(equal(gradient, expected)).toBe(true);
});

test('no picks at all', () => {
  const weight = randn([10, 32], { requiresGrad: true });
  embedding(zeros([0], { dtype: 'int64' }), weight)
    .sum()
    .backward();
  expect(equal(weight.grad as Tensor, zeros([10, 32]))).toBe(true);
});
