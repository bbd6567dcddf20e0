import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { data, tensor, type Tensor, vision } from '../../lib';
import { codeOf, temporaryFolder } from './helpers';

const { ImageFolder, loadImage } = vision.datasets;
const { Compose, RandomCrop, ToTensor } = vision.transforms;
const root = temporaryFolder();

for (const [name, value] of [
  ['dog/b.png', 2],
  ['dog/a.PNG', 1],
  ['cat/x/deep.jpg', 3],
  ['cat/notes.txt', 9],
] as const) {
  mkdirSync(join(root, name, '..'), { recursive: true });
  writeFileSync(join(root, name), Buffer.from([value]));
}

/** A 4 x 4 picture of the file's first byte and its successors; earlier files take longer. */
async function loader(path: string): Promise<vision.Image> {
  const [value] = readFileSync(path) as unknown as [number];
  await new Promise((done) => setTimeout(done, 20 - 5 * value));
  const pixels = Uint8Array.from({ length: 16 }, (_, i) => 16 * value + i);
  return new vision.Image(tensor(pixels).view(4, 4));
}

describe('ImageFolder', () => {
  test('classes are folders in order, samples files of known kinds', () => {
    const set = new ImageFolder(root, { loader });
    expect(set.classes).toEqual(['cat', 'dog']);
    expect(set.classToIdx.dog).toBe(1);
    expect(set.samples.map(([path, label]) => [path.slice(root.length + 1), label])).toEqual([
      ['cat/x/deep.jpg', 0],
      ['dog/a.PNG', 1],
      ['dog/b.png', 1],
    ]);
    expect(new ImageFolder(root, { loader, extensions: ['.txt'], allowEmpty: true }).length).toBe(
      1,
    );
    expect(new ImageFolder(root, { loader, isValidFile: () => true }).length).toBe(4);
  });

  test('loads with `for await`; random transforms follow the order of the samples', async () => {
    const transform = new Compose([new RandomCrop(2), new ToTensor()]);
    const set = new ImageFolder(root, { loader, transform, targetTransform: (y) => y + 5 });
    const run = async (): Promise<unknown[]> => {
      const seen: unknown[] = [];
      const loading = new data.DataLoader(set, { batchSize: 3, seed: 1 });
      for await (const [x, y] of loading) seen.push(x.mul(255).round().toArray(), y.toArray());
      return seen;
    };
    const first = await run();
    expect(first[1]).toEqual([5, 6, 6]);
    expect(await run()).toEqual(first);
    expect(() => [...new data.DataLoader(set)]).toThrow('for await');
    const [x] = (await set.getItem(-1)) as [Tensor, number];
    expect(x.shape).toEqual([1, 2, 2]);
  });

  test('errors', async () => {
    const bad = new ImageFolder(root, { loader: () => Promise.reject(new Error('no picture')) });
    await expect(bad.getItem(0)).rejects.toThrow('no picture');
    expect(() => new data.DataLoader(bad, { numWorkers: 1 })).toThrow('workerModule');
    const cases: [() => unknown, string][] = [
      [() => new ImageFolder(join(root, 'nothing')), 'ERR_FILE'],
      [() => new ImageFolder(join(root, 'dog')), 'ERR_FILE'],
      [() => new ImageFolder(root, { extensions: ['.jpg'] }), 'ERR_FILE'],
      [() => new ImageFolder(root, { loader: 1 as never }), 'ERR_TYPE'],
      [() => new ImageFolder(1 as never), 'ERR_TYPE'],
      [() => new ImageFolder(root, { lodaer: 1 } as never), 'ERR_TYPE'],
    ];
    for (const [fn, code] of cases) expect(codeOf(fn)).toBe(code);
  });

  test('without sharp the error says what to install', async () => {
    jest.doMock(
      'sharp',
      () => {
        throw new Error('not here');
      },
      { virtual: true },
    );
    await expect(loadImage('x.png')).rejects.toMatchObject({ code: 'ERR_NOT_IMPLEMENTED' });
    await expect(loadImage('x.png')).rejects.toThrow(/npm install sharp/);
  });
});
