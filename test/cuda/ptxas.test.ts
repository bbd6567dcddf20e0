/** scripts/check-ptxas.mjs on reports made here. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const script = join(__dirname, '..', '..', 'scripts', 'check-ptxas.mjs');
const dense =
  '_ZN7ampgrad4cuda12dense_kernelINS_4math3AddEfNS_4HalfELi2EEEvNS0_9DenseArgsIT0_XT2_EEE';
const step = '_ZN7ampgrad4cuda12_GLOBAL__N_111step_kernelINS_4math7SgdStepEffEEvNS_11OptimParamsE';

function entry(mangled: string, arch: string, frame: [number, number, number]): string {
  return [
    `ptxas info    : Compiling entry function '${mangled}' for '${arch}'`,
    `ptxas info    : Function properties for ${mangled}`,
    `    ${frame[0]} bytes stack frame, ${frame[1]} bytes spill stores, ${frame[2]} bytes spill loads`,
    'ptxas info    : Used 32 registers, used 0 barriers',
    'ptxas info    : Function properties for _ZN7ampgrad4cuda7load_asIfEET_PKvNS_5DTypeEl',
    '    16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads',
    '',
  ].join('\n');
}

describe('check-ptxas', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ptxas-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  function check(report: string, list = 'dense_kernel\nstep_kernel # optimizers\n') {
    mkdirSync(join(folder, 'units'), { recursive: true });
    writeFileSync(join(folder, 'units', 'a.cu.o.ptxas'), report);
    writeFileSync(join(folder, 'hot.txt'), `# comment\n\n${list}`);
    const args = [script, '--arch=75,90', `--list=${join(folder, 'hot.txt')}`, folder];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  const good: [number, number, number] = [0, 0, 0];
  const all = (frame: [number, number, number]): string =>
    entry(dense, 'sm_75', good) +
    entry(dense, 'sm_90', good) +
    entry(step, 'sm_75', good) +
    entry(step, 'sm_90', frame);

  test('kernels without stack and spills pass; functions that they call are not the kernels', () => {
    const { status, stdout, stderr } = check(all(good));
    expect(stderr).toBe('');
    expect(stdout).toMatch(/4 instances of 2 hot kernels on sm_75, sm_90, 0 problems/);
    expect(status).toBe(0);
  });

  test.each([
    ['a spill', [8, 4, 8], /step_kernel on sm_90: 8 bytes of stack, spills 4 bytes/],
    ['local memory', [64, 0, 0], /step_kernel on sm_90: 64 bytes of stack/],
  ] as const)('%s fails', (_, frame, message) => {
    const { status, stderr } = check(all([...frame]));
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });

  test('a kernel that is listed and not compiled for an architecture fails', () => {
    const report = entry(dense, 'sm_75', good) + entry(dense, 'sm_90', good);
    const { status, stderr } = check(report + entry(step, 'sm_90', good));
    expect(stderr).toMatch(/step_kernel was not compiled for sm_75/);
    expect(status).toBe(1);
  });

  test('instances that the list leaves out may spill', () => {
    expect(check(all([8, 4, 8]), 'step_kernel !AdamStep\n').status).toBe(1);
    expect(check(all([8, 4, 8]), 'step_kernel !AdamStep !SgdStep\n').status).toBe(1);
    const both = all([8, 4, 8]) + entry(step.replace('7SgdStep', '8AdamStep'), 'sm_90', good);
    const rest = both + entry(step.replace('7SgdStep', '8AdamStep'), 'sm_75', good);
    expect(check(rest, 'step_kernel !SgdStep\n').status).toBe(0);
  });

  test('a spill in a kernel that is not listed is counted only', () => {
    const { status, stdout } = check(all([8, 4, 8]), 'dense_kernel\n');
    expect(stdout).toMatch(/0 problems; 1 other kernels spill/);
    expect(status).toBe(0);
  });
});
