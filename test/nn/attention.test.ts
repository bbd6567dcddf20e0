import { nn, randn, type Tensor, tensor } from '../../lib';

function difference(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item();
}

describe('MultiheadAttention', () => {
  test('has the parameters of PyTorch', () => {
    expect(Object.keys(new nn.MultiheadAttention(4, 2, { addBiasKv: true }).stateDict())).toEqual([
      'in_proj_weight',
      'in_proj_bias',
      'bias_k',
      'bias_v',
      'out_proj.weight',
      'out_proj.bias',
    ]);
    const other = new nn.MultiheadAttention(4, 2, { kdim: 3, vdim: 5, bias: false });
    expect(Object.entries(other.stateDict()).map(([k, t]) => [k, t.shape])).toEqual([
      ['q_proj_weight', [4, 4]],
      ['k_proj_weight', [4, 3]],
      ['v_proj_weight', [4, 5]],
      ['out_proj.weight', [4, 4]],
    ]);
  });

  test('layouts and the path without weights agree', () => {
    const seqFirst = new nn.MultiheadAttention(8, 2);
    const batchFirst = new nn.MultiheadAttention(8, 2, { batchFirst: true });
    batchFirst.loadStateDict(seqFirst.stateDict());
    const x = randn([5, 3, 8]);
    const [y, weights] = seqFirst.call(x, x, x);
    expect(weights?.shape).toEqual([3, 5, 5]);
    const rows = x.transpose(0, 1);
    const [z, none] = batchFirst.call(rows, rows, rows, { needWeights: false });
    expect(none).toBeNull();
    expect(difference(y, z.transpose(0, 1))).toBeLessThan(1e-5);
    const [single] = seqFirst.call(x.select(1, 1), x.select(1, 1), x.select(1, 1));
    expect(difference(single, y.select(1, 1))).toBeLessThan(1e-5);
    const [, heads] = seqFirst.call(x, x, x, { averageAttnWeights: false });
    expect(heads?.shape).toEqual([3, 2, 5, 5]);
  });

  test('masks leave keys out', () => {
    const mha = new nn.MultiheadAttention(4, 2, { batchFirst: true });
    const x = randn([2, 3, 4]);
    const keyPaddingMask = tensor([
      [false, false, true],
      [false, false, false],
    ]);
    const [, weights] = mha.call(x, x, x, { keyPaddingMask });
    expect(weights?.get(0, ':', 2).toArray()).toEqual([0, 0, 0]);
    expect(weights?.get(1, ':', 2).gt(0).all().item()).toBe(true);
    const causal = nn.Transformer.generateSquareSubsequentMask(3);
    const [, lower] = mha.call(x, x, x, { attnMask: causal });
    expect(lower?.get(0, 0).toArray()).toEqual([1, 0, 0]);
    expect(() => mha.call(x, x, x, { attnMask: causal.get(':2') })).toThrow('attnMask');
    expect(() => mha.call(x, x, x, { mask: causal } as object)).toThrow('attnMask');
    expect(() => mha.call(x, randn([2, 3, 5]), x)).toThrow("argument 'key'");
    expect(() => new nn.MultiheadAttention(5, 2)).toThrow('divisible');
  });
});

describe('scaledDotProductAttention', () => {
  test('causal, boolean and additive masks agree; grouped queries share keys', () => {
    const [q, k, v] = [randn([2, 4, 3, 8]), randn([2, 4, 3, 8]), randn([2, 4, 3, 8])];
    const sdpa = nn.functional.scaledDotProductAttention;
    const causal = sdpa(q, k, v, { isCausal: true });
    const attnMask = nn.Transformer.generateSquareSubsequentMask(3);
    expect(difference(causal, sdpa(q, k, v, { attnMask }))).toBeLessThan(1e-6);
    expect(difference(causal, sdpa(q, k, v, { attnMask: attnMask.eq(0) }))).toBeLessThan(1e-6);
    const few = sdpa(q, k.narrow(1, 0, 2), v.narrow(1, 0, 2), { enableGqa: true });
    expect(difference(few.select(1, 1), sdpa(q, k, v).select(1, 0))).toBeGreaterThan(1e-3);
    const own = sdpa(q.select(1, 1), k.select(1, 0), v.select(1, 0));
    expect(difference(few.select(1, 1), own)).toBeLessThan(1e-6);
  });
});

describe('Transformer', () => {
  const small = {
    dModel: 8,
    nhead: 2,
    numEncoderLayers: 2,
    numDecoderLayers: 1,
    dimFeedforward: 16,
  };

  test('runs, prints and has parameters of its own in every layer', () => {
    const model = new nn.Transformer({ ...small, dropout: 0 });
    expect(model.call(randn([5, 2, 8]), randn([4, 2, 8])).shape).toEqual([4, 2, 8]);
    const names = model.namedParameters().map(([name]) => name);
    expect(names).toHaveLength(2 * 12 + 2 + 18 + 2);
    expect(names[0]).toBe('encoder.layers.0.self_attn.in_proj_weight');
    const [a, b] = model.encoder.layers;
    expect(a?.linear1.weight.sharesStorage(b?.linear1.weight as Tensor)).toBe(false);
    expect(String(model.encoder)).toContain('(0-1): 2 x TransformerEncoderLayer(');
  });

  test('with a causal mask later positions do not matter', () => {
    const layer = new nn.TransformerEncoderLayer(8, 2, { batchFirst: true, activation: 'gelu' });
    layer.eval();
    const encoder = new nn.TransformerEncoder(layer, 2, { norm: new nn.LayerNorm(8) });
    encoder.eval();
    const mask = nn.Transformer.generateSquareSubsequentMask(4);
    const x = randn([1, 4, 8]);
    const y = encoder.call(x, { mask, isCausal: true });
    const z = encoder.call(x.narrow(1, 0, 2), { mask: mask.get(':2, :2') });
    expect(difference(y.narrow(1, 0, 2), z)).toBeLessThan(1e-5);
  });

  test('bad input', () => {
    const model = new nn.Transformer(small);
    expect(() => model.call(randn([5, 2, 8]), randn([4, 3, 8]))).toThrow('batch size');
    expect(() => model.call(randn([5, 2, 7]), randn([4, 2, 7]))).toThrow('dModel');
    expect(() => new nn.TransformerEncoderLayer(8, 2, { activation: 'tanh' as never })).toThrow(
      "'relu', 'gelu' or a function",
    );
    expect(() => new nn.TransformerEncoder(3 as never, 2)).toThrow('must be a Module');
  });
});
