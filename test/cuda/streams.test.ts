/** Streams, events, pinned memory, generators and the current device, on one and on two devices. */
import {
  backends,
  cuda,
  data,
  forkRng,
  manualSeed,
  nn,
  randn,
  rand,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';
import { runProgram } from './process';
import { suite } from './suite';

suite('streams and events', () => {
  test('work of a stream is ordered by events and recordStream', () => {
    const side = new cuda.Stream();
    expect(side.device).toBe('cuda:0');
    expect(cuda.currentStream().equals(cuda.defaultStream())).toBe(true);
    const a = randn([64, 64]).to('cuda');
    const made = cuda.currentStream().recordEvent();
    const b = cuda.stream(side, () => {
      expect(cuda.currentStream().equals(side)).toBe(true);
      made.wait();
      a.recordStream(side);
      return a.mul(2).add(1);
    });
    expect(cuda.currentStream().equals(side)).toBe(false);
    cuda.currentStream().waitStream(side);
    expect(b.cpu().toArray()).toEqual(a.cpu().mul(2).add(1).toArray());
    b.recordStream(cuda.currentStream());
    side.synchronize();
    expect(side.query()).toBe(true);
  });

  test('freed memory that another stream uses is not handed out before the stream is done', () => {
    const side = new cuda.Stream();
    for (let round = 0; round < 5; ++round) {
      const x = zeros([1 << 16], { device: 'cuda' }).fill_(round + 1);
      const ready = cuda.currentStream().recordEvent();
      const sum = cuda.stream(side, () => {
        ready.wait();
        return x.add(1).sum();
      });
      x.recordStream(side);
      x.dispose();
      zeros([1 << 16], { device: 'cuda' }).fill_(100);
      side.synchronize();
      expect(sum.cpu().item()).toBe((round + 2) * (1 << 16));
    }
  });

  test('a stream that throws, and a promise, restore the current one', async () => {
    const side = new cuda.Stream({ priority: -1 });
    expect(() =>
      cuda.stream(side, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(cuda.currentStream().id).toBe(0);
    const inside = await cuda.stream(side, async () => {
      await Promise.resolve();
      return cuda.currentStream().id;
    });
    expect(inside).toBe(side.id);
    expect(cuda.currentStream().id).toBe(0);
    expect(cuda.stream(null, () => 7)).toBe(7);
  });

  test('events tell whether work is done and how long it took', () => {
    const never = new cuda.Event();
    expect(never.query()).toBe(true);
    never.wait();
    never.synchronize();
    const [start, end] = [
      new cuda.Event({ enableTiming: true }),
      new cuda.Event({ enableTiming: true }),
    ];
    start.record();
    randn([128, 128]).to('cuda').mul(2);
    end.record();
    end.synchronize();
    expect(end.query()).toBe(true);
    expect(start.elapsedTime(end)).toBeGreaterThanOrEqual(0);
    expect(() => start.elapsedTime(new cuda.Event({ enableTiming: true }))).toThrow(/recorded/);
    expect(() => start.elapsedTime(new cuda.Event().record())).toThrow(/enableTiming/);
  });

  test('what does not exist is an error', () => {
    expect(() => new cuda.Stream({ device: 'cuda:9' })).toThrow(/does not exist/);
    expect(() => new cuda.Stream({ devcie: 0 } as object)).toThrow(/unknown option 'devcie'/);
    expect(() => cuda.setDevice(9)).toThrow(/does not exist/);
    expect(() => cuda.setDevice('gpu' as 'cuda')).toThrow(/argument 'device'/);
    expect(() => tensor([1]).recordStream(new cuda.Stream())).toThrow(/the tensor is on cpu/);
    expect(() => tensor([1]).to('cuda').pinMemory()).toThrow(/only tensors on the CPU/);
  });
});

suite('pinned memory', () => {
  test('copies from and to it need not be waited for', () => {
    const x = randn([1000]);
    expect(x.isPinned()).toBe(false);
    const pinned = x.pinMemory();
    expect(pinned.isPinned()).toBe(true);
    expect(pinned.pinMemory()).toBe(pinned);
    expect(pinned.narrow(0, 10, 20).isPinned()).toBe(true);
    expect(pinned.toArray()).toEqual(x.toArray());
    const there = pinned.to('cuda', { nonBlocking: true });
    pinned.dispose();
    const other = randn([1000]).pinMemory(); // not the block that the copy still reads
    const back = there.mul(2).to('cpu', { nonBlocking: true });
    expect(back.isPinned()).toBe(true);
    cuda.synchronize();
    expect(back.toArray()).toEqual(x.mul(2).toArray());
    other.copy_(there, true);
    cuda.synchronize();
    expect(other.toArray()).toEqual(x.toArray());
  });

  test('memory that is not pinned, or changes on the way, is waited for', () => {
    const x = randn([30, 20]);
    expect(x.t().to('cuda', { nonBlocking: true }).cpu().toArray()).toEqual(x.t().toArray());
    const half = x.pinMemory().to('cuda', 'float16', { nonBlocking: true });
    expect(half.cpu().toArray()).toEqual(x.half().toArray());
    const empty = zeros([0, 3]).pinMemory();
    expect(empty.to('cuda', { nonBlocking: true }).shape).toEqual([0, 3]);
  });
});

suite('DataLoader', () => {
  test('delivers pinned batches', () => {
    const samples = Array.from({ length: 4 }, (_, i) => ({ x: tensor([i, i]), y: i }));
    const loader = new data.DataLoader(samples, { batchSize: 2, pinMemory: true });
    for (const { x, y } of loader as Iterable<{ x: Tensor; y: Tensor }>) {
      expect([x.isPinned(), y.isPinned(), x.shape]).toEqual([true, true, [2, 2]]);
      expect(x.to('cuda', { nonBlocking: true }).sum().item()).toBe(2 * (y.sum().item() as number));
    }
  });
});

suite('generators', () => {
  test('a device has one of its own, from the same seed', () => {
    const draw = (): number[] => rand([5], { device: 'cuda' }).cpu().toArray() as number[];
    manualSeed(3);
    const onCpu = rand([5]).toArray();
    expect(draw()).toEqual(onCpu);
    rand([5]);
    const state = cuda.getRngState();
    const next = draw();
    cuda.setRngState(state);
    expect(draw()).toEqual(next);
    expect(forkRng(draw)).toEqual(draw());
    cuda.manualSeed(3);
    expect(cuda.initialSeed()).toBe(3n);
    expect(draw()).toEqual(onCpu);
  });
});

suite('TF32', () => {
  test('is off until it is allowed', () => {
    const { matmul } = backends.cuda;
    expect(matmul.allowTf32).toBe(false);
    expect(matmul.allowFp16ReducedPrecisionReduction).toBe(false);
    matmul.allowTf32 = true;
    try {
      const x = randn([8, 8]);
      const y = x.to('cuda').matmul(x.to('cuda')).cpu().sub(x.matmul(x)).abs().amax().item();
      expect(y).toBeLessThan(0.05);
    } finally {
      matmul.allowTf32 = false;
    }
    expect(() => {
      matmul.allowTf32 = 1 as unknown as boolean;
    }).toThrow(/must be a boolean/);
  });
});

suite('modules', () => {
  test('move with their buffers', () => {
    const model = new nn.Sequential(new nn.Linear(4, 3), new nn.ReLU());
    const x = randn([2, 4]);
    const want = (model.call(x) as Tensor).detach();
    model.to('cuda');
    expect(model.parameters().every((p) => p.device === 'cuda:0')).toBe(true);
    const got = (model.call(x.cuda()) as Tensor).cpu();
    expect(got.sub(want).abs().amax().item()).toBeLessThan(1e-6);
    expect(
      model
        .cuda()
        .cpu()
        .parameters()
        .every((p) => p.device === 'cpu'),
    ).toBe(true);
  });
});

suite('two devices', () => {
  const program = `
const { cuda, tensor, randn, manualSeed, rand } = ag;
const out = { count: cuda.deviceCount(), current: [cuda.currentDevice()] };
// Nothing of this is left for the collector, which would change the counts below.
ag.memory.tidy(() => {
  manualSeed(1);
  const x = randn([300]).to('cuda:0').mul(3);
  const y = x.to('cuda:1');
  out.device = y.device;
  out.equal = y.cpu().eq(x.cpu()).all().item();
  out.back = y.add(1).to('cuda:0').sub(x).cpu().sub(1).abs().amax().item();
  try { x.add(y); } catch (error) { out.mixed = error.message; }
  cuda.setDevice(1);
  out.current.push(cuda.currentDevice(), tensor([1]).cuda().device, tensor([1]).cuda(0).device);
  out.current.push(cuda.device(0, () => tensor([1]).to('cuda').device), cuda.currentDevice());
  const side = new cuda.Stream({ device: 0 });
  out.stream = cuda.stream(side, () => [cuda.currentDevice(), cuda.currentStream().deviceIndex]);
  out.after = [cuda.currentDevice(), cuda.currentStream('cuda:0').id];
  cuda.setDevice(0);
  manualSeed(5);
  const a = rand([4], { device: 'cuda:0' }).cpu().toArray();
  const b = rand([4], { device: 'cuda:1' }).cpu().toArray();
  out.random = JSON.stringify(a) === JSON.stringify(b);
});
cuda.resetPeakMemoryStats(1);
const before = cuda.memoryAllocated(1);
const big = ag.zeros([1 << 18], { device: 'cuda:1' });
out.memory = [cuda.memoryAllocated(1) - before, cuda.maxMemoryAllocated(1) - before];
big.dispose();
cuda.resetPeakMemoryStats('cuda:1');
out.memory.push(cuda.maxMemoryAllocated(1) - before);
console.log(JSON.stringify(out));
`;

  test.each(['1', '2', '3'])(
    'copy between each other and have a state of their own, seed %s',
    (seed) => {
      const out = runProgram<Record<string, unknown>>(program, {
        AMPGRAD_SIMT_DEVICES: '2',
        AMPGRAD_SIMT_SEED: seed,
      });
      expect(out['count']).toBe(2);
      expect(out['device']).toBe('cuda:1');
      expect(out['equal']).toBeTruthy();
      expect(out['back']).toBeLessThan(1e-5);
      expect(out['mixed']).toMatch(/same device/);
      expect(out['current']).toEqual([0, 1, 'cuda:1', 'cuda:0', 'cuda:0', 1]);
      expect(out['stream']).toEqual([0, 0]);
      expect(out['after']).toEqual([1, 0]);
      expect(out['random']).toBe(true);
      expect(out['memory']).toEqual([1 << 20, 1 << 20, 0]);
    },
  );
});
