/**
 * BERT with the layout of Hugging Face transformers: names of parameters, tied embeddings, initial
 * values. Source: Devlin et al. 2018, "BERT: Pre-training of Deep Bidirectional Transformers".
 */
import {
  Dropout,
  Embedding,
  type FieldNames,
  init,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
  type Parameter,
  type StateDict,
} from '../../nn';
import { fusedLayers, runsPlainly } from '../../nn/feedForward';
import { int, num, optionalNum, optionalTensor, probability, readOptions } from '../../nn/options';
import { arange, scaledDotProductAttention, tanh } from '../../ops.gen';
import type { Tensor } from '../../tensor';
import {
  activation,
  activationFunction,
  type ActivationName,
  checkHeads,
  feedForwardActivation,
  fillConfig,
  readConfigJson,
  tokenId,
} from './config';
import { loadWeights } from './load';
import { checkIds, checkLength, checkMask, paddingMask } from './masks';

/** How large a BERT is; the defaults are BERT-base (110 million parameters). */
export interface BertOptions {
  readonly vocabSize?: number | undefined;
  /** Width. Default 768. */
  readonly hiddenSize?: number | undefined;
  readonly numHiddenLayers?: number | undefined;
  readonly numAttentionHeads?: number | undefined;
  /** Width of the feed-forward part. Default 3072. */
  readonly intermediateSize?: number | undefined;
  /** Default 'gelu'. */
  readonly hiddenAct?: ActivationName | undefined;
  readonly hiddenDropoutProb?: number | undefined;
  readonly attentionProbsDropoutProb?: number | undefined;
  /** Longest text. Default 512. */
  readonly maxPositionEmbeddings?: number | undefined;
  readonly typeVocabSize?: number | undefined;
  readonly initializerRange?: number | undefined;
  readonly layerNormEps?: number | undefined;
  /** Token whose embedding starts at 0 and is not trained. Default 0. */
  readonly padTokenId?: number | null | undefined;
  /** Dropout in front of the classifier. Default hiddenDropoutProb. */
  readonly classifierDropout?: number | null | undefined;
  /** Classes of {@link BertForSequenceClassification}. Default 2. */
  readonly numLabels?: number | undefined;
}

const spec = {
  vocabSize: int(30522, 1),
  hiddenSize: int(768, 1),
  numHiddenLayers: int(12, 1),
  numAttentionHeads: int(12, 1),
  intermediateSize: int(3072, 1),
  hiddenAct: activation('gelu'),
  hiddenDropoutProb: probability(0.1),
  attentionProbsDropoutProb: probability(0.1),
  maxPositionEmbeddings: int(512, 1),
  typeVocabSize: int(2, 1),
  initializerRange: num(0.02),
  layerNormEps: num(1e-12),
  padTokenId: tokenId(0),
  classifierDropout: optionalNum(null),
  numLabels: int(2, 1),
};

/** Checked options of a BERT. transformers: `BertConfig`. */
export class BertConfig {
  declare readonly vocabSize: number;
  declare readonly hiddenSize: number;
  declare readonly numHiddenLayers: number;
  declare readonly numAttentionHeads: number;
  declare readonly intermediateSize: number;
  declare readonly hiddenAct: ActivationName;
  declare readonly hiddenDropoutProb: number;
  declare readonly attentionProbsDropoutProb: number;
  declare readonly maxPositionEmbeddings: number;
  declare readonly typeVocabSize: number;
  declare readonly initializerRange: number;
  declare readonly layerNormEps: number;
  declare readonly padTokenId: number | null;
  declare readonly classifierDropout: number | null;
  declare readonly numLabels: number;

  constructor(options: BertOptions = {}) {
    fillConfig(this, spec, options);
    checkHeads('BertConfig', 'hiddenSize', this.hiddenSize, this.numAttentionHeads);
  }

