/** Softmax to attention, and moving elements: section 7 of the workloads without convolutions. */
import { cat, nn, noGrad, type Tensor } from '../../lib';
import { forwardBackward, meanAbs } from '../harness/checks';
import { integers, uniform } from '../harness/data';
import { type Unit, type Workload } from '../harness/runner';

const { functional: F } = nn;

/** What one iteration computes, and what it is counted as. */
export interface Network {
  readonly name: string;
  readonly unit: Unit;
  readonly forwardWork: number;
  readonly bothWork: number;
  /** `dy` = null: the output is a scalar loss. */
  readonly make: () => { forward: () => Tensor; leaves: Tensor[]; dy: () => Tensor | null };
}

/** The forward pass without recording, and forward with backward. */
export function passes(n: Network): Workload[] {
  return [
    {
      name: `${n.name}.fwd`,
      unit: n.unit,
      work: n.forwardWork,
      prepare: () => {
        const { forward } = n.make();
        const run = (): Tensor => noGrad(forward);
        return { run, check: () => meanAbs(run()) };
      },
    },
    {
      name: `${n.name}.fwdbwd`,
      unit: n.unit,
      work: n.bothWork,
      prepare: () => {
        const { forward, leaves, dy } = n.make();
        for (const leaf of leaves) leaf.requiresGrad = true;
        return forwardBackward(forward, dy(), leaves);
      },
    },
  ];
}

const rows = 4096;
const cols = 1024;

const networks: readonly Network[] = [
  {
    name: 'nn.softmax.f32.4096x1024',
    unit: 'GB/s',
    forwardWork: 8 * rows * cols,
    bothWork: 20 * rows * cols,
    make: () => {
      const x = uniform([rows, cols], 1, -4, 4);
      return { forward: () => x.softmax(-1), leaves: [x], dy: () => uniform([rows, cols], 2) };
    },
  },
  {
    name: 'nn.layernorm.f32.4096x1024',
    unit: 'GB/s',
    forwardWork: 8 * rows * cols,
    bothWork: 20 * rows * cols,
    make: () => {
      const x = uniform([rows, cols], 1);
      const weight = uniform([cols], 2);
      const bias = uniform([cols], 3);
      return {
        forward: () => F.layerNorm(x, [cols], { weight, bias, eps: 1e-5 }),
        leaves: [x, weight, bias],
        dy: () => uniform([rows, cols], 4),
      };
    },
  },
  {
    name: 'nn.xent.f32.1024x32000',
    unit: 'GB/s',
    forwardWork: 4 * 1024 * 32000,
    bothWork: 12 * 1024 * 32000,
    make: () => {
      const logits = uniform([1024, 32000], 1, -4, 4);
      const targets = integers([1024], 2, 32000);
      return { forward: () => F.crossEntropy(logits, targets), leaves: [logits], dy: () => null };
    },
  },
  {
    name: 'nn.embedding.f32.32000x512',
    unit: 'GB/s',
    forwardWork: 8 * 8192 * 512 + 8 * 8192,
    bothWork: 12 * 8192 * 512 + 4 * 32000 * 512,
    make: () => {
      const weight = uniform([32000, 512], 1);
      const ids = integers([8, 1024], 2, 32000);
      return {
        forward: () => F.embedding(ids, weight),
        leaves: [weight],
        dy: () => uniform([8, 1024, 512], 3),
      };
    },
  },
  {
    name: 'nn.sdpa.f32.4x12x512x64',
    unit: 'GFLOP/s',
    forwardWork: 4 * 4 * 12 * 512 ** 2 * 64,
    bothWork: 3 * 4 * 4 * 12 * 512 ** 2 * 64,
    make: () => {
      const [q, k, v] = [1, 2, 3].map((seed) => uniform([4, 12, 512, 64], seed)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      return {
        forward: () => F.scaledDotProductAttention(q, k, v, { isCausal: true }),
        leaves: [q, k, v],
        dy: () => uniform([4, 12, 512, 64], 4),
      };
    },
  },
];

function moving(name: string, bytes: number, make: () => () => Tensor): Workload {
  return {
    name: `mem.${name}`,
    unit: 'GB/s',
    work: bytes,
    prepare: () => {
      const fn = make();
      const run = (): Tensor => noGrad(fn);
      return { run, check: () => meanAbs(run()) };
    },
  };
}

function joining(dim: number): Workload {
  return moving(`cat${String(dim)}.f32.8x512x1024`, 8 * 8 * 512 * 1024, () => {
    const parts = Array.from({ length: 8 }, (_, i) => uniform([512, 1024], 1 + i));
    return () => cat(parts, dim);
  });
}

export const network: readonly Workload[] = [
  ...networks.flatMap(passes),
  moving('transpose.f32.4096', 8 * 4096 ** 2, () => {
    const x = uniform([4096, 4096], 1);
    return () => x.t().contiguous();
  }),
  joining(0),
  joining(1),
  moving('index_select0.f32.32000x512', 8 * 8192 * 512 + 8 * 8192, () => {
    const x = uniform([32000, 512], 1);
    const index = integers([8192], 2, 32000);
    return () => x.indexSelect(0, index);
  }),
  moving('index_select1.f32.4096x1024', 8 * 4096 * 512 + 8 * 512, () => {
    const x = uniform([4096, 1024], 1);
    const index = integers([512], 2, 1024);
    return () => x.indexSelect(1, index);
  }),
];
