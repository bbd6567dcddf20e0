// What loads when, in the built package; prints what is not as it should be.
const { join, relative } = require('node:path');

const root = join(__dirname, '../../..');
const cjs = join(root, 'dist/cjs');
const problems = [];
const check = (condition, message) => condition || problems.push(message);
const loaded = () =>
  Object.keys(require.cache)
    .filter((file) => file.startsWith(cjs))
    .map((file) => relative(cjs, file).replaceAll('\\', '/'));

/** The package anew, and the tables of names it is made of. */
function fresh() {
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(cjs)) delete require.cache[file];
  }
  const lazy = require(join(cjs, 'lazy.js'));
  const tables = { exports: {}, members: {} };
  const { lazyExports, lazyMembers } = lazy;
  lazy.lazyExports = (target, load, names) => {
    Object.assign(tables.exports, names);
    lazyExports(target, load, names);
  };
  lazy.lazyMembers = (target, load, names) => {
    Object.assign(tables.members, names);
    lazyMembers(target, load, names);
  };
  const package_ = require(join(cjs, 'index.js'));
  return { package_, tables };
}

/** The value of a member of a tensor, which may be a getter. */
const member = (name, x) => (name === '@@iterator' ? x[Symbol.iterator] : x[name]);

function checkLoading() {
  const { package_: ag } = fresh();
  check(loaded().length < 5, `require loads ${loaded().join(', ')}`);
  check('add' in ag && Object.keys(ag).includes('add'), 'add is no name before its use');
  ag.ones([2, 2])
    .matmul(ag.ones([2, 2]))
    .sum()
    .item();
  const some = loaded();
  const idle = ['ops/elementwise1.gen.js', 'ops/nnConv.gen.js', 'nn/index.js', 'optim/index.js'];
  for (const file of idle) check(!some.includes(file), `${file} is loaded without need`);
  check('value' in Object.getOwnPropertyDescriptor(ag, 'ones'), 'ones stays an accessor');
  const { prototype } = ag.Tensor;
  check('value' in Object.getOwnPropertyDescriptor(prototype, 'sum'), 'sum stays an accessor');
  check(!('value' in Object.getOwnPropertyDescriptor(prototype, 'add')), 'add is not lazy');
  check(Object.getOwnPropertyNames(prototype).includes('add'), 'add is no name of tensors');
}

function checkPatches() {
  const { package_: ag } = fresh();
  const { prototype } = ag.Tensor;
  const mine = () => 'mine';
  prototype.sum = mine;
  Object.defineProperty(prototype, 'mean', { value: mine, configurable: true });
  ag.add = mine;
  const x = ag.ones([2]);
  check(x.amax().item() === 1, 'amax');
  check(x.sum() === 'mine' && x.mean() === 'mine', 'a patched method is lost');
  check(ag.add() === 'mine', 'a patched export is lost');
  class Own extends ag.Tensor {}
  Own.prototype.prod = mine;
  check(new Own(x).prod() === 'mine' && x.prod().item() === 1, 'a subclass patches its parent');
}

/** Each module is the first that is loaded: none may need another to be there already. */
function checkEachFirst() {
  const { package_: first, tables } = fresh();
  check(first.Tensor.prototype !== undefined, 'no class of tensors'); // which has the members
  for (const [kind, table] of Object.entries(tables)) {
    for (const [path, list] of Object.entries(table)) {
      const [name] = list.split(' ')[0].split('=');
      const { package_: ag } = fresh();
      try {
        const value =
          kind === 'exports' ? ag[name] : member(name, Object.create(ag.Tensor.prototype));
        check(value !== undefined, `${path}: ${name} is undefined`);
      } catch (error) {
        problems.push(`${path}: ${name}: ${error.stack}`);
      }
    }
  }
}

function checkMembers() {
  const { package_: ag, tables } = fresh();
  const x = ag.ones([2, 2]);
  check(Object.keys(tables.members).length > 20, 'members are not lazy');
  for (const name of Object.values(tables.members).flatMap((list) => list.split(' '))) {
    const kind = name === 'T' || name === 'mT' ? 'object' : 'function';
    check(typeof member(name, x) === kind, `${name} is no member of tensors`);
  }
}

/** A call without arguments has to come as far as the checks of an op. */
function checkCallable(ag, kind) {
  for (const { name } of ag.opSchemas()) {
    if (!(name in ag)) continue;
    try {
      ag[name]();
    } catch (error) {
      check(/^ERR_/.test(error.code ?? ''), `${kind}: ${name}: ${error.stack}`);
    }
  }
}

async function main() {
  checkLoading();
  checkPatches();
  checkEachFirst();
  checkMembers();
  const { package_: ag } = fresh();
  checkCallable(ag, 'require');
  const esm = await import(join(root, 'dist/esm/index.mjs'));
  checkCallable(esm, 'import');
  const names = Object.keys(ag).sort().join();
  check(names === Object.keys(esm).sort().join(), 'require and import differ in names');
  // Functions become those of the package when they are first called: programs/esm.mjs.
  const isClass = (value) => typeof value === 'function' && /^class\b/.test(String(value));
  const different = Object.keys(ag).filter((n) => isClass(ag[n]) && ag[n] !== esm[n]);
  check(different.length === 0, `require and import differ in ${different.join(', ')}`);
  console.log(JSON.stringify({ names: Object.keys(ag).length, problems }));
}

void main();
