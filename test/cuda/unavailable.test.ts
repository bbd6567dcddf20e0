import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');

// In a process of its own: the library is looked for once a process.
function run(code: string, env: Record<string, string>): string {
  const script = `const ag = require(${JSON.stringify(join(root, 'lib', 'index'))});\n${code}`;
  return execFileSync(process.execPath, ['--require', 'tsx/cjs', '-e', script], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  }).trim();
}

const report = `
const result = { available: ag.cuda.isAvailable(), count: ag.cuda.deviceCount(), reason: ag.cuda.unavailableReason() };
const errors = [];
for (const f of [() => ag.ones([2]).to('cuda'), () => ag.zeros([2], { device: 'cuda:1' }), () => ag.cuda.synchronize()]) {
  try { f(); errors.push('none'); } catch (e) { errors.push(e.code + ' ' + e.message); }
}
console.log(JSON.stringify({ ...result, errors, sum: ag.ones([3]).sum().item() }));
`;

test('without the CUDA library everything else works and the reason is told', () => {
  const got = JSON.parse(run(report, { AMPGRAD_CUDA_LIBRARY: '/nowhere/ampgrad_cuda.so' })) as {
    available: boolean;
    count: number;
    reason: string;
    errors: string[];
    sum: number;
  };
  expect(got.available).toBe(false);
  expect(got.count).toBe(0);
  expect(got.reason).toMatch(/could not be loaded: .*nowhere\/ampgrad_cuda\.so/);
  expect(got.sum).toBe(3);
  for (const error of got.errors)
    expect(error).toMatch(/^ERR_DEVICE device 'cuda:\d' is not avail/);
});
