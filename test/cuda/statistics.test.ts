/** Products, variances, norms and search on the device, in the sizes that take each way. */
import {
  bucketize,
  linspace,
  manualSeed,
  prod,
  randint,
  randn,
  searchsorted,
  sort,
  type Tensor,
  tensor,
  vectorNorm,
} from '../../lib';
import { agree } from './agree';
import { suite } from './suite';

const bounds = { float16: 2e-3, bfloat16: 2e-2, float32: 1e-5, float64: 1e-12 } as const;
const floats = Object.keys(bounds) as (keyof typeof bounds)[];

suite('statistics on device cuda', () => {
  beforeEach(() => manualSeed(2));

  test.each(floats)('of %s', (dtype) => {
    const bound = bounds[dtype];
    const fs: ((x: Tensor, dim: number) => Tensor)[] = [
      (x, dim) => x.var(dim),
      (x, dim) => x.std(dim, { correction: 0 }),
      (x, dim) => vectorNorm(x, 2, dim),
      (x, dim) => prod(x.abs().pow(0.0002), dim),
    ];
    for (const [rows, columns] of [
      [3, 40],
      [300, 70],
      [2, 20000],
    ] as const) {
      const x = randn([rows, columns]).add(3).to(dtype);
      for (const f of fs) {
        agree((t) => f(t, 0), [x], bound);
        agree((t) => f(t, 1), [x], bound);
        agree((t) => f(t.t(), 1), [x], bound);
      }
    }
  });

  test('large means do not spoil variances', () => {
    agree((t) => t.var(), [randn([30000]).add(1000)], 1e-3);
    agree((t) => t.var(), [tensor([1.5])], 0);
    agree((t) => prod(t), [randint(3, [30]).add(1)]);
  });

  test('search', () => {
    for (const dtype of ['float16', 'float32', 'int16', 'int64'] as const) {
      const rows = sort(randn([4, 33]).mul(9).to(dtype), 1)[0]!;
      const values = randn([4, 300]).mul(9).to(dtype);
      agree((s, v) => searchsorted(s, v), [rows, values]);
      agree((s, v) => searchsorted(s, v, { right: true }), [rows, values]);
      agree((s, v) => bucketize(v, s), [rows.select(0, 1).contiguous(), values]);
    }
    agree((x) => [x, linspace(-1, 1, 7, { dtype: 'float16', device: x.device })], [randn([3])]);
  });
});
