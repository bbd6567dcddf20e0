import { optim, tensor, zeros } from '../../lib';
import { camel, readGolden } from './golden';

const { lrScheduler } = optim;

interface Case {
  readonly scheduler: string;
  readonly optimizer: 'SGD' | 'Adam' | 'AdamW';
  readonly base: number[];
  readonly options: Record<string, unknown>;
  readonly metrics: number[] | null;
  readonly lrs: number[][];
  readonly momenta: number[][];
}

type Scheduler = optim.lrScheduler.LRScheduler;
type SchedulerClass = new (...args: unknown[]) => Scheduler;
const classes = lrScheduler as unknown as Record<string, SchedulerClass>;
const cases = readGolden<Case[]>('schedulers.json');

function makeOptimizer(c: Pick<Case, 'optimizer' | 'base'>): optim.Optimizer {
  const groups = c.base.map((lr) => ({ params: [zeros([1], { requiresGrad: true })], lr }));
  return new optim[c.optimizer](groups, c.optimizer === 'SGD' ? { momentum: 0.9 } : {});
}

function build(
  name: string,
  options: Record<string, unknown>,
  optimizer: optim.Optimizer,
): Scheduler {
  const made: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if (key === 'lr_lambda') {
      const [kind, v] = value as [string, number];
      made['lrLambda'] = kind === 'pow' ? (e: number) => v ** e : (e: number) => 1 / (1 + v * e);
    } else if (key === 'schedulers') {
      made[key] = (value as [string, Record<string, unknown>][]).map(([n, o]) =>
        build(n, o, optimizer),
      );
    } else {
      made[camel(key)] = value;
    }
  }
  const cls = classes[name] as SchedulerClass;
  return name === 'ChainedScheduler' ? new cls(made['schedulers']) : new cls(optimizer, made);
}

function check(c: Case, optimizer: optim.Optimizer, t: number): void {
  optimizer.paramGroups.forEach((group, g) => {
    const lr = c.lrs[t]?.[g] as number;
    expect(Math.abs((group.lr as number) - lr)).toBeLessThanOrEqual(1e-9 * Math.abs(lr) + 1e-18);
    const betas = group['betas'] as number[] | undefined;
    const momentum = betas?.[0] ?? (group['momentum'] as number);
    expect(momentum).toBeCloseTo(c.momenta[t]?.[g] as number, 12);
  });
}

function advance(c: Case, optimizer: optim.Optimizer, scheduler: Scheduler, t: number): void {
  optimizer.step();
  scheduler.step(c.metrics?.[t]);
}

describe('rates equal those of PyTorch', () => {
  const named = cases.map((c) => [`${c.scheduler} ${JSON.stringify(c.options)}`, c] as const);

  test.each(named)('%s', (_, c) => {
    const optimizer = makeOptimizer(c);
    const scheduler = build(c.scheduler, c.options, optimizer);
    check(c, optimizer, 0);
    for (let t = 0; t < c.lrs.length - 1; ++t) {
      advance(c, optimizer, scheduler, t);
      check(c, optimizer, t + 1);
      expect(scheduler.getLastLr()).toEqual(optimizer.paramGroups.map((g) => g.lr));
    }
  });

  test.each(named)('after reloading: %s', (_, c) => {
    let optimizer = makeOptimizer(c);
    let scheduler = build(c.scheduler, c.options, optimizer);
    for (let t = 0; t < c.lrs.length - 1; ++t) {
      if (t === 9) {
        const state = structuredClone(scheduler.stateDict());
        const dict = optimizer.stateDict();
        optimizer = makeOptimizer(c);
        scheduler = build(c.scheduler, c.options, optimizer);
        optimizer.loadStateDict(dict);
        scheduler.loadStateDict(state);
      }
      advance(c, optimizer, scheduler, t);
      check(c, optimizer, t + 1);
    }
  });
});

