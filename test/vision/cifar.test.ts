import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { data, type Tensor, vision } from '../../lib';
import { bytes, codeOf, temporaryFolder } from './helpers';

const { CIFAR10, CIFAR100 } = vision.datasets;
const { Compose, Normalize, ToTensor } = vision.transforms;
const root = temporaryFolder();

/** Records with the given label bytes and planes of one colour each. */
function records(labels: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(
    labels.map((label, i) =>
      Buffer.concat([
        Buffer.from(label),
        Buffer.alloc(1024, i + 1),
        Buffer.alloc(1024, 50),
        Buffer.from(bytes(1024)),
      ]),
    ),
  );
}

const ten = join(root, 'cifar-10-batches-bin');
mkdirSync(ten);
for (let i = 1; i <= 5; ++i) {
  writeFileSync(join(ten, `data_batch_${String(i)}.bin`), records([[i], [9]]));
}
writeFileSync(join(ten, 'test_batch.bin'), records([[3]]));

describe('CIFAR10', () => {
  const transform = new Compose([
    new ToTensor(),
    new Normalize([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]),
  ]);

  test('records of five files', () => {
    const set = new CIFAR10(root);
    expect(set.length).toBe(10);
    expect(set.targets.toArray()).toEqual([1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
    const [image, label] = set.getItem(3) as unknown as [vision.Image, number];
    expect([image.mode, image.width, image.height, label]).toEqual(['RGB', 32, 32, 9]);
    const planes = image.planes();
    expect(planes.get(0).max().item()).toBe(2);
    expect(planes.get(1).min().item()).toBe(50);
    expect(planes.get(2).contiguous().dataSync()).toEqual(bytes(1024));
    expect(new CIFAR10(root, { train: false }).length).toBe(1);
    expect(set.classes[3]).toBe('3');
  });

  test('a batch equals its samples', () => {
    const set = new CIFAR10(root, { transform });
    const batch = set.getBatch([7, 0, 2]) as [Tensor, Tensor];
    const [x, y] = data.defaultCollate([7, 0, 2].map((i) => set.getItem(i)));
    expect(batch[0].shape).toEqual([3, 3, 32, 32]);
    expect(batch[0].dataSync()).toEqual(x.dataSync());
    expect(batch[1].dataSync()).toEqual(y.dataSync());
  });

  test('workers', () => {
    const set = new CIFAR10(root, { transform });
    const run = (options: object): unknown[] =>
      Array.from(
        new data.DataLoader(set, { batchSize: 4, seed: 0, shuffle: true, ...options }),
        (b) => b[0].dataSync(),
      );
    const workerOptions = { execArgv: ['--require', 'tsx/cjs'] };
    expect(run({ numWorkers: 1, workerOptions })).toEqual(run({}));
  });
});

test('CIFAR100: fine and coarse labels, names', () => {
  const folder = join(root, 'hundred');
  mkdirSync(folder);
  writeFileSync(join(folder, 'train.bin'), records([[19, 99]]));
  expect(new CIFAR100(folder).getItem(0)[1]).toBe(99);
  expect(new CIFAR100(folder, { labels: 'coarse' }).getItem(0)[1]).toBe(19);
  const names = Array.from({ length: 20 }, (_, i) => `group ${String(i)}`);
  writeFileSync(join(folder, 'coarse_label_names.txt'), `${names.join('\n')}\n`);
  expect(new CIFAR100(folder, { labels: 'coarse' }).classes[19]).toBe('group 19');
  writeFileSync(join(folder, 'fine_label_names.txt'), 'one\n');
  expect(codeOf(() => new CIFAR100(folder))).toBe('ERR_FILE');
  expect(codeOf(() => new CIFAR100(folder, { labels: 'all' as never }))).toBe('ERR_VALUE');
});

test('broken files and bad options', () => {
  const folder = join(root, 'broken');
  mkdirSync(folder);
  const write = (content: Buffer): (() => unknown) => {
    writeFileSync(join(folder, 'test_batch.bin'), content);
    return () => new CIFAR10(folder, { train: false });
  };
  const cases: [Buffer, RegExp][] = [
    [records([[1]]).subarray(0, -1), /truncated/],
    [Buffer.alloc(0), /0 bytes/],
    [records([[10]]), /label 10/],
  ];
  for (const [content, text] of cases) {
    const run = write(content);
    expect(codeOf(run)).toBe('ERR_FILE');
    expect(run).toThrow(text);
  }
  expect(() => new CIFAR10(folder)).toThrow(/data_batch_1\.bin' not found/);
  expect(codeOf(() => new CIFAR10(folder, { download: true as never }))).toBe('ERR_VALUE');
  expect(codeOf(() => new CIFAR10(1 as never))).toBe('ERR_TYPE');
  expect(codeOf(() => new CIFAR10(folder, { labels: 'fine' } as never))).toBe('ERR_TYPE');
});
