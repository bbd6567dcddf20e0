/** BERT with heads: for masked tokens and for classes of texts. */
import {
  Dropout,
  type FieldNames,
  init,
  type Linear,
  Module,
  Parameter,
  type StateDict,
} from '../../nn';
import { binaryCrossEntropyWithLogits, crossEntropy, mseLoss } from '../../nn/functional/loss';
import { readOptions } from '../../nn/options';
import { empty, linear } from '../../ops.gen';
import { Tensor } from '../../tensor';
import {
  type BertCallOptions,
  BertConfig,
  BertModel,
  type BertOptions,
  callSpec,
  dense,
  norm,
  upgrade,
  withNorm,
} from './bert';
import { activationFunction } from './config';
import { loadWeights } from './load';
import { tokenLoss } from './loss';

export interface BertLabelledOptions extends BertCallOptions {
  readonly labels?: Tensor | null | undefined;
}

/** Scores, and the loss where labels were given. */
export interface BertScores {
  readonly logits: Tensor;
  readonly loss: Tensor | null;
}

class Transform extends Module {
  static override readonly fieldNames: FieldNames = withNorm;

  readonly activation: (x: Tensor) => Tensor;
  dense: Linear;
  layerNorm;

  constructor(config: BertConfig) {
    super();
    this.activation = activationFunction(config.hiddenAct);
    this.dense = dense(config, config.hiddenSize, config.hiddenSize);
    this.layerNorm = norm(config);
  }

  override forward(x: Tensor): Tensor {
    return this.layerNorm.call(this.activation(this.dense.call(x)));
  }
}

/** A linear layer of given parameters. */
class Decoder extends Module {
  constructor(
    public weight: Parameter,
    public bias: Parameter,
  ) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

class Predictions extends Module {
  bias: Parameter;
  transform: Transform;
  decoder: Decoder;

  constructor(config: BertConfig, words: Parameter) {
    super();
    this.bias = new Parameter(init.zeros_(empty([config.vocabSize])));
    this.transform = new Transform(config);
    this.decoder = new Decoder(words, this.bias);
  }

  override forward(x: Tensor): Tensor {
    return this.decoder.call(this.transform.call(x));
  }
}

class MaskedHead extends Module {
  predictions: Predictions;

  constructor(config: BertConfig, words: Parameter) {
    super();
    this.predictions = new Predictions(config, words);
  }

  override forward(x: Tensor): Tensor {
    return this.predictions.call(x);
  }
}

/**
 * BERT that fills in masked tokens; its output layer is the table of words. transformers:
 * `BertForMaskedLM`.
 */
export class BertForMaskedLM extends Module {
  readonly config: BertConfig;
  bert: BertModel;
  cls: MaskedHead;

  constructor(options: BertOptions | BertConfig = {}) {
    super();
    this.bert = new BertModel(options, { addPoolingLayer: false });
    this.config = this.bert.config;
    this.cls = new MaskedHead(this.config, this.bert.embeddings.wordEmbeddings.weight);
  }

  /**
   * From a folder of Hugging Face with config.json and model.safetensors; in evaluation mode.
   * @param options replace those of config.json.
   */
  static fromPretrained(folder: string, options: BertOptions = {}): BertForMaskedLM {
    const config = BertConfig.fromJson(folder, options);
    return loadWeights(new BertForMaskedLM(config), folder).eval();
  }

  /**
   * Token ids [batch, length] to logits [batch, length, vocabSize].
   * @param options `labels` [batch, length]: the tokens, -100 where no loss is taken.
   */
  override forward(inputIds: Tensor, options: BertLabelledOptions = {}): BertScores {
    const name = 'BertForMaskedLM';
    const call = readOptions(name, callSpec, options);
    const logits = this.cls.call(this.bert.run(name, inputIds, call).lastHiddenState);
    return { logits, loss: call.labels === null ? null : tokenLoss(logits, call.labels) };
  }

  override upgradeStateDict(state: StateDict, prefix: string): void {
    upgrade(state, prefix);
    const head = `${prefix}cls.predictions`;
    const pairs = [
      [`${head}.decoder.weight`, `${prefix}bert.embeddings.word_embeddings.weight`],
      [`${head}.decoder.bias`, `${head}.bias`],
    ] as const;
    for (const [tied, source] of pairs) {
      const value = state[source];
      if (value instanceof Tensor) state[tied] ??= value;
    }
    // Parts of pre-training that this model does not have.
    for (const key of Object.keys(state)) {
      const rest = key.startsWith(prefix) ? key.slice(prefix.length) : '';
      if (rest.startsWith('bert.pooler.') || rest.startsWith('cls.seq_relationship.')) {
        delete state[key];
      }
    }
  }
}

/**
 * BERT that tells classes of texts apart. transformers: `BertForSequenceClassification`.
 *
 * @example
 * const model = new BertForSequenceClassification({ numLabels: 2, numHiddenLayers: 2 });
 * const { logits, loss } = model.call(ids, { attentionMask, labels });
 */
export class BertForSequenceClassification extends Module {
  readonly config: BertConfig;
  bert: BertModel;
  dropout: Dropout;
  classifier: Linear;

  constructor(options: BertOptions | BertConfig = {}) {
    super();
    this.bert = new BertModel(options);
    const { config } = this.bert;
    this.config = config;
    this.dropout = new Dropout(config.classifierDropout ?? config.hiddenDropoutProb);
    this.classifier = dense(config, config.hiddenSize, config.numLabels);
  }

  /**
   * From a folder of Hugging Face with config.json and model.safetensors; in evaluation mode.
   * @param options replace those of config.json.
   */
  static fromPretrained(folder: string, options: BertOptions = {}): BertForSequenceClassification {
    const config = BertConfig.fromJson(folder, options);
    return loadWeights(new BertForSequenceClassification(config), folder).eval();
  }

  /**
   * Token ids [batch, length] to logits [batch, numLabels].
   * @param options `labels`: classes [batch]; numbers [batch, numLabels] in [0, 1] where a text may
   * have several; numbers [batch] with one label, for regression.
   */
  override forward(inputIds: Tensor, options: BertLabelledOptions = {}): BertScores {
    const name = 'BertForSequenceClassification';
    const call = readOptions(name, callSpec, options);
    const { poolerOutput } = this.bert.run(name, inputIds, call);
    const logits = this.classifier.call(this.dropout.call(poolerOutput as Tensor));
    return { logits, loss: call.labels === null ? null : this.loss(logits, call.labels) };
  }

  private loss(logits: Tensor, labels: Tensor): Tensor {
    if (this.config.numLabels === 1) return mseLoss(logits.view(-1), labels.view(-1));
    if (labels.isFloatingPoint()) return binaryCrossEntropyWithLogits(logits, labels);
    return crossEntropy(logits, labels.view(-1));
  }
}
