/**
 * Interpolation, padding, grid sampling and windows as columns on device 'cuda' in sizes of several
 * blocks and stretches, with points that many share.
 */
import { callOp, grad, manualSeed, rand, randn, type Tensor } from '../../lib';
import { expectSame } from './support';
import { suite } from './suite';

const dtypes = ['float16', 'bfloat16', 'float32', 'float64'] as const;
/** Relative and absolute; slopes of cubic weights cancel at borders, in sums of hundreds. */
const bounds: Record<string, readonly [number, number]> = {
  float16: [2e-3, 2e-3],
  bfloat16: [1.6e-2, 1.6e-2],
  float32: [2e-5, 4e-5],
  float64: [1e-10, 1e-11],
};

/** Values and gradients of f with respect to all of `inputs` agree. */
function check(inputs: Tensor[], f: (x: Tensor[]) => Tensor): void {
  const dtype = (inputs[0] as Tensor).dtype;
  const [want, got] = (['cpu', 'cuda'] as const).map((device) => {
    const leaves = inputs.map((t) => t.to(device).requiresGrad_());
    const y = f(leaves);
    manualSeed(9);
    const g = randn(y.shape as number[])
      .to(dtype as 'float32')
      .to(device);
    return [y, ...grad([y], leaves, { gradOutputs: [g] }).map((t) => t as Tensor)];
  }) as [Tensor[], Tensor[]];
  got.forEach((t, i) => expectSame(t, want[i] as Tensor, bounds[dtype]));
}

suite('device cuda, sampling', () => {
  beforeEach(() => manualSeed(0));

  test.each([
    ['nearest', [2, 3, 40, 30], [57, 91]],
    ['nearest-exact', [1, 2, 300], [77]],
    ['bilinear', [2, 3, 40, 30], [57, 91]],
    ['bicubic', [1, 2, 31, 30], [17, 60]],
    ['trilinear', [1, 2, 9, 8, 7], [5, 16, 11]],
    ['area', [1, 2, 31, 30], [7, 8]],
  ])('interpolate: %s of %j', (mode, shape, size) => {
    for (const dtype of dtypes) {
      check([randn(shape).to(dtype)], ([x]) => {
        return callOp('interpolate', [x], { size, mode }) as Tensor;
      });
    }
  });

  test('interpolate: antialiased, and bytes', () => {
    check([randn([1, 2, 64, 50])], ([x]) => {
      const options = { size: [13, 77], mode: 'bicubic', antialias: true };
      return callOp('interpolate', [x], options) as Tensor;
    });
    const bytes = rand([1, 3, 33, 35]).mul(255).to('uint8');
    const options = { size: [20, 50], mode: 'bilinear' };
    const run = (x: Tensor): Tensor => callOp('interpolate', [x], options) as Tensor;
    expectSame(run(bytes.to('cuda')), run(bytes));
  });

  test.each(['reflect', 'replicate', 'circular'])('pad: %s', (mode) => {
    check([randn([2, 3, 20, 33])], ([x]) => callOp('pad', [x, [5, 6, 7, 3], mode]) as Tensor);
  });

  const grids: [number[], number[], string, string][] = [
    [[2, 3, 60, 70], [50, 40], 'bilinear', 'zeros'],
    [[1, 9, 20, 21], [33, 30], 'bicubic', 'border'],
    [[2, 2, 20, 21], [33, 30], 'nearest', 'reflection'],
    [[1, 2, 12, 14, 16], [9, 10, 11], 'bilinear', 'border'],
  ];
  test.each(grids)('gridSample of %j at %j: %s, %s', (shape, points, mode, paddingMode) => {
    for (const dtype of ['float32', 'float64', 'bfloat16'] as const) {
      // Two thirds outside: with borders most points share few elements.
      const grid = randn([shape[0] as number, ...points, points.length])
        .mul(2)
        .to(dtype);
      check([randn(shape).to(dtype), grid], ([x, at]) => {
        return callOp('gridSample', [x, at, mode, paddingMode, false]) as Tensor;
      });
    }
  });

  test('windows as columns and back', () => {
    check([randn([2, 3, 30, 31])], ([x]) => callOp('im2col', [x, 3, 2, 1, 2]) as Tensor);
    check([randn([2, 12, 900])], ([x]) => callOp('col2im', [x, [31, 31], 2]) as Tensor);
  });
});
