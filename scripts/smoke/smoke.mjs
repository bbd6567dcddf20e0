// Run by scripts/smoke-pack.sh beside an installed package: ES modules, and both at once.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as ag from 'ampgrad';

const rows = [
  [1, 2],
  [3, 4],
];
const product = ag.matmul(ag.tensor(rows), ag.tensor(rows));
assert.deepEqual(product.toArray(), [
  [7, 10],
  [15, 22],
]);

const require = createRequire(import.meta.url);
const cjs = require('ampgrad');
assert.equal(cjs.Tensor, ag.Tensor, 'require and import must share one Tensor class');
assert.ok(product instanceof cjs.Tensor);

// Namespaces load on first use; their names are known before, and afterwards they are the module.
for (const name of [
  'amp',
  'cuda',
  'data',
  'files',
  'linalg',
  'memory',
  'nn',
  'optim',
  'text',
  'vision',
]) {
  const names = Object.keys(ag[name]).sort();
  assert.equal(typeof ag[name][names[0]], typeof cjs[name][names[0]]);
  assert.equal(ag[name], cjs[name]);
  assert.deepEqual(names, Object.keys(ag[name]).sort(), name);
}

const manifest = require('ampgrad/package.json');
for (const subpath of Object.keys(manifest.exports)) {
  if (subpath === './package.json') continue;
  const name = 'ampgrad' + subpath.slice(1);
  const esmNames = Object.keys(await import(name)).sort();
  const cjsNames = Object.keys(require(name)).sort();
  assert.deepEqual(esmNames, cjsNames, `${name}: import and require export different names`);
}
console.log('import ok');
