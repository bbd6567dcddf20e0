/** Memory stays flat in synchronous loops, under every supported Node, from one binary. */
import { join } from 'node:path';

import { runProgram, runtimes } from '../support/runtimes';

const limitMB = 400;
const programs = join(__dirname, 'programs');
const onLinux = process.platform === 'linux' ? test : test.skip;
if (process.platform !== 'linux') console.warn('skipped: peak memory is read from /proc');

describe.each(runtimes)('$name', (runtime) => {
  onLinux('20,000 iterations on 1 MB tensors', () => {
    const result = runProgram<{ value: number; peakRssMB: number; collections: number }>(
      runtime,
      join(programs, 'elementwise.cjs'),
      ['20000'],
    );
    expect(result.value).toBe(3);
    expect(result.collections).toBeGreaterThan(0);
    expect(result.peakRssMB).toBeLessThan(limitMB);
  });

  test('a small phase after a large one leaves little behind', () => {
    const result = runProgram<{ beforeMB: number; peakMB: number }>(
      runtime,
      join(programs, 'phases.cjs'),
    );
    expect(result.beforeMB).toBeLessThan(20);
    expect(result.peakMB).toBeLessThan(160);
  });

  // Each would move the result that is held out of reach of the next collection of young objects, and so
  // be the reason for another.
  test('large results are found among young objects', () => {
    const result = runProgram<{ value: number; collections: number }>(
      runtime,
      join(programs, 'large.cjs'),
      ['20'],
    );
    expect(result.value).toBe(2);
    expect(result.collections).toBeLessThan(3);
  });

  // What is alive does not decide how soon results that die young are found: every third one collects.
  test('small results are found soon while much is held', () => {
    const result = runProgram<{ held: number; collections: number }>(
      runtime,
      join(programs, 'held.cjs'),
    );
    expect(result.held).toBe(26 * 1024 * 1024);
    expect(result.collections).toBeGreaterThan(120 / 5);
  });

  onLinux('2,000 training steps without an await', () => {
    const result = runProgram<{ first: number; last: number; peakRssMB: number }>(
      runtime,
      join(programs, 'mlp.cjs'),
      ['2000'],
    );
    expect(result.last).toBeLessThan(result.first / 10);
    expect(result.peakRssMB).toBeLessThan(limitMB);
  });
});
