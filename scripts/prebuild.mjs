// Writes prebuilds/<platform>-<arch>/ampgrad.node with prebuildify: stripped, for every Node
// version at once (Node-API), without downloads. OpenBLAS, which the addon opens on first use, and
// what it needs lie beside it. Then links the development build again, since prebuildify moves it
// away and a stale prebuild would be loaded in its place.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function run(script, options = []) {
  const child = spawnSync(process.execPath, [join(root, script), ...options], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PREBUILD_NODE_GYP: join(root, 'scripts', 'node-gyp-shim.mjs') },
  });
  if (child.status !== 0) process.exit(child.status ?? 1);
}

/** The serial OpenBLAS of the system: Debian keeps one for each architecture. */
function findOpenBlas() {
  const lib = '/usr/lib';
  const folders = readdirSync(lib).map((name) => join(lib, name, 'openblas-serial'));
  return folders.map((f) => join(f, 'libopenblas.so.0')).find((f) => existsSync(f));
}

/** Copies OpenBLAS and the parts of the Fortran runtime that it is linked with. */
function carryOpenBlas(target) {
  const openblas = findOpenBlas();
  if (openblas === undefined) {
    console.error('prebuild: libopenblas0-serial is not installed; run scripts/setup.sh');
    process.exit(1);
  }
  const needed = spawnSync('ldd', [openblas], { encoding: 'utf8' }).stdout;
  const files = [openblas];
  for (const [, path] of needed.matchAll(/=> (\S+\/lib(?:gfortran|quadmath)\.so\.\d+)/g)) {
    files.push(path);
  }
  for (const file of files) {
    copyFileSync(realpathSync(file), join(target, file.slice(file.lastIndexOf('/') + 1)));
  }
}

run('scripts/clean.mjs', ['prebuilds']);
run('node_modules/prebuildify/bin.js', ['--napi', '--strip']);
if (process.platform === 'linux') {
  carryOpenBlas(join(root, 'prebuilds', `${process.platform}-${process.arch}`));
}
run('scripts/build-native.mjs');
