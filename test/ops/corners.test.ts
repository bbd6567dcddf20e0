/** Corners of ops where only PyTorch's recorded answer says what is right. */
import {
  atleast1d,
  atleast2d,
  atleast3d,
  equal,
  ldexp,
  linalg,
  nn,
  ones,
  polygamma,
  pow,
  tensor,
  unique,
  unravelIndex,
} from '../../lib';
import { thrownBy } from '../support/codes';

const F = nn.functional;

test('slices are compared with their other dimensions in order, wherever the dimension stands', () => {
  const x = tensor([
    [
      [1, 0, 1, 0],
      [0, 1, 0, 1],
      [1, 1, 1, 0],
    ],
    [
      [0, 1, 0, 0],
      [1, 0, 1, 1],
      [0, 0, 0, 1],
    ],
  ]);
  const [values, inverse, counts] = unique(x, { dim: 2, returnInverse: true, returnCounts: true });
  expect(values.toArray()).toEqual([
    [
      [0, 0, 1],
      [1, 1, 0],
      [0, 1, 1],
    ],
    [
      [0, 1, 0],
      [1, 0, 1],
      [1, 0, 0],
    ],
  ]);
  expect(inverse.toArray()).toEqual([2, 1, 2, 0]);
  expect(counts.toArray()).toEqual([1, 1, 2]);
});

test('the weights of the border of an 8-bit image are added before they are rounded', () => {
  const rows = [
    [7, 6, 9, 3],
    [3, 9, 0, 1],
    [2, 9, 7, 8],
    [6, 3, 4, 8],
  ];
  const x = tensor(rows, { dtype: 'uint8' }).view(1, 1, 4, 4);
  expect(
    F.interpolate(x, { size: [3, 3], mode: 'bicubic' })
      .flatten()
      .toArray(),
  ).toEqual([7, 7, 3, 3, 7, 4, 6, 4, 7]);
  const wide = F.interpolate(x, { size: [9, 9], mode: 'bicubic' });
  expect(wide.get(0, 0, 0).toArray()).toEqual([8, 7, 6, 6, 8, 10, 8, 4, 2]);
});

test('truth values wrap around, and replication goes on beyond what padding cut off', () => {
  const truths = tensor([[true, false, false]]);
  expect(F.pad(truths, [1, 2], { mode: 'circular' }).toArray()).toEqual([
    [false, true, false, false, true, false],
  ]);
  const row = tensor([[1, 2, 3, 4]]);
  expect(F.pad(row, [-4, 5], { mode: 'replicate' }).toArray()).toEqual([[4, 4, 4, 4, 4]]);
  expect(F.pad(row, [2, -4], { mode: 'replicate' }).toArray()).toEqual([[1, 1]]);
  expect(thrownBy(() => F.pad(row, [-4, 5], { mode: 'circular' })).code).toBe('ERR_SHAPE');
  expect(thrownBy(() => F.pad(ones([1, 0]), [1, 1], { mode: 'replicate' })).code).toBe('ERR_SHAPE');
});

test('integers widen in sums and powers, even where there is nothing to add', () => {
  const three = tensor(3, { dtype: 'int32' });
  expect(three.sumToSize([]).dtype).toBe('int64');
  expect(ones([2], { dtype: 'int32' }).sumToSize([2]).dtype).toBe('int32');
  const powers = linalg.vander(tensor([2, 3], { dtype: 'int32' }), { N: 3 });
  expect(powers.dtype).toBe('int64');
  expect(powers.toArray()).toEqual([
    [1, 2, 4],
    [1, 3, 9],
  ]);
});

test('an index into a shape that no memory could hold', () => {
  const at = unravelIndex(tensor([5, 2 ** 40]), [3, Number.MAX_SAFE_INTEGER]);
  expect(at.map((t) => t.toArray())).toEqual([
    [0, 0],
    [5, 2 ** 40],
  ]);
});

test('the trigamma function has no limit at minus infinity', () => {
  expect(polygamma(1, tensor([-Infinity, Infinity])).toArray()).toEqual([NaN, 0]);
});

test('an empty vector passes through a batch norm that trains', () => {
  const nothing = ones([0]);
  expect(F.batchNorm(nothing, nothing, nothing, { training: true }).shape).toEqual([0]);
});

test('several tensors, or a list of them, get the least number of dimensions each', () => {
  const [scalar, vector] = [tensor(1), ones([2])];
  const shapes = [
    atleast1d([scalar, vector]),
    atleast2d([scalar, vector]),
    atleast3d(scalar, vector),
  ].map((list) => list.map((t) => t.shape));
  expect(shapes).toEqual([
    [[1], [2]],
    [
      [1, 1],
      [1, 2],
    ],
    [
      [1, 1, 1],
      [1, 2, 1],
    ],
  ]);
  expect(atleast1d([])).toEqual([]);
  expect(atleast2d(vector).shape).toEqual([1, 2]);
  expect(thrownBy(() => atleast1d([1 as never])).code).toBe('ERR_TYPE');
  expect(thrownBy(() => atleast1d(vector, 2 as never)).code).toBe('ERR_TYPE');
});

test('ldexp keeps the dtype of floating numbers and passes no power that overflows', () => {
  const x = tensor([1e-30, 1e38, 3]);
  expect(ldexp(x, tensor(130)).toArray()).toEqual([1361129472, Infinity, Infinity]);
  const [small, medium] = ldexp(x, tensor(-130)).toArray() as number[];
  expect([small, medium]).toEqual([0, 0.0734683945775032]);
  const halves = tensor([Math.fround(1e-4), 3, -0, Infinity, NaN], { dtype: 'float16' });
  const shifted = ldexp(halves, tensor(20));
  expect(shifted.dtype).toBe('float16');
  expect(shifted.toArray()).toEqual([104.875, Infinity, -0, Infinity, NaN]);
  const ends = tensor([5e-324, 1e300, Infinity], { dtype: 'float64' });
  expect(ldexp(ends, tensor([2097, -2070, -4000])).toArray()).toEqual([
    2 ** 1023,
    5e-324,
    Infinity,
  ]);
  expect(ldexp(tensor([1, 2], { dtype: 'int32' }), tensor([1, 2])).dtype).toBe('float32');
});

test('equal compares across dtypes', () => {
  expect(equal(tensor([1, 2], { dtype: 'int32' }), tensor([1, 2], { dtype: 'float64' }))).toBe(
    true,
  );
  expect(equal(tensor([1, 2], { dtype: 'float16' }), tensor([1, 2.5]))).toBe(false);
  expect(equal(ones([2], { dtype: 'int32' }), ones([3]))).toBe(false);
});

test('truth values have truth values as powers', () => {
  const truths = tensor([true, false]);
  expect(pow(truths, true).toArray()).toEqual([true, false]);
  expect(pow(truths, false).toArray()).toEqual([true, true]);
});
