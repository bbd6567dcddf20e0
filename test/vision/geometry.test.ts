import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { arange, data, manualSeed, tensor, type Tensor, vision } from '../../lib';
import { codeOf } from './helpers';

const { transforms: T, Image } = vision;

const grid = (h: number, w: number): Tensor => arange(h * w, { dtype: 'uint8' }).view(h, w);
const rows = (t: Tensor): unknown => t.toArray();

interface Golden {
  torch: { mode: 'bilinear'; antialias: boolean; size: [number, number]; sums: number[] }[];
  pillow: { mode: 'bilinear'; size: [number, number]; pixels: number[] }[];
  nearest: number[][];
}

describe('Resize', () => {
  const golden = JSON.parse(
    readFileSync(join(__dirname, '../golden/vision/resize.json'), 'utf8'),
  ) as Golden;
  const pixels = tensor(Uint8Array.from({ length: 63 }, (_, i) => (i * 37) % 256)).view(7, 9);

  test.each(golden.torch)('as torch: $mode, antialias $antialias, $size', (c) => {
    const options = { interpolation: c.mode, antialias: c.antialias };
    const y = new T.Resize(c.size, options).call(pixels.to('float64'));
    const weights = arange(1, c.size[0] * c.size[1] + 1).view(c.size);
    const sums = rows(y.mul(weights).sum(1)) as number[];
    sums.forEach((sum, i) => {
      expect(Math.abs(sum - (c.sums[i] as number))).toBeLessThan(1e-9 * Math.abs(sum));
    });
  });

  test.each(golden.pillow)('bytes as Pillow: $mode, $size', (c) => {
    const image = new T.Resize(c.size, { interpolation: c.mode }).call(new Image(pixels));
    expect(Array.from(image.pixels.dataSync() as Uint8Array)).toEqual(c.pixels);
  });

  test('nearest, in a batch too', () => {
    const resize = new T.Resize([4, 13], { interpolation: 'nearest' });
    expect(rows(resize.call(pixels))).toEqual(golden.nearest);
    expect(resize.batched).toBe(true);
  });

  test('one number is the shorter side', () => {
    const size = (...args: ConstructorParameters<typeof T.Resize>): unknown =>
      new T.Resize(...args).call(grid(6, 9)).shape;
    expect(size(4)).toEqual([4, 6]);
    expect(size(4, { maxSize: 5 })).toEqual([3, 5]);
    expect(size([2, 3])).toEqual([2, 3]);
  });

  test('bad input', () => {
    expect(codeOf(() => new T.Resize(0))).toBe('ERR_VALUE');
    expect(codeOf(() => new T.Resize([1, 2, 3] as never))).toBe('ERR_VALUE');
    expect(codeOf(() => new T.Resize('4' as never))).toBe('ERR_TYPE');
    expect(() => new T.Resize(4, { interpolation: 'bilinaer' as never })).toThrow('bilinear');
    expect(codeOf(() => new T.Resize(4, { maxSize: 3 }))).toBe('ERR_VALUE');
    expect(codeOf(() => new T.Resize(4).call(tensor([1])))).toBe('ERR_SHAPE');
    expect(codeOf(() => new T.Resize(4).call(tensor([[1, 2]])))).toBe('ERR_DTYPE');
    expect(codeOf(() => new T.Resize(4).call(tensor([[], []])))).toBe('ERR_SHAPE');
    expect(codeOf(() => new T.Resize(4).call(1 as never))).toBe('ERR_TYPE');
  });
});

