/** How busy the machine was with anything else while something was timed. */
import { readFileSync } from 'node:fs';

/** CPU seconds that all cores have spent working since the start, stolen time included. */
function busySeconds(): number {
  try {
    const line = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '';
    const v = line.trim().split(/\s+/).slice(1).map(Number);
    return [0, 1, 2, 5, 6, 7].reduce((sum, i) => sum + (v[i] ?? 0), 0) / 100;
  } catch {
    return NaN; // not Linux
  }
}

/** Mean number of cores that others used while `fn` ran. */
export function measureExternal<T>(fn: () => T): { result: T; ext: number } {
  const busy = busySeconds();
  const own = process.cpuUsage();
  const start = process.hrtime.bigint();
  const result = fn();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const used = process.cpuUsage(own);
  const others = busySeconds() - busy - (used.user + used.system) / 1e6;
  return { result, ext: Math.round(Math.max(0, others / Math.max(seconds, 1e-9)) * 100) / 100 };
}

/** Milliseconds of a fixed loop, best of two: the speed of the core right now. */
export function calibrationMs(): number {
  let best = Infinity;
  for (let round = 0; round < 2; ++round) {
    const start = process.hrtime.bigint();
    let x = 0;
    for (let i = 0; i < 3_000_000; ++i) x = (x + (i & 7)) | 0;
    if (x < 0) throw new Error('unreachable');
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e6);
  }
  return best;
}
