/** Kernels that take several rows at once, or rows of large results another way than small ones. */
import { manualSeed, nn, rand, randn, tensor, zeros, type Tensor } from '../../lib';

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

test('any and all of long rows find the element that decides', () => {
  const x = zeros([2, 200000], { dtype: 'bool' });
  x.select(0, 1).narrow(0, 150001, 1).fill_(true);
  expect(x.any(1).toArray()).toEqual([false, true]);
  expect(x.logicalNot().all(1).toArray()).toEqual([true, false]);
  expect(tensor([]).to('bool').any().item()).toBe(false);
});
