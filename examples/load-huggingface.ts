/**
 * Runs a model saved by Hugging Face transformers, from a local folder with config.json and
 * model.safetensors (and tokenizer files): `npm run example:huggingface -- models/gpt2 "Call me"`.
 * A GPT-2 continues the text, a BERT fills in its [MASK]s. With --quick it first saves a small
 * random GPT-2 to a temporary folder, as transformers would, and loads that.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { manualSeed, noGrad, safetensors, tensor, text } from '../lib';
import { type CommonOptions, readOptions, report } from './common';

const { BertForMaskedLM, GPT2LMHeadModel } = text.models;

/** A folder as transformers writes it, with a vocabulary of single bytes. */
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ampgrad-huggingface-'));
  const bytes = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const vocab = Object.fromEntries(['<|endoftext|>', 'Ġ', 'Ċ', ...bytes].map((t, i) => [t, i]));
  const size = {
    vocabSize: Object.keys(vocab).length,
    nPositions: 64,
    nEmbd: 32,
    nLayer: 2,
    nHead: 2,
  };
  const model = new GPT2LMHeadModel({ ...size, eosTokenId: 0, bosTokenId: 0 });
  const state = model.stateDict();
  delete state['lm_head.weight'];
  safetensors.saveFile(state, join(folder, 'model.safetensors'), { metadata: { format: 'pt' } });
  const config = {
    model_type: 'gpt2',
    vocab_size: size.vocabSize,
    n_positions: size.nPositions,
    n_embd: size.nEmbd,
    n_layer: size.nLayer,
    n_head: size.nHead,
    eos_token_id: 0,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'vocab.json'), JSON.stringify(vocab));
  writeFileSync(join(folder, 'merges.txt'), '#version: 0.2\n');
  return folder;
}

/** Continues a text, printing it as it grows. */
async function continueText(folder: string, prompt: string, options: CommonOptions) {
  const model = GPT2LMHeadModel.fromPretrained(folder).to(options.device);
  const tokenizer = text.PretrainedTokenizer.fromFolder(folder);
  const { ids } = tokenizer.encode(prompt);
  const input = tensor([ids], { dtype: 'int64' }).to(options.device);
  const room = model.config.nPositions - ids.length;
  const maxNewTokens = Math.min(options.steps, room);
  const start = performance.now();
  let shown = tokenizer.decode(ids).length;
  process.stdout.write(prompt);
  const how = { temperature: 0.8, topK: 50, topP: 0.95, seed: options.seed };
  for await (const [id] of model.stream(input, { ...how, maxNewTokens })) {
    ids.push(id as number);
    const whole = tokenizer.decode(ids);
    process.stdout.write(whole.slice(shown));
    shown = whole.length;
  }
  process.stdout.write('\n');
  const seconds = (performance.now() - start) / 1000;
  const tokens = ids.length - input.size(1);
  return { tokens, tokensPerSecond: tokens / seconds, text: tokenizer.decode(ids) };
}

/** Puts the likeliest tokens where [MASK] stands. */
function fillMasks(folder: string, prompt: string, options: CommonOptions) {
  const model = BertForMaskedLM.fromPretrained(folder).to(options.device);
  const tokenizer = text.PretrainedTokenizer.fromFolder(folder);
  const { ids } = tokenizer.encode(prompt);
  const input = tensor([ids], { dtype: 'int64' }).to(options.device);
  const likeliest = noGrad(() => model.call(input).logits.argmax(-1).select(0, 0));
  const best = likeliest.toArray() as number[];
  const filled = ids.map((id, i) => (id === tokenizer.maskTokenId ? (best[i] as number) : id));
  const result = tokenizer.decode(filled, { skipSpecialTokens: true });
  console.log(result);
  return { tokens: ids.length, text: result };
}

async function main(): Promise<void> {
  const options = readOptions({ epochs: 1, steps: 100, batchSize: 1, lr: 0 }, { steps: 20 });
  manualSeed(options.seed);
  const [given, ...words] = options.rest;
  if (given === undefined && !options.quick) {
    throw new RangeError('usage: npm run example:huggingface -- FOLDER [TEXT]');
  }
  const folder = given ?? makeFolder();
  try {
    const json = readFileSync(join(folder, 'config.json'), 'utf8');
    const { model_type: type } = JSON.parse(json) as { model_type?: string };
    const prompt = words.join(' ');
    if (type === 'gpt2') {
      report(options, { type, ...(await continueText(folder, prompt || 'Call me', options)) });
    } else if (type === 'bert') {
      report(options, { type, ...fillMasks(folder, prompt || 'Call me [MASK].', options) });
    } else {
      throw new RangeError(`config.json: model_type '${String(type)}' is neither gpt2 nor bert`);
    }
  } finally {
    if (given === undefined) rmSync(folder, { recursive: true });
  }
}

void main();
