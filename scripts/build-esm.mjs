// Writes dist/esm: one thin ESM wrapper a public entry, which imports the CommonJS build and
// exports each of its names. Both module systems so share one addon and one Tensor class.
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

/** Names of an entry's exports that exist at run time. */
function valueNames(checker, file) {
  const module = checker.getSymbolAtLocation(file);
  const names = [];
  for (const symbol of checker.getExportsOfModule(module)) {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    const target = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
    if ((target.flags & ts.SymbolFlags.Value) === 0 || isTypeOnly(symbol)) continue;
    names.push(symbol.name);
  }
  return names.sort();
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
    const names = valueNames(checker, program.getSourceFile(sources[i]));
    const target = `../cjs/${entry.cjs}.js`;
    const lines = names.map((name, k) => `const e${k} = cjs[${JSON.stringify(name)}];`);
    const list = names.map((name, k) => `  e${k} as ${name},`);
    const body = [`import cjs from '${target}';`, ...lines, 'export {', ...list, '};', ''];
    writeFileSync(join(out, `${entry.name}.mjs`), body.join('\n'));
    writeFileSync(join(out, `${entry.name}.d.mts`), `export * from '${target}';\n`);
  });
}

const entries = findEntries();
if (process.argv.includes('--check')) check(entries);
else write(entries);
