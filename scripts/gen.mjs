// Writes lib/ops from the op table of the built addon: one typed function an op, one Tensor method
// where PyTorch has one, option types; a module for each file of native/ops/table, which the build
// loads on first use (scripts/lazy-build.mjs). lib/ops.gen.ts exports them all; lib/linalg.gen.ts
// has the functions of the linalg namespace, whose rows are named linalgX. With --check it compares
// instead of writing.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as prettier from 'prettier';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = createRequire(import.meta.url)('node-gyp-build')(root);

// Rows that other rows and derivatives are made of; callOp still reaches them. feedForward, caught by
// its ending too, is written by hand in lib/nn/functional.
const internal =
  /(Backward|Forward|Step_)$|^(toCopy|asStridedView|multiTensorNorm|multiTensorScale_|truncDivide|geluTanh|luPermutation|euclideanDistance)$/;
// Functions that torch.Tensor does not have as methods (torch.nn.functional).
const functionOnly =
  /(Loss|Norm|Dropout|dropout)$|^(linear|bilinear|crossEntropy|embedding|oneHot|conv|(max|avg|lp|adaptive|fractional)\w*Pool|pad$|interpolate|scaledDot|binaryCrossEntropy|klDiv)/;
// Rows of torch.linalg: linalgSolve is linalg.solve.
const namespaced = /^linalg(?=[A-Z])/;
const shortName = (name) => {
  const rest = name.replace(namespaced, '');
  return rest === name ? name : rest[0].toLowerCase() + rest.slice(1);
};
// Written by hand in lib/functions, with overloads that a schema cannot express.
const byHand = new Set([
  'to',
  'slice',
  'index',
  'indexPut',
  'maxDim',
  'minDim',
  'median',
  'nanmedian',
  'medianDim',
  'nanmedianDim',
  'uniqueGroups',
  'var',
  'std',
  'varMean',
  'stdMean',
  'norm',
  'nonzero',
  'einsum',
  'tensordot',
  'gradient',
  'chainMatmul',
]);
// Methods that lib/functions defines over these, in more forms; their types are here all the same.
const methodByHand = new Set(['where', 'narrow']);
// Of one module.
const maxRows = 50;
// PyTorch's functions of `*tensors` take their tensors also one by one (lib/call.ts).
const variadic = new Set(['blockDiag', 'broadcastTensors', 'cartesianProd', 'meshgrid']);
const reserved = new Set(['var', 'in', 'with', 'new', 'delete', 'function', 'import']);

const typeOf = {
  Tensor: 'Tensor',
  'Tensor?': 'Tensor | null',
  'Tensor|Scalar': 'Tensor | Scalar',
  'Tensor|Scalar?': 'Tensor | Scalar | null',
  'Tensor[]': 'readonly Tensor[]',
  Scalar: 'Scalar',
  'Scalar?': 'Scalar | null',
  int: 'number',
  'int?': 'number | null',
  float: 'number',
  'float?': 'number | null',
  bool: 'boolean',
  'bool?': 'boolean | null',
  'int[]': 'number | readonly number[]',
  'int[]?': 'number | readonly number[] | null',
  'int[]|str': 'number | readonly number[] | string',
  'Scalar|str': 'Scalar | string',
  'Scalar|str?': 'Scalar | string | null',
  'float[]': 'number | readonly number[]',
  'float[]?': 'number | readonly number[] | null',
  str: 'string',
  'str?': 'string | null',
  ScalarType: 'DType',
  'ScalarType?': 'DType | null',
  'Device?': 'Device | null',
};

const capital = (name) => name[0].toUpperCase() + name.slice(1);
const safe = (name) => (reserved.has(name) ? `${name}_` : name);

function argument(a) {
  const type = typeOf[a.type];
  if (type === undefined) throw new Error(`gen: no TypeScript type for '${a.type}'`);
  return type;
}

function returnType(op) {
  switch (op.returns) {
    case 'Tensor':
      return 'Tensor';
    case 'Tensors':
      return `Named<[${op.returnNames.map((n) => `${safe(n)}: Tensor`).join(', ')}], { ${op.returnNames
        .map((n) => `readonly ${n}: Tensor`)
        .join('; ')} }>`;
    case 'Tensor[]':
      return 'Tensor[]';
    case 'bool':
      return 'boolean';
    case 'Scalar':
      return 'number';
    case 'int':
      return 'number';
    default:
      return 'void';
  }
}

