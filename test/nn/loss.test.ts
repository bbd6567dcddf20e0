import { nn, ones, randn, tensor, zeros } from '../../lib';

const logits = tensor([
  [1, 2, 3],
  [3, 1, 0.5],
]);
const target = tensor([2, 0]);

describe('losses over classes', () => {
  test('cross entropy is the negative log-likelihood of log-probabilities', () => {
    const direct = new nn.CrossEntropyLoss().call(logits, target).item();
    const composed = new nn.NLLLoss().call(logits.logSoftmax(1), target).item();
    expect(direct).toBeCloseTo(composed, 6);
    const rows = logits.logSoftmax(1).neg();
    expect(direct).toBeCloseTo((rows.get(0, 2).item() + rows.get(1, 0).item()) / 2, 6);
  });

  test('reduction, ignored targets and weights', () => {
    const none = new nn.CrossEntropyLoss({ reduction: 'none' }).call(logits, target);
    const sum = new nn.CrossEntropyLoss({ reduction: 'sum' }).call(logits, target);
    expect(none.shape).toEqual([2]);
    expect(sum.item()).toBeCloseTo(none.sum().item(), 6);
    const ignoring = new nn.CrossEntropyLoss({ ignoreIndex: 0 }).call(logits, target);
    expect(ignoring.item()).toBeCloseTo(none.get(0).item(), 6);
    const weighted = new nn.NLLLoss({ weight: tensor([0, 1, 1], { dtype: 'float32' }) });
    expect(weighted.namedBuffers().map(([n]) => n)).toEqual(['weight']);
    expect(weighted.call(logits.logSoftmax(1), target).item()).toBeCloseTo(none.get(0).item(), 6);
    expect(weighted.half().weight?.dtype).toBe('float16');
  });

  test('gradients reach the input', () => {
    const x = randn([4, 3], { requiresGrad: true });
    new nn.CrossEntropyLoss({ labelSmoothing: 0.1 }).call(x, tensor([0, 1, 2, 0])).backward();
    expect(x.grad?.sum().item()).toBeCloseTo(0, 5);
  });

  test('bad input', () => {
    expect(() => new nn.CrossEntropyLoss({ reduction: 'avg' as never })).toThrow(
      "CrossEntropyLoss: argument 'reduction' must be one of 'none', 'mean', 'sum', got 'avg'",
    );
    expect(() => new nn.NLLLoss({ weights: null } as object)).toThrow("did you mean 'weight'");
    expect(() => new nn.NLLLoss({ weight: [1] as never })).toThrow("'weight' must be a Tensor");
    expect(() => new nn.NLLLoss().call(logits, tensor([2, 3])).item()).toThrow(RangeError);
    expect(() => new nn.MSELoss().call(zeros([2]), zeros([3]))).toThrow();
  });
});

test('mean squared error', () => {
  expect(new nn.MSELoss().call(tensor([0.5, 2]), tensor([2.5, 2])).item()).toBe(2);
});

describe('losses of elements, margins and distances', () => {
  const x = tensor([0.5, -1.5, 3]);
  const y = tensor([1, -1, 1], { dtype: 'float32' });

  test('values', () => {
    const sum = { reduction: 'sum' } as const;
    expect(new nn.L1Loss(sum).call(x, y).item()).toBeCloseTo(3, 6);
    expect(new nn.SmoothL1Loss(sum).call(x, y).item()).toBeCloseTo(0.125 + 0.125 + 1.5, 6);
    expect(new nn.HuberLoss({ delta: 2, ...sum }).call(x, y).item()).toBeCloseTo(2.25, 6);
    expect(new nn.HingeEmbeddingLoss(sum).call(x, y).item()).toBeCloseTo(0.5 + 2.5 + 3, 6);
    expect(new nn.MarginRankingLoss(sum).call(x, x.mul(0), y).item()).toBeCloseTo(0, 6);
    const soft = [0.5, 1.5, 3].reduce((a, v) => a + Math.log1p(Math.exp(-v)), 0);
    expect(new nn.SoftMarginLoss(sum).call(x, y).item()).toBeCloseTo(soft, 6);
    const positive = y.eq(1).float();
    expect(new nn.BCEWithLogitsLoss(sum).call(x, positive).item()).toBeCloseTo(soft, 6);
    const heavy = new nn.BCEWithLogitsLoss({ posWeight: tensor([0.5]), reduction: 'none' });
    expect(heavy.call(x, positive).get(0).item()).toBeCloseTo(Math.log1p(Math.exp(-0.5)) / 2, 6);
    expect(heavy.namedBuffers().map(([n]) => n)).toEqual(['pos_weight']);
  });

  test('the gradient of a distance of zero is zero', () => {
    const a = ones([1, 2], { requiresGrad: true });
    new nn.PairwiseDistance({ eps: 0 })
      .call(a, ones([1, 2]))
      .sum()
      .backward();
    expect(a.grad?.toArray()).toEqual([[0, 0]]);
    const z = zeros([1, 2], { requiresGrad: true });
    nn.functional.normalize(z).sum().backward();
    expect(z.grad?.isfinite().all().item()).toBe(true);
  });

  test('bad input', () => {
    expect(() => new nn.KLDivLoss({ reduction: 'batch' as never })).toThrow("'batchmean'");
    expect(() => new nn.BCEWithLogitsLoss().call(x, ones([2]))).toThrow(
      "argument 'target' must have shape [3]",
    );
    expect(() => new nn.HuberLoss({ delta: 0 }).call(x, y)).toThrow('positive');
    expect(() => new nn.GaussianNLLLoss().call(x, y, tensor([-1, 1, 1]).float())).toThrow(
      'negative entries',
    );
  });
});
