import {
  checkFinite,
  countNonFinite,
  detectAnomaly,
  finfo,
  Function,
  type FunctionContext,
  iinfo,
  isAnomalyEnabled,
  log,
  nonFiniteGradients,
  sqrt,
  type Tensor,
  tensor,
} from '../../lib';

describe('number formats', () => {
  test('finfo', () => {
    expect(finfo('float16')).toMatchObject({
      max: 65504,
      eps: 2 ** -10,
      smallestSubnormal: 2 ** -24,
    });
    expect(finfo('bfloat16').max).toBe(3.3895313892515355e38);
    expect(finfo('bfloat16').tiny).toBe(2 ** -126);
    expect(finfo().max).toBe(3.4028234663852886e38);
    expect(finfo('float64')).toMatchObject({
      max: Number.MAX_VALUE,
      eps: Number.EPSILON,
      smallestSubnormal: Number.MIN_VALUE,
      resolution: 1e-15,
    });
    expect(() => finfo('int8')).toThrow(/iinfo/);
    expect(() => finfo('toString' as never)).toThrow(TypeError);
  });

  test('iinfo', () => {
    expect(iinfo('uint8')).toEqual({ dtype: 'uint8', bits: 8, min: 0, max: 255 });
    expect(iinfo('int32').min).toBe(-(2 ** 31));
    expect(iinfo('int64').max).toBe(9223372036854775807n);
    expect(() => iinfo('float16')).toThrow(/finfo/);
  });
});

describe('detectAnomaly', () => {
  const nan = (): void => {
    const x = tensor([-1, 0.5], { dtype: 'float32', requiresGrad: true });
    const y = sqrt(x); // the line that makes the NaN
    y.sum().backward();
  };

  test('names the op and the line of the forward pass', () => {
    nan(); // silent without it
    const run = () => detectAnomaly(nan);
    expect(run).toThrow(/'SqrtBackward' returned nan values in its 0th output/);
    expect(run).toThrow(/called here:\n +at nan \(.*tools\.test\.ts:\d+/);
    expect(isAnomalyEnabled()).toBe(false);
  });

  test('options, nesting, scopes', () => {
    expect(() => detectAnomaly({ checkNan: false }, nan)).not.toThrow();
    {
      using _ = detectAnomaly();
      expect(isAnomalyEnabled()).toBe(true);
      detectAnomaly({ checkNan: false }, nan);
      expect(nan).toThrow(/SqrtBackward/);
    }
    expect(isAnomalyEnabled()).toBe(false);
    expect(nan).not.toThrow();
  });

  test('async functions', async () => {
    await expect(
      detectAnomaly(async () => {
        await Promise.resolve();
        nan();
      }),
    ).rejects.toThrow(/SqrtBackward/);
    expect(isAnomalyEnabled()).toBe(false);
  });

  test('the forward outside: says so; errors of backward formulas get the place', () => {
    const x = tensor([-1], { dtype: 'float32', requiresGrad: true });
    const y = sqrt(x);
    expect(() => detectAnomaly(() => y.backward())).toThrow(/off: turn it on around the forward/);
    class Broken extends Function {
      static forward(_ctx: FunctionContext, a: Tensor): Tensor {
        return a.clone();
      }
      static backward(): Tensor[] {
        return [];
      }
    }
    expect(() => detectAnomaly(() => Broken.apply(x).backward())).toThrow(/one gradient/);
  });

  test('infinity is not an anomaly', () => {
    detectAnomaly(() => {
      const x = tensor([0], { dtype: 'float32', requiresGrad: true });
      log(x).backward();
      expect(x.grad?.item()).toBe(Infinity);
    });
  });
});

describe('monitors', () => {
  const bad = tensor([1, NaN, Infinity], { dtype: 'float32' });

  test('count, check, gradients by name', () => {
    expect(countNonFinite(bad)).toBe(2);
    expect(countNonFinite(bad.half())).toBe(2);
    expect(countNonFinite(tensor([1, 2]))).toBe(0);
    expect(() => checkFinite(bad, 'loss')).toThrow(/loss \(float32\[3\]\) holds 2 of 3 values/);
    const fine = tensor([1], { dtype: 'float32', requiresGrad: true });
    expect(checkFinite(fine)).toBe(fine);
    const w = tensor([1, 2, 3], { dtype: 'float32', requiresGrad: true });
    w.grad = bad;
    fine.grad = fine.detach();
    const named: [string, Tensor][] = [
      ['a', fine],
      ['b', w],
    ];
    expect(nonFiniteGradients(named)).toEqual([{ name: 'b', count: 2 }]);
  });
});