  /** From a config.json of transformers (contents, file or folder); `options` come first. */
  static fromJson(
    source: string | Readonly<Record<string, unknown>>,
    options: BertOptions = {},
  ): BertConfig {
    const read = readConfigJson('BertConfig.fromJson', spec, source, 'bert');
    return new BertConfig({ ...read, ...options });
  }

  static from(options: BertOptions | BertConfig): BertConfig {
    return options instanceof BertConfig ? options : new BertConfig(options);
  }
}

/** For this package: a linear layer with BERT's initial values. */
export function dense(config: BertConfig, from: number, to: number): Linear {
  const layer = new Linear(from, to);
  init.normal_(layer.weight, 0, config.initializerRange);
  init.zeros_(layer.bias as Parameter);
  return layer;
}

function table(config: BertConfig, rows: number, paddingIdx: number | null = null): Embedding {
  const layer = new Embedding(rows, config.hiddenSize, { paddingIdx });
  init.normal_(layer.weight, 0, config.initializerRange);
  if (paddingIdx !== null) init.zeros_(layer.weight.detach().select(0, paddingIdx));
  return layer;
}

/** For this package. */
export function norm(config: BertConfig): LayerNorm {
  return new LayerNorm(config.hiddenSize, { eps: config.layerNormEps });
}

/** For this package: fields of `dense` and `LayerNorm` are named as in transformers. */
export const withNorm: FieldNames = { layerNorm: 'LayerNorm' };

export class BertEmbeddings extends Module {
  static override readonly fieldNames: FieldNames = {
    wordEmbeddings: 'word_embeddings',
    positionEmbeddings: 'position_embeddings',
    tokenTypeEmbeddings: 'token_type_embeddings',
    layerNorm: 'LayerNorm',
  };

  wordEmbeddings: Embedding;
  positionEmbeddings: Embedding;
  tokenTypeEmbeddings: Embedding;
  layerNorm: LayerNorm;
  dropout: Dropout;

  constructor(config: BertConfig) {
    super();
    this.wordEmbeddings = table(config, config.vocabSize, config.padTokenId);
    this.positionEmbeddings = table(config, config.maxPositionEmbeddings);
    this.tokenTypeEmbeddings = table(config, config.typeVocabSize);
    this.layerNorm = norm(config);
    this.dropout = new Dropout(config.hiddenDropoutProb);
  }

  /** Token ids, their types and positions to vectors. */
  override forward(ids: Tensor, types: Tensor | null, positions: Tensor | null): Tensor {
    const places = positions ?? arange(0, ids.size(1), 1, { device: ids.device });
    const kinds =
      types === null
        ? this.tokenTypeEmbeddings.weight.narrow(0, 0, 1)
        : this.tokenTypeEmbeddings.call(types);
    const x = this.wordEmbeddings.call(ids).add(kinds).add(this.positionEmbeddings.call(places));
    return this.dropout.call(this.layerNorm.call(x));
  }
}

export class BertSelfAttention extends Module {
  readonly numHeads: number;
  readonly dropout: number;
  query: Linear;
  key: Linear;
  value: Linear;

  constructor(config: BertConfig) {
    super();
    const { hiddenSize: size } = config;
    this.numHeads = config.numAttentionHeads;
    this.dropout = config.attentionProbsDropoutProb;
    this.query = dense(config, size, size);
    this.key = dense(config, size, size);
    this.value = dense(config, size, size);
  }

  override forward(x: Tensor, mask: Tensor | null): Tensor {
    const [batch = 0, length = 0, width = 0] = x.shape;
    const heads = (t: Tensor): Tensor =>
      t.view(batch, length, this.numHeads, width / this.numHeads).transpose(1, 2);
    const seen = scaledDotProductAttention(
      heads(this.query.call(x)),
      heads(this.key.call(x)),
      heads(this.value.call(x)),
      { attnMask: mask, dropoutP: this.training ? this.dropout : 0 },
    );
    return seen.transpose(1, 2).reshape(batch, length, width);
  }
}

