/**
 * Pooling on device 'cuda' in sizes that take other kernels than the table's samples: windows worth
 * a warp, several blocks, planes of positions of several stretches, and positions that many share.
 */
import { callOp, grad, manualSeed, randint, randn, type Tensor, tensor } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

const dtypes = ['float16', 'bfloat16', 'float32', 'float64'] as const;

function both(f: (device: 'cpu' | 'cuda') => Tensor[]): void {
  const want = f('cpu');
  const got = f('cuda');
  got.forEach((t, i) => expectSame(t, want[i] as Tensor));
}

suite('device cuda, pooling', () => {
  beforeEach(() => manualSeed(0));

  const cases: [string, number[], unknown[], Record<string, unknown>?][] = [
    ['maxPool2d', [2, 3, 40, 37], [3, 2, 1]],
    ['maxPool2d', [1, 2, 23, 25], [9, 2, 4]],
    [
      'maxPool2d',
      [1, 2, 30, 31],
      [
        [3, 2],
        [2, 3],
        [1, 0],
        [2, 3],
      ],
      { ceilMode: true },
    ],
    ['maxPool3d', [1, 2, 9, 10, 11], [3, 2, 1]],
    ['maxPool1d', [2, 2, 3000], [5, 1, 2]],
    ['avgPool2d', [2, 3, 40, 37], [3, 2, 1], { countIncludePad: false }],
    ['avgPool2d', [1, 2, 23, 25], [[9, 8], 3, 4], { ceilMode: true }],
    ['avgPool3d', [1, 2, 9, 10, 11], [3, 2, 1], { divisorOverride: 5 }],
    ['adaptiveAvgPool2d', [2, 5, 17, 19], [1]],
    ['adaptiveAvgPool2d', [1, 2, 17, 19], [[5, 23]]],
    ['adaptiveMaxPool2d', [1, 2, 33, 29], [2]],
    ['adaptiveMaxPool3d', [1, 2, 9, 8, 7], [[2, 9, 3]]],
  ];
  test.each(cases)('%s of %j by %j', (name, shape, args, options = {}) => {
    for (const dtype of dtypes) {
      const x = randn(shape).to(dtype);
      both((device) => {
        const leaf = x.to(device).requiresGrad_();
        const y = callOp(name, [leaf, ...args], options) as Tensor;
        manualSeed(3);
        const g = randn(y.shape).to(dtype).to(device);
        return [y, grad([y], [leaf], { gradOutputs: [g] })[0] as Tensor];
      });
    }
  });

  test('equal elements and NaN are chosen as on the CPU, by threads and by warps', () => {
    const x = randint(0, 3, [2, 30, 30]).to('float32');
    x.select(0, 1).select(0, 4).fill_(NaN);
    for (const kernel of [2, 3, 10]) {
      const run = (device: 'cpu' | 'cuda'): Tensor[] =>
        callOp('maxPool2dWithIndices', [x.to(device), kernel, 2]) as Tensor[];
      both(run);
    }
  });

  test('many elements at few positions: sums in one order, or the last one', () => {
    const n = 700;
    for (const dtype of [...dtypes, 'int32'] as const) {
      const x = randn([2, n]).mul(3).to(dtype);
      for (const spread of [1, 7, 5000]) {
        const at = randint(0, spread, [2, n]);
        for (const add of [true, false]) {
          const run = (device: 'cpu' | 'cuda'): Tensor =>
            callOp('poolScatter', [x.to(device), at.to(device), [5001], add]) as Tensor;
          expectSame(run('cuda'), run('cpu'));
          expect(run('cuda').cpu().toArray()).toEqual(run('cuda').cpu().toArray());
        }
        const wide = randn([2, 5001]).to(dtype);
        const run = (device: 'cpu' | 'cuda'): Tensor =>
          callOp('poolGather', [wide.to(device), at.to(device), 1]) as Tensor;
        expectSame(run('cuda'), run('cpu'));
      }
    }
  });

  test('positions outside of the plane are reported when the device is waited for', () => {
    const x = randn([1, 40]).to('cuda');
    const at = randint(0, 40, [1, 40]).add(7).to('cuda');
    expect(() => (callOp('poolGather', [x, at, 1]) as Tensor).cpu()).toThrow(/poolGather: index 4/);
    expect(() => (callOp('poolScatter', [x, at, [40], true]) as Tensor).cpu()).toThrow(
      /poolScatter: index 4/,
    );
    expect(x.sum().cpu().shape).toEqual([]);
  });

  test('unpooling refuses positions outside of the plane', () => {
    const at = tensor([[0, 9]])
      .long()
      .to('cuda');
    const x = tensor([[1, 2]])
      .float()
      .to('cuda');
    expect(() => callOp('maxUnpool1d', [x, at, 2])).toThrow(/found an invalid max index: 9/);
    expect(() => callOp('maxUnpool1d', [x.cpu(), at.mul(0), 2])).toThrow(/same device/);
  });
});
