import {
  callOp,
  isGradEnabled,
  manualSeed,
  noGrad,
  ones,
  optim,
  randn,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '../../lib';
import { values } from './golden';

const { Adam, AdamW, LBFGS, Lion, Muon, SGD } = optim;

const parameter = (...shape: number[]): Tensor => ones(shape, { requiresGrad: true });

function withGrad(p: Tensor, value = 1): Tensor {
  p.grad = p.detach().mul(0).add(value);
  return p;
}

describe('parameters and groups', () => {
  test('iterables of tensors, of [name, tensor], of groups', () => {
    const a = parameter(2);
    const b = parameter(3);
    const [first, second] = new SGD(new Set([a, b])).paramGroups[0]?.params as Tensor[];
    expect(first === a && second === b).toBe(true);
    const named = new SGD(Object.entries({ a, b }), { lr: 0.1 });
    expect(named.paramGroups[0]?.paramNames).toEqual(['a', 'b']);
    expect(named.stateDict().paramGroups[0]?.['paramNames']).toEqual(['a', 'b']);
    const groups = new SGD(
      [
        { params: a, lr: 1 },
        { params: [b], momentum: 0.5 },
      ],
      { lr: 0.1 },
    );
    expect(groups.paramGroups.map((g) => [g.lr, g['momentum']])).toEqual([
      [1, 0],
      [0.1, 0.5],
    ]);
  });

  test.each<[string, () => unknown, RegExp]>([
    ['a Tensor', () => new SGD(parameter(1) as never), /params must be an iterable/],
    ['nothing', () => new SGD([]), /empty parameter list/],
    [
      'a number in the list',
      () => new SGD([1 as never]),
      /options must be an object|only optimize/,
    ],
    ['a non-leaf', () => new SGD([parameter(1).mul(2)]), /non-leaf/],
    ['an integer tensor', () => new SGD([tensor([1, 2])]), /floating point dtype, got int64/],
    ['the same twice', () => ((p) => new SGD([p, p]))(parameter(1)), /same parameter twice/],
    [
      'one in two groups',
      () => ((p) => new SGD([{ params: p }, { params: p }]))(parameter(1)),
      /more than one/,
    ],
    [
      'an unknown option',
      () => new SGD([parameter(1)], { momentun: 1 } as object),
      /did you mean 'momentum'/,
    ],
    [
      'an unknown group option',
      () => new SGD([{ params: parameter(1), lrs: 1 }]),
      /did you mean 'lr'/,
    ],
    [
      'a negative rate',
      () => new SGD([parameter(1)], { lr: -1 }),
      /'lr' must be a number >= 0.*got number -1/,
    ],
    ['NaN', () => new Adam([parameter(1)], { eps: NaN }), /'eps' must be a number >= 0/],
    ['a string', () => new Adam([parameter(1)], { lr: '1' as never }), /got string "1"/],
    [
      'positional options',
      () => new SGD([parameter(1)], 0.1 as never),
      /options must be an object such as/,
    ],
    ['wrong betas', () => new Adam([parameter(1)], { betas: [0.9, 1] }), /two numbers in \[0, 1\)/],
    [
      'nesterov alone',
      () => new SGD([parameter(1)], { nesterov: true }),
      /Nesterov momentum requires/,
    ],
    [
      'differentiable',
      () => new SGD([parameter(1)], { differentiable: true as never }),
      /cannot be differentiated/,
    ],
    [
      'coupled AdamW',
      () => new AdamW([parameter(1)], { decoupledWeightDecay: false } as object),
      /decoupledWeightDecay/,
    ],
    ['a vector for Muon', () => new Muon([parameter(3)]), /2-d parameters/],
    [
      'two groups for LBFGS',
      () => new LBFGS([{ params: parameter(1) }, { params: parameter(1) }]),
      /per-parameter options/,
    ],
    ['LBFGS without closure', () => new LBFGS([parameter(1)]).step(), /needs a closure/],
    [
      'a closure that is none',
      () => new SGD([parameter(1)]).step(3 as never),
      /closure must be a function/,
    ],
  ])('rejects %s', (_, fn, message) => {
    expect(fn).toThrow(message);
  });

  test('addParamGroup takes the defaults and checks duplicates', () => {
    const a = parameter(1);
    const optimizer = new SGD([a], { lr: 0.5, momentum: 0.9 });
    optimizer.addParamGroup({ params: [parameter(2)], lr: 0.1 });
    expect(optimizer.paramGroups[1]).toMatchObject({ lr: 0.1, momentum: 0.9 });
    expect(() => optimizer.addParamGroup({ params: a })).toThrow(/more than one/);
    expect(optimizer.paramGroups).toHaveLength(2);
  });

  test('text form', () => {
    const text = new SGD([{ params: parameter(1) }, { params: parameter(1), lr: 1 }]).toString();
    expect(text.split('\n').slice(0, 3)).toEqual([
      'SGD (',
      'Parameter Group 0',
      '    dampening: 0',
    ]);
    expect(text).toMatch(/\n\nParameter Group 1\n[^]* {4}lr: 1\n/);
    expect(text.endsWith('\n)')).toBe(true);
  });
});

describe('steps', () => {
  test('zeroGrad drops gradients or fills them with zeros', () => {
    const p = withGrad(parameter(2));
    const optimizer = new SGD([p]);
    optimizer.zeroGrad({ setToNone: false });
    expect(values(p.grad as Tensor)).toEqual([0, 0]);
    optimizer.zeroGrad();
    expect(p.grad).toBeNull();
  });

  test('parameters without gradient stay and get no state', () => {
    const a = withGrad(parameter(2));
    const b = parameter(2);
    const optimizer = new Adam([a, b], { lr: 0.1 });
    optimizer.step();
    expect(values(b)).toEqual([1, 1]);
    expect(optimizer.state.has(b)).toBe(false);
    expect(Object.keys(optimizer.stateDict().state)).toEqual(['0']);
  });

  test('a closure runs with gradients enabled and its result is returned', () => {
    const optimizer = new SGD([withGrad(parameter(1))]);
    const result = noGrad(() => optimizer.step(() => (isGradEnabled() ? 7 : 0)));
    expect(result).toBe(7);
  });

  test('hooks run around the step', () => {
    const optimizer = new SGD([withGrad(parameter(1))]);
    const log: string[] = [];
    const pre = optimizer.registerStepPreHook(() => log.push('pre'));
    optimizer.registerStepPostHook((o) => log.push(`post ${String(o === optimizer)}`));
    optimizer.step();
    pre.remove();
    optimizer.step();
    expect(log).toEqual(['pre', 'post true', 'post true']);
  });

  test('versions rise: a graph that needs the old values notices', () => {
    const p = withGrad(parameter(2));
    const y = p.mul(p).sum();
    const before = p.version;
    new SGD([p]).step();
    expect(p.version).toBeGreaterThan(before);
    expect(() => y.backward()).toThrow(/modified by an inplace operation/);
  });

  test('Lion moves by the sign of its momentum', () => {
    const p = withGrad(parameter(3), -0.25);
    const optimizer = new Lion([p], { lr: 0.5, weightDecay: 0.1 });
    optimizer.step();
    expect(values(p).map((v) => v.toFixed(6))).toEqual(['1.450000', '1.450000', '1.450000']);
    const state = optimizer.state.get(p) as Record<string, Tensor>;
    expect((state['expAvg'] as Tensor).get(0).item()).toBeCloseTo(-0.0025, 7);
  });

  test('gradients divided by a scale; nothing happens when foundInf is set', () => {
    const run = (scaled: boolean): { p: Tensor; optimizer: optim.Optimizer } => {
      const p = parameter(2);
      const optimizer = new SGD([p], { lr: 0.1, momentum: 0.9, dampening: 0.5 });
      if (scaled) {
        optimizer.gradScale = tensor(1024, { dtype: 'float32' });
        optimizer.foundInf = tensor(1, { dtype: 'float32' });
        withGrad(p, Infinity);
        optimizer.step();
        expect(values(p)).toEqual([1, 1]);
        optimizer.foundInf = tensor(0, { dtype: 'float32' });
      }
      for (const g of [1, -2, 0.5]) {
        withGrad(p, scaled ? 1024 * g : g);
        optimizer.step();
      }
      return { p, optimizer };
    };
    expect(values(run(true).p)).toEqual(values(run(false).p));
  });

  test('state made inside tidy survives it', () => {
    const run = (scope: (fn: () => void) => void): number[] => {
      const p = parameter(2, 2);
      const list = [
        new Adam([p]),
        new Muon([p]),
        new SGD([p], { momentum: 0.9, dampening: 0.1 }),
        new LBFGS([p], { lr: 0.1, maxIter: 2 }),
      ];
      for (let i = 0; i < 3; ++i) {
        scope(() => {
          for (const optimizer of list) {
            optimizer.step(() => {
              p.grad = p.detach().mul(2).add(i);
              return p.detach().mul(p.detach()).sum();
            });
          }
        });
      }
      return values(p);
    };
    expect(run((fn) => void tidy(fn))).toEqual(run((fn) => fn()));
  });

  test('warns of float16 parameters without masters', () => {
    const emit = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      const p = ones([1], { dtype: 'float16', requiresGrad: true });
      new AdamW([p], { masterWeights: true });
      new AdamW([ones([1], { dtype: 'bfloat16', requiresGrad: true })]);
      expect(emit).not.toHaveBeenCalled();
      new AdamW([p]);
      new AdamW([p]);
      expect(emit).toHaveBeenCalledTimes(1);
      expect(emit.mock.calls[0]?.[0]).toMatch(/masterWeights: true/);
    } finally {
      emit.mockRestore();
    }
  });

  test('a skipped step leaves the step count', () => {
    const p = withGrad(parameter(2));
    const optimizer = new Adam([p]);
    optimizer.foundInf = tensor(1, { dtype: 'float32' });
    optimizer.step();
    expect((optimizer.state.get(p)?.['step'] as Tensor).item()).toBe(0);
    expect(values(optimizer.state.get(p)?.['expAvg'] as Tensor)).toEqual([0, 0]);
  });
});

