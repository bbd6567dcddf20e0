/** GPT-2 against Hugging Face transformers: names, outputs, gradients, training, generation. */
import { cat, manualSeed, noGrad, optim, rand, type Tensor, tensor, text } from '../../lib';
import {
  dumps,
  expectClose,
  expectGradients,
  expectTraining,
  type Golden,
  loadGolden,
} from '../support/golden';

const { GPT2Config, GPT2LMHeadModel, GPT2Model, KVCache } = text.models;

const noDropout = { residPdrop: 0, embdPdrop: 0, attnPdrop: 0 };
const small = { vocabSize: 80, nPositions: 32, nEmbd: 24, nLayer: 2, nHead: 3 };

type Model = InstanceType<typeof GPT2LMHeadModel>;

function load(golden: Golden, size: 'small' | 'full'): Model {
  const model = new GPT2LMHeadModel({ ...noDropout, ...(size === 'small' ? small : {}) });
  model.loadStateDict(golden.part('state'));
  return model;
}

function smallModel(): Model {
  const [[size, folder]] = dumps('gpt2') as [['small', string]];
  return load(loadGolden(folder, 'gpt2'), size).eval();
}

function ids(t: Tensor): number[][] {
  return (t.toArray() as bigint[][]).map((row) => row.map(Number));
}

describe.each(dumps('gpt2'))('GPT-2, %s', (size, folder) => {
  const golden = loadGolden(folder, 'gpt2');
  const inputIds = golden.get('input.ids');

  test('has the names of transformers', () => {
    const keys = Object.keys(load(golden, size).stateDict());
    const expected = [...Object.keys(golden.part('state')), 'lm_head.weight'];
    expect(keys.sort()).toEqual(expected.sort());
  });

  test('gives the logits, the loss and every gradient', () => {
    const model = load(golden, size);
    const plain = noGrad(() => model.eval().call(inputIds).logits);
    expectClose(plain, golden.get('output.plain'));
    model.train();
    const call = { attentionMask: golden.get('input.mask'), labels: golden.get('input.labels') };
    const { logits, loss } = model.call(inputIds, call);
    expectClose(logits, golden.get('output.logits'));
    expectClose(loss as Tensor, golden.get('loss'));
    loss?.backward();
    expectGradients(model, golden);
    const lr = size === 'full' ? 1e-4 : 1e-3;
    const optimizer = new optim.AdamW(model.parameters(), { lr, weightDecay: 0.01 });
    expectTraining(golden, optimizer, () => model.call(inputIds, call).loss as Tensor);
  });

  test('continues texts as transformers does', () => {
    const model = load(golden, size).eval();
    const prompt = inputIds.narrow(0, 0, 1).narrow(1, 0, 8);
    const greedy = { maxNewTokens: 16, eosTokenId: null };
    expect(ids(model.generate(prompt, greedy))).toEqual(ids(golden.get('output.greedy')));
    expect(ids(model.generate(prompt, { ...greedy, repetitionPenalty: 1.3 }))).toEqual(
      ids(golden.get('output.penalised')),
    );
  });
});

