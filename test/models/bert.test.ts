/** BERT against Hugging Face transformers: names, outputs, gradients, training. */
import { manualSeed, noGrad, optim, rand, type Tensor, tensor, text } from '../../lib';
import {
  dumps,
  expectClose,
  expectGradients,
  expectTraining,
  type Golden,
  loadGolden,
} from '../support/golden';

const { BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel } = text.models;

const noDropout = { hiddenDropoutProb: 0, attentionProbsDropoutProb: 0 };
const small = {
  vocabSize: 80,
  hiddenSize: 24,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  intermediateSize: 48,
  maxPositionEmbeddings: 32,
};

const options = (size: 'small' | 'full') => ({ ...noDropout, ...(size === 'small' ? small : {}) });

type Model =
  InstanceType<typeof BertForMaskedLM> | InstanceType<typeof BertForSequenceClassification>;

function compare(golden: Golden, model: Model, size: 'small' | 'full'): void {
  const call = {
    attentionMask: golden.get('input.mask'),
    tokenTypeIds: golden.get('input.types'),
    labels: golden.get('input.labels'),
  };
  const { logits, loss } = model.call(golden.get('input.ids'), call);
  expectClose(logits, golden.get('output.logits'));
  expectClose(loss as Tensor, golden.get('loss'));
  loss?.backward();
  expectGradients(model, golden);
  const lr = size === 'full' ? 1e-4 : 1e-3;
  const optimizer = new optim.AdamW(model.parameters(), { lr, weightDecay: 0.01 });
  expectTraining(golden, optimizer, () => model.call(golden.get('input.ids'), call).loss as Tensor);
}

test.each(dumps('bert_classify'))('classification follows transformers, %s', (size, folder) => {
  const golden = loadGolden(folder, 'bert_classify');
  const model = new BertForSequenceClassification({ ...options(size), numLabels: 3 });
  const state = golden.part('state');
  expect(Object.keys(model.stateDict()).sort()).toEqual(Object.keys(state).sort());
  model.loadStateDict(state);
  const base = noGrad(() => model.bert.call(golden.get('input.ids')));
  expectClose(base.lastHiddenState, golden.get('output.hidden'));
  expectClose(base.poolerOutput as Tensor, golden.get('output.pooled'));
  compare(golden, model, size);
});

test.each(dumps('bert_masked'))('masked tokens follow transformers, %s', (size, folder) => {
  const golden = loadGolden(folder, 'bert_masked');
  const model = new BertForMaskedLM(options(size));
  const state = golden.part('state');
  const tied = ['cls.predictions.decoder.weight', 'cls.predictions.decoder.bias'];
  expect(Object.keys(model.stateDict()).sort()).toEqual([...Object.keys(state), ...tied].sort());
  model.loadStateDict(state);
  compare(golden, model, size);
});

describe('BERT', () => {
  const x = tensor([[1, 2, 3, 4]]);

  test('starts as the original', () => {
    manualSeed(0);
    const model = new BertForSequenceClassification({ ...small, hiddenSize: 96 });
    const std = (name: string): number => model.getParameter(name).std().item();
    expect(std('bert.encoder.layer.0.attention.self.query.weight')).toBeCloseTo(0.02, 3);
    expect(std('bert.embeddings.position_embeddings.weight')).toBeCloseTo(0.02, 3);
    expect(std('classifier.bias')).toBe(0);
    const words = model.getParameter('bert.embeddings.word_embeddings.weight');
    expect(words.select(0, 0).abs().sum().item()).toBe(0);
    expect(words.requiresGrad).toBe(true);
  });

  test('loads checkpoints with old names, buffers and other heads', () => {
    const masked = new BertForMaskedLM(small).eval();
    const state = masked.stateDict();
    for (const key of Object.keys(state)) {
      const old = key.replace('LayerNorm.weight', 'LayerNorm.gamma');
      if (old === key) continue;
      state[old] = state[key] as Tensor;
      delete state[key];
    }
    delete state['cls.predictions.decoder.bias'];
    state['bert.embeddings.position_ids'] = tensor([[0, 1]]);
    state['cls.seq_relationship.bias'] = rand([2]);
    const other = new BertForMaskedLM(small).eval();
    other.loadStateDict(state);
    expect(other.call(x).logits.equal(masked.call(x).logits)).toBe(true);
    const base = new BertModel(small, { addPoolingLayer: false }).eval();
    base.loadStateDict(masked.stateDict());
    const hidden = base.call(x);
    expect(hidden.lastHiddenState.equal(masked.bert.call(x).lastHiddenState)).toBe(true);
    expect(hidden.poolerOutput).toBeNull();
  });

  test('takes labels of several kinds', () => {
    const single = new BertForSequenceClassification({ ...small, numLabels: 1 });
    expect(single.call(x, { labels: tensor([0.5]) }).loss?.shape).toEqual([]);
    const several = new BertForSequenceClassification({ ...small, numLabels: 3 });
    const { loss } = several.call(x, { labels: tensor([[1, 0, 0.5]]) });
    loss?.backward();
    expect(several.classifier.weight.grad).not.toBeNull();
  });

  test('reads config.json', () => {
    const config = BertConfig.fromJson({
      model_type: 'bert',
      hidden_size: 32,
      num_attention_heads: 4,
      id2label: { 0: 'a', 1: 'b', 2: 'c' },
    });
    expect([config.hiddenSize, config.numLabels, config.vocabSize]).toEqual([32, 3, 30522]);
    expect(() => new BertConfig({ hiddenAct: 'gelo' as never })).toThrow(/did you mean 'gelu'/i);
  });

  test('says what is wrong with its input', () => {
    const model = new BertModel(small);
    expect(() => model.call(tensor([1]))).toThrow(/BertModel: argument 'inputIds' must have shape/);
    expect(() => model.call(x, { attentionMask: rand([1, 3]) })).toThrow(/shape \[1, 4\]/);
    expect(() => model.call(tensor([Array(33).fill(1)]))).toThrow(/33 tokens is longer/);
    expect(() => model.call(x, { atentionMask: x } as never)).toThrow(/unknown option/);
  });
});
