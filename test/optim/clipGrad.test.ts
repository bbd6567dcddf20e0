import { allclose, ones, randn, type Tensor, tensor, zeros } from '../../lib';
import {
  clipGradNorm_,
  clipGradsWithNorm_,
  clipGradValue_,
  getTotalNorm,
} from '../../lib/nn/utils/clipGrad';
import { values } from './golden';

function withGrads(...grads: number[][]): Tensor[] {
  return grads.map((g) => {
    const p = ones([g.length], { requiresGrad: true });
    p.grad = tensor(g, { dtype: 'float32' });
    return p;
  });
}

const grad = (p: Tensor): number[] => values(p.grad as Tensor);

describe('getTotalNorm', () => {
  test.each([
    [2, Math.sqrt(30)],
    [1, 10],
    [3, Math.cbrt(100)],
    [Infinity, 4],
    [-Infinity, 1],
    [0, 2],
    [0.5, (1 + Math.SQRT2 + Math.sqrt(3) + 2) ** 2],
  ])('of order %p', (normType, expected) => {
    const list = [
      tensor([1.5, -2])
        .mul(0)
        .add(tensor([1, -2])),
      tensor([3.5, 4])
        .mul(0)
        .add(tensor([-3, 4])),
    ];
    expect(getTotalNorm(list, { normType }).item()).toBeCloseTo(expected, 4);
  });

  test('dtypes, empty lists, strided and large tensors', () => {
    expect(getTotalNorm([]).item()).toBe(0);
    expect(getTotalNorm(ones([2], { dtype: 'float16' })).dtype).toBe('float16');
    expect(getTotalNorm([ones([2], { dtype: 'float16' }), ones([2])]).dtype).toBe('float32');
    expect(getTotalNorm([ones([2], { dtype: 'float64' }), ones([2])]).dtype).toBe('float64');
    expect(getTotalNorm([ones([0]), ones([4])]).item()).toBe(2);
    expect(getTotalNorm([ones([1000, 400]).t(), ones([40_000, 21]).narrow(1, 1, 6)]).item()).toBe(
      800,
    );
    expect(getTotalNorm([tensor([NaN, 1])]).item()).toBeNaN();
    expect(getTotalNorm([tensor([NaN, 1])], { normType: Infinity }).item()).toBeNaN();
  });
});

describe('clipGradNorm_', () => {
  test('gradients of more than a core takes at once', () => {
    const sizes = [1, 15, 4095, 65_536, 65_537, 300_001];
    const params = sizes.map((n) => {
      const p = zeros([n], { requiresGrad: true });
      p.grad = randn([n]);
      return p;
    });
    const before = params.map((p) => (p.grad as Tensor).clone());
    const expected = Math.sqrt(
      before.reduce((sum, g) => sum + g.double().square().sum().item(), 0),
    );
    expect(Math.abs(clipGradNorm_(params, 1).item() / expected - 1)).toBeLessThan(1e-6);
    const scale = tensor(1 / (expected + 1e-6), { dtype: 'float32' });
    for (const [i, p] of params.entries()) {
      const wanted = (before[i] as Tensor).mul(scale);
      expect(allclose(p.grad as Tensor, wanted, { rtol: 1e-6, atol: 0 })).toBe(true);
    }
  });

  test('scales all gradients together and returns the norm before', () => {
    const params = withGrads([3, 0], [0, 4]);
    const without = ones([2], { requiresGrad: true });
    expect(clipGradNorm_([...params, without], 1).item()).toBe(5);
    expect(
      params
        .map(grad)
        .flat()
        .map((v) => v.toFixed(5)),
    ).toEqual(['0.60000', '0.00000', '0.00000', '0.80000']);
    expect(without.grad).toBeNull();
  });

  test('a gradient that two parameters share is scaled for each, as in PyTorch', () => {
    const shared = ones([100_000]);
    const params = [0, 1].map(() => {
      const p = ones([100_000], { requiresGrad: true });
      p.grad = shared;
      return p;
    });
    const before = getTotalNorm(params.map((p) => p.grad as Tensor)).item();
    clipGradNorm_(params, before / 2);
    expect(new Set(grad(params[0] as Tensor).map((v) => v.toFixed(4)))).toEqual(
      new Set(['0.2500']),
    );
  });

  test('leaves small gradients alone', () => {
    const params = withGrads([0.3, 0.4]);
    clipGradNorm_(params, 1);
    expect(grad(params[0] as Tensor)).toEqual(values(tensor([0.3, 0.4])));
  });

  test('half gradients whose norm overflows their dtype', () => {
    const p = ones([4], { dtype: 'float16', requiresGrad: true });
    p.grad = ones([4], { dtype: 'float16' }).mul(60000);
    expect(clipGradNorm_(p, 6).item()).toBe(Infinity);
    expect(values((p.grad as Tensor).float())).toEqual([3, 3, 3, 3]);
  });

  test('errors', () => {
    const params = withGrads([Infinity]);
    expect(() => clipGradNorm_(params, 1, { errorIfNonfinite: true })).toThrow(/non-finite/);
    expect(() => clipGradNorm_(params, 1, { normtype: 1 } as object)).toThrow(
      /did you mean 'normType'/,
    );
    expect(() => clipGradNorm_([1 as never], 1)).toThrow(/iterable of Tensors/);
    expect(() => clipGradNorm_(params, NaN)).toThrow(/'maxNorm' must be a number/);
    clipGradNorm_([], 1);
    clipGradsWithNorm_([], 1, ones([]));
  });

  test('clipGradValue_ clamps and keeps NaN', () => {
    const params = withGrads([-3, 0.5, 3, NaN, Infinity]);
    clipGradValue_(params, 1);
    expect(grad(params[0] as Tensor)).toEqual([-1, 0.5, 1, NaN, 1]);
  });
});
