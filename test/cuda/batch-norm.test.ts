/** Batch norm on device 'cuda': planes and columns, whole packs and not, channels in several parts. */
import { grad, manualSeed, nn, ones, randn, type Tensor, zeros } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

const { functional: F } = nn;

/** Gradients of parameters are sums over many elements. */
const loose: Record<string, readonly [number, number]> = {
  float16: [4e-3, 3e-2],
  bfloat16: [3e-2, 1e-1],
  float32: [1e-4, 1e-4],
  float64: [1e-9, 1e-9],
};

suite('device cuda, batch norm', () => {
  const shapes = [
    [5, 3],
    [40, 40],
    [400, 33],
    [700, 8],
    [4, 3, 5, 7],
    [3, 2, 16],
    [2, 3, 5000],
    [3, 2, 60, 64],
  ];
  test.each(shapes.map((shape) => [shape]))('%j agrees with the CPU', (shape) => {
    const channels = [shape[1] as number];
    for (const dtype of ['float16', 'bfloat16', 'float32', 'float64'] as const) {
      for (const training of [true, false]) {
        const wide = dtype === 'float16' ? 'float32' : dtype;
        const run = (device: 'cpu' | 'cuda'): Tensor[] => {
          manualSeed(2);
          const x = randn(shape).add(3).to(dtype).to(device).requiresGrad_();
          const w = randn(channels).to(wide).to(device).requiresGrad_();
          const b = randn(channels).to(wide).to(device).requiresGrad_();
          const mean = zeros(channels).add(2).to(wide).to(device);
          const variance = ones(channels).to(wide).to(device);
          const y = F.batchNorm(x, mean, variance, w, b, training, 0.3);
          const g = randn(shape).to(dtype).to(device);
          return [y, mean, variance, ...(grad([y], [x, w, b], { gradOutputs: [g] }) as Tensor[])];
        };
        const [want, got] = [run('cpu'), run('cuda')];
        got.forEach((t, i) => {
          expectSame(t, want[i] as Tensor, loose[t.dtype]);
        });
      }
    }
  });
});
