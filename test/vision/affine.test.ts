import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { arange, manualSeed, tensor, type Tensor, vision } from '../../lib';
import { affinePlanes, rotatePlanes } from '../../lib/vision/transforms/affine';
import { changes } from '../../lib/vision/transforms/augment';
import { codeOf } from './helpers';

const { transforms: T, Image } = vision;

interface Digest {
  mode: 'nearest' | 'bilinear';
  shape: number[];
  bytes: number[];
  sums: number[];
}

interface Golden {
  rotations: (Digest & {
    angle: number;
    expand: boolean;
    center: [number, number] | null;
    fill: number[] | null;
  })[];
  maps: (Digest & {
    angle: number;
    translate: [number, number];
    scale: number;
    shear: [number, number];
    center: [number, number] | null;
  })[];
  augment: { op: string; level: number; sign: 1 | -1; bytes: number[] }[];
}

const golden = JSON.parse(
  readFileSync(join(__dirname, '../golden/vision/affine.json'), 'utf8'),
) as Golden;
const image = tensor(Uint8Array.from({ length: 3 * 7 * 9 }, (_, i) => (i * 37) % 256)).view(
  3,
  7,
  9,
);

const bytesOf = (x: Tensor): number[] => x.flatten().toArray() as number[];

/** Compares bytes, and the sums of rows of the same image as float64. */
function check(golden: Digest, change: (x: Tensor, bound: number) => Tensor): void {
  const y = change(image, 255);
  expect([y.dtype, y.shape]).toEqual(['uint8', golden.shape]);
  expect(bytesOf(y)).toEqual(golden.bytes);
  const floats = change(image.to('float64').div(255), 1);
  const plane = golden.shape.slice(1) as [number, number];
  const weights = arange(1, plane[0] * plane[1] + 1).view(plane);
  const sums = bytesOf(floats.mul(weights).sum(-1));
  sums.forEach((sum, i) => {
    expect(sum).toBeCloseTo(golden.sums[i] as number, 7);
  });
}

test.each(golden.rotations)('rotation as torchvision: $mode, $angle, expand $expand', (c) => {
  check(c, (x, bound) =>
    rotatePlanes(x, c.angle, {
      interpolation: c.mode,
      fill: c.fill?.map((v) => v * bound) ?? null,
      expand: c.expand,
      center: c.center ?? undefined,
    }),
  );
});

test.each(golden.maps)('affine map as torchvision: $mode, $angle', (c) => {
  const map = { ...c, center: c.center ?? undefined };
  check(c, (x) => affinePlanes(x, map, { interpolation: c.mode, fill: 0 }));
});

test.each(golden.augment)('$op $level ($sign) as torchvision', ({ op, level, sign, bytes }) => {
  const change = changes.find((c) => c.name === op) as (typeof changes)[number];
  const strength = change.strength({ at: level, bins: 31 }, image);
  const sampling = { interpolation: 'nearest', fill: [7, 8, 9] } as const;
  const y = change.apply(image, sign * strength, sampling);
  expect([y.dtype, y.shape]).toEqual(['uint8', [3, 7, 9]]);
  expect(bytesOf(y)).toEqual(bytes);
});

