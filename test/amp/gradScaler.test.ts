import { amp, callOp, optim, type Tensor, tensor, tidy } from '../../lib';
import cases from '../golden/amp/cases.json';
import { FusedSgd, PlainSgd } from './helpers';

const { GradScaler } = amp;

/** Values of the dump: NaN and infinities are strings there. */
const numbers = (list: readonly unknown[]): number[] =>
  list.map((v) => Number(typeof v === 'string' ? v.replace('inf', 'Infinity') : v));

/** A leaf with this gradient. */
function leaf(
  values: number[],
  grad: number[] | null,
  dtype: 'float16' | 'bfloat16' | 'float32' | 'float64' = 'float32',
): Tensor {
  const p = tensor(values, { dtype, requiresGrad: true });
  if (grad !== null) p.grad = tensor(grad, { dtype });
  return p;
}

function started(options: amp.GradScalerOptions = {}): amp.GradScaler {
  const scaler = new GradScaler('cpu', options);
  scaler.scale(tensor(1, { dtype: 'float32' }));
  return scaler;
}

const kwargsOf = (kwargs: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(kwargs).map(([k, v]) => [
      k.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()),
      v,
    ]),
  );

type Trace = (typeof cases.grad_scaler.traces)[number];
type Steps = amp.ScalableOptimizer & { zeroGrad(): void };

function replay(trace: Trace, make: (p: Tensor, options: { lr: number }) => Steps): void {
  const scaler = new GradScaler('cpu', kwargsOf(trace.kwargs));
  const p = tensor(trace.param, { dtype: 'float32', requiresGrad: true });
  const optimizer = make(p, kwargsOf(trace.optimizer_kwargs) as { lr: number });
  for (const step of trace.steps) {
    expect(scaler.getScale()).toBe(step.scale_before);
    optimizer.zeroGrad();
    const x = tensor(numbers(step.x), { dtype: 'float32' });
    scaler.scale(p.mul(x).sum()).backward();
    expect(p.grad?.toArray()).toEqual(numbers(step.scaled_grad));
    scaler.step(optimizer);
    expect(!scaler.lastStepSkipped(optimizer)).toBe(step.stepped);
    scaler.update();
    const now = p.toArray() as number[];
    for (const [i, v] of numbers(step.param_after).entries()) {
      if (Number.isFinite(v)) expect(now[i]).toBeCloseTo(v, 5);
      else expect(now[i]).toBe(v);
    }
    expect(scaler.getScale()).toBe(step.scale_after);
    expect(scaler.stateDict()).toEqual(step.state_dict_after);
  }
}

describe('traces of PyTorch', () => {
  const { traces } = cases.grad_scaler;
  const sgd = traces.filter((t) => t.optimizer === 'SGD');

  test.each(sgd)('$desc, unscaled by the scaler', (trace) => {
    replay(trace, (p, options) => new PlainSgd([p], options));
  });

  test.each(traces)('$desc, optim.$optimizer', (trace) => {
    const Class = trace.optimizer === 'Adam' ? optim.Adam : optim.SGD;
    replay(trace, (p, options) => new Class([p], options));
  });
});

