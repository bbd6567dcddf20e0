/** Running folds on the device: short and many lines, blocks, and lines in several parts. */
import {
  cummax,
  cummin,
  cumprod,
  cumsum,
  logcumsumexp,
  manualSeed,
  randint,
  randn,
} from '../../lib';
import { agree } from './agree';
import { suite } from './suite';

const bounds = { float16: 2e-3, bfloat16: 2e-2, float32: 1e-6, float64: 1e-13 } as const;
const floats = Object.keys(bounds) as (keyof typeof bounds)[];

suite('scans on device cuda', () => {
  beforeEach(() => manualSeed(3));

  const shapes = [
    [[2, 3, 20], 2],
    [[2, 700, 3], 1],
    [[5, 50], 1],
    [[40, 60], 0],
    [[17000], 0],
  ] as const;

  test.each(floats)('of %s', (dtype) => {
    for (const [shape, dim] of dtype === 'float32' ? shapes : shapes.slice(0, 3)) {
      const x = randn([...shape]).to(dtype);
      agree((t) => cumsum(t, dim), [x], bounds[dtype]);
      agree((t) => cumsum(t, dim, { reverse: true }), [x], bounds[dtype]);
      agree((t) => cumprod(t, dim), [x.abs().pow(0.01)], bounds[dtype]);
      agree((t) => logcumsumexp(t, dim), [x], bounds[dtype]);
      agree((t) => cummax(t, dim), [x]);
      agree((t) => cummin(t, dim), [x.round()]);
    }
  });

  test('of integers, and with NaN', () => {
    for (const dtype of ['uint8', 'int32', 'int64', 'bool'] as const) {
      const x = randint(5, [3, 1100]).to(dtype);
      agree((t) => cumsum(t, 1), [x]);
      agree((t) => cumprod(t, 0), [x]);
      agree((t) => cummax(t, 1), [x]);
    }
    const x = randn([2, 17000]);
    const holed = x.maskedFill(randn([2, 17000]).gt(3), NaN);
    agree((t) => cummax(t, 1), [holed]);
    agree((t) => cummin(t, 1), [holed]);
    agree((t) => logcumsumexp(t, 1).isnan(), [holed]);
    agree((t) => logcumsumexp(t, 1), [x.maskedFill(randn([2, 17000]).gt(0), -Infinity)], 1e-6);
  });
});
