/** Kernels that take several rows at once, or rows of large results another way than small ones. */
import { manualSeed, nn, rand, randint, randn, stack, tensor, zeros, type Tensor } from '../../lib';

const F = nn.functional;

function gradient(f: (x: Tensor) => Tensor, x: Tensor, dy: Tensor): Tensor {
  const leaf = x.clone().requiresGrad_();
  f(leaf).backward(dy);
  return leaf.grad as Tensor;
}

test('rows of results past the caches are those of small results', () => {
  manualSeed(1);
  const x = randn([4200, 1024]);
  const dy = randn([4200, 1024]);
  const weight = rand([1024]);
  const bias = rand([1024]);
  const ops: ((x: Tensor) => Tensor)[] = [
    (t) => t.softmax(-1),
    (t) => t.logSoftmax(-1),
    (t) => F.layerNorm(t, [1024], { weight, bias }),
    (t) => F.rmsNorm(t, [1024], { weight }),
  ];
  for (const op of ops) {
    const all = op(x);
    const grad = gradient(op, x, dy);
    for (const at of [0, 2077, 4168]) {
      const part = x.narrow(0, at, 32);
      expect(all.narrow(0, at, 32).equal(op(part))).toBe(true);
      expect(grad.narrow(0, at, 32).equal(gradient(op, part, dy.narrow(0, at, 32)))).toBe(true);
    }
  }
});

test("the gradients of layerNorm's parameters, with and without that of its input", () => {
  manualSeed(2);
  const x = randn([300, 70], { dtype: 'float64' });
  const dy = randn([300, 70], { dtype: 'float64' });
  for (const inputs of [true, false]) {
    const weight = rand([70], { dtype: 'float64' }).requiresGrad_();
    const bias = rand([70], { dtype: 'float64' }).requiresGrad_();
    const leaf = x.clone().requiresGrad_(inputs);
    F.layerNorm(leaf, [70], { weight, bias, eps: 1e-5 }).backward(dy);
    const normal = F.layerNorm(x, [70], { eps: 1e-5 });
    expect((weight.grad as Tensor).sub(dy.mul(normal).sum(0)).abs().max().item()).toBeLessThan(
      1e-12,
    );
    expect((bias.grad as Tensor).sub(dy.sum(0)).abs().max().item()).toBeLessThan(1e-12);
  }
});

test('a reduction of rows is that of each row', () => {
  manualSeed(3);
  for (const dtype of ['float32', 'float64', 'int64'] as const) {
    for (const shape of [
      [11, 130],
      [70, 17],
      [3, 9000],
      [303, 1100], // more than a core's cache holds
    ] as const) {
      // prettier-ignore
      const x = randn(shape).mul(100).to(dtype);
      x.narrow(0, 2, 1).narrow(1, 16, 1).fill_(1e6);
      const [best, place] = x.max(1);
      for (let r = 0; r < shape[0]; ++r) {
        const row = x.select(0, r);
        expect(x.sum(1).select(0, r).item()).toBe(row.sum().item());
        expect(x.amax(1).select(0, r).item()).toBe(row.amax().item());
        expect(x.amin(1).select(0, r).item()).toBe(row.amin().item());
        expect(best.select(0, r).item()).toBe(row.amax().item());
        expect(place.select(0, r).item()).toBe(row.argmax().item());
      }
      expect(place.select(0, 2).item()).toBe(16);
    }
  }
});

test('NaN spoils its own row only', () => {
  const x = zeros([9, 100]);
  x.select(0, 4).narrow(0, 50, 1).fill_(NaN);
  x.select(0, 7).narrow(0, 99, 1).fill_(NaN);
  const expected = [0, 0, 0, 0, NaN, 0, 0, NaN, 0];
  expect(x.amax(1).toArray()).toEqual(expected);
  expect(x.amin(1).toArray()).toEqual(expected);
  expect((x.argmax(1).toArray() as (number | bigint)[]).map(Number)).toEqual([
    0, 0, 0, 0, 50, 0, 0, 99, 0,
  ]);
});

test('a norm of rows is that of each row', () => {
  manualSeed(4);
  for (const dtype of ['float32', 'float64'] as const) {
    const x = randn([303, 1100]).to(dtype);
    x.select(0, 299).narrow(0, 700, 1).fill_(NaN);
    const norms = x.norm({ dim: 1 });
    for (let r = 0; r < 303; ++r) {
      expect(norms.select(0, r).item()).toBe(x.select(0, r).clone().norm().item());
    }
    expect(x.amax(1).isnan().sum().item()).toBe(1);
  }
});

describe('the same columns of every row', () => {
  const picked = (x: Tensor, columns: readonly number[]): Tensor =>
    stack(
      columns.map((c) => x.select(1, c)),
      1,
    );

  test.each([
    [1, 40, 17],
    [2, 40, 300],
    [32, 40, 300],
    [37, 1024, 512],
    [65, 1024, 513],
    [1001, 100, 33],
    [33, 3000, 2900], // rows that do not share the first-level cache
    [50, 5000, 16],
  ])('%i rows of %i, %i picks', (rows, size, picks) => {
    manualSeed(5);
    const x = randn([rows, size]).mul(100);
    const index = randint(0, size, [picks]);
    const columns = (index.toArray() as (number | bigint)[]).map(Number);
    for (const dtype of ['float32', 'float16', 'float64', 'uint8', 'bool'] as const) {
      const t = x.abs().clamp({ max: 255 }).to(dtype);
      const expected = picked(t, columns);
      expect(t.indexSelect(1, index).equal(expected)).toBe(true);
      expect(t.t().contiguous().t().indexSelect(1, index).equal(expected)).toBe(true);
    }
    const wide = randn([rows, 2 * size]).narrow(1, size - 1, size);
    expect(wide.indexSelect(1, index).equal(picked(wide, columns))).toBe(true);
  });

  test('a position out of range leaves nothing written', () => {
    const x = zeros([40, 30]);
    const index = zeros([20], { dtype: 'int64' });
    index.narrow(0, 19, 1).fill_(30);
    expect(() => x.indexSelect(1, index)).toThrow(
      /index 30 is out of bounds for dimension 1 with size 30/,
    );
  });
});

test('any and all of long rows find the element that decides', () => {
  const x = zeros([2, 200000], { dtype: 'bool' });
  x.select(0, 1).narrow(0, 150001, 1).fill_(true);
  expect(x.any(1).toArray()).toEqual([false, true]);
  expect(x.logicalNot().all(1).toArray()).toEqual([true, false]);
  expect(tensor([]).to('bool').any().item()).toBe(false);
});
