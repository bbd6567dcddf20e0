/** Optimizer steps over ten million numbers: section 9 of the workloads. */
import { nn, optim, type Tensor } from '../../lib';
import { meanAbs } from '../harness/checks';
import { uniform } from '../harness/data';
import { type Workload } from '../harness/runner';

function parameters(): Tensor[] {
  return Array.from({ length: 50 }, (_, j) => {
    const p = uniform([400, 500], 1 + j);
    p.requiresGrad = true;
    p.grad = uniform([400, 500], 101 + j);
    return p;
  });
}

function stepping(name: string, bytes: number, make: (p: Tensor[]) => () => unknown): Workload {
  return {
    name: `optim.${name}.10M`,
    unit: 'GB/s',
    work: bytes,
    prepare: () => {
      const all = parameters();
      const run = make(all);
      return { run, check: () => meanAbs((all[0] as Tensor).grad as Tensor) };
    },
  };
}

export const optimizers: readonly Workload[] = [
  stepping('adamw', 28e7, (all) => {
    const optimizer = new optim.AdamW(all, { lr: 1e-3, weightDecay: 0.01 });
    return () => optimizer.step();
  }),
  stepping('sgdm', 20e7, (all) => {
    const optimizer = new optim.SGD(all, { lr: 0.01, momentum: 0.9 });
    return () => optimizer.step();
  }),
  stepping('clip_grad_norm', 12e7, (all) => () => nn.utils.clipGradNorm_(all, 1)),
];
