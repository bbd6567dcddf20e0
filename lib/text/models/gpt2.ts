/**
 * GPT-2 with the layout of Hugging Face transformers: names of parameters, weights [in, out] of its
 * projections, tied embeddings, initial values. Source: Radford et al. 2019, "Language Models are
 * Unsupervised Multitask Learners".
 */
import {
  Dropout,
  Embedding,
  type FieldNames,
  functional,
  init,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
  Parameter,
  type StateDict,
} from '../../nn';
import { runsPlainly } from '../../nn/feedForward';
import {
  bool,
  int,
  num,
  optionalInt,
  optionalTensor,
  probability,
  readOptions,
} from '../../nn/options';
import { arange, empty, linear, scaledDotProductAttention } from '../../ops.gen';
import { makeError } from '../../errors';
import { Tensor } from '../../tensor';
import { KVCache } from './cache';
import {
  activation,
  activationFunction,
  type ActivationName,
  checkHeads,
  eosTokens,
  type EosTokens,
  feedForwardActivation,
  fillConfig,
  readConfigJson,
  tokenId,
} from './config';
import { type GenerateOptions, generate, stream } from './generate';
import { loadWeights } from './load';
import { causalLoss, type CausalLMOutput } from './loss';
import { causalMask, checkIds, checkLength, checkMask } from './masks';

/** How large a GPT-2 is; the defaults are the smallest published one (124 million parameters). */
export interface GPT2Options {
  readonly vocabSize?: number | undefined;
  /** Longest text. Default 1024. */
  readonly nPositions?: number | undefined;
  /** Width. Default 768. */
  readonly nEmbd?: number | undefined;
  readonly nLayer?: number | undefined;
  readonly nHead?: number | undefined;
  /** Width of the feed-forward part. Default 4 nEmbd. */
  readonly nInner?: number | null | undefined;
  /** Default 'gelu_new'. */
  readonly activationFunction?: ActivationName | undefined;
  readonly residPdrop?: number | undefined;
  readonly embdPdrop?: number | undefined;
  readonly attnPdrop?: number | undefined;
  readonly layerNormEpsilon?: number | undefined;
  readonly initializerRange?: number | undefined;
  /** Divide scores by the root of the head size. Default true. */
  readonly scaleAttnWeights?: boolean | undefined;
  /** Divide scores by the number of the layer too. Default false. */
  readonly scaleAttnByInverseLayerIdx?: boolean | undefined;
  readonly bosTokenId?: number | null | undefined;
  readonly eosTokenId?: EosTokens | undefined;
  readonly padTokenId?: number | null | undefined;
  /** The output layer is the table of embeddings. Default true. */
  readonly tieWordEmbeddings?: boolean | undefined;
}

const spec = {
  vocabSize: int(50257, 1),
  nPositions: int(1024, 1),
  nEmbd: int(768, 1),
  nLayer: int(12, 1),
  nHead: int(12, 1),
  nInner: optionalInt(null, 1),
  activationFunction: activation('gelu_new'),
  residPdrop: probability(0.1),
  embdPdrop: probability(0.1),
  attnPdrop: probability(0.1),
  layerNormEpsilon: num(1e-5),
  initializerRange: num(0.02),
  scaleAttnWeights: bool(true),
  scaleAttnByInverseLayerIdx: bool(false),
  bosTokenId: tokenId(50256),
  eosTokenId: eosTokens(50256),
  padTokenId: tokenId(null),
  tieWordEmbeddings: bool(true),
};

/** Checked options of a GPT-2. transformers: `GPT2Config`. */
export class GPT2Config {
  declare readonly vocabSize: number;
  declare readonly nPositions: number;
  declare readonly nEmbd: number;
  declare readonly nLayer: number;
  declare readonly nHead: number;
  declare readonly nInner: number | null;
  declare readonly activationFunction: ActivationName;
  declare readonly residPdrop: number;
  declare readonly embdPdrop: number;
  declare readonly attnPdrop: number;
  declare readonly layerNormEpsilon: number;
  declare readonly initializerRange: number;
  declare readonly scaleAttnWeights: boolean;
  declare readonly scaleAttnByInverseLayerIdx: boolean;
  declare readonly bosTokenId: number | null;
  declare readonly eosTokenId: EosTokens;
  declare readonly padTokenId: number | null;
  declare readonly tieWordEmbeddings: boolean;

  constructor(options: GPT2Options = {}) {
    fillConfig(this, spec, options);
    checkHeads('GPT2Config', 'nEmbd', this.nEmbd, this.nHead);
  }

