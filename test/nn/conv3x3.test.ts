/** 3 x 3 convolutions with stride 1, whose kernels work on tiles or on several lines, against float64. */
import {
  callOp,
  type DType,
  getNumThreads,
  manualSeed,
  nn,
  ones,
  randn,
  setNumThreads,
  type Tensor,
  zeros,
} from '../../lib';

const F = nn.functional;

interface Case {
  readonly x: readonly number[];
  readonly rows: number;
  readonly padding: number | readonly [number, number];
  readonly groups?: number;
}

function results(c: Case, leaves: readonly Tensor[], dtype: DType): Tensor[] {
  const [x, weight, bias] = leaves.map((t) => {
    const leaf = t.detach().to(dtype).clone();
    leaf.requiresGrad = true;
    return leaf;
  }) as [Tensor, Tensor, Tensor];
  const y = F.conv2d(x, weight, { bias, padding: c.padding, groups: c.groups ?? 1 });
  y.mul(y).sum().backward();
  return [y.detach(), x.grad as Tensor, weight.grad as Tensor, bias.grad as Tensor];
}

function leavesOf(c: Case, dtype: DType): Tensor[] {
  manualSeed(3);
  const channels = (c.x[1] as number) / (c.groups ?? 1);
  // The CPU's way to compute them: a device sums term by term, and test/cuda has its bounds.
  return [c.x, [c.rows, channels, 3, 3], [c.rows]].map((sizes) =>
    randn(sizes, { device: 'cpu' }).to(dtype),
  );
}

const cases: Record<string, Case> = {
  'many tiles': { x: [3, 16, 22, 24], rows: 24, padding: 1 },
  'more tiles than are summed at once': { x: [2, 70, 34, 30], rows: 40, padding: 1 },
  'odd sizes': { x: [2, 20, 11, 15], rows: 37, padding: 1 },
  'two by two pixels': { x: [9, 40, 2, 2], rows: 50, padding: 1 },
  'no padding': { x: [2, 17, 9, 8], rows: 16, padding: 0 },
  'more padding on one side': { x: [2, 16, 5, 13], rows: 18, padding: [2, 0] },
  'terms in several blocks': { x: [1, 410, 6, 7], rows: 20, padding: 1 },
  'many channels': { x: [3, 70, 8, 10], rows: 66, padding: 1 },
  depthwise: { x: [2, 6, 11, 75], rows: 6, padding: 1, groups: 6 },
  'narrow and depthwise': { x: [3, 5, 8, 7], rows: 5, padding: [2, 0], groups: 5 },
  'depthwise, read in place': { x: [2, 9, 11, 75], rows: 9, padding: 1, groups: 9 },
  'depthwise, lines of one vector': { x: [3, 8, 7, 16], rows: 8, padding: [2, 1], groups: 8 },
  'depthwise, a line less on both sides': { x: [2, 8, 4, 33], rows: 8, padding: [0, 1], groups: 8 },
  groups: { x: [2, 48, 8, 6], rows: 51, padding: 1, groups: 3 },
};