describe('state dicts', () => {
  test('are copied in, by position of the parameters', () => {
    const p = withGrad(parameter(2));
    const a = new Adam([p], { lr: 0.1 });
    a.step();
    const q = withGrad(parameter(2));
    const b = new Adam([q], { lr: 0.7 });
    b.loadStateDict(a.stateDict());
    expect(b.paramGroups[0]?.lr).toBe(0.1);
    a.step();
    expect((b.state.get(q)?.['step'] as Tensor).item()).toBe(1);
  });

  test.each<[string, object, RegExp]>([
    [
      'another number of groups',
      { state: {}, paramGroups: [] },
      /different number of parameter groups/,
    ],
    [
      'another number of parameters',
      { state: {}, paramGroups: [{ params: [0, 1] }] },
      /doesn't match the size/,
    ],
    ['no groups', { state: {} }, /no list 'paramGroups'/],
    [
      'unknown state',
      { state: { 5: {} }, paramGroups: [{ params: [0] }] },
      /belongs to no parameter/,
    ],
    ['a bad option', { state: {}, paramGroups: [{ params: [0], lr: -1 }] }, /'lr' must be/],
  ])('reject %s and change nothing', (_, dict, message) => {
    const optimizer = new Adam([parameter(1)], { lr: 0.25 });
    expect(() => optimizer.loadStateDict(dict as optim.OptimizerStateDict)).toThrow(message);
    expect(optimizer.paramGroups[0]?.lr).toBe(0.25);
  });
});