describe('use', () => {
  const base = { optimizer: 'SGD', base: [0.1] } as const;

  test('required arguments by position or by name, and unknown options', () => {
    const a = new lrScheduler.StepLR(makeOptimizer({ ...base, base: [0.1] }), 2, { gamma: 0.5 });
    const b = new lrScheduler.StepLR(makeOptimizer({ ...base, base: [0.1] }), {
      stepSize: 2,
      gamma: 0.5,
    });
    expect(a.stateDict()).toEqual(b.stateDict());
    const optimizer = makeOptimizer({ ...base, base: [0.1] });
    expect(() => new lrScheduler.StepLR(optimizer, { stepsize: 2 } as object)).toThrow(
      /unknown option 'stepsize'; did you mean 'stepSize'/,
    );
    expect(() => new lrScheduler.StepLR(optimizer, {})).toThrow(/'stepSize' is required/);
    expect(() => new lrScheduler.StepLR(optimizer, 0)).toThrow(/'stepSize' must be an integer > 0/);
    expect(() => new lrScheduler.StepLR({} as optim.Optimizer, 1)).toThrow(/expected an Optimizer/);
    expect(() => new lrScheduler.OneCycleLR(optimizer, 0.1)).toThrow(/totalSteps/);
    const adagrad = new optim.Adagrad([zeros([1])]);
    expect(() => new lrScheduler.CyclicLR(adagrad, 0.1, 0.2)).toThrow(/cycleMomentum: false/);
    expect(() => new lrScheduler.ReduceLROnPlateau(optimizer).step()).toThrow(/'metric'/);
  });

  test('resuming needs the initial rates', () => {
    const optimizer = makeOptimizer({ ...base, base: [0.1] });
    expect(() => new lrScheduler.StepLR(optimizer, 1, { lastEpoch: 3 })).toThrow(/initialLr/);
  });

  test('a group that was added later is an error', () => {
    const optimizer = makeOptimizer({ ...base, base: [0.1] });
    const scheduler = new lrScheduler.LambdaLR(optimizer, () => 1);
    optimizer.addParamGroup({ params: zeros([1]) });
    optimizer.step();
    expect(() => scheduler.step()).toThrow(/knows 1 parameter groups, the optimizer has 2/);
  });

  test('a Tensor rate is filled in place', () => {
    const lr = tensor(0.1);
    const optimizer = new optim.SGD([zeros([1])], { lr });
    const scheduler = new lrScheduler.ExponentialLR(optimizer, 0.5);
    optimizer.step();
    scheduler.step();
    expect(lr.item()).toBeCloseTo(0.05, 7);
  });

  test('warns when scheduler.step() comes before optimizer.step()', () => {
    const emit = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      const optimizer = makeOptimizer({ ...base, base: [0.1] });
      const wrong = new lrScheduler.ExponentialLR(optimizer, 0.5);
      wrong.step();
      optimizer.step();
      const right = new lrScheduler.ExponentialLR(optimizer, 0.5);
      optimizer.step();
      right.step();
      expect(emit).toHaveBeenCalledTimes(1);
      expect(emit.mock.calls[0]?.[0]).toMatch(/before optimizer\.step\(\)/);
    } finally {
      emit.mockRestore();
    }
  });

  test('steps that a gradient scaler skipped do not advance the schedule', () => {
    const optimizer = makeOptimizer({ ...base, base: [1] });
    const scheduler = new lrScheduler.ExponentialLR(optimizer, 0.5);
    optimizer.noteSkippedStep();
    scheduler.step();
    expect(optimizer.paramGroups[0]?.lr).toBe(1);
    optimizer.step();
    scheduler.step();
    expect(optimizer.paramGroups[0]?.lr).toBe(0.5);
    optimizer.step();
    optimizer.noteSkippedStep(true);
    scheduler.step();
    expect(optimizer.paramGroups[0]?.lr).toBe(0.5);
    scheduler.advanceOnSkippedSteps = true;
    optimizer.noteSkippedStep();
    scheduler.step();
    expect(optimizer.paramGroups[0]?.lr).toBe(0.25);
  });

  test('step(epoch) jumps by the closed form', () => {
    const optimizer = makeOptimizer({ ...base, base: [1] });
    const scheduler = new lrScheduler.StepLR(optimizer, 3, { gamma: 0.5 });
    optimizer.step();
    scheduler.step(7);
    expect(optimizer.paramGroups[0]?.lr).toBe(0.25);
    const restarts = new lrScheduler.CosineAnnealingWarmRestarts(makeOptimizer(base as never), 2);
    restarts.step(2.5);
    expect(restarts.getLastLr()[0]).toBeCloseTo((0.1 * (1 + Math.cos(Math.PI / 4))) / 2, 12);
  });
});
