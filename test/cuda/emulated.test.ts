/**
 * Device 'cuda' of the library that AMPGRAD_CUDA_LIBRARY names: the emulator in `npm run test:cuda`,
 * which sets the seed of its schedules, or a GPU.
 */
import {
  ones,
  randn,
  cuda,
  manualSeed,
  noGrad,
  optim,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';
import { liveTensors } from '../ops/support/leaks';
import { suite } from './suite';

const bounds = { float32: 1e-5, float16: 5e-3, bfloat16: 4e-2, float64: 1e-12 } as const;
type Float = keyof typeof bounds;
const floats = Object.keys(bounds) as Float[];

function expectClose(a: Tensor, b: Tensor, bound: number): void {
  const x = a.cpu().double();
  const y = b.cpu().double();
  const scale = Math.max(1, x.abs().amax().item() as number);
  expect(x.shape).toEqual(y.shape);
  expect(x.sub(y).abs().amax().item() as number).toBeLessThanOrEqual(bound * scale);
}

suite('device cuda', () => {
  beforeEach(() => manualSeed(0));

  test('is described', () => {
    expect(cuda.isAvailable()).toBe(true);
    expect(cuda.unavailableReason()).toBeNull();
    expect(cuda.getDeviceCapability()[0]).toBeGreaterThanOrEqual(7);
    expect(cuda.hasTensorCores('cuda:0')).toBe(true);
    expect(() => cuda.getDeviceName(99)).toThrow(/device 'cuda:99' does not exist/);
    expect(() => tensor([1]).to('cuda:99')).toThrow(/does not exist/);
  });

  test('tensors move there and back, in any layout and dtype', () => {
    const x = randn([3, 4, 5]);
    for (const view of [x, x.transpose(0, 2), x.narrow(1, 1, 2), x.select(0, 1).t()]) {
      const there = view.to('cuda');
      expect(there.device).toBe('cuda:0');
      expect(there.cpu().toArray()).toEqual(view.toArray());
      expect(there.t !== undefined && there.contiguous().cpu().toArray()).toEqual(view.toArray());
    }
    expect(x.to('cuda', 'int32').cpu().toArray()).toEqual(x.int().toArray());
    const target = zeros([4, 3], { device: 'cuda' });
    target.t().copy_(x.select(2, 0));
    expect(target.t().cpu().toArray()).toEqual(x.select(2, 0).toArray());
  });

  test('numbers that no integer holds become the same ones as on the CPU', () => {
    const x = tensor([Infinity, -Infinity, NaN, 3e9, -3e9, 1e19, -1e19, 300.7, -1.5]);
    for (const from of ['float16', 'bfloat16', 'float32', 'float64'] as const) {
      for (const to of ['uint8', 'int8', 'int16', 'int32', 'int64'] as const) {
        const there = x.to(from).cuda().to(to).cpu();
        expect(there.toArray()).toEqual(x.to(from).to(to).toArray());
      }
    }
  });

  test('operands of different devices are refused', () => {
    expect(() =>
      tensor([1, 2])
        .to('cuda')
        .add(tensor([1, 2])),
    ).toThrow(/same device/);
  });

  test.each(floats)('element-wise and reductions agree with the CPU in %s', (dtype) => {
    const a = randn([7, 33]).to(dtype);
    const b = randn([33]).to(dtype);
    const onCuda = [a.to('cuda'), b.to('cuda')] as const;
    const programs: ((x: Tensor, y: Tensor) => Tensor)[] = [
      (x, y) => x.add(y, { alpha: 2 }),
      (x, y) => x.mul(y).sigmoid(),
      (x) => x.tanh().exp(),
      (x) => x.t().mul(0.5).relu(),
      (x, y) => x.gt(y).to(x.dtype),
      (x) => x.sum(),
      (x) => x.mean(0),
      (x) => x.amax(1),
      (x) => x.argmax(1).to(x.dtype),
      (x) => x.sum([0, 1], false, { dtype: 'float64' }),
    ];
    for (const f of programs) expectClose(f(...onCuda), f(a, b), bounds[dtype]);
  });

  test('long reductions are folded in parts', () => {
    const x = randn([100_000]);
    expectClose(x.to('cuda').sum(), x.sum(), 1e-4);
    expect(x.to('cuda').argmax().item()).toBe(x.argmax().item());
    expectClose(x.reshape([2, 50_000]).to('cuda').mean(1), x.reshape([2, 50_000]).mean(1), 1e-6);
  });

  test.each(floats)('matrix products in %s: transposed, batched, empty', (dtype) => {
    const a = randn([3, 5, 8]).to(dtype);
    const b = randn([3, 8, 6]).to(dtype);
    const products: ((x: Tensor, y: Tensor) => Tensor)[] = [
      (x, y) => x.matmul(y),
      (x, y) => x.select(0, 0).matmul(y.select(0, 1)),
      (x, y) => y.transpose(1, 2).matmul(x.transpose(1, 2)),
      (x, y) =>
        x
          .select(0, 0)
          .narrow(1, 0, 0)
          .matmul(y.select(0, 0).narrow(0, 0, 0)),
      (x, y) => x.select(0, 0).select(0, 0).expand([4, 8]).matmul(y.select(0, 0)),
    ];
    for (const f of products) expectClose(f(a.to('cuda'), b.to('cuda')), f(a, b), bounds[dtype]);
  });

  test.each([
    ['SGD', (p: Tensor[]) => new optim.SGD(p, { lr: 0.05, momentum: 0.9, weightDecay: 0.01 })],
    ['AdamW', (p: Tensor[]) => new optim.AdamW(p, { lr: 0.01 })],
  ])('a network trains with %s to the numbers of the CPU', (_, make) => {
    const init = [
      randn([64, 20]),
      randn([20, 33]).mul(0.2),
      zeros([33]),
      randn([33, 5]).mul(0.2),
      randn([64, 5]),
    ];
    const losses = (['cpu', 'cuda'] as const).map((device) => {
      const [x, w1, b1, w2, y] = init.map((t) => t.to(device)) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor,
        Tensor,
      ];
      const weights = [w1, b1, w2].map((w) => w.clone().requiresGrad_());
      const [p1, p2, p3] = weights as [Tensor, Tensor, Tensor];
      const optimizer = make(weights);
      for (let step = 0; step < 10; step++) {
        optimizer.zeroGrad();
        const out = x.matmul(p1).add(p2).relu().matmul(p3);
        out.sub(y).pow(2).mean().backward();
        optimizer.step();
      }
      return noGrad(() => x.matmul(p1).add(p2).relu().matmul(p3).sub(y).pow(2).mean().item());
    }) as [number, number];
    expect(Math.abs(losses[0] - losses[1])).toBeLessThan(1e-5);
  });

  test('memory is counted and given back', async () => {
    await liveTensors(); // garbage of others must not go in between
    cuda.emptyCache();
    const before = cuda.memoryAllocated();
    const x = zeros([1 << 20], { device: 'cuda' });
    expect(cuda.memoryAllocated() - before).toBe(4 << 20);
    x.dispose();
    expect(cuda.memoryAllocated()).toBe(before);
    expect(cuda.maxMemoryAllocated()).toBeGreaterThanOrEqual(before + (4 << 20));
    expect(cuda.memorySummary()).toContain('reserved');
  });

  test('a full device is an error after which everything goes on', async () => {
    await liveTensors();
    const [, total] = cuda.memGetInfo();
    const before = cuda.memoryAllocated();
    expect(() => zeros([total], { device: 'cuda' })).toThrow(
      expect.objectContaining({
        code: 'ERR_OOM',
        message: expect.stringMatching(/out of memory on cuda:0/),
      }),
    );
    // Collecting what nobody holds any more is part of the attempt.
    expect(cuda.memoryAllocated()).toBeLessThanOrEqual(before);
    expect(tensor([1, 2]).to('cuda').sum().item()).toBe(3);
  });

  test('an op without a kernel says so', () => {
    const x = ones([4, 4], { dtype: 'bool', device: 'cuda' });
    expect(() => x.mm(x)).toThrow(/mm: not implemented for bool on cuda/);
  });
});
