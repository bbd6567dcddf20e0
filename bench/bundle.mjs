// Makes one plain JavaScript file of each program of the benchmark, on the built package instead of
// lib/: a loader of TypeScript would count in its memory, and its modules make calls slower.
// The files go to build/bench, as deep as their sources are, for paths from __dirname.
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const programs = ['run.ts', 'memoryProcess.ts', 'workloads/mnist.ts'];

await build({
  entryPoints: programs.map((program) => join(root, 'bench', program)),
  outdir: join(root, 'build/bench'),
  entryNames: '[name]',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'error',
  plugins: [
    {
      name: 'built-package',
      setup({ onResolve }) {
        onResolve({ filter: /\/lib$/ }, ({ path, resolveDir }) =>
          resolve(resolveDir, path) === resolve(root, 'lib')
            ? { path: root, external: true }
            : undefined,
        );
      },
    },
  ],
});
