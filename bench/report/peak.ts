/**
 * Rooflines: which part of what the machine can do a workload reaches. The two bounds are measured
 * by bench/peak.cpp (`npm run build:peak`): multiply-adds in registers, and the best of plain loops
 * that read, copy or add as many bytes as the workload is counted with.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { type Compared, type Peak } from './saved';

const program = join(resolve(__dirname, '../..'), 'build/Release/ampgrad_peak');

/** `undefined` where the program is not built. */
export function measurePeak(threads: number, sizes: Iterable<number>): Peak | undefined {
  if (!existsSync(program)) {
    process.stderr.write('No roofline: npm run build:peak makes the program that measures it\n');
    return undefined;
  }
  const args = [threads, ...new Set(sizes)].map(String);
  const child = spawnSync(program, args, { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`${program} failed: ${child.stderr}`);
  const { gflops, bandwidth } = JSON.parse(child.stdout) as Peak;
  return { threads, gflops, bandwidth };
}

/** float16 is widened: its products run at float32's rate. */
function rateOf(peak: Peak, name: string): number | undefined {
  return name.includes('bf16') ? peak.gflops['bf16'] : peak.gflops['f32'];
}

/** Nominal work over what could be done in the time; `undefined` where that has no meaning. */
export function fractionOfPeak(w: Compared, peaks: readonly Peak[]): number | undefined {
  const peak = peaks.find((p) => p.threads === w.threads);
  if (peak === undefined || w.bestMs === undefined) return undefined;
  const bound =
    w.flop === undefined
      ? peak.bandwidth.find(([bytes]) => bytes === w.bytes)?.[1]
      : rateOf(peak, w.name);
  const work = w.flop ?? w.bytes;
  return bound === undefined || work === undefined ? undefined : work / (w.bestMs * 1e6) / bound;
}
