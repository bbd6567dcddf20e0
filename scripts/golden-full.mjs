// Full-size golden tests: makes dumps of the published sizes with PyTorch, torchvision and
// transformers, then compares the models with them. `npm run golden:full -- --python PATH`; with
// --out DIR the dumps (about 8 GB) are kept there and used again.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    out: { type: 'string' },
    only: { type: 'string' },
  },
});
const out = values.out ?? mkdtempSync(join(tmpdir(), 'ampgrad-golden-'));

function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status !== 0) process.exitCode = status ?? 1;
  return status === 0;
}

try {
  mkdirSync(out, { recursive: true });
  const scripts = [
    ['make_vision.py', 'vit'],
    ['make_text.py', 'bert_masked'],
  ];
  const made = scripts.every(
    ([script, last]) =>
      existsSync(join(out, `${last}.safetensors`)) ||
      run(values.python, [join('test/golden/models', script), '--full', '--out', out]),
  );
  const filter = values.only === undefined ? [] : ['-t', values.only];
  if (made) {
    const args = ['jest', 'test/models', '--runInBand', '--testTimeout=1800000', ...filter];
    run('npx', args, { AMPGRAD_GOLDEN_FULL: out });
  }
} finally {
  if (values.out === undefined) rmSync(out, { recursive: true });
}
