import { nn, noGrad, ones, randn, type Tensor, tensor, zeros } from '../../lib';

const { parametrize, parametrizations } = nn.utils;

function difference(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item();
}

test('parameters as a vector and back', () => {
  const model = new nn.Linear(3, 2);
  const vector = nn.utils.parametersToVector(model.parameters());
  expect(vector.shape).toEqual([8]);
  nn.utils.vectorToParameters(ones([8]), model.parameters());
  expect(model.bias?.toArray()).toEqual([1, 1]);
  expect(() => nn.utils.vectorToParameters(ones([7]), model.parameters())).toThrow('[8]');
});

describe('functionalCall', () => {
  test('swaps tensors for one call and lets gradients through', () => {
    const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 1, { bias: false }));
    const before = model.parameters();
    const weight = zeros([1, 2], { requiresGrad: true });
    const y = nn.functionalCall(model, { '1.weight': weight }, [ones([1, 2])]);
    expect(y.toArray()).toEqual([[0]]);
    y.sum().backward();
    expect(weight.grad).not.toBeNull();
    expect(model.parameters().every((p, i) => p === before[i])).toBe(true);
    expect(before[2]?.grad).toBeNull();
  });

  test('ties shared tensors and checks names', () => {
    const a = new nn.Linear(2, 2, { bias: false });
    const b = new nn.Linear(2, 2, { bias: false });
    b.weight = a.weight;
    const model = new nn.Sequential(a, b);
    const twice = tensor([[2, 0], [0, 2]], { dtype: 'float32' }); // prettier-ignore
    const x = ones([1, 2]);
    expect(nn.functionalCall(model, { '0.weight': twice }, [x]).toArray()).toEqual([[4, 4]]);
    expect(() => nn.functionalCall(model, { weight: twice }, [x])).toThrow("no tensor 'weight'");
    expect(() => nn.functionalCall(model, {}, [x], { strict: true })).toThrow('missing tensors');
    expect(() => nn.functionalCall(model, { '0.weight': ones([3, 3]) }, [x])).toThrow();
    expect(a.weight).toBe(b.weight);
  });
});

describe('parametrizations', () => {
  test('weightNorm keeps the value and trains length and direction', () => {
    const layer = new nn.Linear(3, 2);
    const x = randn([4, 3]);
    const before = layer.call(x);
    parametrizations.weightNorm(layer);
    expect(Object.entries(layer.stateDict()).map(([k, t]) => [k, t.shape])).toEqual([
      ['bias', [2]],
      ['parametrizations.weight.original0', [2, 1]],
      ['parametrizations.weight.original1', [2, 3]],
    ]);
    expect(difference(layer.call(x), before)).toBeLessThan(1e-6);
    layer.call(x).sum().backward();
    expect(layer.parameters().every((p) => p.grad !== null)).toBe(true);
    expect(parametrize.isParametrized(layer, 'weight')).toBe(true);

    const copy = layer.deepCopy();
    noGrad(() => copy.getParameter('parametrizations.weight.original0').mul_(2));
    expect(difference(copy.weight, layer.weight.mul(2))).toBeLessThan(1e-6);

    parametrize.removeParametrizations(layer, 'weight');
    expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias']);
    expect(difference(layer.call(x), before)).toBeLessThan(1e-6);
  });

  test('spectralNorm divides by the largest singular value', () => {
    const layer = new nn.Linear(2, 2, { bias: false });
    noGrad(() => layer.weight.copy_(tensor([[3, 0], [0, 1]]))); // prettier-ignore
    parametrizations.spectralNorm(layer, { nPowerIterations: 30 });
    expect(Object.keys(layer.stateDict())).toEqual([
      'parametrizations.weight.original',
      'parametrizations.weight.0._u',
      'parametrizations.weight.0._v',
    ]);
    layer.call(ones([1, 2]));
    layer.eval();
    expect(difference(layer.weight, tensor([[1, 0], [0, 1 / 3]]))).toBeLessThan(1e-5); // prettier-ignore
  });

  test('own parametrizations, chains, assignment and caching', () => {
    let runs = 0;
    class Symmetric extends nn.Module {
      override forward(x: Tensor): Tensor {
        ++runs;
        return x.add(x.t()).div(2);
      }

      rightInverse(x: Tensor): Tensor {
        return x;
      }
    }
    class Twice extends nn.Module {
      override forward(x: Tensor): Tensor {
        return x.mul(2);
      }

      rightInverse(x: Tensor): Tensor {
        return x.div(2);
      }
    }
    const layer = new nn.Linear(2, 2, { bias: false });
    parametrize.registerParametrization(layer, 'weight', new Symmetric());
    parametrize.registerParametrization(layer, 'weight', new Twice());
    expect(difference(layer.weight, layer.weight.t())).toBeLessThan(1e-6);
    layer.weight = ones([2, 2]) as nn.Parameter;
    expect(layer.weight.toArray()).toEqual([[1, 1], [1, 1]]); // prettier-ignore
    runs = 0;
    parametrize.cached(() => [layer.weight, layer.weight]);
    expect(runs).toBe(1);
    expect(() => parametrize.registerParametrization(layer, 'wait', new Twice())).toThrow(
      "no tensor 'wait'",
    );
  });
});

test('fusing folds a batch normalisation into the layer before it', () => {
  const conv = new nn.Conv2d(2, 3, 3, { bias: false });
  const bn = new nn.BatchNorm2d(3);
  bn.call(conv.call(randn([4, 2, 5, 5])));
  const x = randn([2, 2, 5, 5]);
  expect(() => nn.utils.fuseConvBnEval(conv, bn)).toThrow('evaluation mode');
  const want = bn.eval().call(conv.eval().call(x));
  expect(difference(nn.utils.fuseConvBnEval(conv, bn).call(x), want)).toBeLessThan(1e-5);
  const linear = new nn.Linear(3, 4).eval();
  const bn1 = new nn.BatchNorm1d(4);
  bn1.call(randn([8, 4]));
  const y = randn([5, 3]);
  const fused = nn.utils.fuseLinearBnEval(linear, bn1.eval());
  expect(difference(fused.call(y), bn1.call(linear.call(y)))).toBeLessThan(1e-5);
});