describe('LBFGS', () => {
  const rosenbrock = (p: Tensor): (() => Tensor) => {
    return () => {
      const [x, y] = values(p) as [number, number];
      p.grad = tensor([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)], {
        dtype: 'float64',
      });
      return tensor((1 - x) ** 2 + 100 * (y - x * x) ** 2, { dtype: 'float64' });
    };
  };

  test('strong Wolfe line search finds the minimum of the Rosenbrock function', () => {
    const p = tensor([-1.2, 1], { dtype: 'float64', requiresGrad: true });
    const optimizer = new LBFGS([p], { lineSearchFn: 'strong_wolfe', maxIter: 60, historySize: 5 });
    const closure = rosenbrock(p);
    const first = (optimizer.step(closure) as Tensor).item();
    expect(first).toBeCloseTo(24.2, 10);
    for (let i = 0; i < 3; ++i) optimizer.step(closure);
    for (const v of values(p)) expect(v).toBeCloseTo(1, 4);
  });

  // Losses of PyTorch 2.13 in float64 on the same problem.
  test.each<[object, number[]]>([
    [
      { lr: 0.5, maxIter: 4, historySize: 3 },
      [0.7220845932307413, 0.501013945173804, 0.4995834655857672, 0.49138382730236874],
    ],
    [
      { lineSearchFn: 'strong_wolfe', lr: 5, maxIter: 3, historySize: 2 },
      [0.7220845932307413, 0.5008056042255112, 0.49768305954683395, 0.4958823191316067],
    ],
  ])('%j follows PyTorch', (options, losses) => {
    const range = (n: number, f: (i: number) => number, shape: number[]): Tensor =>
      tensor(
        Array.from({ length: n }, (_, i) => f(i)),
        { dtype: 'float64' },
      ).reshape(shape);
    const w = range(12, (i) => Math.sin(i * 0.37), [4, 3]);
    const b = tensor([0.1, -0.2, 0.3], { dtype: 'float64' });
    const s = tensor(0.7, { dtype: 'float64' });
    const x = range(32, (i) => Math.cos(i * 1.37), [8, 4]);
    const y = range(24, (i) => Math.sin(i * 0.77), [8, 3]);
    for (const p of [w, b, s]) p.requiresGrad = true;
    const optimizer = new LBFGS([w, b, s], options);
    const closure = (): Tensor =>
      noGrad(() => {
        const h = x.matmul(w).add(b).tanh();
        const e = h.mul(s).sub(y);
        const d = e.mul(2 / 24);
        const z = d.mul(s).mul(h.mul(h).neg().add(1));
        s.grad = d.mul(h).sum();
        w.grad = x.t().matmul(z);
        b.grad = z.sum(0);
        return e.mul(e).mean();
      });
    for (const loss of losses) {
      expect(Math.abs((optimizer.step(closure) as Tensor).item() - loss)).toBeLessThan(1e-11);
    }
  });
});

