import { nn, noGrad, ones, randn, type Tensor, tensor } from '../../lib';

const F = nn.functional;

function difference(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item();
}

describe('convolution layers', () => {
  test('shapes, parameters and text', () => {
    const conv = new nn.Conv2d(4, 6, 3, { stride: 2, padding: [1, 0], groups: 2, bias: false });
    expect(Object.entries(conv.stateDict()).map(([k, t]) => [k, t.shape])).toEqual([
      ['weight', [6, 2, 3, 3]],
    ]);
    expect(conv.call(randn([2, 4, 7, 7])).shape).toEqual([2, 6, 4, 3]);
    expect(String(conv)).toBe(
      'Conv2d(4, 6, kernelSize=[3, 3], stride=[2, 2], padding=[1, 0], groups=2, bias=false)',
    );
    expect(new nn.Conv1d(1, 2, 4, { padding: 'same' }).call(randn([1, 9])).shape).toEqual([2, 9]);
    expect(new nn.Conv3d(1, 2, 2).call(randn([1, 1, 3, 3, 3])).shape).toEqual([1, 2, 2, 2, 2]);
  });

  test('padding modes pad before', () => {
    const x = randn([1, 2, 6]);
    for (const paddingMode of ['reflect', 'replicate', 'circular'] as const) {
      const conv = new nn.Conv1d(2, 3, 3, { padding: 2, paddingMode });
      const want = F.conv1d(F.pad(x, [2, 2], { mode: paddingMode }), conv.weight, conv.bias);
      expect(difference(conv.call(x), want)).toBeLessThan(1e-6);
    }
  });

  test('transposed convolutions can be told the size of the result', () => {
    const conv = new nn.ConvTranspose2d(2, 3, 3, { stride: 2, padding: 1 });
    const x = randn([1, 2, 4, 4]);
    expect(conv.weight.shape).toEqual([2, 3, 3, 3]);
    expect(conv.call(x).shape).toEqual([1, 3, 7, 7]);
    expect(conv.call(x, { outputSize: [8, 8] }).shape).toEqual([1, 3, 8, 8]);
    expect(() => conv.call(x, { outputSize: [9, 9] })).toThrow('must lie in [7, 8]');
    expect(new nn.ConvTranspose1d(2, 3, 2).call(randn([2, 5])).shape).toEqual([3, 6]);
  });

  test('bad input', () => {
    expect(() => new nn.Conv2d(3, 4, 3, { groups: 2 })).toThrow("'inChannels' must be divisible");
    expect(() => new nn.Conv2d(3, 4, [3])).toThrow("'kernelSize' must have 2 entries");
    expect(() => new nn.Conv2d(3, 4, 0)).toThrow('at least 1');
    expect(() => new nn.Conv2d(3, 4, 3, { pading: 1 } as object)).toThrow("did you mean 'padding'");
    expect(() => new nn.Conv1d(1, 1, 3, { padding: 'same', stride: 2 })).toThrow("'same'");
    expect(() => new nn.Conv2d(3, 4, 3).call(randn([1, 2, 5, 5]))).toThrow();
    expect(() => new nn.Conv2d(3, 4, 3, { padding: 'full' as never })).toThrow("'same', 'valid'");
  });
});

describe('padding', () => {
  const x = tensor([[1, 2, 3]], { dtype: 'float32' });

  test('modes', () => {
    const row = (t: Tensor) => (t.toArray() as number[][])[0];
    expect(row(new nn.ZeroPad1d([1, 2]).call(x))).toEqual([0, 1, 2, 3, 0, 0]);
    expect(row(new nn.ConstantPad1d(1, 7).call(x))).toEqual([7, 1, 2, 3, 7]);
    expect(row(new nn.ReflectionPad1d(2).call(x))).toEqual([3, 2, 1, 2, 3, 2, 1]);
    expect(row(new nn.ReplicationPad1d([0, 2]).call(x))).toEqual([1, 2, 3, 3, 3]);
    expect(row(new nn.CircularPad1d([2, 1]).call(x))).toEqual([2, 3, 1, 2, 3, 1]);
    expect(row(new nn.ConstantPad1d([-1, 1], 0).call(x))).toEqual([2, 3, 0]);
  });

  test('gradients add up where elements are repeated', () => {
    const t = ones([1, 3], { requiresGrad: true });
    new nn.ReflectionPad1d(2).call(t).sum().backward();
    expect(t.grad?.toArray()).toEqual([[2, 3, 2]]);
  });

  test('bad input', () => {
    expect(() => new nn.ReflectionPad1d(3).call(x)).toThrow(
      'less than the corresponding input dimension',
    );
    expect(() => new nn.ZeroPad2d([1, 2])).toThrow('4 integers');
    expect(() => F.pad(x, [1])).toThrow('must be even');
    expect(() => F.pad(x, [1, 1, 1, 1, 1, 1])).toThrow('no more than twice');
    expect(() => F.pad(x, [-4, 0])).toThrow('negative output size');
  });
});

