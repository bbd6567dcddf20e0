/**
 * Kills a process at random moments while it saves checkpoints, and looks whether the newest can be read.
 * `npx tsx test/files/programs/killTrials.ts 100` runs 100 trials.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Checkpoint, load, nn } from '../../../lib';

const root = join(__dirname, '..', '..', '..');

/** One trial; returns the last step the process said it had saved. */
async function killOnce(folder: string, delay: number): Promise<number> {
  const child = spawn(
    process.execPath,
    ['--require', 'tsx/cjs', join(__dirname, 'saver.ts'), folder],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  let armed = false;
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    output += text;
    if (armed) return;
    armed = true;
    setTimeout(() => child.kill('SIGKILL'), delay);
  });
  await new Promise((resolve) => child.once('close', resolve));
  return Number(output.trimEnd().split('\n').at(-1));
}

export interface Trials {
  readonly trials: number;
  /** Kills that left a half-written temporary file: they fell into the writing itself. */
  readonly inside: number;
  readonly failures: string[];
}

export async function killTrials(trials: number): Promise<Trials> {
  const folder = mkdtempSync(join(tmpdir(), 'ampgrad-kill-'));
  const failures: string[] = [];
  let inside = 0;
  for (let i = 0; i < trials; ++i) {
    const saved = await killOnce(folder, Math.random() * 120);
    const temporary = readdirSync(folder).filter((name) => name.endsWith('tmp'));
    inside += temporary.length > 0 ? 1 : 0;
    for (const name of temporary) rmSync(join(folder, name));
    const checkpoint = new Checkpoint(folder, { model: new nn.Linear(1000, 500) });
    const newest = checkpoint.list().at(-1) ?? '';
    try {
      const { step } = load(newest) as { step: number };
      if (checkpoint.latest() !== newest) failures.push(`trial ${i}: latest() is another file`);
      if (!(step >= saved)) failures.push(`trial ${i}: step ${step}, but ${saved} was saved`);
    } catch (error) {
      failures.push(`trial ${i}: ${(error as Error).message}`);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  return { trials, inside, failures };
}

if (require.main === module) {
  void killTrials(Number(process.argv[2] ?? 100)).then((result) => {
    console.log(JSON.stringify(result));
    process.exitCode = result.failures.length === 0 ? 0 : 1;
  });
}
