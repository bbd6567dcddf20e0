/** The addon in worker_threads: loaded by several environments at once, ended with any of them. */
import { join } from 'node:path';

import { runProgram, runtimes } from '../support/runtimes';

const programs = join(__dirname, 'programs');

describe.each(runtimes)('$name', (runtime) => {
  test('two workers and the main thread compute at once', () => {
    const result = runProgram<Record<'own' | 'first' | 'second' | 'expectedSecond', number>>(
      runtime,
      join(programs, 'concurrent.cjs'),
    );
    expect(result.first).toBe(result.own);
    expect(result.second).toBe(result.expectedSecond);
    expect(result.second).not.toBe(result.first);
  });

  test('twelve workers reach for the collector at once', () => {
    const result = runProgram<{ finished: number; errors: string[] }>(
      runtime,
      join(programs, 'collector.cjs'),
    );
    expect(result).toEqual({ finished: 12, errors: [] });
  });

  test('terminate() in the middle of a step', () => {
    const result = runProgram<{ rounds: number; sum: number }>(
      runtime,
      join(programs, 'terminate.cjs'),
      ['12'],
    );
    expect(result).toEqual({ rounds: 12, sum: 1000 });
  });
});