/** A projection, then the sum with what came in, normalised: the end of both halves of a layer. */
export class BertOutput extends Module {
  static override readonly fieldNames: FieldNames = withNorm;

  dense: Linear;
  layerNorm: LayerNorm;
  dropout: Dropout;

  constructor(config: BertConfig, inFeatures: number) {
    super();
    this.dense = dense(config, inFeatures, config.hiddenSize);
    this.layerNorm = norm(config);
    this.dropout = new Dropout(config.hiddenDropoutProb);
  }

  override forward(x: Tensor, residual: Tensor): Tensor {
    return this.finish(this.dense.call(x), residual);
  }

  /** @internal What follows the projection. */
  finish(projected: Tensor, residual: Tensor): Tensor {
    return this.layerNorm.call(this.dropout.call(projected).add(residual));
  }
}

export class BertAttention extends Module {
  self: BertSelfAttention;
  output: BertOutput;

  constructor(config: BertConfig) {
    super();
    this.self = new BertSelfAttention(config);
    this.output = new BertOutput(config, config.hiddenSize);
  }

  override forward(x: Tensor, mask: Tensor | null): Tensor {
    return this.output.call(this.self.call(x, mask), x);
  }
}

export class BertIntermediate extends Module {
  readonly activation: (x: Tensor) => Tensor;
  dense: Linear;

  constructor(config: BertConfig) {
    super();
    this.activation = activationFunction(config.hiddenAct);
    this.dense = dense(config, config.hiddenSize, config.intermediateSize);
  }

  override forward(x: Tensor): Tensor {
    return this.activation(this.dense.call(x));
  }
}

export class BertLayer extends Module {
  attention: BertAttention;
  intermediate: BertIntermediate;
  output: BertOutput;

  constructor(config: BertConfig) {
    super();
    this.attention = new BertAttention(config);
    this.intermediate = new BertIntermediate(config);
    this.output = new BertOutput(config, config.intermediateSize);
  }

  override forward(x: Tensor, mask: Tensor | null): Tensor {
    const seen = this.attention.call(x, mask);
    const projected = this.fused(seen);
    if (projected !== undefined) return this.output.finish(projected, seen);
    return this.output.call(this.intermediate.call(seen), seen);
  }

  private fused(x: Tensor): Tensor | undefined {
    const { intermediate, output } = this;
    if (!runsPlainly(intermediate, BertIntermediate) || !runsPlainly(output, BertOutput)) {
      return undefined;
    }
    const activation = feedForwardActivation(intermediate.activation);
    return fusedLayers(x, intermediate.dense, activation, output.dense);
  }
}

export class BertEncoder extends Module {
  layer: ModuleList<BertLayer>;

  constructor(config: BertConfig) {
    super();
    const count = config.numHiddenLayers;
    this.layer = new ModuleList(Array.from({ length: count }, () => new BertLayer(config)));
  }

  override forward(x: Tensor, mask: Tensor | null): Tensor {
    let y = x;
    for (const layer of this.layer) y = layer.call(y, mask);
    return y;
  }
}

/** The first token's vector through a layer and tanh. */
export class BertPooler extends Module {
  dense: Linear;

  constructor(config: BertConfig) {
    super();
    this.dense = dense(config, config.hiddenSize, config.hiddenSize);
  }

  override forward(hidden: Tensor): Tensor {
    return tanh(this.dense.call(hidden.select(1, 0)));
  }
}

export interface BertCallOptions {
  /** [batch, length]: 1 for tokens, 0 for padding. */
  readonly attentionMask?: Tensor | null | undefined;
  /** [batch, length]: which of two sentences a token is of. Default 0. */
  readonly tokenTypeIds?: Tensor | null | undefined;
  /** [batch, length]. Default 0, 1, 2, ... */
  readonly positionIds?: Tensor | null | undefined;
}

