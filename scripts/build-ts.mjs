// Builds dist/: the compiler's CommonJS and types, namespaces that load on first use, ESM wrappers.
// Nothing is done where dist/ is what the last build left and what it was made of is the same:
// setup, tests and packing ask for it one after another. build/dist.stamp holds a hash of both.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'build', 'dist.stamp');
const steps = [
  ['scripts/clean.mjs', 'dist'],
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
  ['scripts/lazy-build.mjs'],
  ['scripts/build-esm.mjs'],
];
// The types of packages count by the lock file.
const inputs = [
  'lib',
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json',
  'package-lock.json',
  'scripts/build-ts.mjs',
  'scripts/lazy-build.mjs',
  'scripts/build-esm.mjs',
];

function* filesOf(path) {
  const folder = join(root, path);
  if (!existsSync(folder)) return;
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    const name = `${path}/${item.name}`;
    if (item.isDirectory()) yield* filesOf(name);
    else yield name;
  }
}

/** Of the names and the contents of files and folders. */
function hashOf(paths) {
  const files = paths.flatMap((path) => (/\.\w+$/.test(path) ? [path] : [...filesOf(path)]));
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const text = readFileSync(join(root, file));
    hash.update(`${file}\0${text.length}\0`).update(text);
  }
  return hash.digest('hex');
}

const before = hashOf(inputs);
const built = `${before} ${hashOf(['dist'])}\n`;
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === built) {
  console.log('build:ts: dist is up to date');
} else {
  rmSync(stamp, { force: true });
  for (const [script, ...options] of steps) {
    const { status } = spawnSync(process.execPath, [join(root, script), ...options], {
      cwd: root,
      stdio: 'inherit',
    });
    if (status !== 0) process.exit(status ?? 1);
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, `${before} ${hashOf(['dist'])}\n`);
}
