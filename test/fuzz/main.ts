/**
 * `npm run fuzz -- --calls 100000 --seed 1`: random calls of every op. AMPGRAD_FUZZ_OPS=add,sum
 * restricts the ops; `--replay S` makes the one call of a seed; `--trace FILE` writes each call
 * before it is made, so that after a crash the last line tells which one it was.
 */
import { openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { fuzz, runOne } from './run';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    replay: { type: 'string' },
    trace: { type: 'string' },
  },
});

function traceTo(path: string): (call: string, seed: number) => void {
  const file = openSync(path, 'w');
  return (call, seed) => {
    writeSync(file, `${String(seed)} ${call}\n`.padEnd(2000), 0);
  };
}

if (values.replay !== undefined) {
  console.log(runOne(Number(values.replay), undefined, (call) => console.log(call)));
} else {
  const trace = values.trace === undefined ? undefined : traceTo(values.trace);
  const start = Date.now();
  const summary = fuzz(Number(values.calls), Number(values.seed), trace);
  for (const f of summary.findings.slice(0, 50)) {
    console.log(`seed ${String(f.seed)}: ${f.call}\n    ${f.error}`);
  }
  const { calls, results, errors, findings } = summary;
  const seconds = (Date.now() - start) / 1000;
  console.log(JSON.stringify({ calls, results, errors, findings: findings.length, seconds }));
  process.exitCode = findings.length === 0 ? 0 : 1;
}
