/** What is made of a comparison: ratios, rooflines, the saved file and the document's table. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fractionOfPeak } from '../../bench/report/peak';
import { type Compared, load, merge, peersOf, save, type SavedRun } from '../../bench/report/saved';
import { markdownTable, ratioTo, textTable } from '../../bench/report/tables';

const sample = (best: number, median = best): { best: number; median: number } => ({
  best,
  median,
});

const product: Compared = {
  name: 'gemm.bf16.64',
  unit: 'GFLOP/s',
  flop: 8e9,
  bestMs: 20,
  threads: 2,
  quick: true,
  samples: {
    ampgrad: [sample(400, 300), sample(200), null],
    torch: [sample(100), sample(100), sample(1)],
    jax: [null, null, sample(7)],
  },
};
const call: Compared = {
  name: 'dispatch.item',
  unit: 'ns',
  threads: 2,
  quick: true,
  samples: { ampgrad: [sample(10)], torch: [sample(25)] },
};
const copy: Compared = { ...call, name: 'mem.copy', unit: 'GB/s', bytes: 1e6, bestMs: 0.02 };

const run: SavedRun = {
  headers: { ampgrad: { cpu: 'A' }, torch: { cpu: 'A' }, jax: { cpu: 'A' } },
  peaks: [{ threads: 2, gflops: { f32: 100, bf16: 800 }, bandwidth: [[1e6, 100]] }],
  workloads: [product, call, copy],
};

describe('ratios', () => {
  test('are of rounds that both have, more is better in rates, less in times', () => {
    expect(ratioTo(product, 'torch')).toEqual({
      theirs: 100,
      ratio: 3,
      lowest: 2,
      highest: 4,
      medians: 2.5,
    });
    expect(ratioTo(call, 'torch')?.ratio).toBe(2.5);
    expect(ratioTo(product, 'jax')).toBeUndefined();
  });

  test('a part of the peak takes the rate of the type or of as many bytes', () => {
    expect(fractionOfPeak(product, run.peaks)).toBeCloseTo(0.5);
    expect(fractionOfPeak({ ...product, name: 'gemm.f16.64' }, run.peaks)).toBeCloseTo(4);
    expect(fractionOfPeak(copy, run.peaks)).toBeCloseTo(0.5);
    expect(fractionOfPeak({ ...copy, bytes: 2e6 }, run.peaks)).toBeUndefined();
    expect(fractionOfPeak({ ...copy, threads: 1 }, run.peaks)).toBeUndefined();
    expect(fractionOfPeak(call, run.peaks)).toBeUndefined();
  });

  test('tables have a column for every peer', () => {
    expect(peersOf(run)).toEqual(['torch', 'jax']);
    expect(markdownTable(run).split('\n')).toEqual([
      '| workload | unit | ampgrad | of peak | PyTorch | ratio (range) | JAX | ratio (range) |',
      '| --- | --- | --- | --- | --- | --- | --- | --- |',
      '| gemm.bf16.64 | GFLOP/s | 300.0 | 50% | 100.0 | 3.00 (2.00-4.00) |  |  |',
      '| dispatch.item | ns | 10.00 |  | 25.00 | 2.50 (2.50-2.50) |  |  |',
      '| mem.copy | GB/s | 10.00 | 50% | 25.00 | 0.40 (0.40-0.40) |  |  |',
    ]);
    const [, first] = textTable(run).split('\n');
    expect(first?.split(/\s+/)).toEqual(
      'gemm.bf16.64 300.0 GFLOP/s 50% 100.0 3.00 2.00 4.00 2.50'.split(' '),
    );
  });
});

describe('a saved run', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'ampgrad-bench-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is read as it was written, and takes what was measured again', () => {
    const path = join(folder, 'run.json');
    save(path, run);
    expect(load(path)).toEqual(run);
    const again = { ...call, samples: { ampgrad: [sample(5)], torch: [sample(25)] } };
    const peak = { threads: 2, gflops: { f32: 120, bf16: 700 }, bandwidth: [[5e5, 9]] } as const;
    save(path, { ...run, peaks: [peak], workloads: [again] });
    expect(load(path).workloads).toEqual([product, again, copy]);
    expect(load(path).peaks).toEqual([
      {
        threads: 2,
        gflops: { f32: 120, bf16: 800 },
        bandwidth: [
          [5e5, 9],
          [1e6, 100],
        ],
      },
    ]);
  });

  test('of another processor is not mixed in', () => {
    const other = { ...run, headers: { ampgrad: { cpu: 'B' } } };
    expect(() => merge(run, other)).toThrow(/another processor: A/);
  });
});
