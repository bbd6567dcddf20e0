// Full-size golden tests: makes dumps of the published sizes with PyTorch, torchvision and
// transformers, one model after the other, compares the models with them and prints the largest
// differences. `npm run golden:full -- --python PATH [--models resnet18,gpt2]`; with --out DIR the
// dumps (4 GB for all) are kept there and used again, otherwise each goes when it was compared.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// What makes the dump, the file and the name of its tests.
const models = {
  resnet18: ['make_vision.py', 'vision', 'ResNet with basic blocks follows .*, full'],
  resnet50: ['make_vision.py', 'vision', 'ResNet with bottlenecks follows .*, full'],
  vit: ['make_vision.py', 'vision', 'ViT follows .*, full'],
  gpt2: ['make_text.py', 'gpt2', 'GPT-2, full'],
  bert_classify: ['make_text.py', 'bert', 'classification follows .*, full'],
  bert_masked: ['make_text.py', 'bert', 'masked tokens follow .*, full'],
};

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    out: { type: 'string' },
    models: { type: 'string', default: Object.keys(models).join() },
  },
});
const names = values.models.split(',');
for (const name of names) {
  if (Object.hasOwn(models, name)) continue;
  console.error(`golden:full: unknown model '${name}' (models are ${Object.keys(models).join()})`);
  process.exit(1);
}
const out = values.out ?? mkdtempSync(join(tmpdir(), 'ampgrad-golden-'));
const temporary = mkdtempSync(join(tmpdir(), 'ampgrad-report-'));

function run(command, args, env = {}) {
  const child = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (child.error !== undefined) console.error(`golden:full: ${child.error.message}`);
  if (child.status !== 0) process.exitCode = 1;
  return child.status === 0;
}

/** The largest difference of each kind. */
function summary(report) {
  const largest = {};
  for (const line of readFileSync(report, 'utf8').trim().split('\n')) {
    const { what, value } = JSON.parse(line);
    largest[what] = Math.max(largest[what] ?? 0, value);
  }
  return Object.entries(largest).map(([what, value]) => `${what} ${value.toExponential(1)}`);
}

function compare(name) {
  const [script, file, tests] = models[name];
  const dump = join(out, `${name}.safetensors`);
  const made = join('test/golden/models', script);
  const make = [made, '--full', '--out', out, '--only', name];
  if (!existsSync(dump) && !run(values.python, make)) return `${name}: no dump could be made`;
  const report = join(temporary, name);
  const args = ['jest', `test/models/${file}`, '--runInBand', '--testTimeout=1800000', '-t', tests];
  const passed = run('npx', args, { AMPGRAD_GOLDEN_FULL: out, AMPGRAD_GOLDEN_REPORT: report });
  if (values.out === undefined) rmSync(dump, { force: true });
  const found = existsSync(report) ? summary(report).join(', ') : 'nothing was compared';
  return `${name}: ${passed ? 'passed' : 'FAILED'}; ${found}`;
}

try {
  mkdirSync(out, { recursive: true });
  console.log(names.map(compare).join('\n'));
} finally {
  rmSync(temporary, { recursive: true });
  if (values.out === undefined) rmSync(out, { recursive: true });
}
