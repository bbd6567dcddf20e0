/** Hooks on tensors: what they see, what they replace, how they are removed. */
import { enableGrad, grad, ones, tensor, type Tensor, zeros } from '../../lib';
import { expectAutogradError } from '../support/codes';

const leaf = (data: number[]): Tensor => tensor(data, { dtype: 'float64', requiresGrad: true });

test('a hook on an intermediate sees and replaces its gradient', () => {
  const x = leaf([1, 2]);
  const y = x.mul(2);
  const seen: unknown[] = [];
  y.registerHook((g) => {
    seen.push(g.toArray());
    return g.mul(10);
  });
  y.mul(3).sum().backward();
  expect(seen).toEqual([[3, 3]]);
  expect(x.grad?.toArray()).toEqual([60, 60]);
});

test('hooks run in order, each on what the one before returned', () => {
  const x = leaf([1]);
  x.registerHook((g) => g.add(1));
  x.registerHook((g) => g.mul(10));
  x.registerHook(() => undefined);
  x.sum().backward();
  expect(x.grad?.toArray()).toEqual([20]);
});

test('a hook on a leaf sees the sum of all uses, once', () => {
  const x = leaf([1]);
  let calls = 0;
  x.registerHook(() => {
    ++calls;
  });
  x.mul(2).add(x.mul(3)).sum().backward();
  expect(calls).toBe(1);
  expect(x.grad?.toArray()).toEqual([5]);
});

test('a removed hook does not run; removing twice is harmless', () => {
  const x = leaf([1]);
  const handle = x.registerHook((g) => g.mul(100));
  handle.remove();
  handle.remove();
  x.sum().backward();
  expect(x.grad?.toArray()).toEqual([1]);
});

test('a hook may remove itself', () => {
  const x = leaf([1]);
  const handle = x.registerHook((g) => {
    handle.remove();
    return g.mul(2);
  });
  x.sum().backward();
  x.sum().backward();
  expect(x.grad?.toArray()).toEqual([3]);
});

test('hooks run for grad() too', () => {
  const x = leaf([1]);
  x.registerHook((g) => g.mul(5));
  expect(grad(x.sum(), x)[0]?.toArray()).toEqual([5]);
});

test('an error in a hook reaches the caller and leaves the engine usable', () => {
  const x = leaf([1]);
  const handle = x.registerHook(() => {
    throw new Error('from the hook');
  });
  expect(() => x.sum().backward()).toThrow('from the hook');
  handle.remove();
  x.sum().backward();
  expect(x.grad?.toArray()).toEqual([1]);
});

test('a replacement of the wrong shape is refused', () => {
  const x = leaf([1, 2]);
  x.mul(1).registerHook(() => ones([2]));
  const y = x.mul(1);
  y.registerHook(() => zeros([3], { dtype: 'float64' }));
  expectAutogradError(() => y.sum().backward(), /shape \[3\].*\[2\]/s);
});

test('a hook on something that requires no grad is refused', () => {
  expectAutogradError(() => zeros([1]).registerHook(() => undefined), /require/);
});

test('a hook may run backward itself, where it turns recording on', () => {
  const x = leaf([1]);
  const inner = leaf([2]);
  x.registerHook(() => {
    enableGrad(() => inner.square().sum().backward());
  });
  x.sum().backward();
  expect(inner.grad?.toArray()).toEqual([4]);
});

test('post-accumulate hooks run after .grad is written', () => {
  const x = leaf([1]);
  const seen: unknown[] = [];
  const handle = x.registerPostAccumulateGradHook((t) => {
    seen.push(t === x, t.grad?.toArray());
    t.grad = null;
  });
  x.mul(3).sum().backward();
  expect(seen).toEqual([true, [3]]);
  expect(x.grad).toBeNull();
  handle.remove();
  x.sum().backward();
  expect(x.grad?.toArray()).toEqual([1]);
});
