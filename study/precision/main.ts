/**
 * `npm run study:precision [-- --quick] [--seeds 3] [--tasks gpt2,bert] [--out docs/precision-study.md]`:
 * trains every task in every number format from every seed, each run in a process of its own, and
 * writes the report and, beside its charts, the records of all runs. With `--tasks` the records of
 * the other tasks are those of the last study. `--one TASK,MODE,SEED` makes one run and prints its record.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { SingleBar } from 'cli-progress';

import { getNumThreads } from '../../lib';
import { folderOf, writeReport } from './report';
import { tasks as allTasks } from './tasks';
import { train } from './train';
import { type Mode, modes, type Run, type Task } from './types';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '3' },
    tasks: { type: 'string' },
    out: { type: 'string', default: join(__dirname, '../../docs/precision-study.md') },
    one: { type: 'string' },
  },
});

function chosenTasks(): Task[] {
  if (values.tasks === undefined) return [...allTasks];
  return values.tasks.split(',').map((name) => {
    const task = allTasks.find((t) => t.name === name);
    if (task) return task;
    throw new RangeError(
      `--tasks: no task '${name}'; there are ${allTasks.map((t) => t.name).join(', ')}`,
    );
  });
}

/** A process of its own gives each run a fresh allocator and cast cache, hence true peaks. */
function runApart(task: Task, mode: Mode, seed: number): Run {
  const args = ['--expose-gc', '--import', 'tsx', __filename];
  const result = spawnSync(
    process.execPath,
    [
      ...args,
      '--one',
      `${task.name},${mode},${String(seed)}`,
      ...(values.quick ? ['--quick'] : []),
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (result.status !== 0) {
    throw new Error(`${task.name} in ${mode}, seed ${String(seed)}: exit ${String(result.status)}`);
  }
  return JSON.parse(result.stdout.trim().split('\n').at(-1)!) as Run;
}

function runOne(text: string): void {
  const [name, mode, seed] = text.split(',');
  const task = allTasks.find((t) => t.name === name);
  if (!task || !modes.includes(mode as Mode)) throw new RangeError(`--one: got '${text}'`);
  console.log(JSON.stringify(train(task, mode as Mode, Number(seed), values.quick)));
}

/** The records of the last study, one a line, without those of the tasks that run now. */
function savedRuns(path: string, except: readonly Task[]): Run[] {
  if (values.tasks === undefined || !existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Run)
    .filter((run) => !except.some((task) => task.name === run.task));
}

async function study(): Promise<void> {
  const tasks = chosenTasks();
  const seeds = Number(values.seeds);
  if (!Number.isInteger(seeds) || seeds < 1) {
    throw new RangeError(`--seeds must be a positive integer, got '${values.seeds}'`);
  }
  const bar = new SingleBar({ format: '{bar} {value}/{total} {now}', stream: process.stderr });
  bar.start(tasks.length * modes.length * seeds, 0, { now: '' });
  const saved = join(folderOf(values.out), 'runs.jsonl');
  const runs: Run[] = [];
  for (const task of tasks) {
    // Formats alternate, so that a slow minute of the machine hits all of them.
    for (let seed = 0; seed < seeds; ++seed) {
      for (const mode of modes) {
        bar.update(runs.length, { now: `${task.name} ${mode} seed ${String(seed)}` });
        runs.push(runApart(task, mode, seed));
      }
    }
  }
  bar.stop();
  for (const run of runs) console.log(JSON.stringify(run));
  const all = [...savedRuns(saved, tasks), ...runs];
  const reported = allTasks.filter((task) => all.some((run) => run.task === task.name));
  await writeReport(values.out, reported, all, {
    seeds,
    quick: values.quick,
    cpu: cpus()[0]?.model ?? 'unknown CPU',
    threads: getNumThreads(),
    node: process.versions.node,
  });
  writeFileSync(saved, all.map((run) => `${JSON.stringify(run)}\n`).join(''));
  console.log(JSON.stringify({ report: values.out, runs: runs.length }));
}

if (values.one === undefined) void study();
else runOne(values.one);
