// Builds the addon with CMake through cmake-js: configure once into build-cmake/, then build
// incrementally. The addon lands in build/Release/ampgrad.node, where node-gyp-build looks.
// Usage: node scripts/build-native.mjs [--config=Debug] [--out=FOLDER] [--target=NAME] [-DNAME=VALUE ...]
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { BuildSystem } = createRequire(import.meta.url)('cmake-js');
const root = dirname(dirname(fileURLToPath(import.meta.url)));
let out = join(root, 'build-cmake');

const cMakeOptions = {};
let config = 'Release';
let target;
for (const argument of process.argv.slice(2)) {
  const define = /^-D(\w+)=(.*)$/.exec(argument);
  if (define) cMakeOptions[define[1]] = define[2];
  else if (argument.startsWith('--out=')) out = join(root, argument.slice('--out='.length));
  else if (argument.startsWith('--target=')) target = argument.slice('--target='.length);
  else if (argument.startsWith('--config=')) config = argument.slice('--config='.length);
  else throw new Error(`build-native: unknown argument '${argument}'`);
}

const system = new BuildSystem({
  directory: root,
  out,
  config,
  target,
  cMakeOptions,
  generator: process.platform === 'win32' ? undefined : 'Ninja',
  parallel: Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL) || availableParallelism(),
  noLog: true,
});

try {
  // cmake-js configures only when the cache is missing: new definitions, and a folder whose first
  // configure failed, need it too.
  const configured = existsSync(join(out, 'build.ninja')) || process.platform === 'win32';
  if (!configured || Object.keys(cMakeOptions).length > 0) await system.configure();
  await system.build();
} catch (error) {
  console.error(`build-native: ${error.message}`);
  process.exitCode = 1;
}
