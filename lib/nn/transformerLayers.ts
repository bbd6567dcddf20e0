/** One layer of a transformer's encoder and decoder. */
import { makeError } from '../errors';
import { standsFor } from '../lazy';
import { gelu, relu } from '../ops.gen';
import type { Tensor } from '../tensor';
import { MultiheadAttention } from './attention';
import { Dropout } from './dropout';
import { dropsNothing, fusedLayers } from './feedForward';
import type { FeedForwardActivation } from './functional/linear';
import { Linear } from './linear';
import { type FieldNames, Module } from './module';
import { LayerNorm } from './norm';
import {
  bool,
  type Check,
  type FactoryOptions,
  factory,
  int,
  num,
  optionalTensor,
  probability,
  readOptions,
  requiredInt,
  show,
} from './options';

export type Activation = 'relu' | 'gelu' | ((x: Tensor) => Tensor);

export interface TransformerLayerOptions extends FactoryOptions {
  /** Width of the feed-forward part. Default 2048. */
  readonly dimFeedforward?: number | undefined;
  /** Default 0.1. */
  readonly dropout?: number | undefined;
  /** Default 'relu'. */
  readonly activation?: Activation | undefined;
  /** Default 1e-5. */
  readonly layerNormEps?: number | undefined;
  /** Tensors are [N, L, E] instead of [L, N, E]. Default false. */
  readonly batchFirst?: boolean | undefined;
  /** Normalise before attention and feed-forward instead of after. Default false. */
  readonly normFirst?: boolean | undefined;
  /** Biases of linear and normalisation layers. Default true. */
  readonly bias?: boolean | undefined;
}

const activation: Check<Activation> = (layer, name, value) => {
  if (value === undefined) return 'relu';
  if (value === 'relu' || value === 'gelu' || typeof value === 'function') {
    return value as Activation;
  }
  throw makeError(
    typeof value === 'string' ? 'ERR_VALUE' : 'ERR_TYPE',
    `${layer}: argument '${name}' must be 'relu', 'gelu' or a function, got ${show(value)}`,
  );
};

/** For this package: checks of {@link TransformerLayerOptions}. */
export const layerSpec = {
  dimFeedforward: int(2048, 1),
  dropout: probability(0.1),
  activation,
  layerNormEps: num(1e-5),
  batchFirst: bool(false),
  normFirst: bool(false),
  bias: bool(true),
  ...factory,
};

type Read = { [K in keyof typeof layerSpec]: ReturnType<(typeof layerSpec)[K]> };

function activationOf(given: Activation): (x: Tensor) => Tensor {
  if (given === 'relu') return relu;
  return given === 'gelu' ? gelu : standsFor(given);
}

/** The feed-forward part of a layer, before its last dropout. */
interface FeedForwardParts {
  readonly linear1: Linear;
  readonly activation: (x: Tensor) => Tensor;
  readonly dropout: Dropout;
  readonly linear2: Linear;
}

function runFeedForward(layer: FeedForwardParts, x: Tensor): Tensor {
  const { linear1, activation, dropout, linear2 } = layer;
  let known: FeedForwardActivation | undefined;
  if (activation === relu) known = 'relu';
  else if (activation === gelu) known = 'gelu';
  const fused = dropsNothing(dropout) ? fusedLayers(x, linear1, known, linear2) : undefined;
  return fused ?? linear2.call(dropout.call(activation(linear1.call(x))));
}

/** Sizes and placement of one layer's parts. */
class Parts {
  constructor(
    readonly dModel: number,
    readonly nhead: number,
    readonly options: Read,
  ) {}

  attention(): MultiheadAttention {
    const { dropout, bias, batchFirst, dtype, device } = this.options;
    return new MultiheadAttention(this.dModel, this.nhead, {
      dropout,
      bias,
      batchFirst,
      dtype,
      device,
    });
  }

  linear(from: number, to: number): Linear {
    const { bias, dtype, device } = this.options;
    return new Linear(from, to, { bias, dtype, device });
  }

  norm(): LayerNorm {
    const { layerNormEps: eps, bias, dtype, device } = this.options;
    return new LayerNorm(this.dModel, { eps, bias, dtype, device });
  }

  dropout(): Dropout {
    return new Dropout(this.options.dropout);
  }
}

function readParts(name: string, dModel: number, nhead: number, options: object): Parts {
  const read = readOptions(name, layerSpec, options);
  return new Parts(
    requiredInt(1)(name, 'dModel', dModel),
    requiredInt(1)(name, 'nhead', nhead),
    read,
  );
}

export interface EncoderLayerCallOptions {
  /** [L, L] or [N * heads, L, L]. */
  readonly srcMask?: Tensor | null | undefined;
  /** [N, L]: true at padding. */
  readonly srcKeyPaddingMask?: Tensor | null | undefined;
  readonly isCausal?: boolean | undefined;
}

const encoderCallSpec = {
  srcMask: optionalTensor,
  srcKeyPaddingMask: optionalTensor,
  isCausal: bool(false),
};

