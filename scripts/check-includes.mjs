// Checks the layers: which folder of native/ may include which headers, who may include system
// headers of Node-API and CUDA, that only lib/native.ts loads the addon, and file lengths.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const maxLines = 600;

// What a backend may know of ops/: the table, kernels and their parameters, not the public callers.
const kernelInterface =
  /^ops\/((op|op_id|kernels|params\w*|elementwise|\w+_params|op_table)\.(h|def)|table\/elementwise\.def)$/;
const mathCore = /^core\/(attrs|half|integer_cast|dtype|philox|macros)\.h$/;

// The first rule whose folder holds the file applies. Folders may always include themselves.
const layers = [
  { folder: 'core/', allowed: [] },
  { folder: 'math/', allowed: [mathCore] },
  { folder: 'ops/', allowed: [/^core\//] },
  { folder: 'autograd/', allowed: [/^core\//, /^ops\//] },
  { folder: 'amp/', allowed: [/^core\//, /^ops\//] },
  { folder: 'runtime/', allowed: [/^core\//, /^ops\//, /^autograd\//, /^amp\//] },
  { folder: 'backend/cuda/device/', allowed: [/^math\//, mathCore] },
  { folder: 'backend/cpu/', allowed: [/^core\//, /^math\//, kernelInterface] },
  { folder: 'backend/cuda/', allowed: [/^core\//, /^math\//, kernelInterface] },
  { folder: 'simt/', allowed: [/^core\/(half|macros)\.h$/] },
  {
    folder: 'binding/',
    allowed: [
      /^(core|ops|autograd|amp|runtime)\//,
      /^backend\/cpu\/(register|parallel|pixels)\.h$/,
      /^backend\/cuda\/register\.h$/,
    ],
  },
  { folder: 'tests/', allowed: [/./] },
];

const systemRules = [
  { header: /^(napi|node_api|js_native_api)/, folders: ['binding/'] },
  {
    header: /^(cuda|cublas|cudnn|nccl|curand|cooperative_groups)/,
    folders: ['backend/cuda/', 'simt/'],
  },
  { header: /^hwy\//, folders: ['backend/cpu/', 'math/'] },
];

const problems = [];

function* walk(folder) {
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    if (item.name === 'node_modules') continue;
    const path = join(folder, item.name);
    if (item.isDirectory()) yield* walk(path);
    else yield path;
  }
}

function filesUnder(folder) {
  try {
    return [...walk(join(root, folder))].map((path) => ({
      name: relative(root, path).replaceAll('\\', '/'),
      text: readFileSync(path, 'utf8'),
    }));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

function checkLocalInclude(file, where, header) {
  const layer = layers.find(({ folder }) => file.startsWith(folder));
  if (!layer) {
    problems.push(`${where}: native/${file} lies in no known layer`);
    return;
  }
  if (header.startsWith(layer.folder)) return;
  if (layer.allowed.some((rule) => rule.test(header))) return;
  problems.push(`${where}: ${layer.folder} must not include "${header}"`);
}

function checkSystemInclude(file, where, header) {
  for (const rule of systemRules) {
    if (!rule.header.test(header) || file.startsWith('tests/')) continue;
    if (rule.folders.some((folder) => file.startsWith(folder))) continue;
    problems.push(`${where}: <${header}> belongs to ${rule.folders.join(' and ')} only`);
  }
}

function checkNative({ name, text }) {
  if (!/\.(h|cpp|inc|cu|cuh|def)$/.test(name)) return;
  const file = name.slice('native/'.length);
  text.split('\n').forEach((line, i) => {
    const match = /^\s*#\s*include\s+([<"])([^>"]+)[>"]/.exec(line);
    if (!match) return;
    const isSystem = match[1] === '<' || systemRules.some((rule) => rule.header.test(match[2]));
    const check = isSystem ? checkSystemInclude : checkLocalInclude;
    check(file, `${name}:${i + 1}`, match[2]);
  });
  if (
    name.endsWith('.h') &&
    !text.includes('#pragma once') &&
    !text.includes('HWY_TARGET_TOGGLE')
  ) {
    problems.push(`${name}: #pragma once is missing`);
  }
}

function checkLib({ name, text }) {
  if (name === 'lib/native.ts') return;
  text.split('\n').forEach((line, i) => {
    if (/node-gyp-build|process\.dlopen|\.node['"`]/.test(line)) {
      problems.push(`${name}:${i + 1}: only lib/native.ts loads the addon`);
    }
  });
}

function checkLength({ name, text }) {
  if (!/\.(h|cpp|inc|cu|cuh|ts|mjs|js|py|sh)$/.test(name) || name.endsWith('.gen.ts')) return;
  const lines = text.split('\n').length - 1;
  if (lines > maxLines) problems.push(`${name}: ${lines} lines, more than ${maxLines}`);
}

const native = filesUnder('native');
const lib = filesUnder('lib');
native.forEach(checkNative);
lib.forEach(checkLib);
for (const file of [...native, ...lib]) checkLength(file);
for (const folder of ['test', 'examples', 'bench', 'scripts'])
  filesUnder(folder).forEach(checkLength);
for (const problem of problems) console.error(problem);
console.log(`check-includes: ${native.length + lib.length} files, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
