import { getNumThreads, optim, setNumThreads, type Tensor } from '../../lib';
import {
  camel,
  camelKeys,
  expectClose,
  type GoldenTensor,
  isGoldenTensor,
  readGolden,
  toTensor,
  values,
} from './golden';

interface Case {
  readonly optimizer: string;
  readonly options: Record<string, unknown>;
  readonly init: GoldenTensor[];
  readonly steps: { grads: (GoldenTensor | null)[]; params: GoldenTensor[] }[];
  readonly stateDict: {
    state: Record<string, Record<string, unknown>>;
    param_groups: Record<string, unknown>[];
  };
}

type OptimizerClass = new (params: Tensor[], options: object) => optim.Optimizer;
const classes = optim as unknown as Record<string, OptimizerClass>;
const cases = readGolden<Case[]>('optimizers.json');

function make(c: Case): { params: Tensor[]; optimizer: optim.Optimizer } {
  const params = c.init.map((g) => toTensor(g).requiresGrad_());
  return { params, optimizer: create(c, params) };
}

function create(c: Case, params: Tensor[]): optim.Optimizer {
  const cls = classes[c.optimizer] as OptimizerClass;
  return new cls(params, camelKeys(c.options));
}

function setGrads(params: readonly Tensor[], grads: readonly (GoldenTensor | null)[]): void {
  params.forEach((p, i) => {
    const g = grads[i] as GoldenTensor | null;
    p.grad = g === null ? null : toTensor(g);
  });
}

function checkParams(c: Case, params: readonly Tensor[], step: number): void {
  const relative = c.init[0]?.dtype === 'float64' ? 1e-7 : 1e-5;
  params.forEach((p, i) => {
    const expected = c.steps[step]?.params[i] as GoldenTensor;
    expectClose(p, expected, `${c.optimizer} step ${String(step)} param ${String(i)}`, relative);
  });
}

function checkState(c: Case, dict: optim.OptimizerStateDict): void {
  const expected = c.stateDict.state;
  expect(Object.keys(dict.state).sort()).toEqual(Object.keys(expected).sort());
  for (const [id, state] of Object.entries(expected)) {
    const own = dict.state[id] as Record<string, unknown>;
    expect(Object.keys(own).sort()).toEqual(Object.keys(state).map(camel).sort());
    for (const [name, value] of Object.entries(state)) {
      if (isGoldenTensor(value)) {
        expectClose(own[camel(name)] as Tensor, value, `state ${id}.${name}`, 1e-4, 1e-6);
      }
    }
  }
  dict.paramGroups.forEach((group, i) => {
    const { masterWeights, ...rest } = group;
    expect(masterWeights ?? false).toBe(false);
    expect(rest).toEqual(camelKeys(c.stateDict.param_groups[i] as Record<string, unknown>));
  });
}

describe('steps equal those of PyTorch', () => {
  test.each(cases.map((c) => [`${c.optimizer} ${JSON.stringify(c.options)}`, c] as const))(
    '%s',
    (_, c) => {
      const { params, optimizer } = make(c);
      c.steps.forEach((step, t) => {
        setGrads(params, step.grads);
        optimizer.step();
        checkParams(c, params, t);
      });
      checkState(c, optimizer.stateDict());
    },
  );

  test.each(cases.map((c) => [`${c.optimizer} ${JSON.stringify(c.options)}`, c] as const))(
    'after reloading: %s',
    (_, c) => {
      const { params, optimizer } = make(c);
      let current = optimizer;
      c.steps.forEach((step, t) => {
        if (t === 4) {
          const dict = current.stateDict();
          current = create(c, params);
          current.loadStateDict(dict);
        }
        setGrads(params, step.grads);
        current.step();
        checkParams(c, params, t);
      });
    },
  );

  test.each(cases.map((c) => [`${c.optimizer} ${JSON.stringify(c.options)}`, c] as const))(
    "from PyTorch's own names in a state dict: %s",
    (_, c) => {
      const { optimizer } = make(c);
      const state = Object.fromEntries(
        Object.entries(c.stateDict.state).map(([id, record]) => [
          id,
          Object.fromEntries(
            Object.entries(record).map(([k, v]) => [k, isGoldenTensor(v) ? toTensor(v) : v]),
          ),
        ]),
      );
      optimizer.loadStateDict({ state, param_groups: c.stateDict.param_groups });
      checkState(c, optimizer.stateDict());
    },
  );
});

