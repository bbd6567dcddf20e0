// A synchronous loop over results of 4 MiB that die at once, while 104 MiB are held.
const ag = require('../../../dist/cjs/index.js');

const held = ag.ones(26, 1024, 1024);
const x = ag.ones(1024, 128);
const y = ag.ones(128, 1024);
const collections = () => ag.memory.stats().minorCollections;
const run = () => {
  for (let i = 0; i < 120; ++i) x.matmul(y);
};
run();
const before = collections();
run();
console.log(JSON.stringify({ held: held.numel(), collections: collections() - before }));
