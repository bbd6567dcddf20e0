// Removes build outputs: the folders named, or all of them.
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const outputs = [
  'build',
  'build-cmake',
  'build-cuda',
  'build-cmake-sanitize',
  'build-sanitize',
  'build-cmake-lint',
  'coverage',
  'dist',
  'prebuilds',
];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const named = process.argv.slice(2);
for (const folder of named.length > 0 ? named : outputs) {
  if (!outputs.includes(folder)) throw new Error(`clean: '${folder}' is not a build output`);
  rmSync(join(root, folder), { recursive: true, force: true });
}