test('pixel and channel shuffles are inverse or interleave', () => {
  const x = randn([2, 8, 3, 3]);
  const y = new nn.PixelShuffle(2).call(x);
  expect(y.shape).toEqual([2, 2, 6, 6]);
  expect(y.get(0, 0, 0, 1).item()).toBe(x.get(0, 1, 0, 0).item());
  expect(difference(new nn.PixelUnshuffle(2).call(y), x)).toBe(0);
  expect(new nn.ChannelShuffle(2).call(x).get(0, 1, 0, 0).item()).toBe(x.get(0, 4, 0, 0).item());
  expect(() => new nn.PixelShuffle(3).call(x)).toThrow('divisible by');
});

describe('embeddings', () => {
  test('look rows up; the padding row is zero and gets no gradient', () => {
    const table = new nn.Embedding(5, 3, { paddingIdx: -1 });
    expect(table.paddingIdx).toBe(4);
    expect(table.weight.get(4).toArray()).toEqual([0, 0, 0]);
    const y = table.call(tensor([[1, 4], [1, 0]])); // prettier-ignore
    expect(y.shape).toEqual([2, 2, 3]);
    y.sum().backward();
    expect(table.weight.grad?.sum(1).toArray()).toEqual([3, 6, 0, 0, 0]);
    // A device finds it out while it computes: reading the result waits for that.
    expect(() => table.call(tensor([5])).toArray()).toThrow(RangeError);
    expect(() => new nn.Embedding(5, 3, { paddingIdx: 5 })).toThrow('paddingIdx');
  });

  test('fromPretrained freezes unless told otherwise', () => {
    const vectors = randn([4, 2]);
    expect(nn.Embedding.fromPretrained(vectors).weight.requiresGrad).toBe(false);
    const bag = nn.EmbeddingBag.fromPretrained(vectors, { freeze: false, mode: 'max' });
    expect(bag.weight.requiresGrad).toBe(true);
    expect(bag.weight.sharesStorage(vectors)).toBe(true);
  });

  test('bags', () => {
    const bag = new nn.EmbeddingBag(4, 1, { mode: 'sum' });
    noGrad(() => bag.weight.copy_(tensor([[1], [2], [4], [8]])));
    expect(bag.call(tensor([[0, 1], [2, 3]])).toArray()).toEqual([[3], [12]]); // prettier-ignore
    const flat = tensor([0, 1, 2, 3]);
    expect(bag.call(flat, tensor([0, 3, 3])).toArray()).toEqual([[7], [8 - 8], [8]]);
    const perSampleWeights = tensor([0.5, 1, 1, 2]);
    expect(bag.call(flat, tensor([0, 2]), { perSampleWeights }).toArray()).toEqual([[2.5], [20]]);
    const mean = new nn.EmbeddingBag(4, 1, { paddingIdx: 0 });
    noGrad(() => mean.weight.copy_(tensor([[1], [2], [4], [8]])));
    expect(mean.call(tensor([[0, 1, 2], [0, 0, 0]])).toArray()).toEqual([[3], [0]]); // prettier-ignore
    expect(() => bag.call(flat)).toThrow('offsets');
    expect(() => bag.call(flat, tensor([1, 2]))).toThrow('start at 0');
  });
});