describe('RandomRotation', () => {
  test('quarter turns, of images and of batches', () => {
    const turn = new T.RandomRotation([90, 90], { expand: true });
    const x = arange(6, { dtype: 'uint8' }).view(2, 3);
    const wanted = [
      [2, 5],
      [1, 4],
      [0, 3],
    ];
    expect(turn.call(x).toArray()).toEqual(wanted);
    const picture = turn.call(new Image(x));
    expect(picture.planes().get(0).toArray()).toEqual(wanted);
    const batch = turn.call(x.view(1, 1, 2, 3).repeat([4, 3, 1, 1]));
    expect([batch.shape, batch.get(3, 2).toArray()]).toEqual([[4, 3, 3, 2], wanted]);
  });

  test('angles are drawn between bounds and follow the seed', () => {
    const turn = new T.RandomRotation(30, { interpolation: 'bilinear', fill: 1 });
    expect(turn.degrees).toEqual([-30, 30]);
    const run = (): unknown => {
      manualSeed(3);
      return [turn.call(image).toArray(), turn.call(image).toArray()];
    };
    const [a, b] = run() as unknown[];
    expect(a).not.toEqual(b);
    expect(run()).toEqual([a, b]);
    expect(new T.RandomRotation(0).call(image).equal(image)).toBe(true);
  });

  test('wrong arguments', () => {
    const cases: [() => unknown, string][] = [
      [() => new T.RandomRotation(-1), 'ERR_VALUE'],
      [() => new T.RandomRotation('30' as never), 'ERR_TYPE'],
      [() => new T.RandomRotation([3, 1]), 'ERR_VALUE'],
      [() => new T.RandomRotation([1] as never), 'ERR_TYPE'],
      [() => new T.RandomRotation(NaN), 'ERR_VALUE'],
      [() => new T.RandomRotation(1, { interpolation: 'bicubic' as never }), 'ERR_VALUE'],
      [() => new T.RandomRotation(1, { expand: 1 as never }), 'ERR_TYPE'],
      [() => new T.RandomRotation(1, { center: [1] as never }), 'ERR_TYPE'],
      [() => new T.RandomRotation(1, { fill: 'red' as never }), 'ERR_TYPE'],
      [() => new T.RandomRotation(1, { fill: [] }), 'ERR_VALUE'],
      [() => new T.RandomRotation(1, { fil: 1 } as never), 'ERR_TYPE'],
      [() => new T.RandomRotation(1, { fill: [1, 2] }).call(image), 'ERR_SHAPE'],
      [() => new T.RandomRotation(1).call(tensor([1])), 'ERR_SHAPE'],
      [() => new T.RandomRotation(1).call(tensor([[], []])), 'ERR_SHAPE'],
      [() => new T.RandomRotation(1).call(tensor([[true]])), 'ERR_DTYPE'],
      [() => new T.RandomRotation(1).call(1 as never), 'ERR_TYPE'],
    ];
    for (const [fn, code] of cases) expect(codeOf(fn)).toBe(code);
  });
});

describe('RandomAffine', () => {
  test('shifts whole pixels, at most the share', () => {
    manualSeed(0);
    const move = new T.RandomAffine(0, { translate: [0.25, 0], fill: 9 });
    const x = tensor([[1, 2, 3, 4]], { dtype: 'float32' });
    const seen = new Set(Array.from({ length: 40 }, () => String(move.call(x).toArray())));
    expect(seen).toEqual(new Set(['1,2,3,4', '9,1,2,3', '2,3,4,9']));
  });

  test('scales about the middle', () => {
    const grow = new T.RandomAffine(0, { scale: [2, 2] });
    const x = arange(16, { dtype: 'float32' }).view(4, 4);
    expect(grow.call(x).toArray()).toEqual([
      [5, 5, 6, 6],
      [5, 5, 6, 6],
      [9, 9, 10, 10],
      [9, 9, 10, 10],
    ]);
  });

  test('an empty batch, half precision, gradients', () => {
    const t = new T.RandomAffine(20, { shear: [1, 2, 3, 4], interpolation: 'bilinear' });
    expect(t.call(tensor([], { dtype: 'float32' }).view(0, 3, 4, 4)).shape).toEqual([0, 3, 4, 4]);
    expect(t.call(image.to('float16')).dtype).toBe('float16');
    const x = image.to('float32').requiresGrad_();
    t.call(x).sum().backward();
    expect((x.grad as Tensor).abs().sum().item()).toBeGreaterThan(0);
  });

  test('wrong arguments', () => {
    const cases: [() => unknown, string][] = [
      [() => new T.RandomAffine(-1), 'ERR_VALUE'],
      [() => new T.RandomAffine(0, { translate: [0, 1.5] }), 'ERR_VALUE'],
      [() => new T.RandomAffine(0, { translate: 0.1 as never }), 'ERR_TYPE'],
      [() => new T.RandomAffine(0, { scale: [0, 1] }), 'ERR_VALUE'],
      [() => new T.RandomAffine(0, { scale: 2 as never }), 'ERR_TYPE'],
      [() => new T.RandomAffine(0, { shear: -2 }), 'ERR_VALUE'],
      [() => new T.RandomAffine(0, { shear: [1, 2, 3] as never }), 'ERR_TYPE'],
      [() => new T.RandomAffine(0, { shear: [1, 2, 4, 3] }), 'ERR_VALUE'],
      [() => new T.RandomAffine(0, { expand: true } as never), 'ERR_TYPE'],
      [() => new T.RandomAffine(0, { fill: [1, 2, 3, 4] }).call(image), 'ERR_SHAPE'],
    ];
    for (const [fn, code] of cases) expect(codeOf(fn)).toBe(code);
  });
});

