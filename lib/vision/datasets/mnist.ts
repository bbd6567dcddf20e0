/** MNIST and the datasets that share its format. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { download, type DownloadProgress } from '../../data/download';
import { checkBoolean, checkKeys, checkWord, describe } from '../../data/options';
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
  /** Must be false: a constructor cannot wait. Fetch with `await MNIST.download(root)` before. */
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

export interface FetchOptions {
  /** Address of the folder with the files. Default: a public mirror of the dataset. */
  readonly mirror?: string | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** MD5 of the compressed files, as the datasets publish them, in the order of {@link fileNames}. */
interface Published {
  readonly folder: string;
  readonly mirror: string;
  readonly md5: readonly [string, string, string, string];
}

const published = {
  MNIST: {
    folder: 'MNIST',
    mirror: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
    md5: [
      'f68b3c2dcbeaaa9fbdd348bbdeb94873',
      'd53e105ee54ea40749a09fcbcd1e9432',
      '9fb629c4189551a2d022fa330f9573f3',
      'ec29112dd5afa0611ce80d1b7f02629c',
    ],
  },
  FashionMNIST: {
    folder: 'FashionMNIST',
    mirror: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
    md5: [
      '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
      '25c81989df183df01b3e8a0aad5dffbe',
      'bef4ecab320f06d8554ea6380940ec79',
      'bb300cfdad3c16e7a12a480ee83cd310',
    ],
  },
  KMNIST: {
    folder: 'KMNIST',
    mirror: 'http://codh.rois.ac.jp/kmnist/dataset/kmnist/',
    md5: [
      'bdb82020997e1d708af4cf47b453dcf7',
      'e144d726b3acfaa3e44228e80efcd344',
      '5c965bf0a639b31b8f53240b1b52f4d7',
      '7320c461ea6c1c855c0b718fb2a4b134',
    ],
  },
} satisfies Record<string, Published>;

/** Fetches the four files of a dataset into `root/<name>/raw`. */
async function fetchFiles(
  name: keyof typeof published,
  root: string,
  options: FetchOptions,
): Promise<void> {
  const { folder, mirror, md5 }: Published = published[name];
  const where = `${name}.download`;
  checkKeys(where, options, ['mirror', 'onProgress', 'signal']);
  if (typeof root !== 'string') {
    throw makeError('ERR_TYPE', `${where}: root must be a path, got ${describe(root)}`);
  }
  const { mirror: base = mirror, onProgress, signal } = options;
  const fileNames = [true, false].flatMap((train) => [files(train).images, files(train).labels]);
  for (const [i, file] of fileNames.entries()) {
    const url = `${base.replace(/\/?$/, '/')}${file}.gz`;
    const path = join(root, folder, 'raw', `${file}.gz`);
    await download(url, path, { md5: md5[i], onProgress, signal });
  }
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
      `${where}: 'download' must be false, because a constructor cannot wait: call ` +
        `'await ${where}.download(root)' before, or put the files into '${root}'`,
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

  protected constructor(where: string, root: string, source: Source, options: MNISTOptions<X, Y>) {
    const path = (name: string): string => findFile(where, root, source.folder, name);
    const memory = load(where, path(source.images), path(source.labels), source.classes);
    super(memory, options);
    this.train = options.train ?? true;
    this.root = resolve(root);
    const [height, width] = memory.size;
    this.data = fromBuffer(memory.pixels, { shape: [memory.labels.length, height, width] });
  }

  /** Options beside `train` and the transforms. */
  protected moreOptions(): Readonly<Record<string, unknown>> {
    return {};
  }

  /** A worker reads the files itself: in-place changes of `data` and `targets` do not reach it. */
  override workerRecipe(): WorkerRecipe | undefined {
    const options = { train: this.train, ...this.moreOptions() };
    return remake(this, __filename, exportsOf(), [this.root], options);
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

  /** Fetches the files that are missing, verified by their checksums. */
  static download(root: string, options: FetchOptions = {}): Promise<void> {
    return fetchFiles('MNIST', root, options);
  }

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

  /** Fetches the files that are missing, verified by their checksums. */
  static download(root: string, options: FetchOptions = {}): Promise<void> {
    return fetchFiles('FashionMNIST', root, options);
  }

  constructor(root: string, options: MNISTOptions<X, Y> = {}) {
    const train = checkMnistOptions('FashionMNIST', root, options);
    super('FashionMNIST', root, { folder: 'FashionMNIST', classes: 10, ...files(train) }, options);
  }
}

/** Cursive Japanese characters in the format of {@link MNIST}; folder `KMNIST`. */
export class KMNIST<X = Tensor, Y = number> extends IdxImages<X, Y> {
  readonly classes = ['o', 'ki', 'su', 'tsu', 'na', 'ha', 'ma', 'ya', 're', 'wo'] as const;

  /** Fetches the files that are missing, verified by their checksums. */
  static download(root: string, options: FetchOptions = {}): Promise<void> {
    return fetchFiles('KMNIST', root, options);
  }

  constructor(root: string, options: MNISTOptions<X, Y> = {}) {
    const train = checkMnistOptions('KMNIST', root, options);
    super('KMNIST', root, { folder: 'KMNIST', classes: 10, ...files(train) }, options);
  }
}

export type EMNISTSplit = 'byclass' | 'bymerge' | 'balanced' | 'letters' | 'digits' | 'mnist';

export interface EMNISTOptions<X, Y> extends MNISTOptions<X, Y> {
  /** Which of the six datasets. */
  readonly split: EMNISTSplit;
}

const digits = [...'0123456789'];
const upper = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const lower = upper.map((letter) => letter.toLowerCase());
// Lower-case letters that look like their capitals are one class with them.
const merged = [...digits, ...upper, ...'abdefghnqrt'];

const splits: Readonly<Record<EMNISTSplit, readonly string[]>> = {
  byclass: [...digits, ...upper, ...lower],
  bymerge: merged,
  balanced: merged,
  // Labels count from 1.
  letters: ['N/A', ...lower],
  digits,
  mnist: digits,
};

/**
 * Handwritten letters and digits in the format of {@link MNIST}; folder `EMNIST`, files such as
 * `emnist-letters-train-images-idx3-ubyte`. Images lie on their side, as in the files.
 */
export class EMNIST<X = Tensor, Y = number> extends IdxImages<X, Y> {
  readonly classes: readonly string[];
  readonly split: EMNISTSplit;

  constructor(root: string, options: EMNISTOptions<X, Y>) {
    const train = checkMnistOptions('EMNIST', root, options, ['split']);
    const words = Object.keys(splits) as EMNISTSplit[];
    const split = checkWord('EMNIST', 'split', options.split, words);
    const start = `emnist-${split}-${train ? 'train' : 'test'}`;
    const source = {
      folder: 'EMNIST',
      classes: splits[split].length,
      images: `${start}-images-idx3-ubyte`,
      labels: `${start}-labels-idx1-ubyte`,
    };
    super('EMNIST', root, source, options);
    this.classes = splits[split];
    this.split = split;
  }

  protected override moreOptions(): Readonly<Record<string, unknown>> {
    return { split: this.split };
  }
}

function exportsOf(): Readonly<Record<string, unknown>> {
  return { MNIST, FashionMNIST, KMNIST, EMNIST };
}