  /** From a config.json of transformers (contents, file or folder); `options` come first. */
  static fromJson(
    source: string | Readonly<Record<string, unknown>>,
    options: GPT2Options = {},
  ): GPT2Config {
    const read = readConfigJson('GPT2Config.fromJson', spec, source, 'gpt2');
    return new GPT2Config({ ...read, ...options });
  }
}

/** y = x W + b with weight [in, out]: GPT-2's projections. transformers: `Conv1D`. */
export class Conv1D extends Module {
  weight: Parameter;
  bias: Parameter;

  constructor(outFeatures: number, inFeatures: number, std = 0.02) {
    super();
    this.weight = new Parameter(empty([inFeatures, outFeatures]));
    this.bias = new Parameter(empty([outFeatures]));
    init.normal_(this.weight, 0, std);
    init.zeros_(this.bias);
  }

  /** [..., in] to [..., out]. */
  override forward(x: Tensor): Tensor {
    return linear(x, this.weight.t(), this.bias);
  }

  override extraRepr(): string {
    const [inFeatures, outFeatures] = this.weight.shape;
    return `inFeatures=${inFeatures}, outFeatures=${outFeatures}`;
  }
}

/** Where attention of one call looks: at nothing later, at a mask, at a cache. */
interface AttentionCall {
  readonly mask: Tensor | null;
  readonly isCausal: boolean;
  readonly cache: KVCache | null;
}

export class GPT2Attention extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly numHeads: number;
  readonly scale: number;
  readonly dropout: number;
  readonly layerIndex: number;
  cAttn: Conv1D;
  cProj: Conv1D;
  residDropout: Dropout;

  constructor(config: GPT2Config, layerIndex: number) {
    super();
    const { nEmbd, nHead, initializerRange: std } = config;
    this.numHeads = nHead;
    const scale = config.scaleAttnWeights ? 1 / Math.sqrt(nEmbd / nHead) : 1;
    this.scale = config.scaleAttnByInverseLayerIdx ? scale / (layerIndex + 1) : scale;
    this.dropout = config.attnPdrop;
    this.layerIndex = layerIndex;
    this.cAttn = new Conv1D(3 * nEmbd, nEmbd, std);
    this.cProj = new Conv1D(nEmbd, nEmbd, std / Math.sqrt(2 * config.nLayer));
    this.residDropout = new Dropout(config.residPdrop);
  }

  /** [batch, length, nEmbd] to the same. */
  override forward(x: Tensor, call: AttentionCall): Tensor {
    const [batch = 0, length = 0, width = 0] = x.shape;
    const parts = this.cAttn
      .call(x)
      .view(batch, length, 3, this.numHeads, width / this.numHeads)
      .permute(2, 0, 3, 1, 4);
    const [query, newKeys, newValues] = parts.unbind(0) as [Tensor, Tensor, Tensor];
    const [keys, values] =
      call.cache === null
        ? [newKeys, newValues]
        : call.cache.append(this.layerIndex, newKeys, newValues);
    const seen = scaledDotProductAttention(query, keys, values, {
      attnMask: call.mask,
      dropoutP: this.training ? this.dropout : 0,
      isCausal: call.isCausal,
      scale: this.scale,
    });
    const joined = seen.transpose(1, 2).reshape(batch, length, width);
    return this.residDropout.call(this.cProj.call(joined));
  }
}

export class GPT2MLP extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly activation: (x: Tensor) => Tensor;
  cFc: Conv1D;
  cProj: Conv1D;
  dropout: Dropout;

  constructor(config: GPT2Config) {
    super();
    const { nEmbd, initializerRange: std } = config;
    const inner = config.nInner ?? 4 * nEmbd;
    this.activation = activationFunction(config.activationFunction);
    this.cFc = new Conv1D(inner, nEmbd, std);
    this.cProj = new Conv1D(nEmbd, inner, std / Math.sqrt(2 * config.nLayer));
    this.dropout = new Dropout(config.residPdrop);
  }

  override forward(x: Tensor): Tensor {
    return this.dropout.call(this.fused(x) ?? this.cProj.call(this.activation(this.cFc.call(x))));
  }

  private fused(x: Tensor): Tensor | undefined {
    const { cFc, cProj } = this;
    const activation = feedForwardActivation(this.activation);
    if (activation === undefined) return undefined;
    if (!runsPlainly(cFc, Conv1D) || !runsPlainly(cProj, Conv1D)) return undefined;
    return functional.feedForward(x, cFc.weight.t(), cFc.bias, cProj.weight.t(), cProj.bias, {
      activation,
    });
  }
}

