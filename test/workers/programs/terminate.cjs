// Workers are terminated in the middle of training steps, again and again.
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const ag = require('../../../dist/cjs/index.js');
const { nn, optim } = ag;

function train() {
  const model = new nn.Sequential(new nn.Linear(64, 256), new nn.Tanh(), new nn.Linear(256, 8));
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
  const x = ag.randn(128, 64);
  for (let i = 0; ; ++i) {
    optimizer.zeroGrad();
    // Hooks and custom functions call back into JavaScript from the middle of the engine.
    const y = model.call(x);
    y.registerHook((g) => g.mul(1));
    y.pow(2).mean().backward();
    optimizer.step();
    if (i === 0) parentPort.postMessage('running');
  }
}

async function main(rounds) {
  for (let i = 0; i < rounds; ++i) {
    const workers = [new Worker(__filename), new Worker(__filename)];
    await Promise.all(workers.map((w) => new Promise((resolve) => w.once('message', resolve))));
    await new Promise((resolve) => setTimeout(resolve, i % 7));
    await Promise.all(workers.map((w) => w.terminate()));
  }
  // The main environment is unharmed.
  const sum = ag.ones(1000).sum().item();
  // See test/support/runtimes.ts: V8 writes to the standard output meanwhile.
  console.error(JSON.stringify({ rounds, sum }));
}

if (isMainThread) main(Number(process.argv[2]));
else train();
