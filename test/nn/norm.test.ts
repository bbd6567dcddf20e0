import { nn, noGrad, ones, randn, tensor } from '../../lib';

function statistics(x: { mean(): { item(): number }; square(): { mean(): { item(): number } } }) {
  return [x.mean().item(), x.square().mean().item()];
}

describe('normalisation', () => {
  test('LayerNorm, RMSNorm and GroupNorm', () => {
    const x = randn([4, 6, 5]).mul(3).add(2);
    const [mean, square] = statistics(new nn.LayerNorm([6, 5]).call(x));
    expect(mean).toBeCloseTo(0, 5);
    expect(square).toBeCloseTo(1, 3);
    expect(statistics(new nn.RMSNorm(5).call(x))[1]).toBeCloseTo(1, 3);
    expect(statistics(new nn.GroupNorm(3, 6).call(x))[0]).toBeCloseTo(0, 5);
    const plain = new nn.LayerNorm(5, { elementwiseAffine: false });
    expect(plain.parameters()).toHaveLength(0);
    expect(String(plain)).toBe('LayerNorm([5], eps=0.00001, elementwiseAffine=false)');
    expect(Object.keys(new nn.LayerNorm(5, { bias: false }).stateDict())).toEqual(['weight']);
    expect(() => new nn.GroupNorm(4, 6)).toThrow('divisible');
    expect(() => new nn.LayerNorm([])).toThrow('normalizedShape');
  });

  test('LocalResponseNorm divides by neighbouring channels', () => {
    const y = new nn.LocalResponseNorm(3, { alpha: 3, beta: 1, k: 0 }).call(ones([1, 4, 2]));
    expect(y.get(0, '...', 0).toArray()).toEqual([0.5, 1 / 3, 1 / 3, 0.5].map(Math.fround));
  });
});

describe('running statistics', () => {
  test('BatchNorm counts batches and uses the statistics in evaluation', () => {
    const bn = new nn.BatchNorm1d(2);
    expect(Object.keys(bn.stateDict())).toEqual([
      'weight',
      'bias',
      'running_mean',
      'running_var',
      'num_batches_tracked',
    ]);
    bn.call(tensor([[1.5, 2], [3.5, 2]])); // prettier-ignore
    expect(bn.numBatchesTracked?.item()).toBe(1);
    expect(bn.runningMean?.toArray()).toEqual([0.25, 0.2].map(Math.fround));
    bn.eval();
    bn.call(randn([3, 2]));
    expect(bn.numBatchesTracked?.item()).toBe(1);
    noGrad(() => bn.runningVar?.fill_(4));
    const y = bn.call(tensor([[4.25, 0.2]]));
    expect(y.get(0, 0).item()).toBeCloseTo(2, 4);
  });

  test('momentum null keeps the mean of all batches', () => {
    const bn = new nn.BatchNorm1d(1, { momentum: null });
    bn.call(tensor([[1.5], [2.5]]));
    bn.call(tensor([[5.5], [6.5]]));
    expect(bn.runningMean?.item()).toBeCloseTo(4, 5);
  });

  test('checkpoints without a counter load', () => {
    const bn = new nn.BatchNorm2d(3);
    const { num_batches_tracked: _, ...state } = bn.stateDict();
    expect(bn.loadStateDict(state).missingKeys).toEqual([]);
  });

  test('InstanceNorm has no state unless asked', () => {
    expect(Object.keys(new nn.InstanceNorm2d(3).stateDict())).toEqual([]);
    const norm = new nn.InstanceNorm1d(3, { affine: true, trackRunningStats: true });
    expect(norm.call(randn([3, 8])).shape).toEqual([3, 8]);
    expect(() => norm.call(randn([2, 4, 8]))).toThrow('expected 3 channels');
    expect(() => new nn.BatchNorm2d(3).call(randn([2, 3]))).toThrow('expected 4D input, got 2D');
  });

  test('SyncBatchNorm takes the place of the others', () => {
    const model = new nn.Sequential(new nn.BatchNorm1d(2), new nn.ReLU());
    const weight = (model[0] as nn.BatchNorm1d).weight;
    nn.SyncBatchNorm.convertSyncBatchnorm(model);
    expect(model[0]).toBeInstanceOf(nn.SyncBatchNorm);
    expect((model[0] as unknown as nn.SyncBatchNorm).weight).toBe(weight);
  });
});
