/**
 * CIFAR-10 and CIFAR-100 in their binary form: records of label bytes followed by the red, green and
 * blue planes of 32 x 32 pixels. Source: https://www.cs.toronto.edu/~kriz/cifar.html.
 */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { download } from '../../data/download';
import { checkBoolean, checkKeys, checkWord, describe } from '../../data/options';
import { type WorkerRecipe } from '../../data/workers/protocol';
import { makeError } from '../../errors';
import { fromBuffer } from '../../functions/creation';
import { type Tensor } from '../../tensor';
import { type FetchOptions } from './mnist';
import { extractTar } from './tar';
import {
  checkVisionOptions,
  type InMemory,
  InMemoryImages,
  remake,
  type VisionOptions,
} from './visionDataset';

const side = 32;
const area = side * side;
// The largest file has 50000 records; a file beyond this is not one of the dataset.
const maxRecords = 100_000;

/** What distinguishes the two datasets. */
interface Source {
  readonly name: string;
  readonly folder: string;
  readonly files: readonly string[];
  readonly classNames: string;
  readonly classes: number;
  /** Label bytes of a record, and which of them counts. */
  readonly labelBytes: number;
  readonly labelAt: number;
}

/** The archives of the binary versions, with the checksums of the dataset's page. */
const published = {
  CIFAR10: {
    archive: 'cifar-10-binary.tar.gz',
    md5: 'c32a1d4ab5d03f1284b67883e8d87530',
    folder: 'cifar-10-batches-bin',
    files: [
      ...[1, 2, 3, 4, 5].map((i) => `data_batch_${String(i)}.bin`),
      'test_batch.bin',
      'batches.meta.txt',
    ],
  },
  CIFAR100: {
    archive: 'cifar-100-binary.tar.gz',
    md5: '03b5dce01913d631647c71ecec9e9cb8',
    folder: 'cifar-100-binary',
    files: ['train.bin', 'test.bin', 'fine_label_names.txt', 'coarse_label_names.txt'],
  },
} as const;

export interface CIFARFetchOptions extends FetchOptions {
  /** Checksum of the archive in hex, for mirrors that pack it themselves. Default: the published one. */
  readonly md5?: string | undefined;
}

/** Fetches the archive of a dataset into `root` and unpacks the files that are missing. */
async function fetchArchive(
  name: keyof typeof published,
  root: string,
  options: CIFARFetchOptions,
): Promise<void> {
  const where = `${name}.download`;
  checkKeys(where, options, ['mirror', 'onProgress', 'signal', 'md5']);
  if (typeof root !== 'string') {
    throw makeError('ERR_TYPE', `${where}: root must be a path, got ${describe(root)}`);
  }
  const { archive, md5, folder, files } = published[name];
  if (files.every((file) => existsSync(join(root, folder, file)))) return;
  const { mirror = 'https://www.cs.toronto.edu/~kriz/', onProgress, signal } = options;
  const path = join(root, archive);
  const url = `${mirror.replace(/\/?$/, '/')}${archive}`;
  await download(url, path, { md5: options.md5 ?? md5, onProgress, signal });
  await extractTar(
    path,
    root,
    files.map((file) => `${folder}/${file}`),
  );
}

function locate(source: Source, root: string, file: string): string {
  for (const folder of [join(root, source.folder), root]) {
    if (existsSync(join(folder, file))) return join(folder, file);
  }
  throw makeError(
    'ERR_FILE',
    `${source.name}: '${file}' not found; looked in ${join(root, source.folder)}, ${root}. Unpack the ` +
      'binary version of the dataset there',
  );
}

/** The bytes of a file that must consist of whole records. */
function readRecords(source: Source, path: string): Uint8Array {
  const record = source.labelBytes + 3 * area;
  const fd = openSync(path, 'r');
  try {
    const stat = fstatSync(fd);
    const count = stat.size / record;
    if (!stat.isFile() || !Number.isInteger(count) || count === 0 || count > maxRecords) {
      throw makeError(
        'ERR_FILE',
        `${source.name}: '${path}' has ${String(stat.size)} bytes, which is not a number of records of ` +
          `${String(record)} bytes: truncated, or another format`,
      );
    }
    const bytes = new Uint8Array(stat.size);
    let done = 0;
    while (done < bytes.length) {
      const n = readSync(fd, bytes, done, bytes.length - done, done);
      if (n === 0)
        throw makeError('ERR_FILE', `${source.name}: '${path}' was truncated while read`);
      done += n;
    }
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** Planes to pixels with channels last, the order of images. */
function unpack(bytes: Uint8Array, at: number, into: Uint8Array, to: number): void {
  for (let i = 0; i < area; ++i) {
    into[to + 3 * i] = bytes[at + i] as number;
    into[to + 3 * i + 1] = bytes[at + area + i] as number;
    into[to + 3 * i + 2] = bytes[at + 2 * area + i] as number;
  }
}

function load(source: Source, root: string): InMemory {
  const record = source.labelBytes + 3 * area;
  const parts = source.files.map((file) => readRecords(source, locate(source, root, file)));
  const n = parts.reduce((sum, part) => sum + part.length / record, 0);
  const pixels = new Uint8Array(n * 3 * area);
  const labels = new BigInt64Array(n);
  let i = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += record, ++i) {
      const label = part[at + source.labelAt] as number;
      if (label >= source.classes) {
        throw makeError(
          'ERR_FILE',
          `${source.name}: record ${String(i)} has the label ${String(label)}, but there are only ` +
            `${String(source.classes)} classes: a broken file, or another format`,
        );
      }
      labels[i] = BigInt(label);
      unpack(part, at + source.labelBytes, pixels, i * 3 * area);
    }
  }
  return { pixels, size: [side, side, 3], labels };
}