function optionsType(op) {
  const named = op.args.filter((a) => !a.required || a.keywordOnly);
  const fields = named.map((a) =>
    a.required
      ? `readonly ${a.name}: ${argument(a)};`
      : `readonly ${a.name}?: ${argument(a)} | undefined;`,
  );
  if (op.factory) fields.push('readonly requiresGrad?: boolean | undefined;');
  return fields.length === 0 ? '' : `{ ${fields.join(' ')} }`;
}

/** Functions of torch, not of torch.nn.functional, write into a given tensor. */
function outType(op) {
  if (!op.out || functionOnly.test(op.name)) return '';
  if (op.returns === 'Tensor') return 'OutOption';
  return `OutsOption<readonly [${op.returnNames.map((n) => `${safe(n)}: Tensor`).join(', ')}]>`;
}

/** Parameter lists of an op's overloads, without the first `skip` arguments. */
function signatures(op, options, skip) {
  const positional = op.args.filter((a) => !a.keywordOnly).slice(skip);
  const required = positional.filter((a) => a.required);
  const show = (a) => `${safe(a.name)}: ${argument(a)}`;
  const mustName = op.args.some((a) => a.required && a.keywordOnly);
  const tail = options === '' ? [] : [`options${mustName ? '' : '?'}: ${options}`];
  const lists = [[...required.map(show), ...tail]];
  if (positional.length > required.length) {
    const all = positional.map((a, i) =>
      i <= required.length && !a.required && i === required.length
        ? `${safe(a.name)}: ${argument(a)} | undefined`
        : a.required
          ? show(a)
          : `${safe(a.name)}?: ${argument(a)}`,
    );
    lists.push([...all, ...tail]);
  }
  if (variadic.has(op.name)) {
    lists.push(['...tensors: Tensor[]']);
    if (options !== '') lists.push([`...args: [...tensors: Tensor[], options: ${options}]`]);
  }
  const last = positional[positional.length - 1];
  if (last?.type === 'int[]' && last.required) {
    const lead = required.slice(0, -1).map(show);
    lists.push([...lead, `...${safe(last.name)}: number[]`]);
    if (options !== '') {
      const types = required.slice(0, -1).map((a) => `${safe(a.name)}: ${argument(a)}`);
      lists.push([
        `...args: [${[...types, `...${safe(last.name)}: number[]`, `options: ${options}`].join(', ')}]`,
      ]);
    }
  }
  return lists.map((list) => `(${list.join(', ')})`);
}

function finish(op, call, self) {
  if (op.inplace === 'only')
    return `${call};\n  return ${self}${self === 'this' ? '' : ' as Tensor'};`;
  switch (op.returns) {
    case 'Tensor':
      return `return wrapOne(${call}, ${self});`;
    case 'Tensors':
      return `return wrapNamed(${call}, names_${op.name});`;
    case 'Tensor[]':
      return `return wrapList(${call});`;
    default:
      return `return ${call} as ${returnType(op)};`;
  }
}

/** The same for calls with nothing but a list of integers, also spread: zeros(2, 3), x.view(6). */
function listPath(op, names, self, fn) {
  const own = self === 'this' ? names.slice(1) : names;
  const last = op.args.filter((a) => !a.keywordOnly).at(-1);
  if (own.length !== 1 || !spreadsList(op) || safe(last.name) !== own[0]) return '';
  const call = `${fn}(${self === 'this' ? 'unwrap(this), ' : ''}list)`;
  return `const list = listOf(${own[0]}, more);\nif (list !== undefined) { ${finish(op, call, self)} }\n`;
}

/** Calls whose arguments are just what the schema requires skip the sorting of options. */
function fastPath(op, names, self, fn, inPlace) {
  const required = op.args.filter((a) => a.required);
  const plain = required.every((a) =>
    /^(Tensor|Tensor\|Scalar|Scalar|int|float|str)$/.test(a.type),
  );
  if (!plain || required.length > 4 || required.some((a) => a.keywordOnly)) return '';
  const values = names.map((n) => `unwrap(${n})`);
  const call = `${fn}(${values.join(', ')})`;
  const count = names.length - (self === 'this' ? 1 : 0);
  const result = inPlace ? `${call}; return ${self};` : finish(op, call, self);
  return `if (arguments.length === ${count}) { ${result} }\n`;
}

/** The last positional argument is a list of integers that may be spread. */
function spreadsList(op) {
  const last = op.args.filter((a) => !a.keywordOnly).at(-1);
  return last?.type === 'int[]' && last.required;
}

/** Names for what only \`arguments\` reads: optional positions and options. */
function spareParameters(op) {
  if (variadic.has(op.name) || spreadsList(op)) return ['...more: unknown[]'];
  const optional = op.args.filter((a) => !a.keywordOnly && !a.required).length;
  const spare = optional + (optionsType(op) === '' && outType(op) === '' ? 0 : 1);
  return Array.from({ length: spare }, (_, i) => `_${i}?: unknown`);
}