describe('crops and padding', () => {
  test('Pad', () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(rows(new T.Pad(1, { fill: 9 }).call(x))).toEqual([
      [9, 9, 9, 9],
      [9, 1, 2, 9],
      [9, 3, 4, 9],
      [9, 9, 9, 9],
    ]);
    expect(rows(new T.Pad([1, 0]).call(x))).toEqual([
      [0, 1, 2, 0],
      [0, 3, 4, 0],
    ]);
    const line = tensor([[1, 2, 3]]);
    const pad = (paddingMode: 'edge' | 'reflect' | 'symmetric'): unknown =>
      rows(new T.Pad([2, 0, 1, 0], { paddingMode }).call(line));
    expect(pad('edge')).toEqual([[1, 1, 1, 2, 3, 3]]);
    expect(pad('reflect')).toEqual([[3, 2, 1, 2, 3, 2]]);
    expect(pad('symmetric')).toEqual([[2, 1, 1, 2, 3, 3]]);
    expect(codeOf(() => new T.Pad(3, { paddingMode: 'reflect' }).call(line))).toBe('ERR_SHAPE');
    expect(codeOf(() => new T.Pad(-1))).toBe('ERR_VALUE');
    expect(codeOf(() => new T.Pad([1, 2, 3] as never))).toBe('ERR_VALUE');
  });

  test('CenterCrop, also larger than the image', () => {
    expect(rows(new T.CenterCrop(2).call(grid(4, 4)))).toEqual([
      [5, 6],
      [9, 10],
    ]);
    // torchvision rounds the corner 0.5 to 0 and 1.5 to 2.
    expect(rows(new T.CenterCrop([1, 2]).call(grid(4, 3)))).toEqual([[6, 7]]);
    expect(rows(new T.CenterCrop([3, 1]).call(tensor([[7]])))).toEqual([[0], [7], [0]]);
  });

  test('RandomCrop takes every window', () => {
    manualSeed(0);
    const crop = new T.RandomCrop([1, 2]);
    const seen = new Set(Array.from({ length: 100 }, () => String(rows(crop.call(grid(2, 3))))));
    expect(seen).toEqual(new Set(['0,1', '1,2', '3,4', '4,5']));
    expect(codeOf(() => crop.call(grid(1, 1)))).toBe('ERR_SHAPE');
    expect(new T.RandomCrop(2, { padIfNeeded: true }).call(grid(1, 1)).shape).toEqual([2, 2]);
    expect(new T.RandomCrop(3, { padding: 1 }).call(grid(2, 2)).shape).toEqual([3, 3]);
  });

  test('flips', () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(rows(new T.RandomHorizontalFlip(1).call(x))).toEqual([
      [2, 1],
      [4, 3],
    ]);
    expect(rows(new T.RandomVerticalFlip(1).call(x))).toEqual([
      [3, 4],
      [1, 2],
    ]);
    expect(rows(new T.RandomHorizontalFlip(0).call(x))).toEqual(rows(x));
    expect(codeOf(() => new T.RandomHorizontalFlip(2))).toBe('ERR_VALUE');
  });

  test('colour images keep their channels in place', () => {
    const pixels = arange(12, { dtype: 'uint8' }).view(2, 2, 3);
    const flipped = new T.RandomHorizontalFlip(1).call(new Image(pixels));
    expect(flipped.mode).toBe('RGB');
    expect(rows(flipped.pixels)).toEqual([
      [
        [3, 4, 5],
        [0, 1, 2],
      ],
      [
        [9, 10, 11],
        [6, 7, 8],
      ],
    ]);
    const planes = new T.ToTensor().call(flipped);
    expect([planes.shape, planes.isContiguous()]).toEqual([[3, 2, 2], true]);
    expect(rows(planes.mul(255).round().get(0))).toEqual([
      [3, 0],
      [9, 6],
    ]);
  });

  test('RandomResizedCrop and RandomErasing', () => {
    manualSeed(1);
    const image = new Image(grid(10, 12));
    for (let i = 0; i < 20; ++i) {
      const y = new T.RandomResizedCrop([4, 6]).call(image);
      expect([y.height, y.width]).toEqual([4, 6]);
      const x = tensor(new Float32Array(300)).view(3, 10, 10).add(1);
      const erased = new T.RandomErasing({ p: 1, value: [5, 6, 7] }).call(x);
      expect(x.sum().item()).toBe(300);
      const share = erased.get(0).ne(1).sum().item();
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(45);
      expect(erased.get(2).max().item()).toBe(7);
    }
    expect(codeOf(() => new T.RandomErasing({ scale: [1, 0] }))).toBe('ERR_VALUE');
    expect(codeOf(() => new T.RandomErasing().call(grid(2, 2)))).toBe('ERR_SHAPE');
  });

  test('batched forms equal the samples', () => {
    const batch = arange(2 * 5 * 4 * 3, { dtype: 'uint8' }).view(2, 5, 4, 3);
    const transform = new T.Compose([
      new T.Pad([1, 2], { paddingMode: 'edge' }),
      new T.CenterCrop(3),
      new T.ToTensor(),
      new T.Normalize([0.1, 0.2, 0.3], [1, 2, 3]),
    ]);
    expect(transform.batched).toBe(true);
    const whole = transform.callBatch(new T.PixelBatch(batch)) as Tensor;
    const single = data.defaultCollate([0, 1].map((i) => transform.call(new Image(batch.get(i)))));
    expect(whole.dataSync()).toEqual(single.dataSync());
    expect(whole.isContiguous()).toBe(true);
  });
});