describe('memory layouts and dtypes', () => {
  const families = ['SGD', 'Adam', 'RMSprop', 'Lion', 'Adafactor', 'NAdam', 'ASGD', 'Rprop'];

  test.each(families)('%s: a transposed parameter and gradient', (name) => {
    const c = cases.find((x) => x.optimizer === (name === 'Lion' ? 'SGD' : name)) as Case;
    const plain = (c.init[0] as GoldenTensor).values;
    const run = (transposed: boolean): number[] => {
      const w = toTensor({ shape: [4, 3], dtype: 'float32', values: plain });
      const p = transposed ? w.t().contiguous().t() : w;
      p.requiresGrad = true;
      const cls = classes[name] as OptimizerClass;
      const optimizer = new cls([p], { lr: 0.1 });
      for (const step of c.steps) {
        const g = toTensor({ ...(step.grads[0] as GoldenTensor), dtype: 'float32' });
        p.grad = transposed ? g.t().contiguous().t() : g;
        optimizer.step();
      }
      return values(p.contiguous());
    };
    const expected = run(false);
    run(true).forEach((v, i) => expect(v).toBeCloseTo(expected[i] as number, 5));
  });

  test.each(['float16', 'bfloat16'] as const)('%s parameters: one rounding a step', (dtype) => {
    const c = cases.find((x) => x.optimizer === 'AdamW') as Case;
    const wide = toTensor(c.init[0] as GoldenTensor).to(dtype);
    const p = wide.clone().requiresGrad_();
    const reference = wide.float().requiresGrad_();
    const half = new optim.AdamW([p], { lr: 0.05 });
    const full = new optim.AdamW([reference], { lr: 0.05 });
    const g = toTensor(c.steps[0]?.grads[0] as GoldenTensor).to(dtype);
    p.grad = g;
    reference.grad = g.float();
    half.step();
    full.step();
    expect(values(p.float())).toEqual(values(reference.detach().to(dtype).float()));
    const state = half.state.get(p) as Record<string, Tensor>;
    expect(state['expAvg']?.dtype).toBe('float32');
  });

  test.each(['SGD', 'Adam', 'Adafactor'])('%s: master weights follow float32', (name) => {
    const cls = classes[name] as OptimizerClass;
    const c = cases[0] as Case;
    const start = toTensor(c.init[0] as GoldenTensor).to('float16');
    const p = start.clone().requiresGrad_();
    const reference = start.float().requiresGrad_();
    let half = new cls([p], { lr: 1e-4, masterWeights: true });
    const full = new cls([reference], {
      lr: 1e-4,
      ...(name === 'Adafactor' ? { eps: [2 ** -23, 1e-3] } : {}),
    });
    c.steps.forEach((step, t) => {
      const g = toTensor(step.grads[0] as GoldenTensor).to('float16');
      p.grad = g;
      reference.grad = g.float();
      if (t === 3) {
        const dict = half.stateDict();
        half = new cls([p], { lr: 1e-4, masterWeights: true });
        half.loadStateDict(dict);
      }
      half.step();
      full.step();
    });
    const master = half.state.get(p)?.['masterParam'] as Tensor;
    expect(master.dtype).toBe('float32');
    expect(values(master)).toEqual(values(reference));
    expect(values(p.float())).toEqual(values(reference.detach().to('float16').float()));
  });

  test('parameters of several dtypes, and gradients of another dtype', () => {
    const list = (['float16', 'float32', 'float64', 'bfloat16'] as const).map((dtype) =>
      toTensor({ shape: [3], dtype, values: [1, 2, 3] }).requiresGrad_(),
    );
    const optimizer = new optim.SGD(list, { lr: 0.5 });
    for (const p of list) p.grad = toTensor({ shape: [3], dtype: p.dtype, values: [1, 0, -1] });
    optimizer.step();
    for (const p of list) expect(values(p.float())).toEqual([0.5, 2, 3.5]);
  });

  test('empty parameters and 0-d parameters', () => {
    for (const name of ['SGD', 'Adam', 'Adafactor', 'ASGD']) {
      const empty = toTensor({ shape: [0, 3], dtype: 'float32', values: [] }).requiresGrad_();
      const single = toTensor({ shape: [], dtype: 'float32', values: [1] }).requiresGrad_();
      const optimizer = new (classes[name] as OptimizerClass)([empty, single], { lr: 0.1 });
      empty.grad = empty.detach().clone();
      single.grad = single.detach().clone();
      optimizer.step();
      expect(single.item()).toBeLessThan(1);
    }
  });

  test('large parameters: the same bits whatever the number of threads', () => {
    const n = 300_001;
    const data = Array.from({ length: n }, (_, i) => Math.sin(i));
    const run = (threads: number): number[] => {
      const before = getNumThreads();
      setNumThreads(threads);
      try {
        const p = toTensor({ shape: [n], dtype: 'float32', values: data }).requiresGrad_();
        const optimizer = new optim.AdamW([p], { lr: 0.1 });
        for (let i = 0; i < 3; ++i) {
          p.grad = p.detach().mul(0.5);
          optimizer.step();
        }
        return values(p);
      } finally {
        setNumThreads(before);
      }
    };
    expect(run(1)).toEqual(run(4));
  });
});
