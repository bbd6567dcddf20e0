// A synchronous loop that drops two tensors of 1 MB an iteration and frees nothing by hand.
const { readFileSync } = require('node:fs');
const ag = require('../../../dist/cjs/index.js');

const iterations = Number(process.argv[2]);
const x = ag.ones(512, 512);
let last = x;
for (let i = 0; i < iterations; ++i) last = x.mul(2).add(1);

const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
console.log(
  JSON.stringify({
    value: last.get(0, 0).item(),
    peakRssMB: Number(peak[1]) / 1024,
    collections: ag.memory.stats().minorCollections + ag.memory.stats().majorCollections,
  }),
);
