/** Losses over class indices on device 'cuda': long rows, packs, options, and bad targets. */
import { cuda, grad, manualSeed, nn, randint, randn, type Tensor, tensor } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

type DeviceName = 'cpu' | 'cuda';

const { functional: F } = nn;

suite('device cuda, losses', () => {
  const shapes: [number, number][] = [
    [9, 5],
    [4, 64],
    [3, 1001],
    [3, 1032],
    [2, 2051],
    [300, 10],
  ];
  const reductions = ['mean', 'sum', 'none'] as const;

  test.each(shapes)('crossEntropy of [%i, %i] agrees with the CPU', (rows, classes) => {
    for (const dtype of ['float16', 'bfloat16', 'float32', 'float64'] as const) {
      for (const [i, reduction] of reductions.entries()) {
        const run = (device: DeviceName): Tensor[] => {
          manualSeed(3);
          const x = randn([rows, classes]).mul(3).to(dtype).to(device).requiresGrad_();
          const target = randint(0, classes, [rows]);
          target.select(0, 1).fill_(-100);
          const weight = i === 1 ? undefined : randn([classes]).abs().to(dtype).to(device);
          const options = { weight, reduction, labelSmoothing: i * 0.1 };
          const loss = F.crossEntropy(x, target.to(device), options);
          const g = randn(loss.shape).to(dtype).to(device);
          return [loss, ...(grad([loss], [x], { gradOutputs: [g] }) as Tensor[])];
        };
        const [want, got] = [run('cpu'), run('cuda')];
        got.forEach((t, k) => {
          expectSame(t, want[k] as Tensor);
        });
      }
    }
  });

  test('infinite and undefined logits', () => {
    const x = tensor([
      [Infinity, 1, 2],
      [-Infinity, 0, 1],
      [-Infinity, -Infinity, -Infinity],
      [NaN, 1, 2],
      [Infinity, NaN, 1],
      [1, 2, Infinity],
    ]);
    const y = tensor([1, 1, 1, 1, 2, 2], { dtype: 'int64' });
    const options = { reduction: 'none' as const };
    expectSame(F.crossEntropy(x.to('cuda'), y.to('cuda'), options), F.crossEntropy(x, y, options));
  });

  test('many targets are folded in parts', () => {
    manualSeed(4);
    const x = randn([9001, 3]);
    const y = randint(0, 3, [9001]);
    expectSame(F.crossEntropy(x.to('cuda'), y.to('cuda')), F.crossEntropy(x, y));
    const image = randn([2, 3, 70, 70]);
    const labels = randint(0, 3, [2, 70, 70]);
    expectSame(F.nllLoss(image.to('cuda'), labels.to('cuda')), F.nllLoss(image, labels));
  });

  test('a target out of range is told when the host waits', () => {
    const x = randn([2, 3]).to('cuda');
    const bad = tensor([0, 3], { dtype: 'int64' }).to('cuda');
    for (const f of [F.crossEntropy, F.nllLoss]) {
      expect(() => f(x, bad).item()).toThrow(
        /index 3 is out of bounds for dimension 1 with size 3/,
      );
    }
    cuda.synchronize();
    expect(F.crossEntropy(x, bad.mul(0)).item()).toBeGreaterThan(0);
  });
});
