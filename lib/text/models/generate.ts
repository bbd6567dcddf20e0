/** Writing texts with a decoder: one token after the other, with keys and values kept. */
import { noGrad } from '../../autograd';
import { type RandomOptions, readGenerator } from '../../data/generator';
import { makeError } from '../../errors';
import { tensor } from '../../functions/creation';
import { bool, int, num, optionalTensor, probability, readOptions } from '../../nn/options';
import { cat, ones } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import { KVCache } from './cache';
import { type EosTokens, eosTokens, tokenId } from './config';
import { checkIds, checkMask } from './masks';
import { choose, type Sampling } from './sampling';

export interface GenerateOptions extends RandomOptions {
  /** How many tokens to add at most. Default 20. */
  readonly maxNewTokens?: number | undefined;
  /** Draw tokens. Default: true where temperature, topK or topP is given, else the likeliest. */
  readonly doSample?: boolean | undefined;
  /** Logits are divided by this before a draw. Default 1. */
  readonly temperature?: number | undefined;
  /** Draw among this many likeliest tokens; 0: all. Default 0. */
  readonly topK?: number | undefined;
  /** Draw among the fewest tokens that have this probability together. Default 1. */
  readonly topP?: number | undefined;
  /** Above 1: tokens that occurred become less likely. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Tokens that end a text. Default the configuration's; null: none. */
  readonly eosTokenId?: EosTokens | undefined;
  /** What stands behind texts that ended. Default the configuration's, else the first of eos. */
  readonly padTokenId?: number | null | undefined;
  /** [batch, length]: 1 for tokens, 0 for padding, which must be on the left. */
  readonly attentionMask?: Tensor | null | undefined;
}

/** What {@link generate} needs of a model. */
export interface CausalLM {
  training: boolean;
  train(mode: boolean): unknown;
  readonly config: {
    readonly nPositions: number;
    readonly vocabSize: number;
    readonly eosTokenId: EosTokens;
    readonly padTokenId: number | null;
  };
  call(
    inputIds: Tensor,
    options: {
      readonly cache: KVCache;
      readonly lastOnly: boolean;
      readonly attentionMask: Tensor | null;
      readonly positionIds: Tensor | null;
    },
  ): { readonly logits: Tensor };
}

interface Plan extends Sampling {
  readonly maxNewTokens: number;
  readonly eos: ReadonlySet<number>;
  readonly pad: number;
  readonly attentionMask: Tensor | null;
}

function positive(where: string, name: string, value: unknown, fallback: number): number {
  const given = num(fallback)(where, name, value);
  if (given > 0 && Number.isFinite(given)) return given;
  throw makeError('ERR_VALUE', `${where}: argument '${name}' must be above 0, got ${given}`);
}

function checkPrompt(
  model: CausalLM,
  inputIds: Tensor,
  maxNewTokens: number,
  attentionMask: Tensor | null,
): void {
  const name = 'generate';
  const [batch = 0, length = 0] = inputIds.shape;
  if (length === 0) {
    throw makeError(
      'ERR_SHAPE',
      `${name}: argument 'inputIds' must hold at least one token a text`,
    );
  }
  if (length + maxNewTokens > model.config.nPositions) {
    throw makeError(
      'ERR_RANGE',
      `${name}: ${length} tokens and maxNewTokens ${maxNewTokens} are more than the model's ` +
        `${model.config.nPositions} positions`,
    );
  }
  if (attentionMask !== null) {
    checkMask(name, attentionMask, batch, length);
    if (
      attentionMask
        .narrow(1, length - 1, 1)
        .eq(0)
        .sum()
        .item() > 0
    ) {
      throw makeError('ERR_VALUE', `${name}: padding must be on the left of 'inputIds'`);
    }
  }
}

