// Run by scripts/smoke-pack.sh beside an installed package: CommonJS.
const assert = require('node:assert/strict');
const ag = require('ampgrad');

const a = ag.tensor([
  [1, 2],
  [3, 4],
]);
const b = ag.tensor([
  [5, 6],
  [7, 8],
]);
assert.deepEqual(ag.matmul(a, b).toArray(), [
  [19, 22],
  [43, 50],
]);

const manifest = require('ampgrad/package.json');
for (const subpath of Object.keys(manifest.exports)) {
  const names = Object.keys(require('ampgrad' + subpath.slice(1)));
  assert.ok(names.length > 0, `${subpath} exports nothing`);
}
console.log('require ok');
