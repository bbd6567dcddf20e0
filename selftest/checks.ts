/** The parts of the self-test that run in this process; each throws when something is wrong. */
import {
  amp,
  backends,
  cuda,
  full,
  manualSeed,
  nn,
  noGrad,
  optim,
  randn,
  type Tensor,
  zeros,
} from '../lib';

export interface Settings {
  /** Sizes that an emulator can do in seconds. */
  readonly quick: boolean;
}

/** What a check measured, for the report. */
export type Findings = readonly string[];
export interface Check {
  readonly name: string;
  readonly run: (settings: Settings) => Findings;
}

function assert(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

function difference(a: Tensor, b: Tensor): number {
  return a.cpu().double().sub(b.cpu().double()).abs().amax().item();
}

/** Blocks are reused, joined and given back; a full device is an error that passes. */
function allocator(): Findings {
  const before = cuda.memoryAllocated();
  const sizes = [1, 1000, 1 << 18, 3 << 18, 1 << 21];
  for (let round = 0; round < 3; ++round) {
    const held = sizes.map((n, i) => full([n], i + 1, { device: 'cuda' }));
    held.forEach((t, i) => {
      const sum = t.sum();
      assert(sum.item() === (i + 1) * t.numel(), `block of ${t.numel()} lost its contents`);
      sum.dispose();
      t.dispose();
    });
  }
  assert(cuda.memoryAllocated() === before, 'memory in use grew by blocks that were freed');
  const [, total] = cuda.memGetInfo();
  let message = '';
  try {
    zeros([total], { device: 'cuda' });
  } catch (error) {
    message = (error as Error).message;
  }
  assert(message.includes('out of memory'), 'four times the device did not run out of memory');
  assert(zeros([3], { device: 'cuda' }).add(1).sum().item() === 3, 'no work after out of memory');
  cuda.emptyCache();
  const s = cuda.memoryStats();
  return [
    `${s.allocations} allocations, ${s.systemAllocations} of the device, ${s.retries} retried`,
  ];
}

/** Two streams, ordered by events; pinned copies that are not waited for. */
function streams({ quick }: Settings): Findings {
  const n = quick ? 1 << 12 : 1 << 22;
  const side = new cuda.Stream();
  const [start, end] = [true, true].map((enableTiming) => new cuda.Event({ enableTiming }));
  start?.record();
  for (let round = 0; round < 4; ++round) {
    const x = zeros([n], { device: 'cuda' }).fill_(round);
    const ready = cuda.currentStream().recordEvent();
    const y = cuda.stream(side, () => {
      ready.wait();
      return x.add(1).mul(2);
    });
    x.recordStream(side);
    x.dispose();
    zeros([n], { device: 'cuda' }).fill_(-1);
    cuda.currentStream().waitStream(side);
    assert(y.amax().item() === 2 * (round + 1), 'a stream read memory that was written too early');
    assert(y.amin().item() === 2 * (round + 1), 'a stream read memory that was written too early');
  }
  end?.record();
  end?.synchronize();
  const host = randn([n]).pinMemory();
  const back = host.to('cuda', { nonBlocking: true }).neg().to('cpu', { nonBlocking: true });
  cuda.synchronize();
  assert(difference(back, host.neg()) === 0, 'a pinned copy arrived changed');
  return [`four rounds on two streams took ${start?.elapsedTime(end as cuda.Event).toFixed(2)} ms`];
}

type Precision = 'float32' | 'float16' | 'bfloat16';

function train(device: 'cpu' | 'cuda', precision: Precision, steps: number): number[] {
  manualSeed(0);
  const model = new nn.Sequential(new nn.Linear(32, 64), new nn.ReLU(), new nn.Linear(64, 1));
  const x = randn([64, 32]);
  const y = x.sum(1, true).mul(0.1);
  const [input, target] = [x.to(device), y.to(device)];
  model.to(device);
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01 });
  const scaler = new amp.GradScaler(device, { enabled: precision === 'float16' });
  const forward = (): Tensor => (model.call(input) as Tensor).float().sub(target).pow(2).mean();
  const losses: number[] = [];
  for (let step = 0; step < steps; ++step) {
    optimizer.zeroGrad();
    const loss =
      precision === 'float32' ? forward() : amp.autocast(device, { dtype: precision }, forward);
    scaler.scale(loss).backward();
    scaler.step(optimizer);
    scaler.update();
    losses.push(loss.item());
  }
  return losses;
}