describe('construction', () => {
  test('defaults are those of PyTorch', () => {
    expect(new GradScaler('cpu').stateDict()).toEqual(cases.grad_scaler.misc.defaults);
  });

  test('errors', () => {
    const make =
      (...args: unknown[]) =>
      () =>
        new (GradScaler as new (...a: unknown[]) => unknown)(...args);
    expect(make('cpu', { growthFactor: 1 })).toThrow('The growth factor must be > 1.0');
    expect(make('cpu', { backoffFactor: 1 })).toThrow('The backoff factor must be < 1.0');
    expect(make('cpu', { growthInterval: 0 })).toThrow(/positive integer/);
    expect(make('cpu', { initScale: 'big' })).toThrow(/must be a number/);
    expect(make('cpu', { initscale: 2 })).toThrow(/did you mean 'initScale'/);
    expect(make('tpu')).toThrow(/unsupported/);
    expect(make('cpu', { enabled: 1 })).toThrow(/boolean/);
  });

  test('CUDA where there is none: a warning, then disabled', () => {
    if (amp.isAutocastAvailable('cuda')) return;
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    expect(new GradScaler().isEnabled()).toBe(false);
    expect(warn.mock.calls[0]?.[0]).toMatch(/not available. Disabling/);
    warn.mockRestore();
  });

  test('a disabled scaler passes everything through', () => {
    const scaler = new GradScaler('cpu', { enabled: false });
    const p = leaf([1], [1]);
    const optimizer = new PlainSgd([p], { lr: 1 });
    const loss = tensor(2, { dtype: 'float32' });
    expect(scaler.scale(loss)).toBe(loss);
    scaler.unscale_(optimizer);
    expect(scaler.step(optimizer)).toBe(1);
    scaler.update();
    scaler.loadStateDict({});
    expect(scaler.stateDict()).toEqual({});
    expect(scaler.getScale()).toBe(1);
    expect(scaler.getGrowthFactor()).toBe(2);
    expect(p.item()).toBe(0);
  });
});

describe('scale', () => {
  test('tensors and containers', () => {
    const scaler = new GradScaler('cpu', { initScale: 8 });
    const f = (v: number | number[]) => tensor(v, { dtype: 'float32' });
    expect(scaler.scale(f(3)).item()).toBe(24);
    const nested = scaler.scale([f([1]), [f([2, 3])]] as never) as unknown as [Tensor, [Tensor]];
    expect(nested[0].toArray()).toEqual([8]);
    expect(nested[1][0].toArray()).toEqual([16, 24]);
    expect(scaler.scale(new Set([f(1)]))).toHaveLength(1);
    expect(scaler.scale(tensor(2, { dtype: 'float16' })).dtype).toBe('float32');
    expect(scaler.scale(tensor([2], { dtype: 'float16' })).dtype).toBe('float16');
  });

  test.each([['text'], [3], [null], [{}], [new Float32Array(2)], [['a']]])(
    'rejects %p',
    (value) => {
      const scaler = new GradScaler('cpu');
      expect(() => scaler.scale(value as never)).toThrow(
        /must be a Tensor or an iterable of Tensors/,
      );
    },
  );
});

