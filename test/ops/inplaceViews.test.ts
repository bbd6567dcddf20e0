/** In-place views change the geometry of their tensor, keep its memory, and extend its history. */
import { arange, noGrad, type Tensor } from '../../lib';
import { thrownBy } from '../support/codes';
import { expectNoLeaks } from './support/leaks';

expectNoLeaks();

const matrix = (): Tensor => arange(6, { dtype: 'float32' }).view(2, 3).clone();

test.each([
  ['transpose_', (x: Tensor) => x.transpose_(0, -1), [3, 2]],
  ['swapaxes_', (x: Tensor) => x.swapaxes_(0, 1), [3, 2]],
  ['swapdims_', (x: Tensor) => x.swapdims_(0, 1), [3, 2]],
  ['t_', (x: Tensor) => x.t_(), [3, 2]],
  ['unsqueeze_', (x: Tensor) => x.unsqueeze_(1), [2, 1, 3]],
  ['squeeze_', (x: Tensor) => x.unsqueeze_(0).squeeze_(), [2, 3]],
  ['asStrided_', (x: Tensor) => x.asStrided_([2, 2], [1, 2], 1), [2, 2]],
] as const)('%s returns its tensor in the new shape', (_, change, shape) => {
  const x = matrix();
  const memory = x.detach();
  expect(x.shape).toEqual([2, 3]);
  const { version } = x;
  expect(change(x)).toBe(x);
  expect(x.shape).toEqual(shape);
  expect(x.version).toBeGreaterThan(version);
  expect(x.sharesStorage(memory)).toBe(true);
});

test('values follow the geometry', () => {
  expect(matrix().t_().toArray()).toEqual([
    [0, 3],
    [1, 4],
    [2, 5],
  ]);
  expect(matrix().asStrided_([2, 2], [1, 2], 1).toArray()).toEqual([
    [1, 3],
    [2, 4],
  ]);
});

test('gradients flow through them', () => {
  const a = matrix().requiresGrad_();
  const b = a.mul(1);
  b.t_();
  b.mul(arange(6, { dtype: 'float32' }).view(3, 2))
    .sum()
    .backward();
  expect(a.grad?.toArray()).toEqual([
    [0, 2, 4],
    [1, 3, 5],
  ]);
});

test('a view that changes its geometry still writes its base', () => {
  const a = matrix().requiresGrad_();
  const b = a.mul(1);
  const row = b.select(0, 0);
  row.unsqueeze_(0);
  row.mul_(2);
  b.sum().backward();
  expect(a.grad?.toArray()).toEqual([
    [2, 2, 2],
    [1, 1, 1],
  ]);
});

test('a view made before its base changed shape is refused where it matters', () => {
  const b = matrix().requiresGrad_().mul(1);
  const row = b.select(0, 0);
  b.t_();
  expect(thrownBy(() => row.mul_(2)).code).toBe('ERR_AUTOGRAD');
});

test('leaves that require grad change below noGrad only', () => {
  const a = matrix().requiresGrad_();
  expect(thrownBy(() => a.t_()).code).toBe('ERR_AUTOGRAD');
  noGrad(() => a.t_());
  a.sum().backward();
  expect(a.grad?.shape).toEqual([3, 2]);
});

test('what the view refuses, the in-place form refuses', () => {
  const x = matrix();
  expect(thrownBy(() => x.transpose_(0, 4)).code).toBe('ERR_RANGE');
  expect(thrownBy(() => x.unsqueeze_(9)).code).toBe('ERR_RANGE');
  expect(thrownBy(() => x.unsqueeze_(0).t_()).code).toBe('ERR_SHAPE');
  expect(x.shape).toEqual([1, 2, 3]);
});
