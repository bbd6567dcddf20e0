/**
 * Trains a ResNet-18 on Fashion-MNIST: `npm run example:resnet18 -- --epochs 3 --amp bfloat16`.
 * The network has its stem for small images and a quarter of its width, so that a CPU manages an
 * epoch in minutes. The pictures come from the development dependency `fashion-mnist`.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { data, manualSeed, nn, optim, type Tensor, tensor, vision } from '../lib';
import { accuracy, type CommonOptions, makeBar, readOptions, report, Stepper } from './common';

const { crossEntropy } = nn.functional;

type Batch = [images: Tensor, labels: Tensor];

const classes = 10;

/** Pictures `from` to `to` of one class: the file holds {"data":[[784 numbers], ...]}. */
function readClass(label: number, from: number, to: number): number[][] {
  const require = createRequire(__filename);
  const text = readFileSync(require.resolve(`fashion-mnist/src/clothes/${label}.json`), 'latin1');
  // Only what is asked for is parsed.
  const starts: number[] = [];
  let at = text.indexOf('[') + 1;
  for (let row = 0; row <= to && at > 0; ++row) {
    starts.push(at);
    at = text.indexOf(']', at) + 2;
  }
  const end = (starts[to] ?? text.lastIndexOf(']') + 1) - 1;
  return JSON.parse(`[${text.slice(starts[from], end)}]`) as number[][];
}

/** Rows of every class as images in [-1, 1] and labels. */
function load(from: number, to: number): data.TensorDataset<Batch> {
  const rows: Uint8Array[] = [];
  const labels: number[] = [];
  for (let label = 0; label < classes; ++label) {
    for (const row of readClass(label, from, to)) {
      rows.push(Uint8Array.from(row));
      labels.push(label);
    }
  }
  const pixels = new Uint8Array(rows.length * 784);
  rows.forEach((row, i) => pixels.set(row, i * 784));
  const images = tensor(pixels).view(rows.length, 1, 28, 28).to('float32').div_(127.5).sub_(1);
  return new data.TensorDataset(images, tensor(labels, { dtype: 'int64' }));
}

function train(model: nn.Module, loader: data.DataLoader<Batch>, options: CommonOptions) {
  const steps = Math.min(options.steps, options.epochs * loader.length);
  const optimizer = new optim.SGD(model.parameters(), {
    lr: options.lr,
    momentum: 0.9,
    weightDecay: 5e-4,
  });
  const schedule = new optim.lrScheduler.OneCycleLR(optimizer, options.lr, { totalSteps: steps });
  const stepper = new Stepper(optimizer, options);
  const bar = makeBar('training', steps, 'images');
  let left = steps;
  while (left > 0) {
    for (const [images, labels] of loader) {
      if (left-- <= 0) break;
      const loss = stepper.step(() =>
        crossEntropy(model.call(images.to(options.device)) as Tensor, labels.to(options.device)),
      );
      schedule.step();
      bar.add(loss, labels.numel());
    }
  }
  bar.stop();
  return { steps, trainLoss: bar.loss, imagesPerSecond: bar.rate, stepper };
}

function main(): void {
  const options = readOptions(
    { epochs: 2, batchSize: 64, lr: 0.1 },
    { epochs: 1, batchSize: 32, lr: 0.05 },
  );
  manualSeed(options.seed);
  const perClass = options.quick ? 32 : 6000;
  const trainSet = load(0, perClass);
  const testSet = load(6000, options.quick ? 6016 : 7000);
  const loader = new data.DataLoader(trainSet, { batchSize: options.batchSize, shuffle: true });
  const testLoader = new data.DataLoader(testSet, { batchSize: 256 });

  const model = vision.models.resnet18({
    numClasses: classes,
    inChannels: 1,
    stem: 'small',
    width: options.quick ? 8 : 16,
  });
  model.to(options.device);
  const { stepper, ...trained } = train(model, loader as data.DataLoader<Batch>, options);
  model.eval();
  const testAccuracy = accuracy(testLoader as Iterable<Batch>, ([images, labels]) => ({
    logits: stepper.forward(() => model.call(images.to(options.device))),
    labels: labels.to(options.device),
  }));
  report(options, { ...trained, testAccuracy });
}

main();