export class GPT2Block extends Module {
  static override readonly fieldNames: FieldNames = { ln1: 'ln_1', ln2: 'ln_2' };

  ln1: LayerNorm;
  attn: GPT2Attention;
  ln2: LayerNorm;
  mlp: GPT2MLP;

  constructor(config: GPT2Config, layerIndex: number) {
    super();
    const { nEmbd, layerNormEpsilon: eps } = config;
    this.ln1 = new LayerNorm(nEmbd, { eps });
    this.attn = new GPT2Attention(config, layerIndex);
    this.ln2 = new LayerNorm(nEmbd, { eps });
    this.mlp = new GPT2MLP(config);
  }

  override forward(x: Tensor, call: AttentionCall): Tensor {
    const y = this.attn.call(this.ln1.call(x), call).add(x);
    return y.add(this.mlp.call(this.ln2.call(y)));
  }
}

export interface GPT2CallOptions {
  /** [batch, length so far]: 1 for tokens, 0 for padding. */
  readonly attentionMask?: Tensor | null | undefined;
  /** [batch, length]. Default: counted from what the cache holds. */
  readonly positionIds?: Tensor | null | undefined;
  /** [batch, length]: tokens whose embeddings are added. */
  readonly tokenTypeIds?: Tensor | null | undefined;
  /** What came before; what comes in is added to it. */
  readonly cache?: KVCache | null | undefined;
}

const callSpec = {
  attentionMask: optionalTensor,
  positionIds: optionalTensor,
  tokenTypeIds: optionalTensor,
  labels: optionalTensor,
  cache: (where: string, name: string, value: unknown): KVCache | null => {
    if (value === undefined || value === null) return null;
    if (value instanceof KVCache) return value;
    throw makeError('ERR_TYPE', `${where}: argument '${name}' must be a KVCache or null`);
  },
};

type Call = Omit<ReturnType<typeof readCall>, 'labels'>;

function readCall(where: string, options: object) {
  return readOptions(where, callSpec, options);
}

/** GPT-2 without an output layer. transformers: `GPT2Model`. */
export class GPT2Model extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly config: GPT2Config;
  wte: Embedding;
  wpe: Embedding;
  drop: Dropout;
  h: ModuleList<GPT2Block>;
  lnF: LayerNorm;

  constructor(options: GPT2Options | GPT2Config = {}) {
    super();
    const config = options instanceof GPT2Config ? options : new GPT2Config(options);
    this.config = config;
    this.wte = new Embedding(config.vocabSize, config.nEmbd);
    this.wpe = new Embedding(config.nPositions, config.nEmbd);
    for (const table of [this.wte, this.wpe])
      init.normal_(table.weight, 0, config.initializerRange);
    this.drop = new Dropout(config.embdPdrop);
    this.h = new ModuleList(
      Array.from({ length: config.nLayer }, (_, i) => new GPT2Block(config, i)),
    );
    this.lnF = new LayerNorm(config.nEmbd, { eps: config.layerNormEpsilon });
  }

  /**
   * From a folder of Hugging Face with config.json and model.safetensors; in evaluation mode.
   * @param options replace those of config.json.
   */
  static fromPretrained(folder: string, options: GPT2Options = {}): GPT2Model {
    const config = GPT2Config.fromJson(folder, options);
    return loadWeights(new GPT2Model(config), folder).eval();
  }

  /**
   * Token ids [batch, length] to hidden states [batch, length, nEmbd].
   * @throws RangeError ERR_RANGE for more tokens than positions.
   */
  override forward(inputIds: Tensor, options: GPT2CallOptions = {}): Tensor {
    return this.run(inputIds, readCall('GPT2Model', options));
  }

  /** @internal */
  run(inputIds: Tensor, { attentionMask, positionIds, tokenTypeIds, cache }: Call): Tensor {
    checkIds('GPT2Model', 'inputIds', inputIds);
    const [batch = 0, length = 0] = inputIds.shape;
    const past = cache?.length ?? 0;
    const end = past + length;
    checkLength('GPT2Model', end, this.config.nPositions);
    if (attentionMask !== null) checkMask('GPT2Model', attentionMask, batch, end);
    const positions = positionIds ?? arange(past, end, 1, { device: inputIds.device });
    let x = this.wte.call(inputIds).add(this.wpe.call(positions));
    if (tokenTypeIds !== null) x = x.add(this.wte.call(tokenTypeIds));
    x = this.drop.call(x);
    const plain = attentionMask === null && (past === 0 || length === 1);
    const call = {
      mask: plain ? null : causalMask(length, end, attentionMask, inputIds.device),
      isCausal: plain && length > 1,
      cache,
    };
    for (let i = 0; i < this.h.length; ++i) x = (this.h[i] as GPT2Block).call(x, call);
    cache?.advance(length);
    return this.lnF.call(x);
  }

  /** Buffers of older checkpoints that hold masks are left out. */
  override upgradeStateDict(state: StateDict, prefix: string): void {
    for (const key of Object.keys(state)) {
      if (key.startsWith(prefix) && /\.attn\.(masked_)?bias$/.test(key)) delete state[key];
    }
  }
}

