/** Matrix products: section 5 of the workloads. */
import { type DType, matmul, noGrad, type Tensor } from '../../lib';
import { meanAbs } from '../harness/checks';
import { uniform } from '../harness/data';
import { type Prepared, type Unit, type Workload } from '../harness/runner';

const dtypes: readonly (readonly [string, DType])[] = [
  ['f32', 'float32'],
  ['f16', 'float16'],
  ['bf16', 'bfloat16'],
];

function product(a: Tensor, b: Tensor): Prepared {
  const run = (): Tensor => noGrad(() => matmul(a, b));
  return { run, check: () => meanAbs(run()) };
}

function workload(
  name: string,
  unit: Unit,
  work: number,
  operands: () => [Tensor, Tensor],
  heavy = false,
): Workload {
  return { name, unit, work, heavy, prepare: () => product(...operands()) };
}

function squares(): Workload[] {
  const out: Workload[] = [];
  for (const [short, dtype] of dtypes) {
    const make = (n: number, seed: number): Tensor => uniform([n, n], seed).to(dtype);
    for (const n of [64, 256, 512, 1024, 2048]) {
      const heavy = n === 2048 && short !== 'f32';
      out.push(
        workload(
          `gemm.${short}.${n}`,
          'GFLOP/s',
          2 * n ** 3,
          () => [make(n, 1), make(n, 2)],
          heavy,
        ),
      );
    }
    const n = 512;
    out.push(
      workload(`gemm.${short}.512.nt`, 'GFLOP/s', 2 * n ** 3, () => [make(n, 1), make(n, 2).t()]),
      workload(`gemm.${short}.512.tn`, 'GFLOP/s', 2 * n ** 3, () => [make(n, 1).t(), make(n, 2)]),
    );
  }
  return out;
}

type Layout = 'nn' | 'nt' | 'tn';

function skinny(name: string, m: number, n: number, k: number, layout: Layout): Workload {
  return workload(`gemm.f32.mlp.${name}`, 'GFLOP/s', 2 * m * n * k, () => {
    const a = layout === 'tn' ? uniform([k, m], 1).t() : uniform([m, k], 1);
    const b = layout === 'nt' ? uniform([n, k], 2).t() : uniform([k, n], 2);
    return [a, b];
  });
}

function vectors(): Workload[] {
  const out: Workload[] = [];
  for (const [short, dtype] of dtypes) {
    if (short === 'f16') continue;
    for (const n of [1024, 4096]) {
      const size = short === 'f32' ? 4 : 2;
      const operands = (): [Tensor, Tensor] => [
        uniform([n, n], 1).to(dtype),
        uniform([n], 2).to(dtype),
      ];
      out.push(workload(`gemv.${short}.${n}`, 'GB/s', size * (n * n + 2 * n), operands));
    }
  }
  return out;
}

export const gemm: readonly Workload[] = [
  ...squares(),
  workload('gemm.f32.batched.32x128', 'GFLOP/s', 2 * 32 * 128 ** 3, () => [
    uniform([32, 128, 128], 1),
    uniform([32, 128, 128], 2),
  ]),
  skinny('fc1', 64, 128, 784, 'nn'),
  skinny('fc1.nt', 64, 128, 784, 'nt'),
  skinny('fc1.dw', 128, 784, 64, 'tn'),
  skinny('fc2.nt', 64, 64, 128, 'nt'),
  skinny('fc3.nt', 64, 10, 64, 'nt'),
  ...vectors(),
];