describe('native steps refuse bad lists', () => {
  const step = (
    params: unknown,
    grads: unknown = [],
    states: unknown = [],
    options: object = { lr: 0.1, momentum: 0 },
  ): unknown => callOp('sgdStep_', [params, grads, [], states, []], options as never);
  const momentum = { lr: 0.1, momentum: 0.5 };

  test.each<[string, () => unknown, RegExp]>([
    ['no list', () => step(ones([1])), /argument 'params' must be an array of Tensors/],
    ['a null', () => step([null]), /'params\[0\]' must be a Tensor, got null/],
    [
      'integers',
      () => step([tensor([1])], [tensor([1])]),
      /'params\[0\]' must be of floating point/,
    ],
    [
      'integer gradients',
      () => step([ones([1])], [tensor([1])]),
      /'grads\[0\]' must be of floating/,
    ],
    ['another shape', () => step([ones([2])], [ones([3])]), /'grads\[0\]' has shape \[3\]/],
    ['another count', () => step([ones([2])], [ones([2]), ones([2])]), /must have 1 elements/],
    ['missing states', () => step([ones([2])], [ones([2])], [], momentum), /'states' must have 1/],
    [
      'states of another dtype',
      () => step([ones([2])], [ones([2])], [zeros([2], { dtype: 'float64' })], momentum),
      /'states\[0\]' must have dtype float32, got float64/,
    ],
    ['expanded parameters', () => step([ones([1]).expand([4])], [ones([4])]), /share memory/],
    ['the same twice', () => ((p) => step([p, p], [p, p]))(ones([2])), /share memory/],
    [
      'overlapping views',
      () =>
        ((p) => step([p.narrow(0, 0, 3), p.narrow(0, 2, 2)], [ones([3]), ones([2])]))(ones([4])),
      /share memory/,
    ],
    [
      'a gradScale of another dtype',
      () =>
        step([ones([2])], [ones([2])], [], { lr: 1, gradScale: ones([1], { dtype: 'float64' }) }),
      /'gradScale' must be one float32 value/,
    ],
  ])('%s', (_, fn, message) => {
    expect(fn).toThrow(message);
  });

  test('views of one storage that do not overlap are fine', () => {
    const p = ones([4]);
    step([p.narrow(0, 0, 2), p.narrow(0, 2, 2)], [ones([2]), zeros([2])]);
    expect(values(p).map((v) => v.toFixed(3))).toEqual(['0.900', '0.900', '1.000', '1.000']);
  });

  test('random lists never break the process', () => {
    manualSeed(0);
    const pool: unknown[] = [
      null,
      3,
      'x',
      ones([2]),
      ones([0]),
      randn([2, 3]),
      tensor(1),
      [ones([1])],
    ];
    for (let i = 0; i < 300; ++i) {
      const pick = (k: number): unknown[] =>
        Array.from({ length: k % 4 }, (_, j) => pool[(i * 7 + j * 3 + k) % pool.length]);
      for (const name of ['adamStep_', 'adafactorStep_', 'asgdStep_', 'nadamStep_']) {
        try {
          callOp(name, [pick(i), pick(i + 1), pick(i + 2), pick(i + 3), pick(i >> 2)], {
            lr: 0.1,
            ...(name === 'asgdStep_' ? { lambd: 0, alpha: 1, t0: 0 } : {}),
            ...(name === 'adafactorStep_' ? { beta2Decay: -1, eps2: 0, d: 1 } : {}),
            ...(name === 'adamStep_' || name === 'nadamStep_' ? { betas: [0.9, 0.9], eps: 0 } : {}),
            ...(name === 'nadamStep_' ? { momentumDecay: 0 } : {}),
          });
        } catch (error) {
          expect(error).toHaveProperty('code');
        }
      }
    }
  });
});
