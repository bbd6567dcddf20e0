// Writes prebuilds/<platform>-<arch>/ampgrad.node with prebuildify: stripped, for every Node
// version at once (Node-API), without downloads. Then links the development build again, since
// prebuildify moves it away and a stale prebuild would be loaded in its place.
import { spawnSync } from 'node:child_process';
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

run('scripts/clean.mjs', ['prebuilds']);
run('node_modules/prebuildify/bin.js', ['--napi', '--strip']);
run('scripts/build-native.mjs');
