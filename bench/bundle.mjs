// Makes one plain JavaScript file of a program of the benchmark, on the built package instead of
// lib/: a loader of TypeScript would count in its memory and its time.
// Usage: node bench/bundle.mjs PROGRAM OUTPUT
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [program, outfile] = process.argv.slice(2);

await build({
  entryPoints: [program],
  outfile,
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
