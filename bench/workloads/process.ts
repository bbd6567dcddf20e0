/**
 * Start-up time and peak memory of a process of its own: section 11 of the workloads. The package
 * as users get it is measured, so `npm run build` comes first.
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

import { type AnyWorkload, medianOf, type Settings, significant } from '../harness/runner';

const root = resolve(__dirname, '../..');
const peakOf = `
  const peak = /VmHWM:\\s*(\\d+)/.exec(require('fs').readFileSync('/proc/self/status', 'utf8'));
  console.log(Number(peak[1]) / 1024);`;
const program = `
  const { ones } = require(${JSON.stringify(root)});
  if (ones([2, 2]).matmul(ones([2, 2])).sum().item() !== 8) process.exit(1);`;

function child(args: readonly string[]): string {
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`a process failed: ${result.stderr.slice(-500)}`);
  return result.stdout;
}

/**
 * Prints the seconds that each of some processes took. It is a small process itself: to start another
 * one Node copies the page tables of the one it runs in, which are large after other workloads.
 */
const timer = (samples: number): string => `
  const { spawnSync } = require('node:child_process');
  const times = [];
  for (let i = 0; i <= ${String(samples)}; ++i) {
    const start = process.hrtime.bigint();
    const { status, stderr } = spawnSync(process.execPath, ['-e', ${JSON.stringify(program)}]);
    if (status !== 0) throw new Error('a process failed: ' + String(stderr).slice(-500));
    times.push(Number(process.hrtime.bigint() - start) / 1e9);
  }
  console.log(JSON.stringify(times.slice(1))); // the file cache is warm after the first`;

function startup(settings: Settings): Record<string, unknown> {
  const times = JSON.parse(child(['-e', timer(settings.quick ? 3 : 10)])) as number[];
  const best = significant(Math.min(...times));
  return {
    unit: 's',
    value: best,
    best,
    median: significant(medianOf(times)),
    samples: times.length,
  };
}

function megabytes(mb: number): Record<string, unknown> {
  return { unit: 'MB', value: significant(mb), best: significant(mb), median: significant(mb) };
}

/** Peak of a process of its own, on the built package. */
function peakMemory(what: string): (settings: Settings) => Record<string, unknown> {
  return ({ quick, mnist }) => {
    child([join(root, 'bench/bundle.mjs')]);
    const output = child([
      join(root, 'build/bench/memoryProcess.cjs'),
      what,
      quick ? 'quick' : 'full',
      ...(mnist ? [mnist] : []),
    ]);
    return megabytes(Number(output.trim()));
  };
}

export const processes: readonly AnyWorkload[] = [
  { name: 'startup', custom: startup },
  { name: 'rss.import', custom: () => megabytes(Number(child(['-e', program + peakOf]))) },
  { name: 'rss.mnist', custom: peakMemory('rss.mnist') },
  { name: 'rss.gpt2.f32', custom: peakMemory('rss.gpt2.f32') },
  { name: 'rss.gpt2.amp_bf16', heavy: true, custom: peakMemory('rss.gpt2.amp_bf16') },
];
