/**
 * The Node versions a test can run programs under: this one, and those of test/runtimes. A version that is not there is named with the reason, so that nothing is skipped silently.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');

export interface Runtime {
  readonly name: string;
  readonly path: string;
}

function carried(major: number): Runtime | string {
  const name = `Node ${major}`;
  const path = join(root, 'test', 'runtimes', 'node_modules', `node${major}`, 'bin', 'node');
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `${name}: skipped, test/runtimes holds binaries for linux-x64 only`;
  }
  return existsSync(path) ? { name, path } : `${name}: skipped, ${path} is missing (npm run setup)`;
}

const found = [22, 24].map(carried);

export const runtimes: readonly Runtime[] = [
  { name: `Node ${process.versions.node}`, path: process.execPath },
  ...found.filter((r): r is Runtime => typeof r !== 'string'),
];

for (const reason of found) if (typeof reason === 'string') console.warn(reason);

/** Runs a program of test/ in a process of its own; returns the last object it prints, a line of JSON. */
export function runProgram<T>(runtime: Runtime, file: string, args: readonly string[] = []): T {
  const child = spawnSync(runtime.path, [file, ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (child.status !== 0) {
    const how = child.signal ?? `status ${String(child.status)}`;
    throw new Error(`${runtime.name} ${file} ended with ${how}\n${child.stdout}${child.stderr}`);
  }
  // Not just the last line of the output: V8 dumps the source of what terminate() interrupts while it
  // is compiled, in blocks that can cut a line in two. Programs that use it print to the other stream.
  const result = `${child.stdout}\n${child.stderr}`
    .split('\n')
    .filter((line) => line.startsWith('{"'))
    .at(-1);
  if (result === undefined) {
    throw new Error(`${runtime.name} ${file} printed no result\n${child.stdout}${child.stderr}`);
  }
  return JSON.parse(result) as T;
}
