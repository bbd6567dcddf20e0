/** In-place operations: on intermediates, through views, and the checks that keep gradients right. */
import { cat, noGrad, tensor, type Tensor, zeros } from '../../lib';
import { expectAutogradError, thrownBy } from '../support/codes';

const leaf = (data: number[] | number[][]): Tensor =>
  tensor(data, { dtype: 'float64', requiresGrad: true });

describe('versions', () => {
  test('a change of what the derivative needs names the op', () => {
    const x = leaf([1, 2]);
    const y = x.sigmoid();
    y.mul_(2);
    expectAutogradError(
      () => y.sum().backward(),
      /modified by an inplace operation.*output of SigmoidBackward.*version 1; expected version 0/s,
    );
  });

  test('an input that was changed afterwards', () => {
    const x = leaf([1, 2]);
    const w = tensor([3, 4], { dtype: 'float64' });
    const y = x.mul(w);
    w.add_(1);
    expectAutogradError(() => y.sum().backward(), /input of MulBackward/);
  });

  test('a change through a view counts', () => {
    const x = leaf([1, 2]);
    const w = tensor([3, 4], { dtype: 'float64' });
    const y = x.mul(w);
    w.narrow(0, 0, 1).zero_();
    expect(w.version).toBe(1);
    expectAutogradError(() => y.sum().backward(), /input of MulBackward/);
  });

  test('a change of what is not needed does no harm', () => {
    const x = leaf([1, 2]);
    const y = x.add(1);
    y.mul_(3);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([3, 3]);
  });
});

describe('leaves', () => {
  test('that require grad are refused', () => {
    const x = leaf([1, 2]);
    expectAutogradError(() => x.add_(1), /leaf.*in-?place/i);
    expectAutogradError(() => x.narrow(0, 0, 1).zero_(), /view of a leaf|leaf/i);
    expect(x.toArray()).toEqual([1, 2]);
  });

  test('may be changed inside noGrad', () => {
    const x = leaf([1, 2]);
    noGrad(() => x.sub_(1));
    expect(x.toArray()).toEqual([0, 1]);
    expect(x.requiresGrad).toBe(true);
    expect(x.isLeaf).toBe(true);
  });

  test('become part of the graph when something that requires grad is written into them', () => {
    const x = leaf([1, 2]);
    const y = zeros([2], { dtype: 'float64' });
    y.copy_(x.mul(3));
    expect(y.requiresGrad).toBe(true);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([3, 3]);
  });
});

describe('views', () => {
  test('a change of a view shows in the gradient of the base', () => {
    const x = leaf([1, 2, 3]);
    const y = x.mul(1);
    y.narrow(0, 1, 1).mul_(10);
    expect(y.toArray()).toEqual([1, 20, 3]);
    expect(y.gradFn).toMatch(/^CopySlices/);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([1, 10, 1]);
  });

  test('a change of the base shows in a view that exists already', () => {
    const x = leaf([1, 2, 3]);
    const y = x.mul(1);
    const v = y.narrow(0, 0, 2);
    y.mul_(5);
    v.sum().backward();
    expect(v.toArray()).toEqual([5, 10]);
    expect(x.grad?.toArray()).toEqual([5, 5, 0]);
  });

  test('a value written into a view gets a gradient', () => {
    const value = leaf([7]);
    const buffer = zeros([3], { dtype: 'float64' });
    buffer.narrow(0, 2, 1).copy_(value);
    buffer
      .mul(tensor([1, 2, 4], { dtype: 'float64' }))
      .sum()
      .backward();
    expect(value.grad?.toArray()).toEqual([4]);
  });

  test('chains of views', () => {
    const x = leaf([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const y = x.mul(1);
    y.t().narrow(0, 1, 2).select(1, 1).mul_(10);
    expect(y.toArray()).toEqual([
      [1, 2, 3],
      [4, 50, 60],
    ]);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([
      [1, 1, 1],
      [1, 10, 10],
    ]);
  });

  test('two changes of overlapping views', () => {
    const x = leaf([1, 2, 3]);
    const y = x.mul(1);
    y.narrow(0, 0, 2).mul_(2);
    y.narrow(0, 1, 2).mul_(3);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([2, 6, 3]);
  });

  test('a view made without recording may not be changed with recording', () => {
    const x = leaf([1, 2]);
    const y = x.mul(1);
    const v = noGrad(() => y.narrow(0, 0, 1));
    const thrown = thrownBy(() => v.mul_(leaf([2])));
    if (thrown.kind !== 'nothing') expect(thrown.code).toBe('ERR_AUTOGRAD');
  });

  test('results of split are views that can be read', () => {
    const x = leaf([1, 2, 3, 4]);
    const [a, b] = x.mul(1).split(2) as [Tensor, Tensor];
    cat([b, a])
      .mul(tensor([1, 2, 3, 4], { dtype: 'float64' }))
      .sum()
      .backward();
    expect(x.grad?.toArray()).toEqual([3, 4, 1, 2]);
  });

  test('memory that overlaps itself is refused as a target', () => {
    const x = zeros([1]).expand([3]);
    expect(thrownBy(() => x.add_(1))).toMatchObject({ kind: 'RangeError' });
    expect(thrownBy(() => x.copy_(zeros([3])))).toMatchObject({ kind: 'RangeError' });
  });

  test('source and target that overlap partly are handled as if the source were copied', () => {
    const x = tensor([1, 2, 3, 4, 5], { dtype: 'float64' });
    const thrown = thrownBy(() => x.narrow(0, 1, 4).copy_(x.narrow(0, 0, 4)));
    if (thrown.kind === 'nothing') expect(x.toArray()).toEqual([1, 1, 2, 3, 4]);
    else expect(thrown.code).toMatch(/^ERR_/);
  });
});
