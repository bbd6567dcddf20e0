/** Programs in processes of their own: the emulator reads its settings once a process. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');

/** What `code` prints as JSON with console.log; `ag` is the package. */
export function runProgram<T>(code: string, env: Record<string, string>): T {
  const script = `const ag = require(${JSON.stringify(join(root, 'lib', 'index'))});\n${code}`;
  const result = spawnSync(
    process.execPath,
    ['--expose-gc', '--require', 'tsx/cjs', '-e', script],
    {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    },
  );
  if (result.status !== 0) {
    throw new Error(`the program failed: ${result.stdout}\n${result.stderr}`);
  }
  return JSON.parse(result.stdout) as T;
}
