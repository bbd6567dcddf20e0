import { empty, manualSeed, matmul, nn, type Tensor, zeros } from '../../lib';

const { init } = nn;

function range(t: Tensor): [number, number] {
  return [t.amin().item(), t.amax().item()];
}

function deviation(t: Tensor): number {
  return t.sub(t.mean()).square().mean().item() ** 0.5;
}

beforeEach(() => manualSeed(7));

describe('init', () => {
  test('fills with uniform and normal numbers', () => {
    const t = zeros([64, 64]);
    expect(init.uniform_(t, -2, 3)).toBe(t);
    expect(range(t)[0]).toBeGreaterThanOrEqual(-2);
    expect(range(t)[1]).toBeLessThan(3);
    init.normal_(t, { mean: 5, std: 2 });
    expect(t.mean().item()).toBeCloseTo(5, 0);
    expect(deviation(t)).toBeCloseTo(2, 0);
    init.truncNormal_(t, { std: 2, a: -1, b: 3 });
    expect(range(t)[0]).toBeGreaterThanOrEqual(-1);
    expect(range(t)[1]).toBeLessThanOrEqual(3);
  });

  test('fills with constants, identities and Dirac kernels', () => {
    expect(init.constant_(empty([2]), 0.5).toArray()).toEqual([0.5, 0.5]);
    expect(init.ones_(empty([2])).toArray()).toEqual([1, 1]);
    expect(init.zeros_(empty([2])).toArray()).toEqual([0, 0]);
    expect(init.eye_(empty([2, 3])).toArray()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    const w = init.dirac_(empty([4, 2, 3]), 2);
    expect(w.sum().item()).toBe(4);
    expect([w.get(0, 0, 1).item(), w.get(3, 1, 1).item()]).toEqual([1, 1]);
  });

  test('bounds by fans', () => {
    const t = empty([400, 600]);
    const bound = Math.sqrt(6 / 1000);
    const [low, high] = range(init.xavierUniform_(t));
    expect(high).toBeLessThanOrEqual(bound);
    expect(low).toBeLessThan(-0.9 * bound);
    expect(deviation(init.xavierNormal_(t, 2))).toBeCloseTo(2 * Math.sqrt(2 / 1000), 3);
    const kaiming = range(init.kaimingUniform_(t, { nonlinearity: 'relu' }));
    expect(kaiming[1]).toBeLessThanOrEqual(Math.sqrt(6 / 600));
    expect(kaiming[1]).toBeGreaterThan(0.9 * Math.sqrt(6 / 600));
    init.kaimingNormal_(t, { mode: 'fan_out', nonlinearity: 'linear' });
    expect(deviation(t)).toBeCloseTo(Math.sqrt(1 / 400), 3);
    expect(init.calculateFanInAndFanOut(empty([8, 4, 3, 3]))).toEqual({ fanIn: 36, fanOut: 72 });
  });

  test.each([
    [5, 3],
    [3, 5],
    [4, 4],
  ])('orthogonal_ %i x %i', (m, n) => {
    const t = init.orthogonal_(empty([m, n], { dtype: 'float64' }), { gain: 2 });
    const gram = m < n ? matmul(t, t.t()) : matmul(t.t(), t);
    const want = init.eye_(zeros(gram.shape, { dtype: 'float64' })).mul(4);
    expect(gram.sub(want).abs().amax().item()).toBeLessThan(1e-12);
  });

  test('sparse_ leaves the given fraction of every column zero', () => {
    const t = init.sparse_(empty([10, 4]), 0.25);
    const perColumn = t.eq(0).sum(0).toArray();
    expect(perColumn).toEqual([3, 3, 3, 3]);
  });

  test('does not record and rejects what does not fit', () => {
    const p = new nn.Parameter(empty([2, 2]));
    init.uniform_(p);
    expect(p.isLeaf).toBe(true);
    expect(init.calculateGain('leaky_relu', 0.2)).toBeCloseTo(1.3867504905630728, 12);
    expect(() => init.calculateGain('relux' as never)).toThrow("did you mean 'relu'");
    expect(() => init.xavierNormal_(empty([2]))).toThrow('at least 2 dimensions');
    expect(() => init.eye_(empty([2]))).toThrow('2-dimensional');
    expect(() => init.ones_(3 as never)).toThrow("ones_: argument 'tensor' must be a Tensor");
    expect(() => init.kaimingNormal_(empty([2, 2]), { mode: 'fanin' as never })).toThrow('fan_in');
    expect(() => init.dirac_(empty([3, 1, 1]), 2)).toThrow('divisor');
  });
});
