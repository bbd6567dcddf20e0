import { nn, randn, type Tensor } from '../../lib';

const { rnn } = nn.utils;

function difference(a: Tensor, b: Tensor): number {
  return a.sub(b).abs().amax().item();
}

describe('recurrent networks', () => {
  test('have the parameters of PyTorch', () => {
    const lstm = new nn.LSTM(3, 4, { numLayers: 2, bidirectional: true, projSize: 2 });
    const names = Object.keys(lstm.stateDict());
    expect(names.slice(0, 5)).toEqual([
      'weight_ih_l0',
      'weight_hh_l0',
      'bias_ih_l0',
      'bias_hh_l0',
      'weight_hr_l0',
    ]);
    expect(names[5]).toBe('weight_ih_l0_reverse');
    expect(lstm.getParameter('weight_ih_l1').shape).toEqual([16, 4]);
    expect(String(new nn.GRU(3, 4, { batchFirst: true }))).toBe('GRU(3, 4, batchFirst=true)');
  });

  test('a cell applied step by step gives what the network gives', () => {
    for (const kind of ['RNN', 'GRU', 'LSTM'] as const) {
      const network = new nn[kind](3, 4);
      const cell = new nn[`${kind}Cell`](3, 4);
      const state = Object.entries(network.stateDict());
      cell.loadStateDict(Object.fromEntries(state.map(([k, v]) => [k.replace('_l0', ''), v])));
      const x = randn([5, 2, 3]);
      const [output] = network.call(x);
      let h: never = null as never;
      let last: Tensor = x;
      for (const step of x) {
        const next = cell.call(step, h);
        h = next as never;
        last = Array.isArray(next) ? (next[0] as Tensor) : next;
      }
      expect(difference(output.select(0, 4), last)).toBeLessThan(1e-6);
    }
  });

  test('layouts and unbatched input agree', () => {
    const a = new nn.GRU(3, 4, { bidirectional: true, numLayers: 2 });
    const b = new nn.GRU(3, 4, { bidirectional: true, numLayers: 2, batchFirst: true });
    b.loadStateDict(a.stateDict());
    const x = randn([5, 2, 3]);
    const [y, h] = a.call(x);
    const [z] = b.call(x.transpose(0, 1));
    expect(y.shape).toEqual([5, 2, 8]);
    expect(h.shape).toEqual([4, 2, 4]);
    expect(difference(y, z.transpose(0, 1))).toBeLessThan(1e-6);
    const [single, state] = a.call(x.select(1, 1));
    expect(difference(single, y.select(1, 1))).toBeLessThan(1e-6);
    expect(state.shape).toEqual([4, 4]);
  });

  test('packed sequences give what each sequence alone gives', () => {
    const lstm = new nn.LSTM(3, 4, { bidirectional: true, numLayers: 2 });
    const sequences = [randn([2, 3]), randn([5, 3]), randn([3, 3])];
    const packed = rnn.packSequence(sequences, { enforceSorted: false });
    expect(packed.batchSizes).toEqual([3, 3, 2, 1, 1]);
    const [output, [h, c]] = lstm.forward(packed);
    const results = rnn.unpackSequence(output);
    sequences.forEach((s, i) => {
      const [y, [hs, cs]] = lstm.call(s);
      expect(difference(results[i] as Tensor, y)).toBeLessThan(1e-6);
      expect(difference(h.select(1, i), hs)).toBeLessThan(1e-6);
      expect(difference(c.select(1, i), cs)).toBeLessThan(1e-6);
    });
  });

  test('gradients reach all parameters, also through packing', () => {
    const gru = new nn.GRU(3, 4, { bidirectional: true });
    const packed = rnn.packSequence([randn([4, 3]), randn([2, 3])]);
    const [output] = gru.forward(packed);
    output.data.sum().backward();
    expect(gru.parameters().every((p) => p.grad !== null)).toBe(true);
  });

  test('bad input', () => {
    const lstm = new nn.LSTM(3, 4);
    expect(() => lstm.call(randn([5, 2, 4]))).toThrow('LSTM: expected input of 2 or 3 dimensions');
    expect(() => lstm.call(randn([5, 2, 3]), randn([1, 2, 4]) as never)).toThrow('pair of Tensors');
    const h = randn([1, 3, 4]);
    expect(() => lstm.call(randn([5, 2, 3]), [h, h])).toThrow('expected hidden state of shape');
    expect(() => new nn.LSTM(3, 4, { projSize: 4 })).toThrow('projSize');
    expect(() => new nn.RNN(3, 4, { nonlinearity: 'gelu' as never })).toThrow("'tanh', 'relu'");
    expect(() => new nn.GRU(3, 4, { numLayer: 2 } as object)).toThrow("did you mean 'numLayers'");
    expect(() => new nn.GRUCell(3, 4).call(randn([2, 5]))).toThrow('[N, 3]');
    expect(() => rnn.packSequence([randn([2, 3]), randn([5, 3])])).toThrow('enforceSorted');
    expect(() => rnn.packPaddedSequence(randn([2, 2, 3]), [3, 1])).toThrow(RangeError);
  });
});
