#!/usr/bin/env node
// Stands in for node-gyp under prebuildify (PREBUILD_NODE_GYP): a Node-API addon needs none of
// the headers node-gyp downloads, so a rebuild is the CMake build and nothing else.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const scripts = dirname(fileURLToPath(import.meta.url));
const options = process.argv.slice(2);
if (options[0] !== 'rebuild') {
  console.error(`node-gyp-shim: only 'rebuild' is known, got '${options[0]}'`);
  process.exit(1);
}
const arch = options.find((option) => option.startsWith('--arch='))?.slice('--arch='.length);
if (arch !== undefined && arch !== process.arch) {
  console.error(`node-gyp-shim: cannot build for ${arch} on ${process.arch}`);
  process.exit(1);
}
if (options.includes('--debug')) {
  console.error('node-gyp-shim: prebuilds are release builds');
  process.exit(1);
}
rmSync(join(dirname(scripts), 'build', 'Release'), { recursive: true, force: true });
const build = spawnSync(process.execPath, [join(scripts, 'build-native.mjs')], {
  stdio: 'inherit',
});
process.exit(build.status ?? 1);
