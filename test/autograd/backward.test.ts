/** Engine: accumulation, graphs that are kept or freed, partial gradients, grad modes. */
import {
  enableGrad,
  grad,
  isGradEnabled,
  memory,
  noGrad,
  ones,
  setGradEnabled,
  tensor,
  type Tensor,
  zeros,
} from '../../lib';
import { liveTensors } from '../ops/support/leaks';
import { cpuTest } from '../support/device';
import { expectAutogradError, thrownBy } from '../support/codes';

const leaf = (data: number[]): Tensor => tensor(data, { dtype: 'float64', requiresGrad: true });

describe('backward', () => {
  test('accumulates over calls and over uses', () => {
    const x = leaf([1, 2]);
    x.mul(3).add(x).sum().backward();
    expect(x.grad?.toArray()).toEqual([4, 4]);
    x.sum().backward();
    expect(x.grad?.toArray()).toEqual([5, 5]);
    x.grad = null;
    expect(x.grad).toBeNull();
  });

  test('keeps the identity and the history of nothing', () => {
    const x = leaf([1, 2]);
    x.square().sum().backward();
    expect(x.grad?.requiresGrad).toBe(false);
    expect(x.isLeaf).toBe(true);
    expect(x.gradFn).toBeNull();
    expect(x.square().gradFn).toBe('SquareBackward');
  });

  test('takes a gradient for more than one element', () => {
    const x = leaf([1, 2]);
    expectAutogradError(() => x.mul(2).backward(), /implicitly created only for scalar outputs/);
    x.mul(2).backward(tensor([1, 10], { dtype: 'float64' }));
    expect(x.grad?.toArray()).toEqual([2, 20]);
    expect(thrownBy(() => x.mul(2).backward(ones([3])))).toMatchObject({ code: 'ERR_SHAPE' });
  });

  test('refuses what requires no grad', () => {
    expectAutogradError(() => zeros([]).backward(), /does not require grad/);
  });

  test('frees the graph, unless it is retained', () => {
    const x = leaf([1, 2]);
    const y = x.exp().sum();
    y.backward({ retainGraph: true });
    y.backward();
    expect((x.grad?.toArray() as number[])[0]).toBeCloseTo(2 * Math.E, 12);
    expectAutogradError(() => y.backward(), /a second time.*retainGraph: true/s);
  });

  test('reaches only the requested inputs', () => {
    const x = leaf([1]);
    const y = leaf([2]);
    x.mul(y)
      .sum()
      .backward({ inputs: [y] });
    expect(x.grad).toBeNull();
    expect(y.grad?.toArray()).toEqual([1]);
    expectAutogradError(
      () =>
        x
          .mul(y)
          .sum()
          .backward({ inputs: [x.mul(1)] }),
      /inputs must be a leaf that requires grad/,
    );
  });

  test('sums over broadcast dimensions and keeps the dtype of the leaf', () => {
    const x = tensor([[1], [2]], { dtype: 'float16', requiresGrad: true });
    x.to('float32')
      .add(ones([2, 3]))
      .sum()
      .backward();
    expect(x.grad?.dtype).toBe('float16');
    expect(x.grad?.toArray()).toEqual([[3], [3]]);
  });

  test('goes through several outputs of one op', () => {
    const x = leaf([1, 2, 3, 4]);
    const [a, , c] = x.split([1, 2, 1]);
    (a as Tensor)
      .mul(5)
      .add((c as Tensor).mul(7))
      .sum()
      .backward();
    expect(x.grad?.toArray()).toEqual([5, 0, 0, 7]);
  });

  test('survives a chain of 100,000 ops', () => {
    const x = leaf([1, 2]);
    let y: Tensor = x;
    for (let i = 0; i < 100_000; ++i) y = y.add(1e-6);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([1, 1]);
  });

  test('frees a chain of 100,000 ops that is dropped', async () => {
    const before = await liveTensors();
    (() => {
      let y: Tensor = leaf([1, 2]);
      for (let i = 0; i < 100_000; ++i) y = y.mul(1);
    })();
    expect(await liveTensors()).toBeLessThanOrEqual(before);
  });

  cpuTest('memory.stats() is of the CPU')('lets go of saved tensors as it goes', () => {
    const bytes = 1 << 20;
    const x = tensor(new Float32Array(bytes / 4).fill(0.5), { requiresGrad: true });
    const loss = memory.tidy(() => {
      let y: Tensor = x;
      for (let i = 0; i < 20; ++i) y = y.sin();
      return y.sum();
    });
    const kept = memory.stats().allocatedBytes;
    loss.backward();
    expect(kept - memory.stats().allocatedBytes).toBeGreaterThan(15 * bytes);
  });
});

describe('higher order', () => {
  test('createGraph makes gradients differentiable', () => {
    const x = leaf([2]);
    const [first] = grad(x.pow(4).sum(), x, { createGraph: true });
    const [second] = grad((first as Tensor).sum(), x, { createGraph: true });
    const [third] = grad((second as Tensor).sum(), x);
    expect([first, second, third].map((t) => (t as Tensor).item())).toEqual([32, 48, 48]);
  });

  test('backward with createGraph leaves a gradient with history', () => {
    const x = leaf([3]);
    x.pow(3).sum().backward({ createGraph: true });
    const first = x.grad as Tensor;
    expect(first.requiresGrad).toBe(true);
    x.grad = null;
    first.sum().backward();
    expect((x.grad as Tensor | null)?.toArray()).toEqual([18]);
  });

  test('a gradient penalty', () => {
    const w = leaf([1, -2]);
    const x = leaf([3, 4]);
    const [g] = grad(w.mul(x).tanh().sum(), x, { createGraph: true });
    (g as Tensor).square().sum().backward();
    // d/dw of (w (1 - tanh(wx)^2))^2
    const expected = [
      [1, 3],
      [-2, 4],
    ].map(([a, b]) => {
      const t = Math.tanh((a as number) * (b as number));
      const s = 1 - t * t;
      return 2 * (a as number) * s * (s - 2 * (a as number) * (b as number) * t * s);
    });
    (w.grad as Tensor)
      .toArray()
      .toString()
      .split(',')
      .forEach((v, i) => expect(Number(v)).toBeCloseTo(expected[i] as number, 12));
  });
});

