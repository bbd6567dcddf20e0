/**
 * What only a device has, or what is too large for a CPU: copies to and from it, the cost of a launch,
 * products and attention that fill it, mixed-precision training steps.
 */
import { amp, backends, fromBuffer, nn, noGrad, optim, type Tensor } from '../../lib';
import { meanAbs } from '../harness/checks';
import { currentDevice, deviceKind, integers, place, uniform } from '../harness/data';
import { type Prepared, type Workload } from '../harness/runner';
import { passes } from './network';

const { functional: F } = nn;

function large(dtype: 'float32' | 'float16' | 'bfloat16', tf32: boolean): Prepared {
  const n = 4096;
  const [a, b] = [1, 2].map((seed) => uniform([n, n], seed).to(dtype)) as [Tensor, Tensor];
  const run = (): Tensor => {
    const before = backends.cuda.matmul.allowTf32;
    backends.cuda.matmul.allowTf32 = tf32;
    try {
      return noGrad(() => a.matmul(b));
    } finally {
      backends.cuda.matmul.allowTf32 = before;
    }
  };
  return { run, check: () => meanAbs(run()) };
}

const products: readonly Workload[] = (
  [
    ['f32', 'float32', false],
    ['tf32', 'float32', true],
    ['f16', 'float16', false],
    ['bf16', 'bfloat16', false],
  ] as const
).map(([name, dtype, tf32]) => ({
  name: `gemm.${name}.4096`,
  unit: 'GFLOP/s',
  work: 2 * 4096 ** 3,
  prepare: () => large(dtype, tf32),
}));

/** Copies of `n` bytes; those of pageable memory are waited for one by one. */
function copies(n: number, size: string): Workload[] {
  const host = (): Tensor => fromBuffer(new Float32Array(n / 4).fill(1));
  const copy = (name: string, make: () => () => Tensor): Workload => ({
    name: `copy.${name}.${size}`,
    unit: 'GB/s',
    work: n,
    prepare: () => {
      const fn = make();
      const run = (): Tensor => noGrad(fn);
      return { run, check: () => meanAbs(run().to(currentDevice())) };
    },
  });
  const target = currentDevice;
  return [
    copy('h2d.pageable', () => {
      const x = host();
      return () => x.to(target());
    }),
    copy('h2d.pinned', () => {
      const x = host().pinMemory();
      return () => x.to(target(), { nonBlocking: true });
    }),
    copy('d2h.pageable', () => {
      const x = host().to(target());
      return () => x.cpu();
    }),
    copy('d2h.pinned', () => {
      const x = host().to(target());
      return () => x.to('cpu', { nonBlocking: true });
    }),
    copy('d2d', () => {
      const x = host().to(target());
      return () => x.clone();
    }),
  ];
}

/** Calls that are queued, not waited for: what a launch costs when the device has little to do. */
const launches: Workload = {
  name: 'launch.add.1',
  unit: 'us',
  work: 100,
  emulated: true,
  prepare: () => {
    const x = uniform([1], 1);
    const run = (): void => {
      noGrad(() => {
        for (let i = 0; i < 100; ++i) x.add(1);
      });
    };
    return { run, check: () => meanAbs(x.add(1)) };
  },
};

const attention = passes({
  name: 'nn.sdpa.f16.8x16x2048x64',
  unit: 'GFLOP/s',
  forwardWork: 4 * 8 * 16 * 2048 ** 2 * 64,
  bothWork: 3 * 4 * 8 * 16 * 2048 ** 2 * 64,
  make: () => {
    const draw = (seed: number): Tensor => uniform([8, 16, 2048, 64], seed).to('float16');
    const [q, k, v] = [1, 2, 3].map(draw) as [Tensor, Tensor, Tensor];
    return {
      forward: () => F.scaledDotProductAttention(q, k, v, { isCausal: true }),
      leaves: [q, k, v],
      dy: () => draw(4),
    };
  },
});

type Precision = 'float32' | 'float16' | 'bfloat16';

/** A training step that leaves everything on the device: nothing is read. */
function step(precision: Precision, [batch, width]: readonly [number, number]): Prepared {
  const model = place(
    new nn.Sequential(
      new nn.Linear(width, width),
      new nn.ReLU(),
      new nn.Linear(width, width),
      new nn.ReLU(),
      new nn.Linear(width, 10),
    ),
  );
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-4 });
  const scaler = new amp.GradScaler(deviceKind(), { enabled: precision === 'float16' });
  const x = uniform([batch, width], 1);
  const y = integers([batch], 2, 10);
  const loss = (): Tensor => F.crossEntropy(model.call(x) as Tensor, y);
  let last: Tensor | undefined;
  const run = (): void => {
    optimizer.zeroGrad();
    const value =
      precision === 'float32' ? loss() : amp.autocast(deviceKind(), { dtype: precision }, loss);
    scaler.scale(value).backward();
    scaler.step(optimizer);
    scaler.update();
    last = value.detach();
  };
  return { run, check: () => (last as Tensor).float().item() };
}

function training(precision: Precision, size: readonly [number, number]): Workload {
  const [batch, width] = size;
  return {
    name: `mlp.step.${precision}.b${String(batch)}x${String(width)}`,
    unit: 'us',
    work: 1,
    emulated: width <= 64,
    prepare: () => step(precision, size),
  };
}

const precisions: readonly Precision[] = ['float32', 'float16', 'bfloat16'];

export const device: readonly Workload[] = [
  ...products,
  ...copies(1 << 20, '1MiB'),
  ...copies(1 << 26, '64MiB'),
  launches,
  ...attention,
  ...precisions.map((precision) => training(precision, [32, 64])),
  ...precisions.map((precision) => training(precision, [4096, 4096])),
];
