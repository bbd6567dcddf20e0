import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { data, manualSeed, tensor, type Tensor, vision } from '../../lib';
import { codeOf } from './helpers';

const { transforms: T } = vision;

interface Golden {
  name: 'brightness' | 'contrast' | 'saturation' | 'hue' | 'grey';
  factor: number;
  bytes: number[];
  floats: number[];
}

const golden = JSON.parse(
  readFileSync(join(__dirname, '../golden/vision/color.json'), 'utf8'),
) as Golden[];
const values = Uint8Array.from({ length: 60 }, (_, i) => (i * 37) % 256);
for (const at of [0, 20, 40]) values[at] = 7;
const image = tensor(values).view(3, 4, 5);

test.each(golden)('as torchvision: $name $factor', ({ name, factor, bytes, floats }) => {
  const transform =
    name === 'grey' ? new T.Grayscale() : new T.ColorJitter({ [name]: [factor, factor] });
  const run = (x: Tensor): number[] => transform.call(x).flatten().toArray() as number[];
  const near = (found: readonly number[], wanted: readonly number[], off: number): void => {
    expect(found.length).toBe(wanted.length);
    const worst = found.map((v, i) => Math.abs(v - (wanted[i] as number)));
    expect(Math.max(...worst)).toBeLessThanOrEqual(off);
  };
  near(run(image.to('float32').div(255)), floats, 2e-6);
  near(run(image), bytes, 0);
});

describe('random colour', () => {
  test('ColorJitter stays in its bounds and follows the seed', () => {
    const jitter = new T.ColorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 });
    const run = (): unknown => {
      manualSeed(3);
      return [1, 2].map(() =>
        jitter.call(new vision.Image(image.permute([1, 2, 0]))).pixels.toArray(),
      );
    };
    const [a, b] = run() as unknown[];
    expect(a).not.toEqual(b);
    expect(run()).toEqual([a, b]);
    expect(new T.ColorJitter({ brightness: 0.4 }).brightness).toEqual([0.6, 1.4]);
    expect(codeOf(() => new T.ColorJitter({ hue: 0.6 }))).toBe('ERR_VALUE');
    expect(codeOf(() => new T.ColorJitter({ brightness: 'x' as never }))).toBe('ERR_TYPE');
    expect(codeOf(() => jitter.call(tensor([[1]])))).toBe('ERR_SHAPE');
  });

  test('grey, inverted', () => {
    const three = new T.Grayscale(3).call(image);
    expect(three.shape).toEqual([3, 4, 5]);
    expect(three.get(0).toArray()).toEqual(three.get(2).toArray());
    expect(new T.RandomGrayscale(0).call(image)).toBe(image);
    const inverted = new T.RandomInvert(1).call(image);
    expect(inverted.to('int32').add(image.to('int32')).eq(255).all().item()).toBe(true);
    expect(codeOf(() => new T.Grayscale(2))).toBe('ERR_VALUE');
  });

  test('RandomApply, RandomChoice, RandomOrder', () => {
    const plus = (n: number) => (x: unknown) => `${String(x)}${n}`;
    expect(new T.RandomApply([plus(1), plus(2)], 1).call('')).toBe('12');
    expect(new T.RandomApply([plus(1)], 0).call('')).toBe('');
    manualSeed(0);
    const many = (t: { call(x: unknown): unknown }): Set<unknown> =>
      new Set(Array.from({ length: 50 }, () => t.call('')));
    expect(many(new T.RandomChoice([plus(1), plus(2)]))).toEqual(new Set(['1', '2']));
    expect(many(new T.RandomOrder([plus(1), plus(2)]))).toEqual(new Set(['12', '21']));
    expect(codeOf(() => new T.RandomChoice([]))).toBe('ERR_TYPE');
  });

  test('each can be made again from its arguments', () => {
    const all = [
      new T.ColorJitter({ hue: 0.2, contrast: [0.5, 2] }),
      new T.RandomErasing({ p: 1, value: 3 }),
      new T.Resize(3, { maxSize: 9 }),
      new T.RandomResizedCrop(3),
      new T.RandomCrop(2, { padding: 1 }),
      new T.Normalize([1], [2]),
    ];
    for (const t of all) {
      const Kind = t.constructor as new (...args: never[]) => typeof t;
      const again = new Kind(...(t.constructorArgs() as never[]));
      expect(again.constructorArgs()).toEqual(t.constructorArgs());
    }
    expect(data.getWorkerInfo()).toBeNull();
  });
});