describe('the state machine', () => {
  const make = (grad: number[] | null = [2]) => {
    const p = leaf([1], grad);
    return { p, optimizer: new PlainSgd([p], { lr: 1, names: ['w'] }) };
  };

  test('before the first scale', () => {
    const scaler = new GradScaler('cpu');
    const { optimizer } = make();
    expect(() => scaler.unscale_(optimizer)).toThrow(/Attempted unscale_ but _scale is None/);
    expect(() => scaler.step(optimizer)).toThrow(/Attempted step but _scale is None/);
    expect(() => scaler.update()).toThrow(/Attempted update but _scale is None/);
  });

  test('unscale_ twice, after step; step twice', () => {
    const scaler = started({ initScale: 2 });
    const { p, optimizer } = make();
    scaler.unscale_(optimizer);
    expect(p.grad?.toArray()).toEqual([1]);
    expect(() => scaler.unscale_(optimizer)).toThrow(
      /already been called on this optimizer since the last update[^]*gradScaler\.test\.ts/,
    );
    expect(scaler.step(optimizer)).toBe(1);
    expect(() => scaler.unscale_(optimizer)).toThrow(/being called after step/);
    expect(() => scaler.step(optimizer)).toThrow(/step\(\) has already been called/);
    scaler.update();
    scaler.unscale_(optimizer);
    scaler.update(); // without a step: allowed
  });

  test('no gradients', () => {
    const scaler = started();
    const { optimizer } = make(null);
    expect(() => scaler.step(optimizer)).toThrow(
      /No inf checks were recorded for this optimizer. None of its 1 parameters has a gradient[^]*'w'/,
    );
    expect(() => started().update()).toThrow('No inf checks were recorded prior to update.');
  });

  test('closures in every form', () => {
    const scaler = started();
    const { optimizer } = make();
    const message = /Closure use is not currently supported/;
    expect(() => scaler.step(optimizer, () => 1)).toThrow(message);
    expect(() => scaler.step(optimizer, { closure: () => 1 })).toThrow(message);
    expect(() => scaler.step(optimizer, 3)).toThrow(/takes an optimizer only/);
    expect(optimizer.steps).toBe(0);
  });

  test('float16 gradients are refused and the stage stays', () => {
    const scaler = started();
    const p = leaf([1], [1], 'float16');
    const optimizer = new PlainSgd([p], { lr: 1, names: ['layer.weight'] });
    for (let i = 0; i < 2; ++i) {
      expect(() => scaler.unscale_(optimizer)).toThrow(
        /Attempting to unscale FP16 gradients, the first of 'layer.weight'[^]*masterWeights/,
      );
    }
    expect(() => scaler.step(new FusedSgd([p], { lr: 1 }))).toThrow(/FP16 gradients/);
    const masters = new FusedSgd([p], { lr: 1 });
    Object.assign(masters.paramGroups[0] as object, { masterWeights: true });
    expect(() => scaler.step(masters)).not.toThrow();
  });

  test('bfloat16 and float64 gradients are unscaled', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const scaler = started({ initScale: 4 });
    const a = leaf([1], [8], 'bfloat16');
    const b = leaf([1], [8], 'float64');
    scaler.unscale_(new PlainSgd([a, b], { lr: 1 }));
    expect([a.grad?.item(), b.grad?.item()]).toEqual([2, 2]);
    expect(warn.mock.calls[0]?.[0]).toMatch(/loss scaling is not needed/);
    warn.mockRestore();
  });

  test('one optimizer may skip while another steps; any inf backs the scale off', () => {
    const scaler = started({ initScale: 4 });
    const good = make([4]);
    const bad = make([Infinity]);
    expect(scaler.step(good.optimizer)).toBe(1);
    expect(scaler.step(bad.optimizer)).toBeUndefined();
    expect(scaler.lastStepSkipped(good.optimizer)).toBe(false);
    expect(scaler.lastStepSkipped(bad.optimizer)).toBe(true);
    expect(bad.optimizer.skips).toBe(1);
    expect(bad.p.item()).toBe(1);
    expect(good.p.item()).toBe(0);
    scaler.update();
    expect(scaler.getScale()).toBe(2);
  });

  test('update: new scale, growth cap, minimum', () => {
    const scaler = started({ growthInterval: 1, minScale: 2, initScale: 3 });
    scaler.update(16);
    expect(scaler.getScale()).toBe(16);
    scaler.update(tensor([3e38], { dtype: 'float32' }));
    scaler.step(make().optimizer);
    scaler.update();
    expect(scaler.getScale()).toBeCloseTo(3e38, -32);
    scaler.update(3);
    for (let i = 0; i < 3; ++i) {
      scaler.step(make([NaN]).optimizer);
      scaler.update();
    }
    expect(scaler.getScale()).toBe(2);
    expect(() => scaler.update(-1)).toThrow(/positive/);
    expect(() => scaler.update(tensor([1, 2], { dtype: 'float32' }))).toThrow(/one element/);
    expect(() => scaler.update('2' as never)).toThrow(TypeError);
  });

  test('outlives an enclosing tidy', () => {
    const scaler = new GradScaler('cpu', { initScale: 2 });
    const { p, optimizer } = make([Infinity]);
    tidy(() => {
      scaler.scale(tensor(1, { dtype: 'float32' }));
      scaler.unscale_(optimizer);
    });
    tidy(() => {
      scaler.step(optimizer);
      scaler.update();
    });
    expect(scaler.getScale()).toBe(1);
    expect(p.item()).toBe(1);
  });

  test('state dicts', () => {
    const scaler = new GradScaler('cpu');
    expect(() => scaler.loadStateDict({})).toThrow(/source state dict is empty/);
    const state = {
      scale: 4,
      growth_factor: 3,
      backoff_factor: 0.25,
      growth_interval: 7,
      _growth_tracker: 2,
    };
    expect(() => scaler.loadStateDict({ ...state, scale: undefined })).toThrow(
      /'scale' must be a number/,
    );
    scaler.loadStateDict(state);
    expect(scaler.stateDict()).toEqual(state);
    scaler.scale(tensor(1, { dtype: 'float32' }));
    expect(scaler.stateDict()).toEqual(state);
    scaler.step(make().optimizer);
    expect(() => JSON.stringify(scaler)).toThrow(/beginning of an iteration/);
    scaler.update();
    expect(JSON.parse(JSON.stringify(scaler))).toEqual({ ...state, _growth_tracker: 3 });
    scaler.loadStateDict(state);
    expect(scaler.getScale()).toBe(4);
  });

  test('repeated skips warn once and name the gradient', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const scaler = started({ initScale: 4 });
    const fine = leaf([1, 2], [1, 1]);
    const bad = leaf([1, 2], [1, NaN]);
    const optimizer = new PlainSgd([fine, bad], { lr: 1, names: ['a', 'b'] });
    for (let i = 0; i < 25; ++i) {
      fine.grad = tensor([1, 1], { dtype: 'float32' });
      scaler.step(optimizer);
      scaler.update();
    }
    const texts = warn.mock.calls.map((c) => String(c[0]));
    expect(
      texts.filter((t) => /20 steps in a row/.test(t) && /'b' \(parameter 1/.test(t)),
    ).toHaveLength(1);
    warn.mockRestore();
  });
});

