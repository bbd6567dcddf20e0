// A synchronous loop over results of 104 MB, the last of which is always still held.
const ag = require('../../../dist/cjs/index.js');

const steps = Number(process.argv[2]);
let result;
const collections = () => ag.memory.stats().majorCollections;
const run = () => {
  for (let i = 0; i < steps; ++i) result = ag.ones(26, 1024, 1024).mul(2);
};
run();
const before = collections();
run();
console.log(
  JSON.stringify({ value: result.get(0, 0, 0).item(), collections: collections() - before }),
);
