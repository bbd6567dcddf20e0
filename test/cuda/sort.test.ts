/** Order on the device: short rows, several a block, long rows by radix, NaN and ties. */
import {
  kthvalue,
  manualSeed,
  median,
  mode,
  nanmedian,
  quantile,
  randint,
  randn,
  sort,
  type Tensor,
  topk,
  unique,
  uniqueConsecutive,
} from '../../lib';
import { agree } from './agree';
import { suite } from './suite';

const dtypes = ['bool', 'uint8', 'int8', 'int16', 'int32', 'int64'] as const;
const floats = ['float16', 'bfloat16', 'float32', 'float64'] as const;

/** Ties, NaN, both zeros and infinities. */
function holed(shape: number[]): Tensor {
  const x = randn(shape).mul(4).round();
  const holes = x.maskedFill(randn(shape).gt(2), NaN).maskedFill(randn(shape).gt(2), Infinity);
  return holes.maskedFill(randn(shape).gt(1.5), -0);
}

suite('order on device cuda', () => {
  beforeEach(() => manualSeed(4));

  const shapes = [
    [1, 1],
    [7, 5],
    [70, 33],
    [2, 2048],
    [2, 5000],
  ];

  test.each([...dtypes, ...floats])('sorts %s', (dtype) => {
    for (const shape of shapes) {
      const float = (floats as readonly string[]).includes(dtype);
      const x = float ? holed(shape).to(dtype) : randn(shape).mul(30).round().to(dtype);
      agree((t) => sort(t, 1), [x]);
      agree((t) => sort(t, 0, true), [x]);
    }
  });

  test('picks', () => {
    for (const shape of [
      [4, 31],
      [2, 2100],
    ]) {
      const all = [holed(shape), randint(6, shape), randn(shape).half()];
      for (const x of shape[0] === 2 ? all.slice(0, 1) : all) {
        agree((t) => topk(t, 5), [x]);
        agree((t) => topk(t, 2, 0, false), [x]);
        agree((t) => kthvalue(t, 7), [x]);
        agree((t) => median(t, 1), [x]);
        agree((t) => nanmedian(t, 1), [x]);
        agree((t) => mode(t), [x]);
      }
      agree((t) => quantile(t, 0.3, 1), [randn(shape)], 1e-6);
    }
    agree((t) => [median(t), ...mode(t.mul(NaN))], [randn([9])]);
  });

  test('groups of equals', () => {
    for (const x of [randint(9, [40]), randint(2, [5000]), holed([3000]), randn([1])]) {
      agree((t) => unique(t, { returnInverse: true, returnCounts: true }), [x]);
      agree((t) => uniqueConsecutive(t, { returnInverse: true, returnCounts: true }), [x]);
    }
    for (const shape of [
      [37, 3],
      [300, 2],
      [1, 4],
    ]) {
      const x = randint(3, shape);
      agree((t) => unique(t, { returnInverse: true, returnCounts: true, dim: 0 }), [x]);
      agree((t) => unique(t.float(), { dim: 1 }), [x]);
    }
  });
});
