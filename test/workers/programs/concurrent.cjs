// Two workers and the main thread use the addon at once and check each other's arithmetic.
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const ag = require('../../../dist/cjs/index.js');

function compute(seed) {
  ag.manualSeed(seed);
  const a = ag.randn(96, 96, { dtype: 'float64' }).requiresGrad_();
  let total = 0;
  for (let i = 0; i < 50; ++i) {
    const loss = a.matmul(a.t()).softmax(-1).log().mean();
    a.grad = null;
    loss.backward();
    total += a.grad.abs().sum().item();
  }
  return total;
}

if (isMainThread) {
  const start = (seed) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(__filename, { workerData: seed });
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  const pending = [start(1), start(2)];
  const own = compute(1);
  Promise.all(pending).then(([first, second]) => {
    console.log(JSON.stringify({ own, first, second, expectedSecond: compute(2) }));
  });
} else {
  parentPort.postMessage(compute(workerData));
}