/** Names from the file that comes with the data; numbers where it is missing. */
function readClasses(source: Source, root: string): string[] {
  const numbers = Array.from({ length: source.classes }, (_, i) => String(i));
  let path: string;
  try {
    path = locate(source, root, source.classNames);
  } catch {
    return numbers;
  }
  const lines = readFileSync(path, 'utf8').split(/\r?\n/).filter(Boolean);
  if (lines.length === source.classes) return lines;
  throw makeError(
    'ERR_FILE',
    `${source.name}: '${path}' must have ${String(source.classes)} lines, got ${String(lines.length)}`,
  );
}

export interface CIFAROptions<X, Y> extends VisionOptions<X, Y> {
  /** The training set (default) or the test set. */
  readonly train?: boolean | undefined;
  /** Must be false: a constructor cannot wait. See the static `download`. */
  readonly download?: false | undefined;
}

export interface CIFAR100Options<X, Y> extends CIFAROptions<X, Y> {
  /** 100 fine classes (default) or their 20 groups. */
  readonly labels?: 'fine' | 'coarse' | undefined;
}

function check(
  where: string,
  root: unknown,
  options: CIFAROptions<unknown, unknown>,
  more: readonly string[],
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

abstract class CIFAR<X, Y> extends InMemoryImages<X, Y> {
  readonly classes: readonly string[];
  /** uint8 images, shape [n, 32, 32, 3]. In-place changes show in the samples. */
  readonly data: Tensor;
  readonly train: boolean;
  readonly root: string;

  protected constructor(root: string, source: Source, options: CIFAROptions<X, Y>) {
    const memory = load(source, root);
    super(memory, options);
    this.classes = readClasses(source, root);
    this.train = options.train ?? true;
    this.root = resolve(root);
    this.data = fromBuffer(memory.pixels, { shape: [memory.labels.length, side, side, 3] });
  }

  override toString(): string {
    const part = this.train ? 'Train' : 'Test';
    return `${this.constructor.name}(${String(this.length)} images, split: ${part})`;
  }
}

/**
 * 50000 training and 10000 test colour images of 10 classes. `root`, or `cifar-10-batches-bin` in it,
 * must hold the unpacked binary version (`data_batch_1.bin` ... `test_batch.bin`).
 * @throws TensorError ERR_FILE when files are missing or broken.
 */
export class CIFAR10<X = Tensor, Y = number> extends CIFAR<X, Y> {
  /** Fetches the binary version, verified by its checksum, and unpacks it. */
  static download(root: string, options: CIFARFetchOptions = {}): Promise<void> {
    return fetchArchive('CIFAR10', root, options);
  }

  constructor(root: string, options: CIFAROptions<X, Y> = {}) {
    const train = check('CIFAR10', root, options, []);
    const files = train
      ? [1, 2, 3, 4, 5].map((i) => `data_batch_${String(i)}.bin`)
      : ['test_batch.bin'];
    const source: Source = {
      name: 'CIFAR10',
      folder: 'cifar-10-batches-bin',
      files,
      classNames: 'batches.meta.txt',
      classes: 10,
      labelBytes: 1,
      labelAt: 0,
    };
    super(root, source, options);
  }

  override workerRecipe(): WorkerRecipe | undefined {
    return remake(this, __filename, { CIFAR10 }, [this.root], { train: this.train });
  }
}

/**
 * 50000 training and 10000 test colour images of 100 classes in 20 groups. `root`, or `cifar-100-binary`
 * in it, must hold the unpacked binary version (`train.bin`, `test.bin`).
 * @throws TensorError ERR_FILE when files are missing or broken.
 */
export class CIFAR100<X = Tensor, Y = number> extends CIFAR<X, Y> {
  readonly labels: 'fine' | 'coarse';

  /** Fetches the binary version, verified by its checksum, and unpacks it. */
  static download(root: string, options: CIFARFetchOptions = {}): Promise<void> {
    return fetchArchive('CIFAR100', root, options);
  }

  constructor(root: string, options: CIFAR100Options<X, Y> = {}) {
    const train = check('CIFAR100', root, options, ['labels']);
    const labels = checkWord('CIFAR100', 'labels', options.labels ?? 'fine', ['fine', 'coarse']);
    const source: Source = {
      name: 'CIFAR100',
      folder: 'cifar-100-binary',
      files: [train ? 'train.bin' : 'test.bin'],
      classNames: `${labels}_label_names.txt`,
      classes: labels === 'fine' ? 100 : 20,
      labelBytes: 2,
      labelAt: labels === 'fine' ? 1 : 0,
    };
    super(root, source, options);
    this.labels = labels;
  }

  override workerRecipe(): WorkerRecipe | undefined {
    const { train, labels } = this;
    return remake(this, __filename, { CIFAR100 }, [this.root], { train, labels });
  }
}
