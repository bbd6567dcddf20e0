/**
 * Convolutions on device 'cuda' in sizes that take every kernel: tiles by threads and on Tensor
 * Cores with ragged edges and several blocks, few channels, groups, and weight gradients in parts.
 */
import { callOp, grad, manualSeed, randint, randn, type Tensor } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

type Tolerance = readonly [number, number];
/** Gradients of sums of many terms: the order of float32 sums shows. */
const bounds: Record<string, Tolerance> = {
  float16: [4e-3, 4e-3],
  bfloat16: [3e-2, 3e-2],
  float32: [2e-5, 2e-5],
  float64: [1e-10, 1e-10],
};

interface Case {
  op: string;
  x: number[];
  w: number[];
  bias?: boolean;
  options: Record<string, unknown>;
}

const cases: Case[] = [
  { op: 'conv2d', x: [2, 18, 9, 11], w: [20, 18, 3, 3], bias: true, options: { padding: 1 } },
  {
    op: 'conv2d',
    x: [1, 36, 12, 13],
    w: [40, 18, 3, 2],
    bias: true,
    options: { stride: [2, 3], padding: [2, 0], dilation: [1, 2], groups: 2 },
  },
  { op: 'conv2d', x: [3, 70, 5, 7], w: [66, 70, 1, 1], options: {} },
  { op: 'conv2d', x: [2, 24, 10, 9], w: [48, 1, 3, 3], options: { groups: 24, padding: 1 } },
  { op: 'conv2d', x: [3, 1, 40, 41], w: [17, 1, 5, 5], bias: true, options: {} },
  {
    op: 'conv2d',
    x: [3, 6, 9, 8],
    w: [64, 6, 3, 2],
    bias: true,
    options: { stride: [2, 1], padding: [1, 2], dilation: [1, 2] },
  },
  {
    op: 'convTranspose2d',
    x: [2, 65, 6, 5],
    w: [65, 16, 3, 3],
    bias: true,
    options: { stride: 2, padding: 1 },
  },
  { op: 'conv2d', x: [3, 17, 5, 7], w: [20, 17, 1, 1], bias: true, options: {} },
  { op: 'conv2d', x: [2, 16, 9, 7], w: [64, 16, 1, 1], options: { stride: 2 } },
  { op: 'conv1d', x: [2, 20, 300], w: [18, 20, 4], options: { stride: 2, padding: 'valid' } },
  { op: 'conv1d', x: [1, 17, 5000], w: [16, 17, 1], options: {} },
  { op: 'conv3d', x: [1, 17, 5, 6, 7], w: [19, 17, 2, 3, 2], options: { padding: [0, 1, 1] } },
  {
    op: 'convTranspose2d',
    x: [2, 20, 7, 6],
    w: [20, 17, 3, 3],
    bias: true,
    options: { stride: 2, padding: 1, outputPadding: 1 },
  },
];

function run(c: Case, dtype: string, device: 'cpu' | 'cuda'): Tensor[] {
  manualSeed(5);
  const make = (shape: number[], scale: number): Tensor =>
    (dtype === 'int64' ? randint(-4, 5, shape) : randn(shape).mul(scale)).to(dtype as 'float32');
  const scale = Math.sqrt(1 / c.w.slice(1).reduce((a, b) => a * b, 1));
  const channels = c.op.startsWith('convT') ? c.w[1] : c.w[0];
  const leaves = [make(c.x, 1), make(c.w, scale)];
  if (c.bias === true) leaves.push(make([channels as number], 1));
  const inputs = leaves.map((t) => t.to(device));
  if (dtype === 'int64') return [callOp(c.op, inputs, c.options) as Tensor];
  for (const t of inputs) t.requiresGrad_();
  const y = callOp(c.op, inputs, c.options) as Tensor;
  const g = make(y.shape as number[], 0.1).to(device);
  return [y, ...grad([y], inputs, { gradOutputs: [g] }).map((t) => t as Tensor)];
}

suite('device cuda, convolution', () => {
  test.each(cases.map((c) => [`${c.op} ${JSON.stringify([c.x, c.w, c.options])}`, c] as const))(
    '%s',
    (_, c) => {
      for (const dtype of ['float16', 'bfloat16', 'float32', 'float64', 'int64']) {
        if (dtype === 'int64' && c.w.length !== 4) continue;
        const want = run(c, dtype, 'cpu');
        run(c, dtype, 'cuda').forEach((t, i) => expectSame(t, want[i] as Tensor, bounds[dtype]));
      }
    },
  );

  test('gives the same bits again', () => {
    const twice = [1, 2].map(() => run(cases[4] as Case, 'float16', 'cuda'));
    twice[0]?.forEach((t, i) => {
      expect(t.cpu().toArray()).toEqual((twice[1]?.[i] as Tensor).cpu().toArray());
    });
  });
});
