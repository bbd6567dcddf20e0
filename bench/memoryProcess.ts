/**
 * A process of its own for `rss.*`: does what the first argument names, then prints its largest
 * resident set so far, in MiB. More arguments: `quick` or `full`, and the folder of MNIST.
 */
import { readFileSync } from 'node:fs';

import { trainEpoch } from './workloads/mlp';
import { gpt2Step } from './workloads/models';

function trainGpt2(precision: 'bfloat16' | undefined, steps: number): void {
  const { run } = gpt2Step(precision);
  const limit = process.hrtime.bigint() + 120_000_000_000n;
  for (let i = 0; i < steps && (i < 2 || process.hrtime.bigint() < limit); ++i) run();
}

const [what, mode, folder] = process.argv.slice(2);
const steps = mode === 'quick' ? 3 : 10;
const programs: Readonly<Record<string, () => void>> = {
  'rss.mnist': () => trainEpoch(folder),
  'rss.gpt2.f32': () => trainGpt2(undefined, steps),
  'rss.gpt2.amp_bf16': () => trainGpt2('bfloat16', steps),
};
const program = programs[what ?? ''];
if (program === undefined) throw new Error(`no such program: ${what ?? ''}`);
program();
const status = readFileSync('/proc/self/status', 'utf8');
process.stdout.write(`${String(Number(/VmHWM:\s*(\d+)/.exec(status)?.[1]) / 1024)}\n`);
