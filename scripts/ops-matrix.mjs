// The support matrix: every op of the table by dtype and device. Prints it; --write puts it into
// docs/ops-matrix.md, --check compares that file with the built addon.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = join(root, 'docs', 'ops-matrix.md');
const addon = createRequire(import.meta.url)('node-gyp-build')(root);

const columns = {
  bool: 'b8',
  uint8: 'u8',
  int8: 'i8',
  int16: 'i16',
  int32: 'i32',
  int64: 'i64',
  float16: 'f16',
  bfloat16: 'bf16',
  float32: 'f32',
  float64: 'f64',
};
const dtypes = Object.keys(columns);
const devices = ['cpu', 'cuda'].filter((device) => addon.opSchemas().some((s) => device in s));

/** K: a kernel of this device; c: made of other ops; -: refused with ERR_DTYPE. */
function cell(schema, device, dtype) {
  if (!schema.dtypes.includes(dtype)) return '-';
  const kernels = schema[device];
  if (schema.cpu.length === 0) return 'c';
  return kernels.includes(dtype) ? 'K' : '-';
}

const gradients = { yes: 'yes', no: 'no', composite: 'through' };

function row(schema, device) {
  return [
    `\`${schema.name}\``,
    ...dtypes.map((dtype) => cell(schema, device, dtype)),
    gradients[schema.differentiable],
    schema.inplace === 'no' ? '' : schema.inplace,
    schema.autocast[device] === 'none' ? '' : schema.autocast[device],
  ];
}

function line(cells) {
  return `| ${cells.join(' | ')} |`;
}

function matrix() {
  const schemas = [...addon.opSchemas()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const head = ['op', ...Object.values(columns), 'gradient', 'in place', 'autocast'];
  const out = [
    '# Support matrix',
    '',
    '<!-- Written by `npm run ops -- --write` from the op table of the built addon. -->',
    '',
    `${String(schemas.length)} rows of the op table (aliases are not rows). The dtype is that of the main`,
    'input after promotion: an integer input of a float op is promoted first.',
    '',
    '- **K**: a kernel of the device. **c**: made of other ops, whose rows say more. **-**: `ERR_DTYPE`.',
    '- gradient: **yes**: a formula of its own, **through**: by the ops it is made of, **no**: none, as in PyTorch.',
    '- in place: **yes**: also with a trailing underscore, **only**: only so.',
    "- autocast: what an autocast region does with it (docs/amp.md); empty: the inputs' own dtypes.",
  ];
  for (const device of devices) {
    out.push('', `## ${device}`, '', line(head), line(head.map(() => '---')));
    for (const schema of schemas) out.push(line(row(schema, device)));
  }
  return `${out.join('\n')}\n`;
}

const text = matrix();
const mode = process.argv[2];
if (mode === '--write') writeFileSync(target, text);
else if (mode === '--check') {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('docs/ops-matrix.md is out of date: run `npm run ops -- --write`');
    process.exitCode = 1;
  }
} else if (mode === undefined) process.stdout.write(text);
else {
  console.error(`ops-matrix: unknown argument '${mode}' (--write, --check)`);
  process.exitCode = 2;
}
