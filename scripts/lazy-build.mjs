// Part of the build: makes modules of dist/cjs load on first use (lib/lazy.ts says why and how). The
// sources export and declare everything at once, for types and tests; here the names are read from
// them: what index.ts and ops.gen.ts export, each by the module that defines it, and the members
// that modules declare for Tensor. index.js and ops.gen.js become tables of names, and tensor.js
// gets one of members.
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ts = createRequire(import.meta.url)('typescript');
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lib = join(root, 'lib');
const dist = join(root, 'dist/cjs');

const configPath = join(root, 'tsconfig.build.json');
const { config } = ts.readConfigFile(configPath, ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
const program = ts.createProgram([join(lib, 'index.ts')], options);
const checker = program.getTypeChecker();

/** './nn' for lib/nn/index.ts, './tensor' for lib/tensor.ts. */
function pathOf(file) {
  const path = relative(lib, file.fileName).replaceAll('\\', '/');
  return `./${path.replace(/(\/index)?\.ts$/, '')}`;
}

function resolved(symbol) {
  const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
  return isAlias ? checker.getAliasedSymbol(symbol) : symbol;
}

function isTypeOnly(symbol) {
  return (symbol.declarations ?? []).some(
    (declaration) => declaration.isTypeOnly || declaration.parent?.parent?.isTypeOnly,
  );
}

/** The module that defines what a symbol stands for, and by which name; `*` is the module itself. */
function origin(symbol) {
  const target = resolved(symbol);
  if ((target.flags & ts.SymbolFlags.ValueModule) !== 0) {
    return { path: pathOf(target.declarations[0]), name: '*' };
  }
  const file = target.declarations[0].getSourceFile();
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(file));
  const own = exported.find((item) => resolved(item) === target);
  if (own === undefined)
    throw new Error(`lazy-build: ${pathOf(file)} does not export ${symbol.name}`);
  return { path: pathOf(file), name: own.name };
}

function add(table, path, item) {
  if (table.has(path)) table.get(path).push(item);
  else table.set(path, [item]);
}

function exportsOf(source) {
  const table = new Map();
  const module = checker.getSymbolAtLocation(program.getSourceFile(join(lib, source)));
  for (const symbol of checker.getExportsOfModule(module)) {
    if ((resolved(symbol).flags & ts.SymbolFlags.Value) === 0 || isTypeOnly(symbol)) continue;
    const { path, name } = origin(symbol);
    add(table, path, name === symbol.name ? name : `${symbol.name}=${name}`);
  }
  return table;
}

const memberName = (name) => (ts.isComputedPropertyName(name) ? '@@iterator' : name.text);

/** Names that a module declares for Tensor in `declare module './tensor'`. */
function membersOf(file) {
  const names = new Set();
  for (const statement of file.statements) {
    if (!ts.isModuleDeclaration(statement) || !statement.name.text.endsWith('/tensor')) continue;
    for (const declaration of statement.body.statements) {
      for (const { name } of declaration.members) names.add(memberName(name));
    }
  }
  return names;
}

/** Members of tensors by module; one that a generated module declares too is defined by hand. */
function members() {
  const owners = new Map();
  const files = program.getSourceFiles().filter((file) => file.fileName.startsWith(`${lib}/`));
  const generated = (file) => file.fileName.endsWith('.gen.ts');
  files.sort((a, b) => Number(generated(b)) - Number(generated(a)));
  for (const file of files) for (const name of membersOf(file)) owners.set(name, pathOf(file));
  const table = new Map();
  for (const [name, path] of owners) add(table, path, name);
  return table;
}

function text(table) {
  const names = [...table].map(([path, list]) => [path, list.join(' ')]);
  return JSON.stringify(Object.fromEntries(names), null, 2);
}

for (const source of ['index', 'ops.gen']) {
  const lines = [
    '"use strict";',
    'Object.defineProperty(exports, "__esModule", { value: true });',
    `require("./lazy").lazyExports(exports, require, ${text(exportsOf(`${source}.ts`))});`,
    '',
  ];
  writeFileSync(join(dist, `${source}.js`), lines.join('\n'));
}
appendFileSync(
  join(dist, 'tensor.js'),
  `require("./lazy").lazyMembers(Tensor.prototype, require, ${text(members())});\n`,
);

/**
 * Makes a module require what it imports when it first reads a name of it: what comes with Node, some
 * of which takes milliseconds to load, everywhere; in lib/files, of which the root needs one class,
 * everything. Only for imports without effects of their own. Lines stay where they are, and
 * the parentheses keep `new a.B()` what it is.
 */
function requireLate(file, late) {
  const imports = /^const (\w+) = require\("([^"]+)"\);$/gm;
  const before = readFileSync(file, 'utf8');
  const variables = [];
  let after = before.replace(imports, (line, variable, path) => {
    if (!late(path)) return line;
    variables.push(variable);
    return `let $${variable}; const ${variable} = () => ($${variable} ??= require("${path}"));`;
  });
  for (const variable of variables) {
    after = after.replaceAll(new RegExp(`(?<![\\w$.])${variable}\\.`, 'g'), `(${variable}()).`);
    const rest = after
      .replaceAll(`(${variable}()).`, '')
      .replaceAll(`const ${variable} = () =>`, '');
    if (new RegExp(`(?<![\\w$])${variable}\\b`).test(rest))
      throw new Error(`lazy-build: ${file} uses ${variable} as a whole`);
  }
  if (after !== before) writeFileSync(file, after);
}

for (const item of readdirSync(dist, { recursive: true })) {
  if (!item.endsWith('.js')) continue;
  const everything = /^files[\\/]/.test(item);
  requireLate(join(dist, item), (path) => everything || path.startsWith('node:'));
}
