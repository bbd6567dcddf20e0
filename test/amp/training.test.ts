// Training in float16 with a scaler against float32, with the real modules and optimizers.
import { amp, arange, manualSeed, nn, noGrad, optim, randn, type Tensor, tensor } from '../../lib';
import { PlainSgd } from './helpers';

class Net extends nn.Module {
  fc1 = new nn.Linear(64, 48);
  fc2 = new nn.Linear(48, 32);
  fc3 = new nn.Linear(32, 10);
  override forward(x: Tensor): Tensor {
    return this.fc3.call(this.fc2.call(this.fc1.call(x).relu()).relu());
  }
}

/** Ten noisy clusters in 64 dimensions, like digits. */
function makeData(): { x: Tensor; y: Tensor } {
  manualSeed(11);
  const centers = randn([10, 64]);
  const y = arange(0, 400).remainder(10);
  const x = nn.functional.linear(oneHot(y), centers.t()).add(randn([400, 64]).mul(0.8));
  return { x, y };
}

function oneHot(y: Tensor): Tensor {
  return y.unsqueeze(1).eq(arange(0, 10)).float();
}

type Make = (params: Tensor[]) => { step(): unknown; zeroGrad(): void } & amp.ScalableOptimizer;

function train(dtype: 'float32' | 'float16' | 'bfloat16', make: Make, seed: number) {
  const { x, y } = makeData();
  manualSeed(seed);
  const model = new Net();
  const optimizer = make(model.parameters());
  const scaler = new amp.GradScaler('cpu', { enabled: dtype === 'float16' });
  const loss = (from: number): Tensor => {
    const rows = x.narrow(0, from, 100);
    const run = () => nn.functional.crossEntropy(model.call(rows), y.narrow(0, from, 100));
    return dtype === 'float32' ? run() : amp.autocast('cpu', { dtype }, run);
  };
  let skipped = 0;
  for (let step = 0; step < 80; ++step) {
    optimizer.zeroGrad();
    scaler.scale(loss((step % 4) * 100)).backward();
    scaler.step(optimizer);
    scaler.update();
    skipped += Number(scaler.lastStepSkipped(optimizer));
  }
  const final = noGrad(() => [0, 100, 200, 300].reduce((s, at) => s + loss(at).item() / 4, 0));
  const gradients = model.parameters().map((p) => p.grad?.dtype);
  return { final, skipped, gradients, scale: scaler.getScale() };
}

const optimizers: [string, Make][] = [
  ['optim.SGD', (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9 })],
  ['optim.Adam', (p) => new optim.Adam(p, { lr: 0.01 })],
  ['an optimizer without support', (p) => new PlainSgd(p, { lr: 0.1, momentum: 0.9 })],
];

describe.each(optimizers)('%s', (_name, make) => {
  test.each([1, 2, 3])('float16 and bfloat16 reach the loss of float32, seed %i', (seed) => {
    const full = train('float32', make, seed);
    const half = train('float16', make, seed);
    const brain = train('bfloat16', make, seed);
    expect(full.final).toBeLessThan(0.1);
    expect(Math.abs(half.final - full.final)).toBeLessThan(0.02);
    expect(Math.abs(brain.final - full.final)).toBeLessThan(0.03);
    expect(new Set(half.gradients)).toEqual(new Set(['float32']));
    expect(half.skipped).toBeLessThan(10);
    expect(half.scale).toBeGreaterThanOrEqual(64);
  });
});

describe('optimizers of the package under a scaler', () => {
  test('momentum is not harmed by a skipped first step', () => {
    const p = tensor([1], { dtype: 'float32', requiresGrad: true });
    const optimizer = new optim.SGD([p], { lr: 0.1, momentum: 0.9 });
    const scaler = new amp.GradScaler('cpu', { initScale: 2 });
    scaler.scale(tensor(1, { dtype: 'float32' }));
    p.grad = tensor([Infinity], { dtype: 'float32' });
    scaler.step(optimizer);
    scaler.update();
    expect(scaler.lastStepSkipped(optimizer)).toBe(true);
    expect(p.item()).toBe(1);
    p.grad = tensor([1], { dtype: 'float32' }); // scale is 1 now
    scaler.step(optimizer);
    scaler.update();
    expect(p.item()).toBeCloseTo(0.9, 6);
  });

  test('float16 parameters need master weights', () => {
    const make = (masterWeights: boolean) => {
      const p = tensor([1], { dtype: 'float16', requiresGrad: true });
      p.grad = tensor([4], { dtype: 'float16' });
      return { p, optimizer: new optim.SGD([['w', p]], { lr: 0.25, masterWeights }) };
    };
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const scaler = new amp.GradScaler('cpu', { initScale: 4 });
    scaler.scale(tensor(1, { dtype: 'float32' }));
    expect(() => scaler.step(make(false).optimizer)).toThrow(/FP16 gradients, the first of 'w'/);
    const { p, optimizer } = make(true);
    scaler.step(optimizer);
    expect(p.item()).toBe(0.75);
    warn.mockRestore();
  });
});

describe('doctor', () => {
  test('reports dtypes, casts and dimensions', () => {
    const model = new Net();
    const report = amp.doctor(model, [randn([4, 64])], { dtype: 'float16' });
    expect(report.lines).toContainEqual({
      op: 'linear',
      policy: 'lower',
      dtype: 'float16',
      calls: 3,
      casts: 7,
    });
    expect(report.lowShare).toBe(1);
    expect(report.casts.made).toBe(7);
    expect(report.misaligned.map((m) => m.dims)).toContainEqual([10]);
    const text = String(report);
    expect(text).toMatch(/op +policy +result +calls +casts\n/);
    expect(text).toMatch(/multiples of 8/);
    expect(amp.autocastCacheStats().depth).toBe(0);
  });

  test('functions, the list of CUDA, errors', () => {
    const f = (t: Tensor) => t.half().softmax(-1);
    const dtypes = (opList: 'cpu' | 'cuda') =>
      amp.doctor(f, [randn([2, 2])], { opList }).lines.find((l) => l.op === 'softmax')?.dtype;
    expect(dtypes('cpu')).toBe('float16');
    expect(dtypes('cuda')).toBe('float32');
    expect(amp.doctor(() => 1).advice[0]).toMatch(/changes nothing/);
    expect(amp.doctor(() => 1).tensorCores).toMatch(/^Tensor Cores: /);
    expect(() => amp.doctor(3 as never)).toThrow(/module or a function/);
    const fail = () => {
      throw new Error('inside');
    };
    expect(() => amp.doctor(fail)).toThrow('inside');
  });
});
