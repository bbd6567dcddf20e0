/** The orthogonal parametrization, and what came with it: linear cross entropy, registration hooks. */
import { arange, eye, manualSeed, nn, noGrad, optim, tensor, type Tensor } from '../../lib';

const { orthogonal } = nn.utils.parametrizations;
type Map = nn.utils.parametrizations.OrthogonalMap;

function gap(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().max().item();
}

/** How far the columns, or the rows where there are fewer, are from orthonormal. */
function defect(w: Tensor): number {
  const q = w.size(-2) < w.size(-1) ? w.transpose(-2, -1) : w;
  return gap(q.transpose(-2, -1).matmul(q), eye(q.size(-1), { dtype: 'float64' }));
}

const originalOf = (m: nn.Module): nn.Parameter =>
  m.getParameter('parametrizations.weight.original');

describe('orthogonal', () => {
  const maps: Map[] = ['matrixExp', 'cayley', 'householder'];
  const sizes = [
    [4, 4],
    [5, 3],
    [3, 5],
  ] as const;
  const cases = maps.flatMap((map) =>
    sizes.flatMap(([rows, cols]) =>
      [true, false].map((base) => [map, rows, cols, base] as [Map, number, number, boolean]),
    ),
  );

  test.each(cases)('%s of %i x %i, base %s: stays orthogonal', (map, rows, cols, base) => {
    manualSeed(0);
    const layer = new nn.Linear(cols, rows, { bias: false, dtype: 'float64' });
    orthogonal(layer, { orthogonalMap: map, useTrivialization: base });
    expect(defect(layer.weight)).toBeLessThan(1e-14);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    for (let i = 0; i < 3; ++i) {
      optimizer.zeroGrad();
      layer.weight
        .mul(arange(rows * cols, { dtype: 'float64' }).reshape([rows, cols]))
        .sum()
        .backward();
      optimizer.step();
    }
    expect(originalOf(layer).grad?.abs().sum().item()).toBeGreaterThan(0.1);
    expect(defect(layer.weight)).toBeLessThan(1e-14);
    const names = Object.keys(layer.stateDict());
    expect(names.includes('parametrizations.weight.0.base')).toBe(base);
  });

  test('maps are those of the formulas', () => {
    const angle = 0.7;
    const expected = (c: number, s: number): Tensor =>
      tensor(
        [
          [c, -s],
          [s, c],
        ],
        { dtype: 'float64' },
      );
    for (const orthogonalMap of ['matrixExp', 'cayley'] as const) {
      const layer = new nn.Linear(2, 2, { dtype: 'float64' });
      orthogonal(layer, 'weight', { orthogonalMap, useTrivialization: false });
      noGrad(() =>
        originalOf(layer).copy_(
          tensor(
            [
              [9, 8],
              [angle, 7],
            ],
            { dtype: 'float64' },
          ),
        ),
      );
      const h = angle ** 2 / 4;
      const wanted =
        orthogonalMap === 'matrixExp'
          ? expected(Math.cos(angle), Math.sin(angle))
          : expected((1 - h) / (1 + h), angle / (1 + h));
      expect(gap(layer.weight, wanted)).toBeLessThan(1e-15);
    }
  });

  test.each([true, false])('takes an orthogonal value as it is, base %s', (useTrivialization) => {
    const layer = new nn.Linear(3, 4, { dtype: 'float64' });
    nn.init.orthogonal_(layer.weight);
    const before = layer.weight.detach().clone();
    orthogonal(layer, { orthogonalMap: 'householder', useTrivialization });
    if (!useTrivialization) expect(gap(layer.weight, before)).toBeLessThan(1e-14);
    const square = new nn.Linear(3, 3, { dtype: 'float64' });
    nn.init.orthogonal_(square.weight);
    const value = square.weight.detach().clone();
    orthogonal(square, { orthogonalMap: 'householder', useTrivialization });
    expect(gap(square.weight, value)).toBeLessThan(1e-14);
  });

  test('batches of matrices', () => {
    const holder = new nn.Bilinear(3, 5, 2, { dtype: 'float64' });
    orthogonal(holder);
    expect(holder.weight.shape).toEqual([2, 3, 5]);
    expect(defect(holder.weight)).toBeLessThan(1e-14);
    const other = new nn.Bilinear(3, 5, 2, { dtype: 'float64' });
    orthogonal(other, { useTrivialization: false });
    expect(defect(other.weight)).toBeLessThan(1e-14);
  });

  test('says what is wrong', () => {
    const layer = (): nn.Linear => new nn.Linear(2, 2);
    expect(() => orthogonal(layer(), 'wait')).toThrow(/no parameter or buffer 'wait'/);
    expect(() => orthogonal(layer(), 'bias')).toThrow(/matrix/);
    expect(() => orthogonal(layer(), { orthogonalMap: 'exp' as never })).toThrow(
      /one of matrixExp/,
    );
  });
});