function readPlan(model: CausalLM, inputIds: Tensor, options: GenerateOptions): Plan {
  const { config } = model;
  const name = 'generate';
  const { generator, seed, ...rest } = options;
  const isDraw = [rest.temperature, rest.topK, rest.topP].some((v) => v !== undefined);
  const read = readOptions(
    name,
    {
      maxNewTokens: int(20, 0),
      doSample: bool(isDraw),
      temperature: (w, n, v) => positive(w, n, v, 1),
      topK: int(0, 0),
      topP: probability(1),
      repetitionPenalty: (w, n, v) => positive(w, n, v, 1),
      eosTokenId: eosTokens(config.eosTokenId),
      padTokenId: tokenId(config.padTokenId),
      attentionMask: optionalTensor,
    },
    rest,
  );
  checkIds(name, 'inputIds', inputIds);
  checkPrompt(model, inputIds, read.maxNewTokens, read.attentionMask);
  const eos = read.eosTokenId === null ? [] : [read.eosTokenId].flat();
  return {
    greedy: !read.doSample,
    temperature: read.temperature,
    topK: read.topK,
    topP: read.topP,
    repetitionPenalty: read.repetitionPenalty,
    generator: readGenerator(name, { generator, seed }),
    maxNewTokens: read.maxNewTokens,
    eos: new Set(eos),
    pad: read.padTokenId ?? eos[0] ?? 0,
    attentionMask: read.attentionMask,
  };
}

/** The state of texts that are being written. */
class Writer {
  /** Every token so far, [batch, length]; kept only where a penalty looks at them. */
  private seen: Tensor;
  private mask: Tensor | null;
  private input: Tensor;
  private readonly cache: KVCache;
  private readonly done: boolean[];

  constructor(
    private readonly model: CausalLM,
    inputIds: Tensor,
    private readonly plan: Plan,
  ) {
    this.seen = inputIds;
    this.input = inputIds;
    this.mask = plan.attentionMask;
    this.cache = new KVCache(inputIds.size(1) + plan.maxNewTokens);
    this.done = Array.from({ length: inputIds.size(0) }, () => false);
  }

  get finished(): boolean {
    return this.done.every(Boolean);
  }

  /** Runs the model on what is new and chooses the next token of each text. */
  next(): number[] {
    const wasTraining = this.model.training;
    if (wasTraining) this.model.train(false);
    try {
      return noGrad(() => this.step());
    } finally {
      if (wasTraining) this.model.train(true);
    }
  }

  private step(): number[] {
    const { model, plan, cache, mask } = this;
    const length = this.input.size(1);
    const positionIds =
      mask === null
        ? null
        : mask.ne(0).cumsum(1).sub(1).clamp({ min: 0 }).narrow(1, cache.length, length);
    const call = { cache, lastOnly: true, attentionMask: mask, positionIds };
    const { logits } = model.call(this.input, call);
    const tokens = choose(logits.select(1, 0), this.seen, plan);
    const ids = Array.from(tokens.dataSync() as Iterable<bigint>, Number);
    const written = ids.map((id, i) => (this.done[i] === true ? plan.pad : id));
    written.forEach((id, i) => (this.done[i] ||= plan.eos.has(id)));
    const { dtype, device } = this.input;
    this.input = tensor(written, { dtype, device }).unsqueeze(1);
    if (plan.repetitionPenalty !== 1) this.seen = cat([this.seen, this.input], 1);
    if (mask !== null) {
      const more = ones([written.length, 1], { dtype: mask.dtype, device: mask.device });
      this.mask = cat([mask, more], 1);
    }
    return written;
  }
}

type TokenRows = IterableIterator<number[]>;

function* write(model: CausalLM, inputIds: Tensor, plan: Plan): TokenRows {
  const writer = new Writer(model, inputIds, plan);
  for (let i = 0; i < plan.maxNewTokens && !writer.finished; ++i) yield writer.next();
}

/** Continues every text of a batch. Ids [batch, length]; the result has the new tokens behind. */
export function generate(model: CausalLM, inputIds: Tensor, options: GenerateOptions): Tensor {
  const plan = readPlan(model, inputIds, options);
  const columns = [...write(model, inputIds, plan)];
  if (columns.length === 0) return inputIds.clone();
  const { dtype, device } = inputIds;
  const added = Array.from({ length: inputIds.size(0) }, (_, i) =>
    columns.map((column) => column[i] as number),
  );
  return cat([inputIds, tensor(added, { dtype, device })], 1);
}

/** As {@link generate}, token by token; other work of the process runs in between. */
export async function* stream(
  model: CausalLM,
  inputIds: Tensor,
  options: GenerateOptions,
): AsyncGenerator<number[], void, void> {
  const plan = readPlan(model, inputIds, options);
  for (const tokens of write(model, inputIds, plan)) {
    yield tokens;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