describe('optimizers that take the scale themselves', () => {
  test('get scale and flag; gradients are not touched', () => {
    const scaler = started({ initScale: 4 });
    const p = leaf([1], [4]);
    const optimizer = new FusedSgd([p], { lr: 1 });
    scaler.step(optimizer);
    expect(optimizer.seen).toEqual([{ scale: 4, inf: 0 }]);
    expect(p.item()).toBe(0);
    expect(optimizer.gradScale).toBeNull();
    scaler.update();
    p.grad = tensor([Infinity], { dtype: 'float32' });
    expect(scaler.step(optimizer)).toBeUndefined();
    expect(optimizer.seen[1]).toEqual({ scale: 4, inf: 1 });
    expect(scaler.lastStepSkipped(optimizer)).toBe(true);
    scaler.update();
    expect(scaler.getScale()).toBe(2);
  });

  test('after unscale_ there is no scale left to divide by', () => {
    const scaler = started({ initScale: 4 });
    const optimizer = new FusedSgd([leaf([1], [4])], { lr: 1 });
    scaler.unscale_(optimizer);
    scaler.step(optimizer);
    expect(optimizer.seen).toEqual([{ scale: 1, inf: 0 }]);
  });
});

describe('ampUnscaleStep_', () => {
  const run = (grads: Tensor[], inverse: number) => {
    const flag = tensor(0, { dtype: 'float32' });
    callOp('ampUnscaleStep_', [grads, flag, tensor(inverse, { dtype: 'float32' })]);
    return flag.item();
  };

  test.each(['float16', 'bfloat16', 'float32', 'float64'] as const)(
    '%s: values and flags',
    (dtype) => {
      const n = 100_003;
      const g = tensor(new Float32Array(n).fill(3)).to(dtype);
      const before = g.version;
      expect(run([g], 0.5)).toBe(0);
      expect(g.eq(1.5).sum().item()).toBe(n);
      expect(g.version).toBe(before + 1);
      for (const bad of [Infinity, -Infinity, NaN]) {
        const h = g.clone();
        h.select(0, n - 1).fill_(bad);
        expect(run([g.clone(), h], 1)).toBe(1);
        expect(h.select(0, 0).item()).toBe(1.5);
      }
    },
  );

  test('views, empty tensors and bad arguments', () => {
    const base = tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { dtype: 'float32' },
    );
    expect(run([base.t(), tensor([], { dtype: 'float32' })], 2)).toBe(0);
    expect(base.toArray()).toEqual([
      [2, 4],
      [6, 8],
    ]);
    expect(() => run([tensor([1])], 1)).toThrow(/floating point/);
    const flag = tensor([0, 0], { dtype: 'float32' });
    expect(() => callOp('ampUnscaleStep_', [[], flag, flag])).toThrow(/one element/);
  });
});