/** Losses of a small network, step by step, on both devices. */
function parity(precision: Precision, bound: number): Check['run'] {
  return ({ quick }) => {
    const steps = quick ? 5 : 50;
    const onCpu = train('cpu', precision, steps);
    const onCuda = train('cuda', precision, steps);
    const worst = Math.max(
      ...onCpu.map((a, i) => Math.abs(a - (onCuda[i] as number)) / Math.max(1e-3, Math.abs(a))),
    );
    assert(worst <= bound, `losses differ by ${worst} of their size, at most ${bound} is expected`);
    assert((onCuda[steps - 1] as number) < (onCuda[0] as number), 'the loss did not fall');
    return [
      `${steps} steps, loss ${onCuda[0]?.toFixed(4)} to ${onCuda[steps - 1]?.toFixed(4)}, ` +
        `CPU and GPU differ by at most ${worst.toExponential(1)} of it`,
    ];
  };
}

function rateOf(n: number, product: () => Tensor): string {
  product();
  cuda.synchronize();
  const [start, end] = [true, true].map((enableTiming) => new cuda.Event({ enableTiming }));
  const times = 10;
  start?.record();
  for (let i = 0; i < times; ++i) product();
  end?.record();
  end?.synchronize();
  const seconds = (start as cuda.Event).elapsedTime(end as cuda.Event) / 1000;
  return ((2 * n ** 3 * times) / Math.max(seconds, 1e-9) / 1e12).toFixed(3);
}

/** Matrix products against float64 on the CPU, within the bound of their length, and their rates. */
function products({ quick }: Settings): Findings {
  const n = quick ? 48 : 4096;
  const checked = quick ? 48 : 512;
  const lines: string[] = [];
  const units = { float64: 2 ** -52, float32: 2 ** -23, bfloat16: 2 ** -8, float16: 2 ** -11 };
  for (const dtype of ['float64', 'float32', 'bfloat16', 'float16'] as const) {
    if (dtype === 'bfloat16' && !cuda.isBf16Supported()) continue;
    const [a, b] = [randn([checked, checked]).to(dtype), randn([checked, checked]).to(dtype)];
    const want = a.double().matmul(b.double());
    const got = a.to('cuda').matmul(b.to('cuda'));
    const sum = a.double().abs().matmul(b.double().abs()).amax().item();
    const accumulate = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
    const bound = checked * accumulate * sum + units[dtype] * want.abs().amax().item();
    const error = difference(got, want);
    assert(error <= bound, `${dtype}: an error of ${error}, at most ${bound} is expected`);
    const [x, y] = [randn([n, n]).to(dtype).to('cuda'), randn([n, n]).to(dtype).to('cuda')];
    lines.push(`${dtype} ${n}: ${rateOf(n, () => noGrad(() => x.matmul(y)))} TFLOP/s`);
  }
  backends.cuda.matmul.allowTf32 = true;
  try {
    const x = randn([n, n]).to('cuda');
    lines.push(`TF32 ${n}: ${rateOf(n, () => noGrad(() => x.matmul(x)))} TFLOP/s`);
  } finally {
    backends.cuda.matmul.allowTf32 = false;
  }
  return lines;
}

export const checks: readonly Check[] = [
  { name: 'allocator', run: allocator },
  { name: 'streams and pinned memory', run: streams },
  { name: 'matrix products', run: products },
  { name: 'training in float32', run: parity('float32', 1e-3) },
  { name: 'training with autocast to float16', run: parity('float16', 3e-2) },
  { name: 'training with autocast to bfloat16', run: parity('bfloat16', 0.15) },
];