/** For this package. */
export const callSpec = {
  attentionMask: optionalTensor,
  tokenTypeIds: optionalTensor,
  positionIds: optionalTensor,
  labels: optionalTensor,
};

type Call = { readonly [K in keyof typeof callSpec]: Tensor | null };

export interface BertModelOptions {
  /** Also the pooled vector of the first token. Default true. */
  readonly addPoolingLayer?: boolean | undefined;
}

export interface BertOutputs {
  /** [batch, length, hiddenSize]. */
  readonly lastHiddenState: Tensor;
  /** [batch, hiddenSize], or null without a pooler. */
  readonly poolerOutput: Tensor | null;
}

/** For this package: buffers and names of older checkpoints. */
export function upgrade(state: StateDict, prefix: string): void {
  for (const key of Object.keys(state)) {
    if (!key.startsWith(prefix)) continue;
    const name = key
      .replace(/\.LayerNorm\.gamma$/, '.LayerNorm.weight')
      .replace(/\.LayerNorm\.beta$/, '.LayerNorm.bias');
    const buffer = /(^|\.)embeddings\.(position_ids|token_type_ids)$/.test(key);
    if (!buffer && name !== key) state[name] = state[key] as Tensor;
    if (buffer || name !== key) delete state[key];
  }
}

/** BERT without a head. transformers: `BertModel`. */
export class BertModel extends Module {
  readonly config: BertConfig;
  embeddings: BertEmbeddings;
  encoder: BertEncoder;
  pooler: BertPooler | null;

  constructor(options: BertOptions | BertConfig = {}, more: BertModelOptions = {}) {
    super();
    const config = BertConfig.from(options);
    const { addPoolingLayer = true } = more;
    this.config = config;
    this.embeddings = new BertEmbeddings(config);
    this.encoder = new BertEncoder(config);
    this.pooler = addPoolingLayer ? new BertPooler(config) : null;
  }

  /**
   * From a folder of Hugging Face with config.json and model.safetensors; in evaluation mode.
   * @param options replace those of config.json.
   */
  static fromPretrained(folder: string, options: BertOptions = {}): BertModel {
    const config = BertConfig.fromJson(folder, options);
    return loadWeights(new BertModel(config), folder).eval();
  }

  /**
   * Token ids [batch, length] to the last hidden states and the pooled vector.
   * @throws RangeError ERR_RANGE for more tokens than positions.
   */
  override forward(inputIds: Tensor, options: BertCallOptions = {}): BertOutputs {
    return this.run('BertModel', inputIds, readOptions('BertModel', callSpec, options));
  }

  /** @internal */
  run(where: string, inputIds: Tensor, call: Call): BertOutputs {
    checkIds(where, 'inputIds', inputIds);
    const [batch = 0, length = 0] = inputIds.shape;
    checkLength(where, length, this.config.maxPositionEmbeddings);
    const { attentionMask, tokenTypeIds, positionIds } = call;
    if (attentionMask !== null) checkMask(where, attentionMask, batch, length);
    const mask = attentionMask === null ? null : paddingMask(attentionMask);
    const embedded = this.embeddings.call(inputIds, tokenTypeIds, positionIds);
    const lastHiddenState = this.encoder.call(embedded, mask);
    return { lastHiddenState, poolerOutput: this.pooler?.call(lastHiddenState) ?? null };
  }

  /** Takes names of older checkpoints, and those of models with a head. */
  override upgradeStateDict(state: StateDict, prefix: string): void {
    upgrade(state, prefix);
    if (prefix !== '' || Object.keys(state).some((key) => key.startsWith('embeddings.'))) return;
    for (const key of Object.keys(state)) {
      if (key.startsWith('bert.')) state[key.slice(5)] = state[key] as Tensor;
      if (key.startsWith('bert.') || key.startsWith('cls.') || key.startsWith('classifier.')) {
        delete state[key];
      }
    }
  }
}
