/** Loss modules, hooks of every module and of state dicts, older norms of weights. */
import { nn, ones, randn, tensor, type Tensor } from '../../lib';

describe('loss modules', () => {
  test('keep their options as fields and their weights as buffers', () => {
    const loss = new nn.BCEWithLogitsLoss({ posWeight: ones([2]), reduction: 'sum' });
    expect(loss.reduction).toBe('sum');
    expect(Object.keys(loss.stateDict())).toEqual(['pos_weight']);
    expect(String(loss)).toBe('BCEWithLogitsLoss()');
    expect(() => new nn.BCELoss({ reduction: 'all' as never })).toThrow('reduction');
    expect(() => new nn.MultiMarginLoss({ p: 3 })).toThrow('1 or 2');
  });

  test('CTCLoss takes lengths as lists', () => {
    const logProbs = randn([5, 2, 3]).logSoftmax(2);
    const targets = tensor([
      [1, 2],
      [2, 1],
    ]);
    const loss = new nn.CTCLoss().call(logProbs, targets, [5, 4], [2, 1]);
    expect(loss.shape).toEqual([]);
    expect(loss.item()).toBeGreaterThan(0);
  });

  test('AdaptiveLogSoftmaxWithLoss gives what logProb says', () => {
    const layer = new nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], { divValue: 2 });
    const x = randn([4, 8]);
    const y = tensor([0, 4, 9, 2]);
    const [output, loss] = layer.call(x, y);
    const all = layer.logProb(x);
    expect(all.exp().sum(1).sub(1).abs().max().item()).toBeLessThan(1e-5);
    expect(all.gather(1, y.unsqueeze(1)).squeeze(1).sub(output).abs().max().item()).toBeLessThan(
      1e-5,
    );
    expect(loss.item()).toBeCloseTo(-output.mean().item(), 5);
    expect(layer.predict(x).shape).toEqual([4]);
    expect(() => layer.call(x, tensor([0, 4, 10, 2]))).toThrow('[0, 9]');
    expect(() => new nn.AdaptiveLogSoftmaxWithLoss(8, 10, [6, 3])).toThrow('increasing');
  });
});

describe('fractional pooling', () => {
  test('pools to a size, or by a ratio, and gives indices', () => {
    const x = randn([2, 3, 7, 8]);
    expect(new nn.FractionalMaxPool2d(2, { outputSize: [3, 4] }).call(x).shape).toEqual([
      2, 3, 3, 4,
    ]);
    const layer = new nn.FractionalMaxPool2d(2, { outputRatio: 0.5, returnIndices: true });
    const [output, indices] = layer.call(x) as unknown as [Tensor, Tensor];
    const flat = x.flatten({ startDim: 2 });
    expect(
      flat
        .gather(2, indices.flatten({ startDim: 2 }))
        .view(output.shape)
        .equal(output),
    ).toBe(true);
    expect(() => new nn.FractionalMaxPool2d(2)).toThrow('exactly one');
    expect(() => new nn.FractionalMaxPool3d(2, { outputRatio: 1.5 })).toThrow('between 0 and 1');
  });
});

describe('hooks', () => {
  test('of every module run before its own and can be removed', () => {
    const seen: string[] = [];
    const layer = new nn.Linear(2, 2);
    layer.registerForwardHook(() => {
      seen.push('own');
    });
    const handle = nn.registerModuleForwardHook((module) => {
      seen.push(module.constructor.name);
    });
    const pre = nn.registerModuleForwardPreHook((_, args) => args);
    new nn.Sequential(layer, new nn.ReLU()).call(ones([1, 2]));
    expect(seen).toEqual(['Linear', 'own', 'ReLU', 'Sequential']);
    handle.remove();
    pre.remove();
    layer.call(ones([1, 2]));
    expect(seen).toEqual(['Linear', 'own', 'ReLU', 'Sequential', 'own']);
  });

  test('of state dicts see and change them', () => {
    const layer = new nn.Linear(2, 2, { bias: false });
    const calls: string[] = [];
    layer.registerStateDictPreHook((_, prefix) => calls.push(`pre ${prefix}`));
    const post = layer.registerStateDictPostHook((_, state, prefix) => {
      state[`${prefix}extra`] = ones([1]);
    });
    const state = new nn.Sequential(layer).stateDict();
    expect(Object.keys(state)).toEqual(['0.weight', '0.extra']);
    expect(calls).toEqual(['pre 0.']);
    post.remove();
    layer.registerLoadStateDictPreHook((_, given, prefix) => {
      Reflect.deleteProperty(given, `${prefix}extra`);
    });
    layer.registerLoadStateDictPostHook((_, result) => {
      result.missingKeys.length = 0;
    });
    expect(layer.loadStateDict({ extra: ones([1]) })).toEqual({
      missingKeys: [],
      unexpectedKeys: [],
    });
  });
});

describe('older norms of weights', () => {
  test('weightNorm has parameters weight_g and weight_v', () => {
    const layer = new nn.Linear(3, 2);
    const before = layer.weight.detach().clone();
    const x = randn([4, 3]);
    const want = layer.call(x);
    nn.utils.weightNorm(layer);
    expect(Object.keys(layer.stateDict())).toEqual(['bias', 'weight_g', 'weight_v']);
    expect(layer.call(x).sub(want).abs().max().item()).toBeLessThan(1e-5);
    layer.call(x).sum().backward();
    expect(layer.getParameter('weight_g').grad).not.toBeNull();
    nn.utils.removeWeightNorm(layer);
    expect(layer.weight.sub(before).abs().max().item()).toBeLessThan(1e-6);
    expect(() => nn.utils.removeWeightNorm(layer)).toThrow('not found');
  });

  test('spectralNorm divides by the largest singular value', () => {
    const layer = nn.utils.spectralNorm(new nn.Linear(4, 4), { nPowerIterations: 50 });
    expect(Object.keys(layer.stateDict())).toEqual(['bias', 'weight_orig', 'weight_u', 'weight_v']);
    layer.call(randn([1, 4]));
    const w = layer.weight;
    let u = randn([4, 1]);
    for (let i = 0; i < 100; ++i) {
      u = w.matmul(w.t().matmul(u));
      u = u.div(u.norm());
    }
    expect(w.t().matmul(u).norm().item()).toBeCloseTo(1, 2);
    nn.utils.removeSpectralNorm(layer);
    expect(Object.keys(layer.stateDict())).toEqual(['bias', 'weight']);
  });
});