describe('Image, Normalize, ConvertImageDtype', () => {
  test('bad images', () => {
    expect(codeOf(() => new Image(tensor([[1]])))).toBe('ERR_DTYPE');
    expect(codeOf(() => new Image(tensor([1], { dtype: 'uint8' })))).toBe('ERR_SHAPE');
    expect(codeOf(() => new Image(1 as never))).toBe('ERR_TYPE');
  });

  test('Normalize', () => {
    const x = tensor([1, 2, 3, 4], { dtype: 'float32' }).view(2, 1, 2);
    expect(rows(new T.Normalize([1, 2], [2, 4]).call(x))).toEqual([[[0, 0.5]], [[0.25, 0.5]]]);
    expect(rows(x.view(4))).toEqual([1, 2, 3, 4]);
    const inPlace = new T.Normalize(1, 1, { inplace: true });
    expect(inPlace.batched).toBe(false);
    expect(inPlace.call(x)).toBe(x);
    expect(rows(x.view(4))).toEqual([0, 1, 2, 3]);
    expect(codeOf(() => new T.Normalize(0, 0))).toBe('ERR_VALUE');
    expect(codeOf(() => new T.Normalize([0, 0, 0], [1, 1]))).toBe('ERR_SHAPE');
    expect(codeOf(() => new T.Normalize([0, 0, 0], [1, 1, 1]).call(x))).toBe('ERR_SHAPE');
    expect(codeOf(() => new T.Normalize(0, 1).call(tensor([[[1]]])))).toBe('ERR_DTYPE');
    expect(codeOf(() => new T.Normalize('a' as never, 1))).toBe('ERR_TYPE');
  });

  test('ConvertImageDtype', () => {
    const convert = (to: 'float32' | 'uint8' | 'int16' | 'int32', x: Tensor): unknown => {
      const y = new T.ConvertImageDtype(to).call(x);
      expect(y.dtype).toBe(to);
      return rows(y);
    };
    const bytes = tensor([0, 255], { dtype: 'uint8' });
    expect(convert('float32', bytes)).toEqual([0, 1]);
    expect(convert('uint8', tensor([0, 0.5, 1.0], { dtype: 'float32' }))).toEqual([0, 127, 255]);
    expect(convert('int16', bytes)).toEqual([0, 255 * 128]);
    expect(convert('uint8', tensor([32767, 127], { dtype: 'int16' }))).toEqual([255, 0]);
    expect(codeOf(() => convert('int32', tensor([0.5])))).toBe('ERR_DTYPE');
    expect(codeOf(() => new T.ConvertImageDtype('bool'))).toBe('ERR_DTYPE');
  });

  test('printing', () => {
    const text = String(new T.Compose([new T.ToTensor(), new T.Normalize(0.5, 0.25)]));
    expect(text).toBe('Compose(\n    ToTensor()\n    Normalize(mean=[0.5], std=[0.25])\n)');
    expect(String(new Image(grid(2, 3)))).toBe('Image(mode=L, size=3x2)');
  });
});
