/** Custom functions written in TypeScript. */
import {
  Function,
  type FunctionContext,
  grad,
  isGradEnabled,
  tensor,
  Tensor,
  zeros,
} from '../../lib';
import { expectAutogradError, thrownBy } from '../support/codes';

const leaf = (data: number[]): Tensor => tensor(data, { dtype: 'float64', requiresGrad: true });

class Cube extends Function {
  static forward(ctx: FunctionContext, x: Tensor): Tensor {
    expect(isGradEnabled()).toBe(false);
    ctx.saveForBackward(x);
    return x.pow(3);
  }
  static backward(ctx: FunctionContext, g: Tensor): Tensor {
    const x = ctx.savedTensors[0] as Tensor;
    return g.mul(x.square().mul(3));
  }
}

class Swap extends Function {
  static forward(ctx: FunctionContext, a: Tensor, scale: number, b: Tensor): Tensor[] {
    ctx.attributes['scale'] = scale;
    return [b.mul(scale), a.mul(scale)];
  }
  static backward(ctx: FunctionContext, first: Tensor, second: Tensor): (Tensor | null)[] {
    const scale = ctx.attributes['scale'] as number;
    return ctx.needsInputGrad.map((needed, i) =>
      needed ? (i === 0 ? second : first).mul(scale) : null,
    );
  }
}

test('forward and backward', () => {
  const x = leaf([2, -1]);
  const y = Cube.apply(x);
  expect(y.gradFn).toBe('CubeBackward');
  y.sum().backward();
  expect(x.grad?.toArray()).toEqual([12, 3]);
});

test('is differentiable twice, as its backward is made of ops', () => {
  const x = leaf([2]);
  const [g] = grad(Cube.apply(x).sum(), x, { createGraph: true });
  expect(grad((g as Tensor).sum(), x)[0]?.toArray()).toEqual([12]);
});

test('several inputs and outputs, arguments that are not tensors', () => {
  const [a, b] = [leaf([1]), leaf([2])];
  const [first, second] = Swap.apply(a, 10, b) as [Tensor, Tensor];
  expect(first.toArray()).toEqual([20]);
  first.mul(3).add(second).sum().backward();
  expect(a.grad?.toArray()).toEqual([10]);
  expect(b.grad?.toArray()).toEqual([30]);
});

test('an output that is not used counts as zero', () => {
  const [a, b] = [leaf([1]), leaf([2])];
  const [, second] = Swap.apply(a, 2, b) as [Tensor, Tensor];
  second.sum().backward();
  expect(a.grad?.toArray()).toEqual([2]);
  expect(b.grad?.toArray()).toEqual([0]);
});

test('knows which inputs need a gradient', () => {
  const b = leaf([2]);
  const [first] = Swap.apply(tensor([1], { dtype: 'float64' }), 2, b) as [Tensor];
  first.sum().backward();
  expect(b.grad?.toArray()).toEqual([2]);
});

test('does not record when nothing requires grad', () => {
  expect(Cube.apply(zeros([1])).requiresGrad).toBe(false);
});

test('returning the input itself makes a new tensor', () => {
  class Same extends Function {
    static forward(_: FunctionContext, x: Tensor): Tensor {
      return x;
    }
    static backward(_: FunctionContext, g: Tensor): Tensor {
      return g.mul(2);
    }
  }
  const x = leaf([1]);
  const y = Same.apply(x);
  expect(y).not.toBe(x);
  y.sum().backward();
  expect(x.grad?.toArray()).toEqual([2]);
});

test('a saved tensor that was modified is noticed', () => {
  const x = leaf([1]);
  const m = x.mul(1);
  const y = Cube.apply(m);
  m.add_(1);
  expectAutogradError(() => y.sum().backward(), /modified by an inplace operation/);
});

describe('mistakes', () => {
  test('the wrong number of gradients', () => {
    class Few extends Function {
      static forward(_: FunctionContext, a: Tensor, b: Tensor): Tensor {
        return a.add(b);
      }
      static backward(_: FunctionContext, g: Tensor): Tensor[] {
        return [g];
      }
    }
    const y = Few.apply(leaf([1]), leaf([2]));
    expectAutogradError(() => y.sum().backward(), /Few.*expected 2, got 1/);
  });

  test('a gradient of the wrong shape', () => {
    class Wide extends Function {
      static forward(_: FunctionContext, a: Tensor): Tensor {
        return a.mul(1);
      }
      static backward(): Tensor {
        return zeros([5], { dtype: 'float64' });
      }
    }
    const y = Wide.apply(leaf([1, 2]));
    expectAutogradError(() => y.sum().backward(), /WideBackward.*\[5\].*\[2\]/);
  });

  test('a result that is not a tensor', () => {
    class Text extends Function {
      static forward(): Tensor {
        return 'text' as never;
      }
      static backward(): null {
        return null;
      }
    }
    expect(thrownBy(() => Text.apply(...([leaf([1])] as never[])))).toMatchObject({
      kind: 'TypeError',
      code: 'ERR_TYPE',
    });
  });

  test('an exception in backward reaches the caller as it is', () => {
    class Broken extends Function {
      static forward(_: FunctionContext, a: Tensor): Tensor {
        return a.mul(1);
      }
      static backward(): Tensor {
        throw new Error('no gradient today');
      }
    }
    const x = leaf([1]);
    const y = Broken.apply(x);
    expect(() => y.sum().backward()).toThrow('no gradient today');
    x.sum().backward();
    expect(x.grad?.toArray()).toEqual([1]);
  });

  test('a gradient that is not a tensor', () => {
    class Number5 extends Function {
      static forward(_: FunctionContext, a: Tensor): Tensor {
        return a.mul(1);
      }
      static backward(): Tensor {
        return 5 as never;
      }
    }
    const y = Number5.apply(leaf([1]));
    const thrown = thrownBy(() => y.sum().backward());
    expect(['TypeError', 'TensorError']).toContain(thrown.kind);
    expect(thrown.code).not.toBe('ERR_INTERNAL');
  });
});

test('Tensor is exported as a class', () => expect(leaf([1])).toBeInstanceOf(Tensor));
