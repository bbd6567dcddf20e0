// Run by scripts/smoke-pack.sh beside an installed package: CommonJS.
const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const ag = require('ampgrad');

// Namespaces, functions and methods are loaded on first use.
const isLoaded = (folder) => Object.keys(require.cache).some((file) => file.includes(folder));
assert.ok(isLoaded('lazy') && !isLoaded('tensor') && !isLoaded('vision') && !isLoaded('optim'));
assert.equal(ag.optim, require('ampgrad/optim'));
assert.equal(ag.optim.SGD.name, 'SGD');
assert.ok(isLoaded('optim') && !isLoaded('vision'));
assert.equal(ag.load, ag.files.load);

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
assert.ok(isLoaded('ops/linalg.gen') && !isLoaded('elementwise1.gen'));
assert.deepEqual(a.add(b).toArray(), ag.add(a, b).toArray());
assert.ok(isLoaded('elementwise1.gen'));

// Linear algebra uses the LAPACK and the Fortran runtime inside the package, not the system's.
assert.ok(Math.abs(ag.linalg.det(a.to('float32')).item() + 2) < 1e-5);
if (process.platform === 'linux') {
  const opened = readFileSync('/proc/self/maps', 'utf8').split('\n');
  for (const library of ['libopenblas', 'libgfortran', 'libquadmath']) {
    const line = opened.find((text) => text.includes(library));
    assert.match(String(line), /node_modules\/ampgrad\/prebuilds/, library);
  }
}

const manifest = require('ampgrad/package.json');
for (const subpath of Object.keys(manifest.exports)) {
  const names = Object.keys(require('ampgrad' + subpath.slice(1)));
  assert.ok(names.length > 0, `${subpath} exports nothing`);
}
console.log('require ok');