function implementation(op, name, self, inPlace) {
  const entry = `op_${name}`;
  const required = op.args.filter((a) => a.required && !a.keywordOnly).map((a) => safe(a.name));
  const names = self === 'this' ? ['this', ...required.slice(1)] : required;
  const first = self === 'this' ? 'this' : (names[0] ?? 'undefined');
  const all = self === 'this' ? '[this, ...arguments]' : '[...arguments]';
  const slow = `return call(${entry}, ${all});`;
  const own = self === 'this' ? required.slice(1) : required;
  const parameters = [...own.map((n) => `${n}?: unknown`), ...spareParameters(op)];
  // `arguments` keeps calls free of arrays; parameters are named for the fast path only.
  const quick =
    inPlace && op.inplace === 'view'
      ? ''
      : fastPath(op, names, first, `fn_${name}`, inPlace) ||
        (inPlace ? '' : listPath(op, names, first, `fn_${name}`));
  return { parameters, body: `${quick}${slow}` };
}

function hasUnused(parameters, body) {
  return parameters
    .map((parameter) => /\w+/.exec(parameter)[0])
    .some((name) => !name.startsWith('_') && !new RegExp(`\\b${name}\\b`).test(body));
}

function generateFunction(op, out) {
  const options = optionsType(op);
  const publicName = shortName(op.name);
  const optionName = options === '' ? '' : `${capital(publicName)}Options`;
  if (options !== '')
    out.types.push(
      `/** Options of {@link ${publicName}}. */\nexport interface ${optionName} ${options}\n`,
    );
  out.values.push(
    `const op_${op.name} = opEntry('${op.name}');\nconst fn_${op.name} = op_${op.name}.fn;\n`,
  );
  if (op.returns === 'Tensors')
    out.values.push(`const names_${op.name} = ${JSON.stringify(op.returnNames)};\n`);
  const result = returnType(op);
  const tail = [optionName, outType(op)].filter((type) => type !== '').join(' & ');
  const overloads = signatures(op, tail, 0);
  const { parameters, body } = implementation(op, op.name, 'input', false);
  out.unused ||= hasUnused(parameters, body);
  const fn = safe(publicName);
  const lines = overloads.map((s) => `export function ${fn}${s}: ${result};`);
  const doc = `/** \`${op.schema}\` */\n`;
  if (publicName !== fn) {
    out.functions.push(
      `${doc}${lines.join('\n').replaceAll('export function', 'function')}\nfunction ${fn}(${parameters.join(', ')}): ${result} {\n${body}\n}\nexport { ${fn} as ${publicName} };\n`,
    );
    return;
  }
  out.functions.push(
    `${doc}${lines.join('\n')}\nexport function ${fn}(${parameters.join(', ')}): ${result} {\n${body}\n}\n`,
  );
}

function isMethod(op) {
  const first = op.args[0];
  return (
    first !== undefined && /^Tensor(\|Scalar)?$/.test(first.type) && !functionOnly.test(op.name)
  );
}

function generateMethod(op, name, inPlace, out) {
  const options = optionsType(op);
  const optionName = options === '' ? '' : `${capital(op.name)}Options`;
  const result = inPlace || op.inplace === 'only' ? 'this' : returnType(op);
  const what = inPlace ? `In-place form of {@link ${op.name}}.` : `\`${op.schema}\``;
  const overloads = signatures(op, optionName, 1).map((s) => `${name}${s}: ${result};`);
  out.declarations.push(`/** ${what} */\n${overloads.join('\n')}\n`);
  if (inPlace)
    out.values.push(`const op_${name} = opEntry('${name}');\nconst fn_${name} = op_${name}.fn;\n`);
  if (methodByHand.has(name)) return;
  const { parameters, body } = implementation(op, name, 'this', inPlace);
  out.unused ||= hasUnused(parameters, body);
  const list = ['this: Tensor', ...parameters];
  out.methods.push(`defineMethod('${name}', function (${list.join(', ')}) {\n${body}\n});\n`);
}

function table() {
  const schemas = addon.opSchemas();
  const byName = new Map(schemas.map((op) => [op.name, op]));
  const aliases = Object.entries(addon.opAliases()).map(([name, target]) => {
    return { ...byName.get(target), name };
  });
  return [...schemas, ...aliases].filter((op) => !internal.test(op.name) && !byHand.has(op.name));
}

async function format(target, text) {
  const config = await prettier.resolveConfig(target);
  return prettier.format(text, { ...config, filepath: target });
}

