/** Tables of learned vectors. */
import { makeError } from '../errors';
import { noGrad } from '../autograd';
import { embedding, empty } from '../ops.gen';
import { Tensor } from '../tensor';
import { type BagMode, embeddingBag } from './functional/embedding';
import { normal_ } from './init';
import { Module } from './module';
import {
  badArgument,
  bool,
  choice,
  type FactoryOptions,
  factory,
  num,
  optionalInt,
  optionalNum,
  optionalTensor,
  readArguments,
  readOptions,
  requiredInt,
} from './options';
import { Parameter } from './parameter';

export interface EmbeddingOptions extends FactoryOptions {
  /** Index whose row is zero at the start and gets no gradient. */
  readonly paddingIdx?: number | null | undefined;
  /** Rows are scaled to at most this norm when they are used. */
  readonly maxNorm?: number | null | undefined;
  /** Default 2. */
  readonly normType?: number | undefined;
  /** Divide gradients by how often a row occurs in the batch. Default false. */
  readonly scaleGradByFreq?: boolean | undefined;
  /** Accepted for PyTorch's sake: gradients are always dense. */
  readonly sparse?: boolean | undefined;
}

const spec = {
  paddingIdx: optionalInt(null, -Infinity),
  maxNorm: optionalNum(null),
  normType: num(2),
  scaleGradByFreq: bool(false),
  sparse: bool(false),
  ...factory,
};

export interface PretrainedOptions extends Omit<EmbeddingOptions, 'dtype' | 'device'> {
  /** Do not train the vectors. Default true. */
  readonly freeze?: boolean | undefined;
}

/** A given table as a parameter. */
function pretrained(name: string, embeddings: Tensor, freeze: boolean): Parameter {
  if (!(embeddings instanceof Tensor) || embeddings.ndim !== 2) {
    throw badArgument(name, 'embeddings', 'a Tensor of 2 dimensions', embeddings);
  }
  return new Parameter(embeddings, { requiresGrad: !freeze });
}

function readPadding(name: string, paddingIdx: number | null, rows: number): number | null {
  if (paddingIdx === null) return null;
  if (paddingIdx < -rows || paddingIdx >= rows) {
    throw makeError(
      'ERR_RANGE',
      `${name}: argument 'paddingIdx' must be within numEmbeddings (${rows}), got ${paddingIdx}`,
    );
  }
  return paddingIdx < 0 ? paddingIdx + rows : paddingIdx;
}

/** What tables and bags share. */
abstract class Table extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  readonly maxNorm: number | null;
  readonly normType: number;
  readonly scaleGradByFreq: boolean;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions) {
    super();
    const name = new.target.name;
    const read = readOptions(name, spec, options);
    this.numEmbeddings = requiredInt()(name, 'numEmbeddings', numEmbeddings);
    this.embeddingDim = requiredInt()(name, 'embeddingDim', embeddingDim);
    this.paddingIdx = readPadding(name, read.paddingIdx, numEmbeddings);
    this.maxNorm = read.maxNorm;
    this.normType = read.normType;
    this.scaleGradByFreq = read.scaleGradByFreq;
    const place = { dtype: read.dtype, device: read.device };
    this.weight = new Parameter(empty([numEmbeddings, embeddingDim], place));
    this.resetParameters();
  }

  /** Draws new initial values: N(0, 1), zeros at the padding. */
  resetParameters(): void {
    normal_(this.weight);
    const { paddingIdx } = this;
    if (paddingIdx !== null) noGrad(() => this.weight.select(0, paddingIdx).zero_());
  }

  override extraRepr(): string {
    let text = `${this.numEmbeddings}, ${this.embeddingDim}`;
    if (this.paddingIdx !== null) text += `, paddingIdx=${this.paddingIdx}`;
    if (this.maxNorm !== null) text += `, maxNorm=${this.maxNorm}`;
    if (this.normType !== 2) text += `, normType=${this.normType}`;
    if (this.scaleGradByFreq) text += ', scaleGradByFreq=true';
    return text;
  }
}

/** Rows of a table: input [...] of indices, output [..., embeddingDim]. */
export class Embedding extends Table {
  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions = {}) {
    super(numEmbeddings, embeddingDim, options);
  }

  /** A layer around given vectors [numEmbeddings, embeddingDim]. */
  static fromPretrained(embeddings: Tensor, options: PretrainedOptions = {}): Embedding {
    const { freeze = true, ...rest } = options;
    const weight = pretrained('Embedding.fromPretrained', embeddings, freeze);
    const { dtype, device } = embeddings;
    const out = new Embedding(weight.size(0), weight.size(1), { ...rest, dtype, device });
    out.weight = weight;
    return out;
  }

  override forward(input: Tensor): Tensor {
    const { paddingIdx, maxNorm, normType, scaleGradByFreq } = this;
    return embedding(input, this.weight, { paddingIdx, maxNorm, normType, scaleGradByFreq });
  }
}

export interface EmbeddingBagOptions extends EmbeddingOptions {
  /** Default 'mean'. */
  readonly mode?: BagMode | undefined;
  /** The last offset is the end of the last bag. Default false. */
  readonly includeLastOffset?: boolean | undefined;
}

export interface BagCallOptions {
  readonly offsets?: Tensor | null | undefined;
  readonly perSampleWeights?: Tensor | null | undefined;
}

const bagSpec = {
  mode: choice<BagMode>(['sum', 'mean', 'max'], 'mean'),
  includeLastOffset: bool(false),
};

/** Sums, means or maxima of rows: input [B, N], or [N] with offsets; output [B, embeddingDim]. */
export class EmbeddingBag extends Table {
  readonly mode: BagMode;
  readonly includeLastOffset: boolean;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingBagOptions = {}) {
    const { mode, includeLastOffset, ...rest } = options;
    super(numEmbeddings, embeddingDim, rest);
    const read = readOptions(new.target.name, bagSpec, { mode, includeLastOffset });
    this.mode = read.mode;
    this.includeLastOffset = read.includeLastOffset;
  }

  /** A layer around given vectors [numEmbeddings, embeddingDim]. */
  static fromPretrained(
    embeddings: Tensor,
    options: Omit<EmbeddingBagOptions, 'dtype' | 'device'> & { readonly freeze?: boolean } = {},
  ): EmbeddingBag {
    const { freeze = true, ...rest } = options;
    const weight = pretrained('EmbeddingBag.fromPretrained', embeddings, freeze);
    const { dtype, device } = embeddings;
    const out = new EmbeddingBag(weight.size(0), weight.size(1), { ...rest, dtype, device });
    out.weight = weight;
    return out;
  }

  override forward(
    input: Tensor,
    ...args: [options?: BagCallOptions] | [offsets: Tensor | null, options?: BagCallOptions]
  ): Tensor {
    const callSpec = { offsets: optionalTensor, perSampleWeights: optionalTensor };
    const read = readArguments(this.constructor.name, callSpec, args, ['offsets']);
    const { mode, includeLastOffset, paddingIdx, maxNorm, normType, scaleGradByFreq } = this;
    return embeddingBag(input, this.weight, {
      ...read,
      mode,
      includeLastOffset,
      paddingIdx,
      maxNorm,
      normType,
      scaleGradByFreq,
    });
  }

  override extraRepr(): string {
    return `${super.extraRepr()}, mode='${this.mode}'`;
  }
}
