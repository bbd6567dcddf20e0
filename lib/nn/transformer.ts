/** Stacks of transformer layers, and the whole sequence-to-sequence transformer. */
import { makeError } from '../errors';
import { arange, full, where } from '../ops.gen';
import type { Tensor } from '../tensor';
import { ModuleList } from './container';
import { xavierUniform_ } from './init';
import { type FieldNames, Module } from './module';
import { LayerNorm } from './norm';
import {
  badArgument,
  bool,
  device,
  dtype,
  type FactoryOptions,
  int,
  optionalTensor,
  readOptions,
  requiredInt,
} from './options';
import {
  type DecoderLayerCallOptions,
  decoderCallSpec,
  layerSpec,
  TransformerDecoderLayer,
  TransformerEncoderLayer,
  type TransformerLayerOptions,
} from './transformerLayers';

type Norm = Module & { forward(x: Tensor): Tensor };

export interface StackOptions {
  /** Normalisation of the result. Default none. */
  readonly norm?: Norm | null | undefined;
}

const optionalModule = (layer: string, name: string, value: unknown): Module | null => {
  if (value === undefined || value === null) return null;
  if (!(value instanceof Module)) throw badArgument(layer, name, 'a Module or null', value);
  return value;
};

function copies<T extends Module>(name: string, layer: T, count: number): ModuleList<T> {
  requiredInt(1)(name, 'numLayers', count);
  if (!(layer instanceof Module)) throw badArgument(name, 'layer', 'a Module', layer);
  return new ModuleList(Array.from({ length: count }, () => layer.deepCopy()));
}

export interface EncoderCallOptions {
  readonly mask?: Tensor | null | undefined;
  readonly srcKeyPaddingMask?: Tensor | null | undefined;
  readonly isCausal?: boolean | undefined;
}

const encoderSpec = {
  mask: optionalTensor,
  srcKeyPaddingMask: optionalTensor,
  isCausal: bool(false),
};

/** `numLayers` copies of an encoder layer. */
export class TransformerEncoder extends Module {
  layers: ModuleList<TransformerEncoderLayer>;
  readonly numLayers: number;
  norm: Norm | null;

  constructor(
    encoderLayer: TransformerEncoderLayer,
    numLayers: number,
    options: StackOptions = {},
  ) {
    super();
    const name = new.target.name;
    this.layers = copies(name, encoderLayer, numLayers);
    this.numLayers = numLayers;
    this.norm = readOptions(name, { norm: optionalModule }, options).norm as Norm | null;
  }

  override forward(src: Tensor, options: EncoderCallOptions = {}): Tensor {
    const read = readOptions(this.constructor.name, encoderSpec, options);
    const { mask: srcMask, srcKeyPaddingMask, isCausal } = read;
    let x = src;
    for (const layer of this.layers) x = layer.call(x, { srcMask, srcKeyPaddingMask, isCausal });
    return this.norm === null ? x : this.norm.call(x);
  }
}

/** `numLayers` copies of a decoder layer. */
export class TransformerDecoder extends Module {
  layers: ModuleList<TransformerDecoderLayer>;
  readonly numLayers: number;
  norm: Norm | null;

  constructor(
    decoderLayer: TransformerDecoderLayer,
    numLayers: number,
    options: StackOptions = {},
  ) {
    super();
    const name = new.target.name;
    this.layers = copies(name, decoderLayer, numLayers);
    this.numLayers = numLayers;
    this.norm = readOptions(name, { norm: optionalModule }, options).norm as Norm | null;
  }

  override forward(tgt: Tensor, memory: Tensor, options: DecoderLayerCallOptions = {}): Tensor {
    const read = readOptions(this.constructor.name, decoderCallSpec, options);
    let x = tgt;
    for (const layer of this.layers) x = layer.call(x, memory, read);
    return this.norm === null ? x : this.norm.call(x);
  }
}

export interface TransformerOptions extends TransformerLayerOptions {
  /** Default 512. */
  readonly dModel?: number | undefined;
  /** Default 8. */
  readonly nhead?: number | undefined;
  /** Default 6. */
  readonly numEncoderLayers?: number | undefined;
  /** Default 6. */
  readonly numDecoderLayers?: number | undefined;
  readonly customEncoder?: Module | null | undefined;
  readonly customDecoder?: Module | null | undefined;
}