describe('LinearCrossEntropyLoss', () => {
  test('is what PyTorch computes', () => {
    const weight = tensor([1, 2, 3, 4], { dtype: 'float32' });
    const options = { bias: true, outFeatures: [2], labelSmoothing: 0.1, weight };
    const loss = new nn.LinearCrossEntropyLoss(3, 4, options);
    expect(Object.keys(loss.stateDict())).toEqual(['weight', 'linear.weight', 'linear.bias']);
    const ramp = (n: number): Tensor => arange(n, { dtype: 'float32' });
    noGrad(() => {
      loss.linear.weight.copy_(ramp(24).reshape([8, 3]).div(10).sub(1));
      loss.linear.bias?.copy_(ramp(8).div(5));
    });
    const target = tensor([
      [0, 1],
      [2, 3],
      [3, -100],
      [1, 1],
      [0, 2],
    ]);
    const value = loss.call(ramp(15).reshape([5, 3]).div(7).sub(1), target);
    expect(value.item()).toBeCloseTo(1.9590792655944824, 5);
    value.backward();
    expect(loss.linear.weight.grad).not.toBeNull();
  });

  test('without further dimensions it is Linear and CrossEntropyLoss', () => {
    const loss = new nn.LinearCrossEntropyLoss(3, 4, { ignoreIndex: 2 });
    const x = arange(15, { dtype: 'float32' }).reshape([5, 3]);
    const y = tensor([0, 1, 2, 3, 0]);
    const expected = nn.functional.crossEntropy(loss.linear.call(x), y, { ignoreIndex: 2 });
    expect(loss.call(x, y).item()).toBe(expected.item());
    expect(() => new nn.LinearCrossEntropyLoss(3, 4, { weight: x })).toThrow(/'weight'/);
    expect(() => new nn.LinearCrossEntropyLoss(3, 4, { labelSmoothing: 2 })).toThrow(/\[0, 1\]/);
  });
});

test('registration hooks see and replace what is registered', () => {
  const seen: string[] = [];
  const note = (module: nn.Module, name: string): void => {
    seen.push(`${module.constructor.name}.${name}`);
  };
  const handles = [
    nn.registerModuleBufferRegistrationHook(note),
    nn.registerModuleBufferRegistrationHook((_m, _n, b) => b?.add(1)),
    nn.registerModuleModuleRegistrationHook(note),
    nn.registerModuleParameterRegistrationHook(note),
  ];
  const module = new nn.Identity();
  try {
    module.registerBuffer('b', tensor([1]));
    module.registerParameter('p', new nn.Parameter(tensor([1.5])));
    module.addModule('m', new nn.Identity());
  } finally {
    handles.forEach((handle) => {
      handle.remove();
    });
  }
  module.registerBuffer('later', tensor([1]));
  expect(seen).toEqual(['Identity.b', 'Identity.p', 'Identity.m']);
  expect(module.getBuffer('b').toArray()).toEqual([2]);
  expect(module.getBuffer('later').toArray()).toEqual([1]);
  expect(new nn.RNNCell(2, 3)).toBeInstanceOf(nn.RNNCellBase);
  expect(new nn.NLLLoss2d()).toBeInstanceOf(nn.NLLLoss);
});
