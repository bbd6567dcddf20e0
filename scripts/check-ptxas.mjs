// Reads what ptxas reported of each unit (*.ptxas beside the objects of build-cuda, see
// keep-ptxas.sh) and fails when a kernel of native/backend/cuda/hot_kernels.txt spills registers or
// uses local memory on one of the architectures, or when a listed kernel was not compiled. A line of
// the list is a kernel's name; instances for the types named after it with ! are left out.
// Usage: node scripts/check-ptxas.mjs [--arch=75,90] [--list=FILE] [FOLDER]
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const options = {
  arch: '75,90',
  list: join(root, 'native/backend/cuda/hot_kernels.txt'),
  folder: join(root, 'build-cuda'),
};
for (const argument of process.argv.slice(2)) {
  const option = /^--(arch|list)=(.+)$/.exec(argument);
  if (option) options[option[1]] = option[2];
  else options.folder = argument;
}

/** The function's own name in a mangled one: the last part of the nested name. */
function nameOf(mangled) {
  let rest = mangled.replace(/^_ZN?/, '');
  let name = mangled;
  for (let part = /^(\d+)/.exec(rest); part; part = /^(\d+)/.exec(rest)) {
    const start = part[1].length;
    const length = Number(part[1]);
    name = rest.slice(start, start + length);
    rest = rest.slice(start + length);
  }
  return name;
}

/** Every kernel of a report: name, architecture, registers, bytes of stack and of spills. */
function parse(text) {
  const kernels = [];
  let kernel = null;
  let inKernel = false;
  for (const line of text.split('\n')) {
    const entry = /Compiling entry function '(\S+)' for '(sm_\d+)\w*'/.exec(line);
    if (entry) {
      kernel = { mangled: entry[1], name: nameOf(entry[1]), arch: entry[2] };
      Object.assign(kernel, { registers: 0, stack: 0, stores: 0, loads: 0 });
      kernels.push(kernel);
    }
    // Functions that a kernel calls have properties of their own.
    const of = /Function properties for (\S+)/.exec(line);
    if (of) inKernel = kernel !== null && of[1] === kernel.mangled;
    const frame = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(
      line,
    );
    if (frame && inKernel) {
      [kernel.stack, kernel.stores, kernel.loads] = frame.slice(1).map(Number);
    }
    const used = /Used (\d+) registers/.exec(line);
    if (used && kernel !== null) kernel.registers = Number(used[1]);
  }
  return kernels;
}

function reports(folder) {
  return readdirSync(folder, { recursive: true })
    .map((file) => join(folder, String(file)))
    .filter((file) => file.endsWith('.ptxas'));
}

const hot = readFileSync(options.list, 'utf8')
  .split('\n')
  .map((line) => line.replace(/#.*/, '').trim())
  .filter((line) => line !== '')
  .map((line) => {
    const [name, ...types] = line.split(/\s+/);
    return { name, except: types.map((type) => `${type.length - 1}${type.slice(1)}E`) };
  });
const hotNames = new Set(hot.map(({ name }) => name));
const archs = options.arch.split(',').map((arch) => `sm_${arch}`);
const kernels = reports(options.folder).flatMap((file) => parse(readFileSync(file, 'utf8')));
const problems = [];
let checked = 0;
let spilling = 0;
for (const arch of archs) {
  const compiled = kernels.filter((kernel) => kernel.arch === arch);
  for (const { name, except } of hot) {
    const instances = compiled.filter(
      (kernel) => kernel.name === name && !except.some((type) => kernel.mangled.includes(type)),
    );
    if (instances.length === 0) problems.push(`${name} was not compiled for ${arch}`);
    checked += instances.length;
    for (const k of instances) {
      if (k.stack === 0 && k.stores === 0 && k.loads === 0) continue;
      problems.push(
        `${name} on ${arch}: ${k.stack} bytes of stack, spills ${k.stores} bytes ` +
          `(${k.registers} registers): ${k.mangled}`,
      );
    }
  }
  spilling += compiled.filter((k) => !hotNames.has(k.name) && k.stores > 0).length;
}
for (const problem of problems) console.error(`check-ptxas: ${problem}`);
console.log(
  `check-ptxas: ${checked} instances of ${hot.length} hot kernels on ${archs.join(', ')}, ` +
    `${problems.length} problems; ${spilling} other kernels spill`,
);
if (problems.length > 0) process.exitCode = 1;