/** Self-attention and a feed-forward network, each with a residual connection. */
export class TransformerEncoderLayer extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  selfAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  readonly normFirst: boolean;
  norm1: LayerNorm;
  norm2: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  activation: (x: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super();
    const parts = readParts(new.target.name, dModel, nhead, options);
    const { dimFeedforward, normFirst } = parts.options;
    this.selfAttn = parts.attention();
    this.linear1 = parts.linear(dModel, dimFeedforward);
    this.dropout = parts.dropout();
    this.linear2 = parts.linear(dimFeedforward, dModel);
    this.normFirst = normFirst;
    this.norm1 = parts.norm();
    this.norm2 = parts.norm();
    this.dropout1 = parts.dropout();
    this.dropout2 = parts.dropout();
    this.activation = activationOf(parts.options.activation);
  }

  /** src [L, N, E] (or [N, L, E] with batchFirst, or [L, E]) -> the same shape. */
  override forward(src: Tensor, options: EncoderLayerCallOptions = {}): Tensor {
    const read = readOptions(this.constructor.name, encoderCallSpec, options);
    const attend = (x: Tensor): Tensor =>
      this.dropout1.call(
        this.selfAttn.call(x, x, x, {
          attnMask: read.srcMask,
          keyPaddingMask: read.srcKeyPaddingMask,
          isCausal: read.isCausal,
          needWeights: false,
        })[0],
      );
    if (this.normFirst) {
      const x = src.add(attend(this.norm1.call(src)));
      return x.add(this.feedForward(this.norm2.call(x)));
    }
    const x = this.norm1.call(src.add(attend(src)));
    return this.norm2.call(x.add(this.feedForward(x)));
  }

  private feedForward(x: Tensor): Tensor {
    return this.dropout2.call(runFeedForward(this, x));
  }
}

export interface DecoderLayerCallOptions {
  readonly tgtMask?: Tensor | null | undefined;
  readonly memoryMask?: Tensor | null | undefined;
  readonly tgtKeyPaddingMask?: Tensor | null | undefined;
  readonly memoryKeyPaddingMask?: Tensor | null | undefined;
  readonly tgtIsCausal?: boolean | undefined;
  readonly memoryIsCausal?: boolean | undefined;
}

/** For this package: checks of {@link DecoderLayerCallOptions}. */
export const decoderCallSpec = {
  tgtMask: optionalTensor,
  memoryMask: optionalTensor,
  tgtKeyPaddingMask: optionalTensor,
  memoryKeyPaddingMask: optionalTensor,
  tgtIsCausal: bool(false),
  memoryIsCausal: bool(false),
};

/** Self-attention, attention to the encoder's output, and a feed-forward network. */
export class TransformerDecoderLayer extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  selfAttn: MultiheadAttention;
  multiheadAttn: MultiheadAttention;
  linear1: Linear;
  dropout: Dropout;
  linear2: Linear;
  readonly normFirst: boolean;
  norm1: LayerNorm;
  norm2: LayerNorm;
  norm3: LayerNorm;
  dropout1: Dropout;
  dropout2: Dropout;
  dropout3: Dropout;
  activation: (x: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super();
    const parts = readParts(new.target.name, dModel, nhead, options);
    const { dimFeedforward, normFirst } = parts.options;
    this.selfAttn = parts.attention();
    this.multiheadAttn = parts.attention();
    this.linear1 = parts.linear(dModel, dimFeedforward);
    this.dropout = parts.dropout();
    this.linear2 = parts.linear(dimFeedforward, dModel);
    this.normFirst = normFirst;
    this.norm1 = parts.norm();
    this.norm2 = parts.norm();
    this.norm3 = parts.norm();
    this.dropout1 = parts.dropout();
    this.dropout2 = parts.dropout();
    this.dropout3 = parts.dropout();
    this.activation = activationOf(parts.options.activation);
  }

  /** tgt [T, N, E], memory [S, N, E] -> [T, N, E]; N first with batchFirst. */
  override forward(tgt: Tensor, memory: Tensor, options: DecoderLayerCallOptions = {}): Tensor {
    const read = readOptions(this.constructor.name, decoderCallSpec, options);
    const toSelf = (x: Tensor): Tensor =>
      this.dropout1.call(
        this.selfAttn.call(x, x, x, {
          attnMask: read.tgtMask,
          keyPaddingMask: read.tgtKeyPaddingMask,
          isCausal: read.tgtIsCausal,
          needWeights: false,
        })[0],
      );
    const toMemory = (x: Tensor): Tensor =>
      this.dropout2.call(
        this.multiheadAttn.call(x, memory, memory, {
          attnMask: read.memoryMask,
          keyPaddingMask: read.memoryKeyPaddingMask,
          isCausal: read.memoryIsCausal,
          needWeights: false,
        })[0],
      );
    if (this.normFirst) {
      let x = tgt.add(toSelf(this.norm1.call(tgt)));
      x = x.add(toMemory(this.norm2.call(x)));
      return x.add(this.feedForward(this.norm3.call(x)));
    }
    let x = this.norm1.call(tgt.add(toSelf(tgt)));
    x = this.norm2.call(x.add(toMemory(x)));
    return this.norm3.call(x.add(this.feedForward(x)));
  }

  private feedForward(x: Tensor): Tensor {
    return this.dropout3.call(runFeedForward(this, x));
  }
}