const header = '// Generated by `npm run gen` from native/ops/op_table.def. Do not edit.';

const empty = () => ({
  types: [],
  values: [],
  functions: [],
  declarations: [],
  methods: [],
  unused: false, // parameters that bodies read through `arguments` only
});

/** The rows of each file of the op table. */
function families() {
  const folder = join(root, 'native/ops/table');
  const familyOf = new Map();
  for (const file of readdirSync(folder)) {
    const rows = readFileSync(join(folder, file), 'utf8').matchAll(/^AG_[A-Z_]+\(\s*(\w+)/gm);
    for (const [, row] of rows) familyOf.set(row, basename(file, '.def'));
  }
  const groups = new Map();
  for (const op of table()) {
    if (namespaced.test(op.name)) continue;
    const family = familyOf.get(op.name);
    if (family === undefined) throw new Error(`gen: no file of the op table has '${op.name}'`);
    const group = groups.get(camel(family));
    if (group === undefined) groups.set(camel(family), [op]);
    else group.push(op);
  }
  return new Map([...groups].flatMap(([family, ops]) => parts(family, ops)));
}

/** A large family in parts, of which a program may need one: [name, rows] each. */
function parts(family, ops) {
  const count = Math.ceil(ops.length / maxRows);
  if (count === 1) return [[family, ops]];
  const size = Math.ceil(ops.length / count);
  return Array.from({ length: count }, (_, i) => [
    `${family}${i + 1}`,
    ops.slice(i * size, (i + 1) * size),
  ]);
}

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** An import of those of `names` that the text uses. */
function importUsed(text, names, from) {
  const used = names.filter((name) => new RegExp(`\\b${name.replace('type ', '')}\\b`).test(text));
  if (used.length === 0) return '';
  const types = used.every((name) => name.startsWith('type '));
  const list = types ? used.map((name) => name.slice(5)) : used;
  return `import ${types ? 'type ' : ''}{ ${list.join(', ')} } from '${from}';\n`;
}

function moduleText(out, home) {
  const declarations =
    out.declarations.length === 0
      ? ''
      : `declare module '${home}/tensor' {
  interface Tensor {
    ${out.declarations.join('\n')}
  }
}
`;
  const body = [out.types.join('\n'), out.values.join(''), declarations, ...out.functions];
  const text = [...body, ...out.methods].join('\n');
  const pieces = ['call', 'listOf', 'opEntry', 'unwrap', 'wrapList', 'wrapNamed', 'wrapOne'];
  const unused = out.unused ? ', @typescript-eslint/no-unused-vars' : '';
  return `${header}
/* eslint-disable prefer-rest-params${unused} */
${importUsed(text, [...pieces, 'type Named', 'type OutOption', 'type OutsOption'], `${home}/call`)}${importUsed(
    text,
    ['type Device', 'type DType', 'type Scalar'],
    `${home}/dtype`,
  )}${importUsed(text, ['defineMethod', 'type Tensor'], `${home}/tensor`)}
${text}`;
}

function generateLinalg() {
  const out = empty();
  for (const op of table()) {
    if (namespaced.test(op.name)) generateFunction(op, out);
  }
  return moduleText(out, '.');
}

function generateFamily(ops) {
  const out = empty();
  for (const op of ops) {
    generateFunction(op, out);
    if (!isMethod(op)) continue;
    generateMethod(op, op.name, false, out);
    if (op.inplace === 'yes' || op.inplace === 'view') generateMethod(op, `${op.name}_`, true, out);
  }
  return moduleText(out, '..');
}

const files = new Map([['linalg.gen.ts', generateLinalg()]]);
const modules = families();
for (const [family, ops] of modules) files.set(`ops/${family}.gen.ts`, generateFamily(ops));
const all = [...modules.keys()].map((family) => `export * from './ops/${family}.gen';`);
files.set('ops.gen.ts', `${header}\n${all.join('\n')}\n`);

const checking = process.argv.includes('--check');
const folder = join(root, 'lib/ops');
mkdirSync(folder, { recursive: true });
const stale = readdirSync(folder).filter((name) => !files.has(`ops/${name}`));
for (const name of stale) if (!checking) rmSync(join(folder, name));
const differing = checking ? stale.map((name) => `ops/${name}`) : [];
for (const [name, generated] of files) {
  const target = join(root, 'lib', name);
  const text = await format(target, generated);
  if (!checking) writeFileSync(target, text);
  else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) differing.push(name);
}
if (differing.length > 0) {
  const list = differing.map((name) => `lib/${name}`).join(', ');
  console.error(`${list} differ from the op table: run npm run gen and commit it`);
  process.exit(1);
}
