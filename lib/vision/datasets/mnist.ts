/** MNIST and the datasets that share its format. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { checkBoolean, checkKeys, describe } from '../../data/options';
import { type WorkerRecipe } from '../../data/workers/protocol';
import { makeError } from '../../errors';
import { fromBuffer } from '../../functions/creation';
import { type Tensor } from '../../tensor';
import { type IdxArray, readIdx } from './idx';
import {
  checkVisionOptions,
  type InMemory,
  InMemoryImages,
  remake,
  type VisionOptions,
} from './visionDataset';

export interface MNISTOptions<X, Y> extends VisionOptions<X, Y> {
  /** The training set (default) or the test set. */
  readonly train?: boolean | undefined;
  /** Must be false: files are not fetched. */
  readonly download?: false | undefined;
}

/** The path of a file of the dataset, plain or compressed, in one of the usual folders. */
function findFile(where: string, root: string, folder: string, name: string): string {
  const folders = [join(root, folder, 'raw'), join(root, folder), join(root, 'raw'), root];
  for (const f of folders) {
    for (const path of [join(f, name), join(f, `${name}.gz`)]) if (existsSync(path)) return path;
  }
  throw makeError(
    'ERR_FILE',
    `${where}: '${name}' (or '${name}.gz') not found; looked in ${folders.join(', ')}. ` +
      'Put the files of the dataset there',
  );
}

function expect(where: string, path: string, array: IdxArray, ndim: number): void {
  if (array.dtype === 'uint8' && array.shape.length === ndim) return;
  throw makeError(
    'ERR_FILE',
    `${where}: '${path}' must hold uint8 data of ${String(ndim)} dimension${ndim === 1 ? '' : 's'}, ` +
      `got ${array.dtype} of shape [${array.shape.join(', ')}]`,
  );
}

function load(where: string, imagesPath: string, labelsPath: string, classes: number): InMemory {
  const images = readIdx(imagesPath);
  const labels = readIdx(labelsPath);
  expect(where, imagesPath, images, 3);
  expect(where, labelsPath, labels, 1);
  const [n, height, width] = images.shape as [number, number, number];
  if (n !== labels.shape[0]) {
    throw makeError(
      'ERR_FILE',
      `${where}: '${imagesPath}' has ${String(n)} images, but '${labelsPath}' has ` +
        `${String(labels.shape[0])} labels`,
    );
  }
  const wrong = (labels.data as Uint8Array).find((label) => label >= classes);
  if (wrong !== undefined) {
    throw makeError(
      'ERR_FILE',
      `${where}: '${labelsPath}' has the label ${String(wrong)}, but there are only ` +
        `${String(classes)} classes`,
    );
  }
  return {
    pixels: images.data as Uint8Array,
    size: [height, width, 1],
    labels: BigInt64Array.from(labels.data as Uint8Array, BigInt),
  };
}

/** What distinguishes the datasets of this format. */
interface Source {
  readonly folder: string;
  readonly images: string;
  readonly labels: string;
  readonly classes: number;
}

const files = (train: boolean): Pick<Source, 'images' | 'labels'> => ({
  images: `${train ? 'train' : 't10k'}-images-idx3-ubyte`,
  labels: `${train ? 'train' : 't10k'}-labels-idx1-ubyte`,
});

function checkMnistOptions(
  where: string,
  root: unknown,
  options: MNISTOptions<unknown, unknown>,
  more: readonly string[] = [],
): boolean {
  if (typeof root !== 'string') {
    throw makeError(
      'ERR_TYPE',
      `${where}: root must be the path of a folder, got ${describe(root)}`,
    );
  }
  checkKeys(where, options, ['train', 'transform', 'targetTransform', 'download', ...more]);
  if (options.download !== undefined && options.download !== (false as unknown)) {
    throw makeError(
      'ERR_VALUE',
      `${where}: 'download' must be false: files are not fetched; put them into '${root}'`,
    );
  }
  checkVisionOptions(where, options);
  return checkBoolean(where, 'train', options.train ?? true);
}

/** Images of one channel with labels, in two IDX files. */
abstract class IdxImages<X, Y> extends InMemoryImages<X, Y> {
  /** uint8 images, shape [n, height, width]. In-place changes show in the samples. */
  readonly data: Tensor;
  readonly train: boolean;
  readonly root: string;

  protected constructor(
    where: string,
    root: string,
    source: Source,
    options: MNISTOptions<X, Y>,
    adjust: (memory: InMemory) => InMemory = (m) => m,
  ) {
    const path = (name: string): string => findFile(where, root, source.folder, name);
    const memory = adjust(load(where, path(source.images), path(source.labels), source.classes));
    super(memory, options);
    this.train = options.train ?? true;
    this.root = resolve(root);
    const [height, width] = memory.size;
    this.data = fromBuffer(memory.pixels, { shape: [memory.labels.length, height, width] });
  }

  /** A worker reads the files itself: in-place changes of `data` and `targets` do not reach it. */
  override workerRecipe(): WorkerRecipe | undefined {
    return remake(this, __filename, exportsOf(), [this.root], { train: this.train });
  }

  override toString(): string {
    const part = this.train ? 'Train' : 'Test';
    return `${this.constructor.name}(${String(this.length)} images, split: ${part})`;
  }
}

/**
 * Handwritten digits: 60000 training and 10000 test images of 28 x 28 pixels. A sample is
 * `[image, label]`, the {@link Image} as `transform` leaves it. `root`, `root/raw`, `root/MNIST` or
 * `root/MNIST/raw` must hold the IDX files (`train-images-idx3-ubyte` ...), plain or with `.gz`.
 * @throws TensorError ERR_FILE when files are missing, broken or do not belong together.
 */
export class MNIST<X = Tensor, Y = number> extends IdxImages<X, Y> {
  readonly classes = [
    '0 - zero',
    '1 - one',
    '2 - two',
    '3 - three',
    '4 - four',
    '5 - five',
    '6 - six',
    '7 - seven',
    '8 - eight',
    '9 - nine',
  ] as const;

  constructor(root: string, options: MNISTOptions<X, Y> = {}) {
    const train = checkMnistOptions('MNIST', root, options);
    super('MNIST', root, { folder: 'MNIST', classes: 10, ...files(train) }, options);
  }
}

/** Articles of clothing in the format of {@link MNIST}; folder `FashionMNIST`. */
export class FashionMNIST<X = Tensor, Y = number> extends IdxImages<X, Y> {
  readonly classes = [
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
  ] as const;

  constructor(root: string, options: MNISTOptions<X, Y> = {}) {
    const train = checkMnistOptions('FashionMNIST', root, options);
    super('FashionMNIST', root, { folder: 'FashionMNIST', classes: 10, ...files(train) }, options);
  }
}

/** Cursive Japanese characters in the format of {@link MNIST}; folder `KMNIST`. */
export class KMNIST<X = Tensor, Y = number> extends IdxImages<X, Y> {
  readonly classes = ['o', 'ki', 'su', 'tsu', 'na', 'ha', 'ma', 'ya', 're', 'wo'] as const;

  constructor(root: string, options: MNISTOptions<X, Y> = {}) {
    const train = checkMnistOptions('KMNIST', root, options);
    super('KMNIST', root, { folder: 'KMNIST', classes: 10, ...files(train) }, options);
  }
}

function exportsOf(): Readonly<Record<string, unknown>> {
  return { MNIST, FashionMNIST, KMNIST };
}
