/** Element-wise operations, casts and reductions: section 6 of the workloads. */
import { add, type DType, noGrad, type Tensor, zeros } from '../../lib';
import { meanAbs } from '../harness/checks';
import { currentDevice, uniform } from '../harness/data';
import { type Workload } from '../harness/runner';

function workload(name: string, bytes: number, make: () => () => Tensor): Workload {
  return {
    name,
    unit: 'GB/s',
    work: bytes,
    prepare: () => {
      const fn = make();
      const run = (): Tensor => noGrad(fn);
      return { run, check: () => meanAbs(run()) };
    },
  };
}

const unary: readonly (readonly [string, (x: Tensor) => Tensor])[] = [
  ['relu', (x) => x.relu()],
  ['exp', (x) => x.exp()],
  ['sigmoid', (x) => x.sigmoid()],
  ['tanh', (x) => x.tanh()],
  ['gelu', (x) => x.gelu()],
  ['gelu_tanh', (x) => x.gelu({ approximate: 'tanh' })],
];

function sized(n: number, suffix: string): Workload[] {
  const a = (): Tensor => uniform([n], 1);
  const b = (): Tensor => uniform([n], 2);
  const binary = (name: string, fn: (x: Tensor, y: Tensor) => Tensor): Workload =>
    workload(`elem.${name}.f32.${suffix}`, 12 * n, () => {
      const x = a();
      const y = b();
      return () => fn(x, y);
    });
  return [
    binary('add', (x, y) => x.add(y)),
    binary('mul', (x, y) => x.mul(y)),
    workload(`elem.add_out.f32.${suffix}`, 12 * n, () => {
      const [x, y] = [uniform([n], 1), uniform([n], 2)];
      const out = zeros([n], { device: currentDevice() });
      return () => add(x, y, { out });
    }),
    workload(`elem.add_inplace.f32.${suffix}`, 12 * n, () => {
      const x = zeros([n], { device: currentDevice() });
      const y = uniform([n], 2, -1e-6, 1e-6);
      return () => x.add_(y);
    }),
    ...unary.map(([name, fn]) =>
      workload(`elem.${name}.f32.${suffix}`, 8 * n, () => {
        const x = uniform([n], 1, -4, 4);
        return () => fn(x);
      }),
    ),
  ];
}

function halfWorkloads(n: number): Workload[] {
  const bf16 = (seed: number): Tensor => uniform([n], seed).to('bfloat16');
  return [
    workload('elem.add.bf16.1e7', 6 * n, () => {
      const x = bf16(1);
      const y = bf16(2);
      return () => x.add(y);
    }),
    workload('elem.gelu.bf16.1e7', 4 * n, () => {
      const x = bf16(1);
      return () => x.gelu();
    }),
  ];
}

const casts: readonly (readonly [string, DType, DType])[] = [
  ['f32_f16', 'float32', 'float16'],
  ['f16_f32', 'float16', 'float32'],
  ['f32_bf16', 'float32', 'bfloat16'],
  ['bf16_f32', 'bfloat16', 'float32'],
];

const rows = 4096;
const cols = 1024;
const bytes = 4 * rows * cols;

function reduction(name: string, fn: (x: Tensor) => Tensor): Workload {
  return workload(`reduce.${name}.f32.4096x1024`, bytes, () => {
    const x = uniform([rows, cols], 1);
    return () => fn(x);
  });
}

export const elementwise: readonly Workload[] = [
  ...sized(1e6, '1e6'),
  ...sized(1e7, '1e7'),
  ...halfWorkloads(1e7),
  workload('elem.biasadd.f32.4096x1024', 8 * rows * cols + 4096, () => {
    const x = uniform([rows, cols], 1);
    const y = uniform([cols], 2);
    return () => x.add(y);
  }),
  ...casts.map(([name, from, to]) =>
    workload(`cast.${name}.1e7`, 6e7, () => {
      const x = uniform([1e7], 1).to(from);
      return () => x.to(to);
    }),
  ),
  reduction('sum.last', (x) => x.sum(-1)),
  reduction('mean.last', (x) => x.mean(-1)),
  reduction('amax.last', (x) => x.amax(-1)),
  reduction('max.last', (x) => x.max(-1).values),
  reduction('sum.all', (x) => x.sum()),
  reduction('mean.all', (x) => x.mean()),
  reduction('max.all', (x) => x.max()),
  reduction('sum.first', (x) => x.sum(0)),
];
