// Writes dist/esm: one thin ESM wrapper a public entry, which imports the CommonJS build and
// exports each of its names. Both module systems so share one addon and one Tensor class. Between
// the two stands a file that hides the build from Node, which would look for names in all of it
// before it runs, a fifth of the time an import takes. What the root exports is loaded on first use
// here too: until then a namespace such as `nn` is an object of getters, and a function one that
// calls it; the first use puts what they stand for in their place.
// The names come from the type checker, so the addon need not be built.
// With --check it writes nothing and verifies that package.json lists every entry of lib/.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ts = createRequire(import.meta.url)('typescript');
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lib = join(root, 'lib');

/** Public entries: the root index and each folder of lib that has an index of its own. */
function findEntries() {
  const entries = [];
  if (existsSync(join(lib, 'index.ts'))) {
    entries.push({ name: 'index', subpath: '.', source: 'index.ts', cjs: 'index' });
  }
  for (const item of readdirSync(lib, { withFileTypes: true })) {
    const source = join(item.name, 'index.ts');
    if (!item.isDirectory() || !existsSync(join(lib, source))) continue;
    const { name } = item;
    entries.push({ name, subpath: `./${name}`, source, cjs: `${name}/index` });
  }
  return entries;
}

/** How package.json must export an entry. */
function expectedExport({ name, cjs }) {
  return {
    import: { types: `./dist/esm/${name}.d.mts`, default: `./dist/esm/${name}.mjs` },
    require: { types: `./dist/cjs/${cjs}.d.ts`, default: `./dist/cjs/${cjs}.js` },
  };
}

function check(entries) {
  const declared = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports;
  const problems = [];
  for (const entry of entries) {
    if (JSON.stringify(declared[entry.subpath]) !== JSON.stringify(expectedExport(entry))) {
      problems.push(`package.json: exports['${entry.subpath}'] does not match lib/${entry.source}`);
    }
  }
  for (const subpath of Object.keys(declared)) {
    if (subpath === './package.json') continue;
    if (!entries.some((entry) => entry.subpath === subpath)) {
      problems.push(`package.json: exports['${subpath}'] has no index.ts in lib/`);
    }
  }
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exit(1);
}

function isTypeOnly(symbol) {
  return (symbol.declarations ?? []).some(
    (declaration) => declaration.isTypeOnly || declaration.parent?.parent?.isTypeOnly,
  );
}

/** Exports that exist at run time, by their name: 'function', 'value', or the names in a namespace. */
function valueExports(checker, module) {
  const values = new Map();
  for (const symbol of checker.getExportsOfModule(module)) {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    const target = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
    if ((target.flags & ts.SymbolFlags.Value) === 0 || isTypeOnly(symbol)) continue;
    const is = (flag) => (target.flags & flag) !== 0;
    const isModule = is(ts.SymbolFlags.ValueModule);
    const kind = is(ts.SymbolFlags.Function) ? 'function' : 'value';
    values.set(symbol.name, isModule ? [...valueExports(checker, target).keys()] : kind);
  }
  return new Map([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** lib/lazy.ts reads the symbol. */
const helpers = `function lazy(names, load) {
  const namespace = {};
  for (const name of names) {
    Object.defineProperty(namespace, name, { enumerable: true, get: () => load()[name] });
  }
  return namespace;
}
function late(name, load) {
  const { [name]: fn } = { [name]() { return load().apply(this, arguments); } };
  return Object.defineProperty(fn, Symbol.for('ampgrad.standsFor'), { value: load });
}
`;

/** The statement that binds `variable` to an export, until its first use to what loads it. */
function binding(variable, name, kind) {
  const value = `cjs[${JSON.stringify(name)}]`;
  if (kind === 'value') return `const ${variable} = ${value};`;
  const [make, what] = kind === 'function' ? ['late', name] : ['lazy', kind];
  return `let ${variable} = ${make}(${JSON.stringify(what)}, () => (${variable} = ${value}));`;
}

/** The wrapper of an entry; `build` is the CommonJS file that has its values. */
function wrapper(build, values, lazily) {
  const lines = [`import cjs from '${build}';`];
  if (lazily) lines.push(helpers);
  const names = [...values.keys()];
  names.forEach((name, k) => {
    lines.push(binding(`e${k}`, name, lazily ? values.get(name) : 'value'));
  });
  const list = names.map((name, k) => `  e${k} as ${name},`);
  return [...lines, 'export {', ...list, '};', ''].join('\n');
}

function write(entries) {
  const configPath = join(root, 'tsconfig.build.json');
  const { config } = ts.readConfigFile(configPath, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const sources = entries.map((entry) => join(lib, entry.source));
  const program = ts.createProgram(sources, options);
  const checker = program.getTypeChecker();
  const out = join(root, 'dist', 'esm');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  entries.forEach((entry, i) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(sources[i]));
    const target = `../cjs/${entry.cjs}.js`;
    const build = `./${entry.name}.cjs`;
    const text = wrapper(build, valueExports(checker, module), entry.subpath === '.');
    writeFileSync(join(out, `${entry.name}.mjs`), text);
    const shim = `const build = require('${target}');\nmodule.exports = build;\n`;
    writeFileSync(join(out, build), shim);
    writeFileSync(join(out, `${entry.name}.d.mts`), `export * from '${target}';\n`);
  });
}

const entries = findEntries();
if (process.argv.includes('--check')) check(entries);
else write(entries);
