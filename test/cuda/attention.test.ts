/**
 * Attention on device 'cuda': several tiles of rows and keys, ragged edges, masks of every form,
 * and matrices too wide for shared memory. Queries, keys, values and their gradients.
 */
import { callOp, grad, manualSeed, rand, randn, type Tensor } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

const bounds: Record<string, readonly [number, number]> = {
  float16: [4e-3, 2e-3],
  bfloat16: [3e-2, 1.2e-2],
  float32: [2e-5, 1e-5],
  float64: [1e-10, 1e-11],
};

interface Case {
  q: number[];
  k: number[];
  values?: number;
  mask?: 'bool' | 'float' | 'row';
  options?: Record<string, unknown>;
}

const cases: Case[] = [
  { q: [2, 2, 70, 16], k: [2, 2, 70, 16], options: { isCausal: true } },
  { q: [1, 2, 130, 20], k: [1, 2, 75, 20], values: 33, mask: 'float' },
  { q: [2, 65, 64], k: [2, 129, 64], mask: 'bool' },
  { q: [2, 4, 33, 24], k: [2, 2, 40, 24], options: { enableGqa: true, scale: 0.5 } },
  { q: [1, 1, 100, 8], k: [1, 1, 67, 8], mask: 'row', values: 70 },
  { q: [3, 40, 8], k: [3, 90, 8], options: { isCausal: true } },
  { q: [1, 66, 300], k: [1, 70, 300], values: 520 },
];

function maskOf(c: Case): Tensor | undefined {
  const shape = [...c.q.slice(0, -1), c.k[c.k.length - 2] as number];
  if (c.mask === 'float') return randn(shape);
  if (c.mask === 'row') return randn([1, shape[shape.length - 1] as number]);
  if (c.mask !== 'bool') return undefined;
  const seen = rand(shape).gt(0.4);
  seen.select(0, 0).select(0, 3).fill_(false); // a row that sees nothing
  return seen;
}

function run(c: Case, dtype: string, device: 'cpu' | 'cuda'): Tensor[] {
  manualSeed(2);
  const v = [...c.k.slice(0, -1), c.values ?? (c.k[c.k.length - 1] as number)];
  const leaves = [c.q, c.k, v].map((shape) =>
    randn(shape)
      .to(dtype as 'float32')
      .to(device)
      .requiresGrad_(),
  );
  const mask = maskOf(c);
  const y = callOp('scaledDotProductAttention', leaves, {
    ...c.options,
    ...(mask === undefined
      ? {}
      : { attnMask: (c.mask === 'bool' ? mask : mask.to(dtype as 'float32')).to(device) }),
  }) as Tensor;
  const g = randn(y.shape as number[])
    .to(dtype as 'float32')
    .to(device);
  return [y, ...grad([y], leaves, { gradOutputs: [g] }).map((t) => t as Tensor)];
}

suite('device cuda, attention', () => {
  test.each(cases.map((c) => [JSON.stringify(c), c] as const))('%s', (_, c) => {
    for (const dtype of Object.keys(bounds)) {
      if (c.values === 520 && dtype !== 'float64' && dtype !== 'float16') continue;
      const want = run(c, dtype, 'cpu');
      run(c, dtype, 'cuda').forEach((t, i) => expectSame(t, want[i] as Tensor, bounds[dtype]));
    }
  });

  test('gives the same bits again', () => {
    const twice = [1, 2].map(() => run(cases[1] as Case, 'bfloat16', 'cuda'));
    twice[0]?.forEach((t, i) => {
      expect(t.cpu().toArray()).toEqual((twice[1]?.[i] as Tensor).cpu().toArray());
    });
  });
});