describe('3 x 3 convolutions', () => {
  test.each(Object.entries(cases))('%s', (_, c) => {
    for (const [dtype, tolerance] of [
      ['float32', 1e-6],
      ['float16', 1e-3],
      ['bfloat16', 8e-3],
    ] as const) {
      const leaves = leavesOf(c, dtype);
      const want = results(c, leaves, 'float64');
      results(c, leaves, dtype).forEach((t, i) => {
        const exact = want[i] as Tensor;
        const error = t.to('float64').sub(exact).abs().amax().item();
        expect(error).toBeLessThan(tolerance * exact.abs().amax().item());
      });
    }
  });

  test('depthwise and transposed, with a bias', () => {
    manualSeed(4);
    const [x, weight, bias] = [[2, 9, 11, 75], [9, 1, 3, 3], [9]].map((sizes) =>
      randn(sizes, { device: 'cpu' }),
    ) as [Tensor, Tensor, Tensor];
    const convolve = (dtype: DType): Tensor =>
      F.convTranspose2d(x.to(dtype), weight.to(dtype), {
        bias: bias.to(dtype),
        padding: 1,
        groups: 9,
      });
    const want = convolve('float64');
    for (const [dtype, tolerance] of [
      ['float32', 1e-6],
      ['bfloat16', 2e-2],
    ] as const) {
      const error = convolve(dtype).double().sub(want).abs().amax().item();
      expect(error).toBeLessThan(tolerance * want.abs().amax().item());
    }
  });

  test('depthwise, a result as wide as is asked for', () => {
    manualSeed(5);
    const x = randn([1, 8, 12, 40], { device: 'cpu' });
    const weight = randn([8, 1, 3, 3], { device: 'cpu' });
    const convolve = (dtype: DType, width: number): Tensor =>
      callOp('convForward', [
        x.to(dtype),
        weight.to(dtype),
        null,
        [12, width],
        [1, 1],
        [1, 1],
        [1, 1],
        8,
      ]) as Tensor;
    for (const width of [39, 40, 41]) {
      const error = convolve('float32', width).double().sub(convolve('float64', width)).abs();
      expect(error.amax().item()).toBeLessThan(1e-5);
    }
  });

  test('depthwise, an infinite pixel makes infinite gradients', () => {
    for (const column of [0, 5, 15, 33, 36, 37]) {
      const x = ones([1, 8, 6, 38], { device: 'cpu' });
      x.set([0, 3, 2, column], Infinity);
      const weight = zeros([8, 1, 3, 3], { device: 'cpu', requiresGrad: true });
      F.conv2d(x, weight, { padding: 1, groups: 8 }).sum().backward();
      const gradient = weight.grad as Tensor;
      expect(gradient.isnan().any().item()).toBeFalsy();
      const columns = column === 0 ? [0, 1] : column === 37 ? [1, 2] : [0, 1, 2];
      const expected = [0, 1, 2].map(() => [0, 1, 2].map((j) => columns.includes(j)));
      expect(gradient.get(3, 0).isinf().bool().toArray()).toEqual(expected);
      expect(gradient.get(4).isinf().any().item()).toBeFalsy();
    }
  });

  test('what is not finite reaches its own pixels only', () => {
    const c: Case = { x: [1, 16, 9, 9], rows: 16, padding: 1 };
    const [x, weight] = leavesOf(c, 'float32') as [Tensor, Tensor];
    for (const [h, w, value] of [
      [3, 4, Infinity],
      [8, 8, -Infinity],
      [0, 0, NaN],
      [5, 5, 3e38],
    ] as const) {
      const image = x.clone();
      image.select(2, h).select(2, w).fill_(value);
      const y = F.conv2d(image, weight, { padding: 1 });
      const outside = y.clone();
      for (let i = Math.max(h - 1, 0); i < Math.min(h + 2, 9); ++i) {
        for (let j = Math.max(w - 1, 0); j < Math.min(w + 2, 9); ++j) {
          outside.select(2, i).select(2, j).fill_(0);
        }
      }
      expect(y.select(2, h).select(2, w).isfinite().any().item()).toBe(false);
      expect(outside.isfinite().all().item()).toBe(true);
    }
  });

  test('both ways to share the work give the same bits, with any number of threads', () => {
    const c: Case = { x: [8, 32, 10, 10], rows: 32, padding: 1 };
    const [x, weight] = leavesOf(c, 'float32') as [Tensor, Tensor];
    const together = F.conv2d(x, weight, { padding: 1 });
    const alone = F.conv2d(x.narrow(0, 5, 1), weight, { padding: 1 });
    expect(alone.equal(together.narrow(0, 5, 1))).toBe(true);
    const threads = getNumThreads();
    setNumThreads(1);
    expect(F.conv2d(x, weight, { padding: 1 }).equal(together)).toBe(true);
    setNumThreads(threads);
  });
});
