// Workers that all reach for V8's collector for the first time at the same moment.
const { join } = require('node:path');
const { Worker } = require('node:worker_threads');

const library = join(__dirname, '../../../dist/cjs/index.js');
const count = 12;
const body = `
const { parentPort } = require('node:worker_threads');
const { zeros } = require(${JSON.stringify(library)});
parentPort.once('message', () => {
  let error = null;
  try {
    for (let i = 0; i < 20; ++i) zeros([1 << 20]).add(1);
  } catch (e) {
    error = String(e);
  }
  parentPort.postMessage({ error });
});
parentPort.postMessage('ready');
`;

const workers = Array.from({ length: count }, () => new Worker(body, { eval: true }));
const errors = [];
let ready = 0;
let finished = 0;
for (const worker of workers) {
  worker.on('message', (message) => {
    if (message === 'ready') {
      if (++ready === count) for (const each of workers) each.postMessage('go');
      return;
    }
    if (message.error !== null) errors.push(message.error);
    if (++finished === count) console.log(JSON.stringify({ finished, errors }));
  });
}
