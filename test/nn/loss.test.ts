import { nn, randn, tensor, zeros } from '../../lib';

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
    expect(() => new nn.NLLLoss().call(logits, tensor([2, 3]))).toThrow(RangeError);
    expect(() => new nn.MSELoss().call(zeros([2]), zeros([3]))).toThrow();
  });
});

test('mean squared error', () => {
  expect(new nn.MSELoss().call(tensor([0.5, 2]), tensor([2.5, 2])).item()).toBe(2);
});
