/** The cost of a call: section 8 of the workloads. */
import { noGrad, ones, optim, type Tensor, tensor, zeros } from '../../lib';
import { uniform } from '../harness/data';
import { type Workload } from '../harness/runner';

const repeat = 100;

function loop(fn: () => unknown): () => void {
  return () => {
    for (let i = 0; i < repeat; ++i) fn();
  };
}

function perCall(name: string, make: () => () => unknown): Workload {
  return {
    name: `dispatch.${name}`,
    unit: 'ns',
    work: repeat,
    prepare: () => {
      const run = loop(make());
      return { run: () => noGrad(run) };
    },
  };
}

function chain(): Workload['prepare'] {
  return () => {
    const a = ones([1], { requiresGrad: true });
    const b = ones([1]);
    return {
      run: () => {
        a.grad = null;
        let x: Tensor = a;
        for (let i = 0; i < repeat; ++i) x = x.add(b);
        x.backward();
      },
      check: () => (a.grad as Tensor).item(),
    };
  };
}

function sgd(): Workload['prepare'] {
  return () => {
    const parameters = Array.from({ length: 6 }, (_, i) => uniform([10, 10], 1 + i));
    for (const p of parameters) {
      p.requiresGrad = true;
      p.grad = zeros([10, 10]);
    }
    const optimizer = new optim.SGD(parameters, { lr: 0.01 });
    return {
      run: () => {
        optimizer.zeroGrad({ setToNone: false });
        optimizer.step();
      },
    };
  };
}

export const dispatch: readonly Workload[] = [
  perCall('add1.nograd', () => {
    const a = ones([1]);
    const b = ones([1]);
    return () => a.add(b);
  }),
  { name: 'dispatch.chain100.fwdbwd', unit: 'us', work: 1, prepare: chain() },
  perCall('create10.zeros', () => () => zeros(10)),
  perCall('create10.fromlist', () => {
    const list = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9.5];
    return () => tensor(list);
  }),
  perCall('view_select', () => {
    const t = zeros(4, 6);
    return () => t.view(3, 8).get(1);
  }),
  perCall('item', () => {
    const t = ones([1]);
    return () => t.item();
  }),
  { name: 'dispatch.sgd6', unit: 'us', work: 1, prepare: sgd() },
];
