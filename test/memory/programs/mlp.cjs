// A training loop without a single await: nothing gives the event loop a turn.
const { readFileSync } = require('node:fs');
const ag = require('../../../dist/cjs/index.js');
const { nn, optim } = ag;

const steps = Number(process.argv[2]);
ag.manualSeed(0);
const model = new nn.Sequential(
  new nn.Linear(784, 128),
  new nn.ReLU(),
  new nn.Linear(128, 64),
  new nn.ReLU(),
  new nn.Linear(64, 10),
);
const criterion = new nn.CrossEntropyLoss();
const optimizer = new optim.SGD(model.parameters(), { lr: 0.05 });
const images = ag.randn(64, 784);
const labels = ag.randint(0, 10, [64]);
let first;
let loss;
for (let i = 0; i < steps; ++i) {
  optimizer.zeroGrad();
  loss = criterion.call(model.call(images.add(0)), labels);
  loss.backward();
  optimizer.step();
  first ??= loss.item();
}

const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
console.log(JSON.stringify({ first, last: loss.item(), peakRssMB: Number(peak[1]) / 1024 }));
