import { data, getRngState, manualSeed, rand, tensor, type Tensor } from '../../lib';
import { codeOf, Numbers, Rows } from './helpers';

const { DataLoader } = data;

const lists = (loader: Iterable<Tensor>): unknown[] => Array.from(loader, (t) => t.toArray());

describe('DataLoader', () => {
  test('batches in order; the last may be smaller', () => {
    const loader = new DataLoader(new Numbers(5), { batchSize: 2 });
    expect(loader.length).toBe(3);
    expect(lists(loader)).toEqual([[0, 1], [2, 3], [4]]);
    const dropping = new DataLoader(new Numbers(5), { batchSize: 2, dropLast: true });
    expect(dropping.length).toBe(2);
    expect(lists(dropping)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(lists(new DataLoader(new Numbers(2)))).toEqual([[0], [1]]);
    expect(lists(new DataLoader(new Numbers(0), { shuffle: true }))).toEqual([]);
  });

  test('tuples unpack into tensors', () => {
    for (const [x, y] of new DataLoader(new Rows(2), { batchSize: 2 })) {
      expect(x.shape).toEqual([2, 2]);
      expect(y.toArray()).toEqual([0, 10]);
    }
  });

  test('shuffles anew every pass, from the seed', () => {
    const make = (seed: number): DataLoaderOf =>
      new DataLoader(new Numbers(40), { batchSize: 40, shuffle: true, seed });
    type DataLoaderOf = data.DataLoader<number>;
    const loader = make(1);
    const [a, b] = [lists(loader), lists(loader)];
    expect(b).not.toEqual(a);
    expect((a[0] as number[]).slice().sort((p, q) => p - q)).toEqual([...new Numbers(40)]);
    const again = make(1);
    expect([lists(again), lists(again)]).toEqual([a, b]);
    expect(lists(make(2))).not.toEqual(a);
  });

  test('without a seed it follows manualSeed', () => {
    const loader = new DataLoader(new Numbers(40), { batchSize: 8, shuffle: true });
    manualSeed(3);
    const a = lists(loader);
    manualSeed(3);
    expect(lists(loader)).toEqual(a);
    expect(lists(loader)).not.toEqual(a);
  });

  test('two iterators of one loader are independent', () => {
    const loader = new DataLoader(new Numbers(4), { batchSize: 2 });
    const [p, q] = [loader[Symbol.iterator](), loader[Symbol.iterator]()];
    expect((p.next().value as Tensor).toArray()).toEqual([0, 1]);
    expect((q.next().value as Tensor).toArray()).toEqual([0, 1]);
    expect((p.next().value as Tensor).toArray()).toEqual([2, 3]);
  });

  test('samplers and batch samplers', () => {
    expect(lists(new DataLoader(new Numbers(5), { sampler: [4, 0, 2], batchSize: 2 }))).toEqual([
      [4, 0],
      [2],
    ]);
    const loader = new DataLoader(new Numbers(5), { batchSampler: [[1], [0, 2]] });
    expect(lists(loader)).toEqual([[1], [0, 2]]);
    expect(loader.length).toBe(2);
    const weighted = new data.WeightedRandomSampler([0, 1], 3);
    expect(lists(new DataLoader(new Numbers(2), { sampler: weighted, batchSize: 3 }))).toEqual([
      [1, 1, 1],
    ]);
  });

  test('collateFn gets the samples', () => {
    const loader = new DataLoader(new Numbers(4), {
      batchSize: 3,
      collateFn: (samples) => samples.join('-'),
    });
    expect([...loader]).toEqual(['0-1-2', '3']);
  });

  test('batchSize null delivers samples', () => {
    const loader = new DataLoader<string, string>(['a', 'b'], { batchSize: null });
    expect([...loader]).toEqual(['a', 'b']);
    expect(loader.length).toBe(2);
  });

  test('arrays are datasets', () => {
    expect(lists(new DataLoader([1.5, 2.5], { batchSize: 2 }))).toEqual([[1.5, 2.5]]);
  });

  test('the batched protocol is used only for the default collate', () => {
    class Both extends Numbers {
      calls: string[] = [];
      override getItem(i: number): number {
        this.calls.push('item');
        return i;
      }
      override getBatch(indices: data.Indices): Tensor | undefined {
        this.calls.push('batch');
        return indices[0] === 0 ? tensor([...indices]) : undefined;
      }
    }
    const set = new Both(4);
    expect(lists(new DataLoader(set, { batchSize: 2 }))).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(set.calls).toEqual(['batch', 'batch', 'item', 'item']);
    set.calls = [];
    expect([...new DataLoader(set, { batchSize: 4, collateFn: (s) => s.length })]).toEqual([4]);
    expect(set.calls).not.toContain('batch');
  });

  test('getItems must return as many samples as asked for', () => {
    class Wrong extends Numbers {
      override getItems(): number[] {
        return [1];
      }
    }
    expect(codeOf(() => [...new DataLoader(new Wrong(2), { batchSize: 2 })])).toBe('ERR_VALUE');
  });

  test('random transforms depend on the pass and the batch alone', () => {
    class Noisy extends data.Dataset<Tensor> {
      readonly length = 6;
      getItem(): Tensor {
        return rand([2]);
      }
    }
    const loader = new DataLoader(new Noisy(), { batchSize: 2, seed: 7 });
    const a = lists(loader);
    expect(new Set(a.map(String)).size).toBe(3);
    const again = new DataLoader(new Noisy(), { batchSize: 2, seed: 7 });
    const half = again[Symbol.iterator]();
    half.next();
    manualSeed(55);
    rand([3]);
    expect((half.next().value as Tensor).toArray()).toEqual(a[1]);
    const before = getRngState();
    half.next();
    expect(getRngState()).toEqual(before);
  });

  test('an error of getItem arrives as it is, and the generator stays', () => {
    class Failing extends Numbers {
      override getItem(i: number): number {
        if (i === 3) throw new RangeError('sample 3 is broken');
        return i;
      }
    }
    const loader = new DataLoader(new Failing(6), { batchSize: 2, seed: 1 });
    const seen: unknown[] = [];
    manualSeed(1);
    const before = getRngState();
    expect(() => {
      for (const batch of loader) seen.push(batch.toArray());
    }).toThrow(new RangeError('sample 3 is broken'));
    expect(seen).toEqual([[0, 1]]);
    expect(getRngState()).toEqual(before);
  });
});

describe('asynchronous loading', () => {
  class Later extends data.Dataset<Promise<number>> {
    readonly length = 5;
    async getItem(i: number): Promise<number> {
      await new Promise((resolve) => setTimeout(resolve, 5 - i));
      return i;
    }
  }

  test('samples that are promises', async () => {
    const loader = new DataLoader(new Later(), { batchSize: 2 });
    const seen: unknown[] = [];
    for await (const batch of loader) seen.push(batch.toArray());
    expect(seen).toEqual([[0, 1], [2, 3], [4]]);
    expect(() => [...loader]).toThrow('for await');
  });

  test('for await over an ordinary dataset', async () => {
    const seen: unknown[] = [];
    for await (const batch of new DataLoader(new Numbers(3), { batchSize: 2 })) {
      seen.push(batch.toArray());
    }
    expect(seen).toEqual([[0, 1], [2]]);
  });

  test('rejections arrive', async () => {
    class Broken extends data.Dataset<Promise<number>> {
      readonly length = 2;
      getItem(): Promise<number> {
        return Promise.reject(new Error('no such picture'));
      }
    }
    const run = async (): Promise<void> => {
      for await (const _ of new DataLoader(new Broken()));
    };
    await expect(run()).rejects.toThrow('no such picture');
  });
});

describe('streams', () => {
  class Count extends data.IterableDataset<number> {
    override *[Symbol.iterator](): Iterator<number> {
      for (let i = 0; i < 5; ++i) yield i;
    }
  }

  test('are batched as they come', () => {
    expect(lists(new DataLoader(new Count(), { batchSize: 2 }))).toEqual([[0, 1], [2, 3], [4]]);
    expect(lists(new DataLoader(new Count(), { batchSize: 2, dropLast: true })).length).toBe(2);
    expect(codeOf(() => new DataLoader(new Count()).length)).toBe('ERR_TYPE');
    expect([...new DataLoader<number, number>(new Count(), { batchSize: null })]).toEqual([
      0, 1, 2, 3, 4,
    ]);
  });

  test('are closed when the loop is left', () => {
    let closed = false;
    class Guarded extends data.IterableDataset<number> {
      override *[Symbol.iterator](): Iterator<number> {
        try {
          for (let i = 0; ; ++i) yield i;
        } finally {
          closed = true;
        }
      }
    }
    for (const batch of new DataLoader(new Guarded(), { batchSize: 2 })) {
      if (batch.toArray().toString() === '2,3') break;
    }
    expect(closed).toBe(true);
  });
});

describe('position', () => {
  test('a saved loader goes on with the next batch, and so do later passes', () => {
    const make = (): data.DataLoader<number> =>
      new DataLoader(new Numbers(20), { batchSize: 3, shuffle: true, seed: 4 });
    const whole = make();
    const expected = [...lists(whole), ...lists(whole)];
    const loader = make();
    const seen: unknown[] = [];
    let state: data.DataLoaderState | undefined;
    for (const batch of loader) {
      seen.push(batch.toArray());
      if (seen.length === 3) {
        state = JSON.parse(JSON.stringify(loader.stateDict())) as data.DataLoaderState;
        break;
      }
    }
    const resumed = make();
    resumed.loadStateDict(state as data.DataLoaderState);
    expect([...seen, ...lists(resumed), ...lists(resumed)]).toEqual(expected);
  });

  test('without a seed the pass is remembered', () => {
    const make = (): data.DataLoader<number> =>
      new DataLoader(new Numbers(9), { batchSize: 2, shuffle: true });
    const loader = make();
    const it = loader[Symbol.iterator]();
    it.next();
    const state = loader.stateDict();
    const rest = lists(it as Iterable<Tensor>);
    const resumed = make();
    resumed.loadStateDict(state);
    expect(lists(resumed)).toEqual(rest);
    expect(codeOf(() => resumed.loadStateDict({ ...state, passSeed: 'x' }))).toBe('ERR_VALUE');
    expect(codeOf(() => resumed.loadStateDict(null as never))).toBe('ERR_TYPE');
  });
});

describe('bad options', () => {
  const n = new Numbers(3);
  const cases: [string, () => unknown, string, string][] = [
    ['unknown key', () => new DataLoader(n, { batchsize: 2 } as never), 'ERR_TYPE', "'batchSize'"],
    ['no dataset', () => new DataLoader(3 as never), 'ERR_TYPE', 'Dataset'],
    ['null', () => new DataLoader(null as never), 'ERR_TYPE', 'null'],
    ['batch size 0', () => new DataLoader(n, { batchSize: 0 }), 'ERR_VALUE', 'batchSize'],
    ['batch size NaN', () => new DataLoader(n, { batchSize: NaN }), 'ERR_VALUE', 'NaN'],
    ['batch size text', () => new DataLoader(n, { batchSize: '2' as never }), 'ERR_TYPE', "'2'"],
    ['shuffle', () => new DataLoader(n, { shuffle: 1 as never }), 'ERR_TYPE', 'shuffle'],
    ['collateFn', () => new DataLoader(n, { collateFn: 1 as never }), 'ERR_TYPE', 'collateFn'],
    ['sampler', () => new DataLoader(n, { sampler: 5 as never }), 'ERR_TYPE', 'sampler'],
    ['both', () => new DataLoader(n, { sampler: [0], shuffle: true }), 'ERR_VALUE', 'shuffle'],
    [
      'batchSampler and batchSize',
      () => new DataLoader(n, { batchSampler: [[0]], batchSize: 2 }),
      'ERR_VALUE',
      'batchSampler',
    ],
    ['seed', () => new DataLoader(n, { seed: 'x' as never }), 'ERR_TYPE', 'seed'],
    ['generator', () => new DataLoader(n, { generator: {} as never }), 'ERR_TYPE', 'Generator'],
    ['options', () => new DataLoader(n, 3 as never), 'ERR_TYPE', 'options'],
    [
      'shuffled stream',
      () => new DataLoader({ *[Symbol.iterator]() {} } as never, { shuffle: true }),
      'ERR_VALUE',
      'IterableDataset',
    ],
    ['index out of range', () => [...new DataLoader(['a'], { sampler: [1] })], 'ERR_RANGE', '1'],
  ];
  test.each(cases)('%s', (_name, fn, code, text) => {
    expect(codeOf(fn)).toBe(code);
    expect(fn).toThrow(text);
  });
});