export interface TransformerCallOptions extends DecoderLayerCallOptions {
  readonly srcMask?: Tensor | null | undefined;
  readonly srcKeyPaddingMask?: Tensor | null | undefined;
  readonly srcIsCausal?: boolean | undefined;
}

const transformerSpec = {
  dModel: int(512, 1),
  nhead: int(8, 1),
  numEncoderLayers: int(6, 1),
  numDecoderLayers: int(6, 1),
  customEncoder: optionalModule,
  customDecoder: optionalModule,
  ...layerSpec,
};

const transformerCallSpec = {
  srcMask: optionalTensor,
  srcKeyPaddingMask: optionalTensor,
  srcIsCausal: bool(false),
  ...decoderCallSpec,
};

/** Encoder and decoder. Vaswani et al. 2017. */
export class Transformer extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  encoder: TransformerEncoder;
  decoder: TransformerDecoder;
  readonly dModel: number;
  readonly nhead: number;
  readonly batchFirst: boolean;

  constructor(options: TransformerOptions = {}) {
    super();
    const read = readOptions(new.target.name, transformerSpec, options);
    const { dModel, nhead, numEncoderLayers, numDecoderLayers, ...rest } = read;
    const { customEncoder, customDecoder, ...layer } = rest;
    const norm = (): LayerNorm =>
      new LayerNorm(dModel, {
        eps: layer.layerNormEps,
        bias: layer.bias,
        dtype: layer.dtype,
        device: layer.device,
      });
    this.encoder =
      (customEncoder as TransformerEncoder | null) ??
      new TransformerEncoder(new TransformerEncoderLayer(dModel, nhead, layer), numEncoderLayers, {
        norm: norm(),
      });
    this.decoder =
      (customDecoder as TransformerDecoder | null) ??
      new TransformerDecoder(new TransformerDecoderLayer(dModel, nhead, layer), numDecoderLayers, {
        norm: norm(),
      });
    this.dModel = dModel;
    this.nhead = nhead;
    this.batchFirst = layer.batchFirst;
    this.resetParameters();
  }

  resetParameters(): void {
    for (const p of this.parameters()) if (p.ndim > 1) xavierUniform_(p);
  }

  /** [size, size] with -inf above the diagonal: position i sees positions up to i. */
  static generateSquareSubsequentMask(size: number, options: FactoryOptions = {}): Tensor {
    const name = 'generateSquareSubsequentMask';
    const read = readOptions(name, { dtype, device }, options);
    requiredInt()(name, 'size', size);
    const positions = arange(size, { device: read.device });
    const allowed = positions.unsqueeze(1).ge(positions);
    return where(allowed, 0, full([], -Infinity, read));
  }

  /** src [S, N, E], tgt [T, N, E] -> [T, N, E]; N first with batchFirst. */
  override forward(src: Tensor, tgt: Tensor, options: TransformerCallOptions = {}): Tensor {
    const name = this.constructor.name;
    const read = readOptions(name, transformerCallSpec, options);
    const at = this.batchFirst ? 0 : 1;
    const batched = src.ndim === 3;
    if (src.ndim !== tgt.ndim || (batched && src.size(at) !== tgt.size(at))) {
      throw makeError(
        'ERR_SHAPE',
        `${name}: src and tgt must have the same batch size, got shapes ` +
          `[${src.shape.join(', ')}] and [${tgt.shape.join(', ')}]`,
      );
    }
    if (src.size(-1) !== this.dModel || tgt.size(-1) !== this.dModel) {
      throw makeError(
        'ERR_SHAPE',
        `${name}: the last size of src and tgt must be dModel (${this.dModel})`,
      );
    }
    const { srcMask: mask, srcKeyPaddingMask, srcIsCausal: isCausal, ...decoder } = read;
    const memory = this.encoder.call(src, { mask, srcKeyPaddingMask, isCausal });
    return this.decoder.call(tgt, memory, decoder);
  }
}