describe('grad', () => {
  test('returns gradients and leaves .grad alone', () => {
    const x = leaf([1, 2]);
    const y = leaf([3, 4]);
    const [gx, gy] = grad(x.mul(y).sum(), [x, y]);
    expect(gx?.toArray()).toEqual([3, 4]);
    expect(gy?.toArray()).toEqual([1, 2]);
    expect(x.grad).toBeNull();
  });

  test('of an intermediate tensor', () => {
    const x = leaf([2]);
    const y = x.square();
    const [g] = grad(y.mul(3).sum(), y);
    expect(g?.toArray()).toEqual([3]);
  });

  test('of several outputs with gradients', () => {
    const x = leaf([1, 2]);
    const [g] = grad([x.mul(2), x.sum()], x, {
      gradOutputs: [tensor([1, 10], { dtype: 'float64' }), null],
    });
    expect(g?.toArray()).toEqual([3, 21]);
  });

  test('of an unused input', () => {
    const [x, y] = [leaf([1]), leaf([1])];
    expectAutogradError(
      () => grad(x.sum(), y),
      /not have been used in the graph.*allowUnused: true/s,
    );
    expect(grad(x.sum(), [x, y], { allowUnused: true })[1]).toBeNull();
  });

  test('refuses what is not differentiable', () => {
    const x = leaf([1]);
    expectAutogradError(() => grad(x.sum(), zeros([1])), /does not require grad/);
    expectAutogradError(() => grad(zeros([]), x), /does not require grad/);
    expect(thrownBy(() => grad(x.sum(), []))).toMatchObject({ code: 'ERR_VALUE' });
    expect(thrownBy(() => grad(x.sum(), [1 as never]))).toMatchObject({ code: 'ERR_TYPE' });
    expect(thrownBy(() => grad(x.sum(), x, { retain: true } as never))).toMatchObject({
      kind: 'TypeError',
      code: 'ERR_TYPE',
    });
  });
});

describe('grad modes', () => {
  test('noGrad does not record, enableGrad inside it does', () => {
    const x = leaf([1]);
    noGrad(() => {
      expect(isGradEnabled()).toBe(false);
      expect(x.mul(2).requiresGrad).toBe(false);
      enableGrad(() => expect(x.mul(2).requiresGrad).toBe(true));
      expect(isGradEnabled()).toBe(false);
    });
    expect(isGradEnabled()).toBe(true);
  });

  test('is restored when the callback throws', () => {
    expect(() =>
      noGrad(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(isGradEnabled()).toBe(true);
  });

  test('refuses an async callback, which would leak the mode', () => {
    const thrown = thrownBy(() => noGrad(() => Promise.resolve(1)));
    expect(thrown).toMatchObject({ kind: 'TypeError', code: 'ERR_TYPE' });
    expect(isGradEnabled()).toBe(true);
  });

  test('as a scope that ends', () => {
    const scope = noGrad();
    expect(isGradEnabled()).toBe(false);
    scope.end();
    scope.end();
    expect(isGradEnabled()).toBe(true);
    const other = setGradEnabled(false);
    expect(isGradEnabled()).toBe(false);
    other.end();
    expect(isGradEnabled()).toBe(true);
  });
});

describe('leaves', () => {
  test('detach cuts and shares memory', () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    const d = y.detach();
    expect(d.requiresGrad).toBe(false);
    expect(d.sharesStorage(y)).toBe(true);
    y.detach_();
    expect(y.isLeaf).toBe(true);
    expect(y.requiresGrad).toBe(false);
  });

  test('requiresGrad is for floating leaves', () => {
    const integers = tensor([1, 2]);
    expect(thrownBy(() => integers.requiresGrad_())).toMatchObject({ code: 'ERR_DTYPE' });
    const y = leaf([1]).mul(2);
    expectAutogradError(() => (y.requiresGrad = false), /leaf/);
    const x = tensor([1.5]);
    expect(x.requiresGrad_().requiresGrad).toBe(true);
    expect(x.requiresGrad_(false).requiresGrad).toBe(false);
  });

  test('retainGrad keeps the gradient of an intermediate', () => {
    const x = leaf([2]);
    const y = x.square();
    expect(y.grad).toBeNull();
    y.retainGrad();
    y.mul(3).sum().backward();
    expect(y.grad?.toArray()).toEqual([3]);
    expect(x.grad?.toArray()).toEqual([12]);
  });

  test('a gradient that does not fit is refused', () => {
    const x = leaf([1, 2]);
    expect(thrownBy(() => (x.grad = zeros([3], { dtype: 'float64' }))).kind).not.toBe('nothing');
    expect(thrownBy(() => (x.grad = zeros([2], { dtype: 'float32' }))).kind).not.toBe('nothing');
    x.grad = zeros([2], { dtype: 'float64' });
    x.sum().backward();
    expect(x.grad.toArray()).toEqual([1, 1]);
  });
});
