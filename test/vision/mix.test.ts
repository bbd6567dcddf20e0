import { arange, data, manualSeed, nn, tensor, type Tensor, vision } from '../../lib';
import { beta } from '../../lib/vision/transforms/mix';
import { codeOf } from './helpers';

const { transforms: T } = vision;

const images = arange(4 * 2 * 6 * 5, { dtype: 'float32' }).view(4, 2, 6, 5);
const labels = tensor([0, 2, 1, 2]);
type Pair = [Tensor, Tensor];
const rowsOf = (t: Tensor): number[][] => t.toArray() as number[][];

describe('beta', () => {
  test.each([0.05, 0.2, 1, 4])('mean and variance of Beta(%d, same)', (alpha) => {
    manualSeed(1);
    const n = 4000;
    const draws = Array.from({ length: n }, () => beta(alpha));
    const mean = draws.reduce((a, b) => a + b, 0) / n;
    const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    expect(draws.every((v) => v >= 0 && v <= 1)).toBe(true);
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.03);
    expect(Math.abs(variance * 4 * (2 * alpha + 1) - 1)).toBeLessThan(0.1);
  });
});

describe('MixUp', () => {
  test('blends images and labels by one share', () => {
    manualSeed(2);
    const mix = new T.MixUp({ alpha: 0.8, numClasses: 3 });
    const [x, y] = mix.call([images, labels] as Pair);
    expect([x.shape, y.shape, y.dtype]).toEqual([[4, 2, 6, 5], [4, 3], 'float32']);
    const share = rowsOf(y)[0]?.[0] as number;
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(1);
    expect(rowsOf(y)[0]?.[2]).toBeCloseTo(1 - share, 6);
    // Each sample is 60 more than the one before; the first follows the last.
    expect(x.get(2, 0, 0, 0).item()).toBeCloseTo(120 * share + 60 * (1 - share), 3);
    expect(x.get(0, 0, 0, 1).item()).toBeCloseTo(share + 181 * (1 - share), 3);
    expect(images.get(0, 0, 0, 1).item()).toBe(1);
  });

  test('soft labels stay soft, and train', () => {
    const soft = tensor(
      [
        [0.5, 0.5],
        [1, 0],
        [0, 1],
        [1, 0],
      ],
      { dtype: 'float64' },
    );
    const [, y] = new T.MixUp().call([images, soft] as Pair);
    expect([y.dtype, y.sum(1).toArray()]).toEqual(['float64', [1, 1, 1, 1]]);
    const logits = arange(8, { dtype: 'float64' }).view(4, 2).requiresGrad_();
    nn.functional.crossEntropy(logits, y).backward();
    expect((logits.grad as Tensor).sum().item()).toBeCloseTo(0, 9);
  });

  test('objects and Maps by labelsGetter', () => {
    const labelsGetter = (batch: { y: Tensor }): Tensor => batch.y;
    const mix = new T.MixUp({ numClasses: 3, labelsGetter });
    const out = mix.call({ x: images, y: labels, name: 'n' });
    expect([out.x.shape, out.y.shape, out.name]).toEqual([[4, 2, 6, 5], [4, 3], 'n']);
    const byMap = new T.MixUp({
      numClasses: 3,
      labelsGetter: (b: Map<string, Tensor>) => b.get('y') as Tensor,
    });
    const map = byMap.call(
      new Map([
        ['x', images],
        ['y', labels],
      ]),
    );
    expect((map.get('y') as Tensor).shape).toEqual([4, 3]);
  });
});

describe('CutMix', () => {
  test('a window of the sample before, labels by its area', () => {
    manualSeed(4);
    const mix = new T.CutMix({ numClasses: 3 });
    for (let i = 0; i < 20; ++i) {
      const [x, y] = mix.call([images, labels] as Pair);
      const moved = x.get(1).ne(images.get(1));
      const area = moved.get(0).sum().item();
      expect(moved.get(1).equal(moved.get(0))).toBe(true);
      expect(x.get(1).sub(images.get(1)).sum().item()).toBeCloseTo(-60 * 2 * area, 6);
      expect(rowsOf(y)[1]?.[2]).toBeCloseTo(1 - area / 30, 6);
    }
    const bytes = images.to('uint8');
    expect(mix.call([bytes, labels] as Pair)[0].dtype).toBe('uint8');
  });
});

test('in a loader, the same with the same seed', () => {
  const set = new data.TensorDataset(images, labels);
  for (const mix of [new T.MixUp({ numClasses: 3 }), new T.CutMix({ numClasses: 3 })]) {
    const run = (): unknown[] => {
      const options = { batchSize: 2, shuffle: true, seed: 3, collateFn: mix.collate };
      return Array.from(new data.DataLoader<Pair, Pair>(set, options), ([x, y]) => {
        expect(y.shape).toEqual([2, 3]);
        return [x.toArray(), y.toArray()];
      });
    };
    expect(run()).toEqual(run());
  }
});

test('wrong arguments', () => {
  for (const Mix of [T.MixUp, T.CutMix]) {
    const mix = new Mix({ numClasses: 3 });
    const cases: [() => unknown, string][] = [
      [() => new Mix({ alpha: 0 }), 'ERR_VALUE'],
      [() => new Mix({ alpha: '1' as never }), 'ERR_TYPE'],
      [() => new Mix({ numClasses: 0 }), 'ERR_VALUE'],
      [() => new Mix({ labelsGetter: 1 as never }), 'ERR_TYPE'],
      [() => new Mix({ classes: 1 } as never), 'ERR_TYPE'],
      [() => mix.call(images), 'ERR_TYPE'],
      [() => mix.call([images]), 'ERR_TYPE'],
      [() => mix.call([images, labels.view(1, 2, 2)]), 'ERR_SHAPE'],
      [() => mix.call([images, labels.narrow(0, 0, 3)]), 'ERR_SHAPE'],
      [() => mix.call([images.get(0), labels]), 'ERR_SHAPE'],
      [() => mix.call([images, images.get(0, 0)]), 'ERR_SHAPE'],
      [() => mix.call([images, labels.to('float32')]), 'ERR_DTYPE'],
      [() => new Mix().call([images, labels]), 'ERR_VALUE'],
    ];
    for (const [fn, code] of cases) expect(codeOf(fn)).toBe(code);
    expect(mix.constructorArgs()).toEqual([{ alpha: 1, numClasses: 3 }]);
  }
  const bytes = images.to('uint8');
  expect(codeOf(() => new T.MixUp({ numClasses: 3 }).call([bytes, labels]))).toBe('ERR_DTYPE');
  expect(codeOf(() => new T.CutMix({ numClasses: 3 }).call([1, labels]))).toBe('ERR_VALUE');
});