export interface GPT2LMCallOptions extends GPT2CallOptions {
  /** [batch, length]: usually the inputs themselves; -100 where no loss is taken. */
  readonly labels?: Tensor | null | undefined;
  /** Logits of the last token alone: what generation needs. Default false. */
  readonly lastOnly?: boolean | undefined;
}

/**
 * GPT-2 with an output layer over the vocabulary. transformers: `GPT2LMHeadModel`.
 *
 * @example
 * const model = new GPT2LMHeadModel({ nLayer: 2, nHead: 2, nEmbd: 64, vocabSize: 100 });
 * const { loss } = model.call(ids, { labels: ids });
 * loss.backward();
 * const text = model.generate(prompt, { maxNewTokens: 50, topK: 40, temperature: 0.8, seed: 0 });
 */
export class GPT2LMHeadModel extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly config: GPT2Config;
  transformer: GPT2Model;
  lmHead: LMHead;

  constructor(options: GPT2Options | GPT2Config = {}) {
    super();
    this.transformer = new GPT2Model(options);
    this.config = this.transformer.config;
    this.lmHead = new LMHead(this.config, this.transformer.wte.weight);
  }

  /**
   * From a folder of Hugging Face with config.json and model.safetensors; in evaluation mode.
   * @param options replace those of config.json.
   */
  static fromPretrained(folder: string, options: GPT2Options = {}): GPT2LMHeadModel {
    const config = GPT2Config.fromJson(folder, options);
    return loadWeights(new GPT2LMHeadModel(config), folder).eval();
  }

  /** Token ids [batch, length] to logits [batch, length, vocabSize] and, with labels, the loss. */
  override forward(inputIds: Tensor, options: GPT2LMCallOptions = {}): CausalLMOutput {
    const { lastOnly = false, ...rest } = options;
    const call = readCall('GPT2LMHeadModel', rest);
    const hidden = this.transformer.run(inputIds, call);
    const seen = lastOnly ? hidden.narrow(1, hidden.size(1) - 1, 1) : hidden;
    const logits = this.lmHead.call(seen);
    return { logits, loss: call.labels === null ? null : causalLoss(logits, call.labels) };
  }

  /**
   * Continues texts. The model keeps its mode; dropout is off while it writes.
   * @param inputIds [batch, length].
   * @returns [batch, length + new tokens], with padding behind texts that ended.
   */
  generate(inputIds: Tensor, options: GenerateOptions = {}): Tensor {
    return generate(this, inputIds, options);
  }

  /** As {@link generate}, one token of every text after the other: `for await (const [id] of ...)`. */
  stream(inputIds: Tensor, options: GenerateOptions = {}): AsyncGenerator<number[], void, void> {
    return stream(this, inputIds, options);
  }

  override upgradeStateDict(state: StateDict, prefix: string): void {
    const own = `${prefix}transformer.`;
    const head = `${prefix}lm_head.weight`;
    if (!Object.keys(state).some((key) => key.startsWith(own))) {
      // A checkpoint of GPT2Model alone, such as the published ones.
      for (const key of Object.keys(state)) {
        if (!key.startsWith(prefix) || key === head) continue;
        state[own + key.slice(prefix.length)] = state[key] as Tensor;
        delete state[key];
      }
    }
    const table = state[`${own}wte.weight`];
    if (this.config.tieWordEmbeddings && table instanceof Tensor) state[head] ??= table;
  }
}

/** The output layer: hidden states to logits. */
class LMHead extends Module {
  weight: Parameter;

  constructor(config: GPT2Config, table: Parameter) {
    super();
    if (config.tieWordEmbeddings) {
      this.weight = table;
    } else {
      this.weight = new Linear(config.nEmbd, config.vocabSize, { bias: false }).weight;
      init.normal_(this.weight, 0, config.initializerRange);
    }
  }

  override forward(x: Tensor): Tensor {
    return functional.linear(x, this.weight);
  }
}