describe('generation', () => {
  const prompt = tensor([[5, 9, 2, 7]]);

  test('is the argmax of the whole text, one token after the other', () => {
    const model = smallModel();
    let whole = prompt;
    noGrad(() => {
      for (let i = 0; i < 10; ++i) {
        const { logits } = model.call(whole);
        whole = cat(
          [
            whole,
            logits
              .select(1, whole.size(1) - 1)
              .argmax(-1)
              .unsqueeze(1),
          ],
          1,
        );
      }
    });
    const made = model.generate(prompt, { maxNewTokens: 10, eosTokenId: null });
    expect(ids(made)).toEqual(ids(whole));
  });

  test('does not depend on padding on the left', () => {
    const model = smallModel();
    const options = { maxNewTokens: 8, eosTokenId: null };
    const [row] = ids(model.generate(prompt, options)) as [number[]];
    const padded = tensor([
      [0, 0, 5, 9, 2, 7],
      [1, 3, 5, 9, 2, 7],
    ]);
    const attentionMask = tensor([
      [0, 0, 1, 1, 1, 1],
      [1, 1, 1, 1, 1, 1],
    ]);
    const [first] = ids(model.generate(padded, { ...options, attentionMask })) as [number[]];
    expect(first.slice(2)).toEqual(row);
  });

  test('repeats with a seed and leaves the generator alone', () => {
    const model = smallModel();
    const options = { maxNewTokens: 20, temperature: 1.5, topK: 50, topP: 0.95, eosTokenId: null };
    manualSeed(3);
    const expected = rand([4]).toArray();
    manualSeed(3);
    const a = model.generate(prompt, { ...options, seed: 1 });
    expect(rand([4]).toArray()).toEqual(expected);
    expect(ids(model.generate(prompt, { ...options, seed: 1 }))).toEqual(ids(a));
    expect(ids(model.generate(prompt, { ...options, seed: 2 }))).not.toEqual(ids(a));
    manualSeed(3);
    const b = model.generate(prompt, options);
    manualSeed(3);
    expect(ids(model.generate(prompt, options))).toEqual(ids(b));
  });

  test('draws by the probabilities, within the limits', () => {
    const model = smallModel();
    const logits = noGrad(() => model.call(prompt).logits.select(1, 3).select(0, 0));
    const likely = logits.argsort(-1, true).toArray() as bigint[];
    const many = prompt.expand(4000, 4);
    const next = (options: object): number[] =>
      ids(model.generate(many, { maxNewTokens: 1, seed: 7, ...options })).map(
        (r) => r[4] as number,
      );
    const counts = new Map<number, number>();
    for (const id of next({ topK: 3 })) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect([...counts.keys()].sort()).toEqual(likely.slice(0, 3).map(Number).sort());
    const three = tensor(likely.slice(0, 3));
    const wanted = logits.gather(0, three).softmax(0).toArray() as number[];
    wanted.forEach((p, i) => {
      const share = (counts.get(Number(likely[i])) ?? 0) / 4000;
      expect(Math.abs(share - p)).toBeLessThan(0.03);
    });
    expect(new Set(next({ topP: 0 }))).toEqual(new Set([Number(likely[0])]));
    expect(new Set(next({ topK: 1 }))).toEqual(new Set([Number(likely[0])]));
    expect(new Set(next({ temperature: 1e-4 }))).toEqual(new Set([Number(likely[0])]));
    const nucleus = new Set(next({ topP: 0.2 }));
    const sorted = logits.softmax(0).gather(0, tensor(likely)).toArray() as number[];
    let sum = 0;
    const fewest = sorted.findIndex((p) => (sum += p) >= 0.2) + 1;
    expect(nucleus).toEqual(new Set(likely.slice(0, fewest).map(Number)));
  });

  test('stops at the end of the text', () => {
    const model = smallModel();
    const [row] = ids(model.generate(prompt, { maxNewTokens: 12, eosTokenId: null })) as [number[]];
    const eos = row[6] as number;
    const end = row.indexOf(eos, 4);
    const [short] = ids(model.generate(prompt, { maxNewTokens: 12, eosTokenId: eos })) as [
      number[],
    ];
    expect(short).toEqual(row.slice(0, end + 1));
    const two = cat([prompt, tensor([[1, 1, 1, 1]])], 0);
    const [first] = ids(
      model.generate(two, { maxNewTokens: 12, eosTokenId: [eos, 79], padTokenId: 0 }),
    ) as [number[]];
    expect(first.slice(0, end + 1)).toEqual(row.slice(0, end + 1));
    expect(first.slice(end + 1).every((id) => id === 0)).toBe(true);
  });

  test('streams tokens while other work runs', async () => {
    const model = smallModel().train();
    const options = { maxNewTokens: 6, eosTokenId: null };
    const [row] = ids(model.generate(prompt, options)) as [number[]];
    let ticks = 0;
    const timer = setInterval(() => ++ticks, 0);
    const streamed: number[] = [];
    for await (const [id] of model.stream(prompt, options)) {
      streamed.push(id as number);
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (streamed.length === 4) break;
    }
    clearInterval(timer);
    expect(streamed).toEqual(row.slice(4, 8));
    expect(ticks).toBeGreaterThan(0);
    expect(model.training).toBe(true);
  });

  test('keeps no graph and grows the cache by doubling', () => {
    const model = smallModel();
    const cache = new KVCache();
    const whole = tensor([[5, 9, 2, 7, 11, 12, 13]]);
    const expected = noGrad(() => model.call(whole).logits);
    noGrad(() => {
      model.call(whole.narrow(1, 0, 2), { cache });
      model.call(whole.narrow(1, 2, 3), { cache });
      model.call(whole.narrow(1, 5, 1), { cache });
      const { logits } = model.call(whole.narrow(1, 6, 1), { cache });
      expectClose(logits.select(1, 0), expected.select(1, 6));
    });
    expect(cache.length).toBe(7);
    cache.reset();
    expect(cache.length).toBe(0);
  });

  test.each([
    [{ maxNewTokens: 100 }, /more than the model's 32 positions/],
    [{ maxNewTokens: -1 }, /'maxNewTokens'/],
    [{ temperature: 0 }, /'temperature' must be above 0/],
    [{ topP: 2 }, /'topP' must be a probability/],
    [{ topK: 1.5 }, /'topK' must be an integer/],
    [{ repetitionPenalty: Number.NaN }, /'repetitionPenalty'/],
    [{ seed: -1 }, /'seed'/],
    [{ eosTokenId: 'x' }, /'eosTokenId'/],
    [{ attentionMask: tensor([[1, 1, 1, 0]]) }, /padding must be on the left/],
    [{ attentionMask: tensor([[1, 1]]) }, /must have shape \[1, 4\]/],
    [{ topk: 3 }, /unknown option 'topk'/],
  ])('rejects %o', (options, message) => {
    expect(() => smallModel().generate(prompt, options as never)).toThrow(message);
  });
});

describe('GPT-2 models', () => {
  test('start as the original', () => {
    manualSeed(0);
    const model = new GPT2LMHeadModel({ ...small, nEmbd: 96, nLayer: 8 });
    const std = (name: string): number => model.getParameter(name).std().item();
    expect(std('transformer.h.0.attn.c_attn.weight')).toBeCloseTo(0.02, 3);
    expect(std('transformer.h.0.mlp.c_proj.weight')).toBeCloseTo(0.02 / 4, 3);
    expect(std('transformer.wte.weight')).toBeCloseTo(0.02, 3);
    expect(std('transformer.h.0.mlp.c_fc.bias')).toBe(0);
    expect(model.getParameter('lm_head.weight')).toBe(model.transformer.wte.weight);
    const untied = new GPT2LMHeadModel({ ...small, tieWordEmbeddings: false });
    expect(untied.parameters()).toHaveLength(model.parameters().length - 6 * 12 + 1);
  });

  test('load checkpoints of the model without its head', () => {
    const model = smallModel();
    const state = model.transformer.stateDict();
    state['h.0.attn.bias'] = rand([1, 1, 32, 32]);
    state['h.0.attn.masked_bias'] = tensor(-1e4);
    const other = new GPT2LMHeadModel(small);
    other.loadStateDict(state);
    const again = new GPT2Model(small);
    again.loadStateDict(state);
    const x = tensor([[1, 2, 3]]);
    noGrad(() => {
      const expected = model.call(x).logits;
      expect(other.eval().call(x).logits.equal(expected)).toBe(true);
      expect(again.eval().call(x).equal(model.transformer.call(x))).toBe(true);
    });
  });

  test('read config.json', () => {
    const config = GPT2Config.fromJson({
      model_type: 'gpt2',
      n_embd: 32,
      n_head: 4,
      vocab_size: 10,
      architectures: ['GPT2LMHeadModel'],
      eos_token_id: [3, 4],
    });
    expect([config.nEmbd, config.nHead, config.vocabSize, config.nLayer]).toEqual([32, 4, 10, 12]);
    expect(config.eosTokenId).toEqual([3, 4]);
    expect(() => GPT2Config.fromJson({ model_type: 'bert' })).toThrow(/model_type 'gpt2'/);
    expect(() => GPT2Config.fromJson('/nowhere')).toThrow(/cannot read/);
    expect(() => new GPT2Config({ nEmbd: 10, nHead: 3 })).toThrow(
      /multiple of the number of heads/,
    );
  });

  test('say what is wrong with their input', () => {
    const model = new GPT2LMHeadModel(small);
    expect(() => model.call(tensor([1, 2]))).toThrow(/shape \[batch, length\]/);
    expect(() => model.call(rand([1, 2]))).toThrow(/must be integers/);
    expect(() => model.call(rand([1, 40]).to('int64'))).toThrow(/40 tokens is longer/);
    expect(() => model.call(tensor([[99]]))).toThrow(/99|range/);
    expect(() => model.call(tensor([[1]]), { mask: null } as never)).toThrow(/unknown option/);
  });

  test('train with dropout', () => {
    const model = new GPT2LMHeadModel(small);
    const x = tensor([[1, 2, 3, 4]]);
    const { loss } = model.call(x, { labels: x });
    loss?.backward();
    expect(model.parameters().every((p) => p.grad !== null)).toBe(true);
  });
});