describe('RandAugment', () => {
  test('keeps size, kind and channels; follows the seed', () => {
    const augment = new T.RandAugment({ numOps: 3, magnitude: 12 });
    const picture = new Image(image.permute([1, 2, 0]));
    const run = (): unknown => {
      manualSeed(5);
      return Array.from({ length: 30 }, () => {
        const y = augment.call(picture);
        expect([y.mode, y.width, y.height]).toEqual(['RGB', 9, 7]);
        return bytesOf(y.pixels);
      });
    };
    const first = run() as number[][];
    expect(new Set(first.map(String)).size).toBeGreaterThan(20);
    expect(run()).toEqual(first);
    expect(new T.RandAugment({ numOps: 0 }).call(picture).pixels.equal(picture.pixels)).toBe(true);
  });

  test('every change of floats stays near that of bytes', () => {
    const floats = image.to('float32').div(255);
    const sampling = { interpolation: 'nearest', fill: null } as const;
    const level = { at: 10, bins: 31 };
    for (const change of changes) {
      const bytes = change.apply(image, change.strength(level, image), sampling);
      const y = change.apply(floats, change.strength(level, floats), sampling);
      expect(y.dtype).toBe('float32');
      const off = y.mul(255).sub(bytes.to('float32')).abs();
      // Solarize and posterize jump; at most a few pixels lie on an edge.
      expect(off.gt(1.01).sum().item()).toBeLessThan(change.name === 'Posterize' ? 190 : 4);
      expect(y.ge(0).all().item() && y.le(1).all().item()).toBe(true);
    }
  });

  test('grey images and batches', () => {
    const grey = image.get(0).view(1, 7, 9);
    const batch = image.view(1, 3, 7, 9).repeat([2, 1, 1, 1]);
    const sampling = { interpolation: 'bilinear', fill: 3 } as const;
    for (const change of changes) {
      const strength = change.strength({ at: 20, bins: 31 }, grey);
      expect(change.apply(grey, strength, sampling).shape).toEqual([1, 7, 9]);
      const whole = change.apply(batch, strength, sampling);
      expect(whole.get(1).equal(change.apply(image, strength, sampling))).toBe(true);
    }
  });

  test('wrong arguments', () => {
    const cases: [() => unknown, string][] = [
      [() => new T.RandAugment({ numOps: -1 }), 'ERR_VALUE'],
      [() => new T.RandAugment({ numOps: 'two' as never }), 'ERR_TYPE'],
      [() => new T.RandAugment({ magnitude: 31 }), 'ERR_VALUE'],
      [() => new T.RandAugment({ magnitude: 0.5 }), 'ERR_VALUE'],
      [() => new T.RandAugment({ numMagnitudeBins: 1 }), 'ERR_VALUE'],
      [() => new T.RandAugment({ ops: 3 } as never), 'ERR_TYPE'],
      [() => new T.RandAugment().call(image.to('int32')), 'ERR_DTYPE'],
      [() => new T.RandAugment().call(image.get(0)), 'ERR_SHAPE'],
      [() => new T.RandAugment({ fill: [1, 2] }).call(image), 'ERR_SHAPE'],
    ];
    for (const [fn, code] of cases) expect(codeOf(fn)).toBe(code);
  });
});

test('each can be made again from its arguments', () => {
  const all = [
    new T.RandomRotation(5, { center: [1, 2], expand: true, fill: [1, 2, 3] }),
    new T.RandomAffine(5, { scale: [1, 2], shear: 3, translate: [0.5, 0] }),
    new T.RandAugment({ magnitude: 3, fill: 5 }),
  ];
  for (const t of all) {
    const Kind = t.constructor as new (...args: never[]) => typeof t;
    const again = new Kind(...(t.constructorArgs() as never[]));
    expect(again.constructorArgs()).toEqual(t.constructorArgs());
  }
});
