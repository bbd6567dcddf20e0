/**
 * The self-test for someone with a GPU: `npm run gpu:selftest [-- --quick] [--emulator] [--only NAME]`. Compares
 * all kernels with the CPU, tries allocator, streams, precisions and a training step, measures matrix
 * products, and prints a report fit for a bug report. `--emulator` runs it on native/simt, quickly.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { arch, cpus, platform, release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { cuda } from '../lib';
import { type Check, checks, type Settings } from './checks';

const root = dirname(__dirname);
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    emulator: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
});
const settings: Settings = { quick: values.quick || values.emulator };

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** The library that this process opens when it first asks for a device, and the tests it starts. */
function chooseLibrary(): string {
  const name = values.emulator ? 'ampgrad_simt.so' : 'ampgrad_cuda.so';
  const path = process.env['AMPGRAD_CUDA_LIBRARY'] ?? join(root, 'build', 'Release', name);
  if (!existsSync(path)) {
    const build = values.emulator
      ? 'cmake --build build-cmake --target ampgrad_simt'
      : 'npm run build:cuda';
    say(`gpu:selftest: ${path} does not exist; ${build} makes it`);
    process.exit(2);
  }
  process.env['AMPGRAD_CUDA_LIBRARY'] = path;
  return path;
}

/** Rows whose kernels are of different families, for a quick run. */
const quickRows =
  'add,mul,where,exp,sum,amax,argmax,mm,bmm,linear,clone,fill_,arange,to,cat,relu,gelu,lerp';

interface TestReport {
  numPassedTests: number;
  numFailedTests: number;
  testResults: {
    assertionResults: { status: string; title: string; failureMessages: string[] }[];
  }[];
}

/** The samples of every row of the op table, by the tests that do so. */
function kernels(): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'selftest-'));
  const file = join(folder, 'report.json');
  try {
    const env = { ...process.env };
    if (settings.quick) env['AMPGRAD_TEST_OPS'] ??= quickRows;
    const jest = join(root, 'node_modules', '.bin', 'jest');
    const args = ['test/cuda/table', '--json', `--outputFile=${file}`, '--silent'];
    const result = spawnSync(jest, args, { cwd: root, env, encoding: 'utf8' });
    if (!existsSync(file)) throw new Error(`the tests ended early: ${result.stderr.slice(-2000)}`);
    const report = JSON.parse(readFileSync(file, 'utf8')) as TestReport;
    const failures = report.testResults
      .flatMap((r) => r.assertionResults)
      .filter((a) => a.status === 'failed')
      .map((a) => `${a.title}: ${(a.failureMessages[0] ?? '').split('\n')[0] ?? ''}`);
    if (failures.length > 0) throw new Error(failures.slice(0, 20).join('\n    '));
    return [`${report.numPassedTests} tests of rows of the op table agree with the CPU`];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function describeMachine(library: string): void {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  say(`ampgrad ${version}, Node ${process.version}, ${platform()} ${release()} ${arch()}`);
  say(`CPU: ${cpus()[0]?.model ?? 'unknown'}`);
  say(`library: ${library.slice(library.lastIndexOf('/') + 1)}${settings.quick ? ', quick' : ''}`);
  for (let i = 0; i < cuda.deviceCount(); ++i) {
    const p = cuda.getDeviceProperties(i);
    const gib = (p.totalMemory / 2 ** 30).toFixed(1);
    say(
      `cuda:${i}: ${p.name}, sm_${p.major}${p.minor}, ` +
        `${p.multiProcessorCount} multiprocessors, ${gib} GiB`,
    );
  }
}

function main(): void {
  const library = chooseLibrary();
  if (!cuda.isAvailable()) {
    say(`gpu:selftest: CUDA is not available: ${cuda.unavailableReason()}`);
    process.exit(2);
  }
  describeMachine(library);
  const every: readonly Check[] = [{ name: 'kernels', run: kernels }, ...checks];
  const all = every.filter(({ name }) => name.includes(values.only));
  let failed = 0;
  for (const check of all) {
    const start = performance.now();
    const took = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`;
    try {
      const findings = check.run(settings);
      say(`ok      ${check.name} (${took()})`);
      for (const line of findings) say(`    ${line}`);
    } catch (error) {
      ++failed;
      say(`FAILED  ${check.name} (${took()})`);
      say(`    ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  say(cuda.memorySummary());
  say(`${all.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

main();
