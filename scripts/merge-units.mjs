// Puts C++ units that share no name into one file, so that clang-tidy (tidy-native.sh) reads their
// headers, most of its time, once. Two units go together when both are compiled by the same
// flags and no name that one of them declares at namespace scope occurs in the other. Then neither
// file-local names clash, nor does the analyzer follow a call from one into the other, and it finds
// what it finds in each alone. Constants like kGrain get a number instead: many units have one.
// Usage: node scripts/merge-units.mjs DATABASE FOLDER < units. Writes the units of file n to
// FOLDER/<n>.units, where there are several FOLDER/<n>.cpp and its entry of
// FOLDER/compile_commands.json, and prints the numbers, the largest first.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [database, folder] = process.argv.slice(2);
const largestFile = 80_000; // bytes of a merged file: enough of them to keep every core busy

/** The code without comments, and with empty strings. */
function withoutText(code) {
  return code
    .replace(/R"\((?:[^)]|\)(?!"))*\)"|"(?:[^"\\\n]|\\.)*"|\/\*[^]*?\*\/|\/\/.*/g, (found) =>
      found.startsWith('/') ? ' ' : '""',
    )
    .replace(/'(?:[^'\\\n]|\\.)'/g, '0');
}

/** Text at namespace scope, one piece a declaration, without bodies and initializers. */
function declarations(code) {
  const found = [];
  let piece = '';
  let braces = 0;
  let parentheses = 0;
  for (const c of code) {
    const outside = braces === 0 && parentheses === 0;
    if (outside && c === '{' && /\bnamespace(\s+[\w:]+)?\s*$/.test(piece)) piece = '';
    else if (outside && c === '}') piece = '';
    else {
      if (braces === 0) piece += c;
      if (c === '(') ++parentheses;
      if (c === ')') --parentheses;
      if (c === '{') ++braces;
      if (c === '}') --braces;
      if (braces > 0 || parentheses > 0 || !(c === ';' || c === '}')) continue;
      found.push(piece.trim());
      piece = '';
    }
  }
  return found;
}

/** The name that a declaration is for, with its qualification; undefined when there is none. */
function nameOf(declaration) {
  const plain = declaration.replace(/^template\s*<[^{]*?>\s*(?=\w)/, '');
  if (/^(static_assert|using\s+namespace)\b/.test(plain)) return undefined;
  const type = /^(?:using|struct|class|union|enum(?:\s+class)?)\s+([\w:]+)/.exec(plain);
  if (type) return type[1];
  const front = plain.replace(/\bauto\s*\[/, '').split(/[({=;]|\[(?!\[)/, 1)[0];
  return /([\w:~]+)\s*(?:<[^<>]*>\s*)?$/.exec(front)?.[1];
}

function read(file) {
  const text = readFileSync(join(root, file), 'utf8');
  const code = withoutText(text);
  const macros = [...code.matchAll(/^[ \t]*#[ \t]*define[ \t]+(\w+)/gm)].map((m) => m[1]);
  const names = declarations(code.replace(/^[ \t]*#.*(?:\\\n.*)*$/gm, '')).map(nameOf);
  // Members are called by an object or by their class; the rest stands alone or in a namespace.
  const own = new Set(macros);
  const members = new Set();
  const constants = new Set();
  for (const name of names.filter((n) => n !== undefined)) {
    const last = name.slice(name.lastIndexOf(':') + 1);
    if (last !== name) members.add(last);
    else if (/^k[A-Z]/.test(name)) constants.add(name);
    else own.add(name);
  }
  for (const [, name] of code.matchAll(/\busing\s+[\w:]+::(\w+);/g)) own.add(name);
  const member = /(?:\.|->|[A-Z]\w*(?:<[^<>]*>)?::)\s*(\w+)/g;
  return {
    file,
    text,
    own,
    members,
    constants,
    uses: new Set(code.replace(member, ' ').match(/\b[A-Za-z_]\w*\b(?!\s*::)/g)),
    usedMembers: new Set([...code.matchAll(member)].map((m) => m[1])),
  };
}

function meets(a, b) {
  for (const name of a.own) if (b.uses.has(name)) return true;
  for (const name of a.members) if (b.usedMembers.has(name) || b.uses.has(name)) return true;
  return false;
}

/** The text of a unit that goes into file n at place i. */
function numbered({ text, constants }, i) {
  return text.replace(/\bk[A-Z]\w*\b/g, (name) => (constants.has(name) ? `${name}_${i}` : name));
}

const flags = new Map();
for (const { file, command, directory } of JSON.parse(readFileSync(database, 'utf8'))) {
  const name = relative(root, resolve(directory, file));
  if (!flags.has(name)) flags.set(name, command.replace(/ -o \S+ -c \S+$/, ''));
}

const units = readFileSync(0, 'utf8').trim().split('\n').map(read);
const groups = [];
for (const unit of units.sort((a, b) => b.text.length - a.text.length)) {
  const command = flags.get(unit.file);
  const fits = (group) =>
    group.command === command &&
    group.size + unit.text.length <= largestFile &&
    !group.units.some((other) => meets(unit, other) || meets(other, unit));
  // A unit that the database lacks is read alone, by clang-tidy's guess of its flags.
  let group = command === undefined ? undefined : groups.find(fits);
  if (group === undefined) groups.push((group = { command, size: 0, units: [] }));
  group.units.push(unit);
  group.size += unit.text.length;
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
groups.sort((a, b) => b.size - a.size);
const entries = [];
groups.forEach(({ command, units }, n) => {
  writeFileSync(`${folder}/${n}.units`, units.map((unit) => `${unit.file}\n`).join(''));
  if (units.length === 1) return;
  const file = `${resolve(folder)}/${n}.cpp`;
  writeFileSync(file, units.map((unit, i) => numbered(unit, i)).join('\n'));
  entries.push({ file, command: `${command} -c ${file}`, directory: dirname(resolve(database)) });
});
writeFileSync(`${folder}/compile_commands.json`, JSON.stringify(entries, null, 1));
console.log(groups.map((_, n) => n).join('\n'));
