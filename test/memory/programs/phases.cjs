/**
 * A phase with a large live set, and one with a small one after V8 has collected by itself:
 * how many results the second phase leaves behind before they are collected.
 */
const { memory, ones, zeros } = require('../../../dist/cjs/index.js');
const v8 = require('node:v8');

const MiB = 2 ** 20;
function largePhase() {
  const held = Array.from({ length: 40 }, () => zeros([2, 1024, 1024]));
  for (let i = 0; i < 4; ++i) held.push(ones([2, 1024, 1024]).add(1));
}

largePhase();
v8.setFlagsFromString('--expose-gc');
const gc = require('node:vm').runInNewContext('gc');
gc();

setTimeout(() => {
  memory.emptyCache();
  memory.resetPeakStats();
  const before = memory.stats().allocatedBytes;
  const x = zeros([2, 1024, 1024]);
  for (let i = 0; i < 60; ++i) x.add(1);
  const peak = memory.stats().peakAllocatedBytes;
  console.log(JSON.stringify({ beforeMB: before / MiB, peakMB: peak / MiB }));
}, 10);
