import { data, manualSeed, tensor } from '../../lib';
import { codeOf, Numbers } from './helpers';

const sorted = (list: Iterable<number>): number[] => [...list].sort((a, b) => a - b);

describe('samplers', () => {
  test('sequential', () => {
    expect([...new data.SequentialSampler(new Numbers(3))]).toEqual([0, 1, 2]);
  });

  test('random: permutations, fresh every pass, from the seed', () => {
    const sampler = new data.RandomSampler(new Numbers(50), { seed: 5 });
    const [a, b] = [[...sampler], [...sampler]];
    expect(sorted(a)).toEqual([...new Numbers(50)]);
    expect(b).not.toEqual(a);
    const again = new data.RandomSampler(new Numbers(50), { seed: 5 });
    expect([[...again], [...again]]).toEqual([a, b]);
  });

  test('random: more and fewer samples than the source', () => {
    const more = [...new data.RandomSampler(new Numbers(4), { numSamples: 10 })];
    expect(more.length).toBe(10);
    expect(sorted(more.slice(0, 4))).toEqual([0, 1, 2, 3]);
    expect(sorted(more.slice(4, 8))).toEqual([0, 1, 2, 3]);
    expect([...new data.RandomSampler(new Numbers(9), { numSamples: 2 })].length).toBe(2);
  });

  test('random with replacement repeats', () => {
    const sampler = new data.RandomSampler(new Numbers(3), { replacement: true, numSamples: 100 });
    expect(new Set(sampler)).toEqual(new Set([0, 1, 2]));
    expect(sampler.length).toBe(100);
  });

  test('subset', () => {
    const sampler = new data.SubsetRandomSampler([9, 4, 7], { seed: 0 });
    expect(sorted(sampler)).toEqual([4, 7, 9]);
  });

  test('weighted: frequencies follow the weights', () => {
    manualSeed(0);
    const sampler = new data.WeightedRandomSampler([1, 0, 3], 4000);
    const counts = [0, 0, 0];
    for (const i of sampler) ++(counts[i] as number);
    expect(counts[1]).toBe(0);
    expect((counts[2] as number) / 4000).toBeCloseTo(0.75, 1);
  });

  test('weighted without replacement', () => {
    const weights = tensor([0, 1, 2, 3], { dtype: 'float32' });
    const sampler = new data.WeightedRandomSampler(weights, 3, { replacement: false });
    expect(sorted(sampler)).toEqual([1, 2, 3]);
    const first = [0, 0];
    for (let i = 0; i < 500; ++i) {
      const [k] = new data.WeightedRandomSampler([1, 4], 1, { replacement: false });
      ++(first[k as number] as number);
    }
    expect((first[1] as number) / 500).toBeCloseTo(0.8, 1);
  });

  test('batch', () => {
    const sampler = new data.BatchSampler(new data.SequentialSampler(new Numbers(5)), 2);
    expect([...sampler]).toEqual([[0, 1], [2, 3], [4]]);
    expect(sampler.length).toBe(3);
    const dropping = new data.BatchSampler([0, 1, 2], 2, true);
    expect([...dropping]).toEqual([[0, 1]]);
    expect(dropping.length).toBe(1);
  });

  test('distributed: shares cover the dataset', () => {
    const make = (rank: number, dropLast = false, shuffle = true): data.DistributedSampler =>
      new data.DistributedSampler(new Numbers(10), { numReplicas: 3, rank, dropLast, shuffle });
    const shares = [0, 1, 2].map((rank) => [...make(rank)]);
    expect(shares.map((s) => s.length)).toEqual([4, 4, 4]);
    expect(new Set(shares.flat()).size).toBe(10);
    expect([0, 1, 2].flatMap((rank) => [...make(rank, true)]).length).toBe(9);
    expect([...make(1, false, false)]).toEqual([1, 4, 7, 0]);
    const sampler = make(0);
    const before = [...sampler];
    sampler.setEpoch(1);
    expect([...sampler]).not.toEqual(before);
  });

  test('bad input', () => {
    const n = new Numbers(3);
    const cases: [() => unknown, string][] = [
      [() => new data.SequentialSampler(3 as never), 'ERR_TYPE'],
      [() => new data.RandomSampler(n, { numSamples: 0 }), 'ERR_VALUE'],
      [() => new data.RandomSampler(n, { replacement: 1 as never }), 'ERR_TYPE'],
      [() => new data.RandomSampler(n, { seed: 1.5 }), 'ERR_VALUE'],
      [() => new data.RandomSampler(n, { seed: 1, generator: new data.Generator(1) }), 'ERR_VALUE'],
      [() => [...new data.RandomSampler([], { numSamples: 1 })], 'ERR_VALUE'],
      [() => new data.WeightedRandomSampler([1, -1], 1), 'ERR_VALUE'],
      [() => new data.WeightedRandomSampler([NaN], 1), 'ERR_VALUE'],
      [() => new data.WeightedRandomSampler([0, 0], 1), 'ERR_VALUE'],
      [() => new data.WeightedRandomSampler([1, 0], 2, { replacement: false }), 'ERR_VALUE'],
      [() => new data.WeightedRandomSampler(tensor([[1]]), 1), 'ERR_SHAPE'],
      [() => new data.BatchSampler([1], 0), 'ERR_VALUE'],
      [() => new data.BatchSampler(3 as never, 1), 'ERR_TYPE'],
      [() => new data.DistributedSampler(n, { numReplicas: 2, rank: 2 }), 'ERR_VALUE'],
    ];
    for (const [fn, code] of cases) expect(codeOf(fn)).toBe(code);
  });
});

describe('Generator', () => {
  test('is a stream of its own', () => {
    manualSeed(9);
    const expected = [...new data.Generator(1).permutation(20)];
    manualSeed(9);
    const generator = new data.Generator(1);
    const state = generator.getState();
    expect([...generator.permutation(20)]).toEqual(expected);
    expect([...generator.permutation(20)]).not.toEqual(expected);
    generator.setState(state);
    expect([...generator.permutation(20)]).toEqual(expected);
    expect(generator.initialSeed()).toBe(1n);
    expect([...generator.manualSeed(1).permutation(20)]).toEqual(expected);
  });

  test('leaves the generator of the environment alone, also on errors', () => {
    manualSeed(2);
    const expected = new data.Generator().initialSeed();
    manualSeed(2);
    expect(() =>
      new data.Generator(5).use(() => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(new data.Generator().initialSeed()).toBe(expected);
  });
});
