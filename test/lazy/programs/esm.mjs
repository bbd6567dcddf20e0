// What the ES module loads when, and that its functions become those of the CommonJS build.
import { createRequire } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as ag from '../../../dist/esm/index.mjs';

const require = createRequire(import.meta.url);
const build = fileURLToPath(new URL('../../../dist/cjs', import.meta.url));
const problems = [];
const check = (condition, message) => condition || problems.push(message);
const loaded = () =>
  Object.keys(require.cache)
    .filter((file) => file.startsWith(build))
    .map((file) => relative(build, file).replaceAll('\\', '/'));

const [early, first] = [ag.add, loaded()];
for (const file of ['ops/elementwise1.gen.js', 'nn/index.js', 'files/io.js', 'data/options.js'])
  check(!first.includes(file), `import loads ${file}`);
check(early.name === 'add', `add is called ${early.name}`);
check(
  ag
    .add(ag.ones([2]), 1)
    .sum()
    .item() === 4,
  'add does not add',
);

const cjs = require('../../../dist/cjs/index.js');
const { activation } = new ag.nn.TransformerEncoderLayer(4, 1, { activation: ag.relu });
check(activation === cjs.relu, 'a layer does not know relu before its first use');
check(ag.add === cjs.add, 'add is not that of the build after its first use');
check(
  early !== cjs.add &&
    early(ag.ones([2]), 1)
      .sum()
      .item() === 4,
  'an early add stops to work',
);

const names = Object.keys(ag);
for (const name of names) {
  if (typeof cjs[name] !== 'function') continue;
  check(ag[name].name === name || ag[name] === cjs[name], `${name} is called ${ag[name].name}`);
}
// Each function calls the one of its name: what it throws without arguments is what that throws.
const outcome = (fn) => {
  try {
    return typeof fn();
  } catch (error) {
    return String(error);
  }
};
const isClass = (value) => /^class\b/.test(String(value));
for (const name of names) {
  if (typeof cjs[name] !== 'function' || isClass(cjs[name])) continue;
  const [got, want] = [outcome(ag[name]), outcome(cjs[name])];
  check(got === want, `${name}: ${got} is not ${want}`);
  check(ag[name] === cjs[name], `${name} is not that of the build after its first use`);
}
console.log(JSON.stringify({ names: names.length, problems }));
