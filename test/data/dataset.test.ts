import { data, manualSeed, tensor, type Tensor } from '../../lib';
import { codeOf, Numbers } from './helpers';

const { TensorDataset, Subset, ConcatDataset, ChainDataset, StackDataset, randomSplit } = data;

describe('TensorDataset', () => {
  const x = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  const y = tensor([7, 8, 9]);

  test('samples are rows; negative numbers count from the end', () => {
    const set = new TensorDataset(x, y);
    expect(set.length).toBe(3);
    expect(set.getItem(1).map((t) => t.toArray())).toEqual([[3, 4], 8]);
    expect(set.getItem(-1)[1]?.item()).toBe(9);
    expect([...set].length).toBe(3);
  });

  test('a batch equals collated samples', () => {
    const set = new TensorDataset(x, y);
    const batch = set.getBatch([2, 0, 2]);
    const collated = data.defaultCollate([2, 0, 2].map((i) => set.getItem(i)));
    expect(batch.map((t: Tensor) => t.toArray())).toEqual(collated.map((t: Tensor) => t.toArray()));
  });

  test('bad input', () => {
    expect(codeOf(() => new TensorDataset())).toBe('ERR_VALUE');
    expect(codeOf(() => new TensorDataset(x, tensor([1])))).toBe('ERR_SHAPE');
    expect(codeOf(() => new TensorDataset(tensor(1)))).toBe('ERR_SHAPE');
    expect(codeOf(() => new TensorDataset([1] as never))).toBe('ERR_TYPE');
    const set = new TensorDataset(x);
    for (const bad of [3, -4, 0.5, NaN, Infinity]) {
      expect(codeOf(() => set.getItem(bad))).toBe('ERR_RANGE');
    }
    expect(codeOf(() => set.getItem('1' as never))).toBe('ERR_TYPE');
    expect(codeOf(() => set.getBatch([0, 3]))).toBe('ERR_RANGE');
  });
});

describe('combinations', () => {
  test('Subset maps indices, also of batches', () => {
    const set = new Subset(new TensorDataset(tensor([10, 11, 12, 13])), [3, 1]);
    expect(set.length).toBe(2);
    expect(set.getItem(0)[0]?.item()).toBe(13);
    expect(set.getBatch([1, 0])?.[0]?.toArray()).toEqual([11, 13]);
    expect(new Subset(new Numbers(3), [2]).getItems([0])).toEqual([2]);
    expect(codeOf(() => new Subset(new Numbers(3), [3]))).toBe('ERR_RANGE');
    expect(codeOf(() => new Subset(new Numbers(3), [0.5]))).toBe('ERR_VALUE');
    expect(codeOf(() => new Subset({} as never, []))).toBe('ERR_TYPE');
  });

  test('ConcatDataset', () => {
    const set = new ConcatDataset([new Numbers(2), new Numbers(3)]);
    expect([...set]).toEqual([0, 1, 0, 1, 2]);
    expect(set.cumulativeSizes).toEqual([2, 5]);
    expect(set.getItem(-1)).toBe(2);
    expect([...new Numbers(1).concat(new Numbers(2))]).toEqual([0, 0, 1]);
    expect(codeOf(() => new ConcatDataset([]))).toBe('ERR_VALUE');
    expect(codeOf(() => set.getItem(5))).toBe('ERR_RANGE');
  });

  test('StackDataset of arrays and objects', () => {
    const list = new StackDataset([new Numbers(2), new TensorDataset(tensor([5, 6]))] as const);
    expect(list.getItem(1)[0]).toBe(1);
    expect(list.getItem(1)[1][0]?.item()).toBe(6);
    const named = new StackDataset({ a: new Numbers(2), b: new Numbers(2) });
    expect(named.getItem(1)).toEqual({ a: 1, b: 1 });
    expect(codeOf(() => new StackDataset([new Numbers(1), new Numbers(2)]))).toBe('ERR_VALUE');
  });

  test('ChainDataset, synchronous and asynchronous', async () => {
    class Count extends data.IterableDataset<number> {
      constructor(readonly n: number) {
        super();
      }
      override *[Symbol.iterator](): Iterator<number> {
        for (let i = 0; i < this.n; ++i) yield i;
      }
    }
    class Later extends data.IterableDataset<number> {
      override async *[Symbol.asyncIterator](): AsyncIterator<number> {
        yield await Promise.resolve(7);
      }
    }
    const chain = new Count(2).concat(new Count(1));
    expect([...(chain as Iterable<number>)]).toEqual([0, 1, 0]);
    const mixed = new ChainDataset<number>([new Count(1), new Later()]);
    const seen: number[] = [];
    for await (const v of mixed as AsyncIterable<number>) seen.push(v);
    expect(seen).toEqual([0, 7]);
    expect(codeOf(() => [...new data.DataLoader(mixed)])).toBe('ERR_TYPE');
    expect(codeOf(() => new ChainDataset([3 as never]))).toBe('ERR_TYPE');
  });
});

describe('randomSplit', () => {
  test('parts cover the dataset and depend on the seed alone', () => {
    const split = (seed: number): number[][] =>
      randomSplit(new Numbers(10), [7, 3], { seed }).map((s) => [...s]);
    const parts = split(3);
    expect(parts.map((p) => p.length)).toEqual([7, 3]);
    expect(parts.flat().sort((a, b) => a - b)).toEqual([...new Numbers(10)]);
    expect(split(3)).toEqual(parts);
    expect(split(4)).not.toEqual(parts);
  });

  test('without a seed it follows manualSeed', () => {
    const split = (): number[][] => randomSplit(new Numbers(10), [5, 5]).map((s) => [...s]);
    manualSeed(1);
    const first = split();
    expect(split()).not.toEqual(first);
    manualSeed(1);
    expect(split()).toEqual(first);
  });

  test('fractions: the remainder goes round', () => {
    const sizes = randomSplit(new Numbers(10), [0.33, 0.33, 0.34]).map((s) => s.length);
    expect(sizes).toEqual([4, 3, 3]);
  });

  test('bad input', () => {
    expect(codeOf(() => randomSplit(new Numbers(3), [1, 1]))).toBe('ERR_VALUE');
    expect(codeOf(() => randomSplit(new Numbers(3), [1.5, 1.5]))).toBe('ERR_VALUE');
    expect(codeOf(() => randomSplit(new Numbers(3), [-1, 4]))).toBe('ERR_TYPE');
    expect(() => randomSplit(new Numbers(3), [3], { sed: 1 } as never)).toThrow(
      "did you mean 'seed'",
    );
    expect(codeOf(() => randomSplit(new Numbers(3), [3], { seed: -1 }))).toBe('ERR_VALUE');
  });
});
