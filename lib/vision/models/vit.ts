/**
 * Vision transformers with torchvision's layout: names of parameters and initial values. Source:
 * Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words".
 */
import { makeError } from '../../errors';
import {
  Conv2d,
  Dropout,
  type FieldNames,
  GELU,
  init,
  LayerNorm,
  Linear,
  Module,
  MultiheadAttention,
  Parameter,
  Sequential,
  Tanh,
  type TensorModule,
} from '../../nn';
import { dropsNothing, fusedLayers, runsPlainly } from '../../nn/feedForward';
import { int, optionalInt, probability, readOptions } from '../../nn/options';
import { cat, empty } from '../../ops.gen';
import type { Tensor } from '../../tensor';

/** How large a {@link VisionTransformer} is; the defaults are ViT-B/16. */
export interface VisionTransformerOptions {
  /** Side of the square images. Default 224. */
  readonly imageSize?: number | undefined;
  /** Side of a patch, a divisor of imageSize. Default 16. */
  readonly patchSize?: number | undefined;
  readonly numLayers?: number | undefined;
  readonly numHeads?: number | undefined;
  /** Width. Default 768. */
  readonly hiddenDim?: number | undefined;
  /** Width of the feed-forward part. Default 4 hiddenDim. */
  readonly mlpDim?: number | null | undefined;
  /** Default 0. */
  readonly dropout?: number | undefined;
  /** Of attention weights. Default 0. */
  readonly attentionDropout?: number | undefined;
  /** Default 1000. */
  readonly numClasses?: number | undefined;
  /** Channels of the images. Default 3. */
  readonly inChannels?: number | undefined;
  /** Width of a layer in front of the classifier. Default none. */
  readonly representationSize?: number | null | undefined;
}

const spec = {
  imageSize: int(224, 1),
  patchSize: int(16, 1),
  numLayers: int(12, 1),
  numHeads: int(12, 1),
  hiddenDim: int(768, 1),
  mlpDim: optionalInt(null, 1),
  dropout: probability(0),
  attentionDropout: probability(0),
  numClasses: int(1000, 1),
  inChannels: int(3, 1),
  representationSize: optionalInt(null, 1),
};

type Read = { readonly [K in keyof typeof spec]: ReturnType<(typeof spec)[K]> };

const eps = 1e-6;

function mlp(read: Read): Sequential {
  const { hiddenDim, dropout } = read;
  const wide = read.mlpDim ?? 4 * hiddenDim;
  const layers = [new Linear(hiddenDim, wide), new Linear(wide, hiddenDim)] as const;
  for (const layer of layers) {
    init.xavierUniform_(layer.weight);
    init.normal_(layer.bias as Parameter, 0, 1e-6);
  }
  return new Sequential(
    layers[0],
    new GELU(),
    new Dropout(dropout),
    layers[1],
    new Dropout(dropout),
  );
}

class EncoderBlock extends Module {
  static override readonly fieldNames: FieldNames = {
    ln1: 'ln_1',
    selfAttention: 'self_attention',
    ln2: 'ln_2',
  };

  ln1: LayerNorm;
  selfAttention: MultiheadAttention;
  dropout: Dropout;
  ln2: LayerNorm;
  mlp: Sequential;

  constructor(read: Read) {
    super();
    const { hiddenDim, attentionDropout } = read;
    this.ln1 = new LayerNorm(hiddenDim, { eps });
    this.selfAttention = new MultiheadAttention(hiddenDim, read.numHeads, {
      dropout: attentionDropout,
      batchFirst: true,
    });
    this.dropout = new Dropout(read.dropout);
    this.ln2 = new LayerNorm(hiddenDim, { eps });
    this.mlp = mlp(read);
  }

  /** [batch, length, hiddenDim] to the same. */
  override forward(input: Tensor): Tensor {
    const x = this.ln1.call(input);
    const [seen] = this.selfAttention.call(x, x, x, { needWeights: false });
    const y = this.dropout.call(seen).add(input);
    return y.add(runMlp(this.mlp, this.ln2.call(y)));
  }
}

/** The layers of {@link mlp}: two of them as one op when no dropout comes between. */
function runMlp(layers: Sequential, x: Tensor): Tensor {
  if (!runsPlainly(layers, Sequential) || layers.length !== 5) return layers.call(x);
  const [first, activation, between, second, last] = [0, 1, 2, 3, 4].map((i) => layers.at(i)) as [
    TensorModule,
    TensorModule,
    TensorModule,
    TensorModule,
    TensorModule,
  ];
  if (!runsPlainly(activation, GELU) || !dropsNothing(between)) return layers.call(x);
  const known = (activation as GELU).approximate === 'none' ? 'gelu' : 'geluTanh';
  const fused = fusedLayers(x, first, known, second);
  return fused === undefined ? layers.call(x) : last.call(fused);
}

class Encoder extends Module {
  static override readonly fieldNames: FieldNames = { posEmbedding: 'pos_embedding' };

  posEmbedding: Parameter;
  dropout: Dropout;
  layers: Sequential;
  ln: LayerNorm;

  constructor(read: Read, length: number) {
    super();
    this.posEmbedding = new Parameter(empty([1, length, read.hiddenDim]));
    init.normal_(this.posEmbedding, 0, 0.02);
    this.dropout = new Dropout(read.dropout);
    const blocks = Array.from(
      { length: read.numLayers },
      (_, i) => [`encoder_layer_${i}`, new EncoderBlock(read)] as const,
    );
    this.layers = new Sequential(new Map(blocks));
    this.ln = new LayerNorm(read.hiddenDim, { eps });
  }

  override forward(x: Tensor): Tensor {
    return this.ln.call(this.layers.call(this.dropout.call(x.add(this.posEmbedding))));
  }
}

function classifier(read: Read): Sequential {
  const { hiddenDim, numClasses, representationSize } = read;
  const head = new Linear(representationSize ?? hiddenDim, numClasses);
  init.zeros_(head.weight);
  init.zeros_(head.bias as Parameter);
  if (representationSize === null) return new Sequential({ head });
  const before = new Linear(hiddenDim, representationSize);
  const std = Math.sqrt(1 / hiddenDim);
  init.truncNormal_(before.weight, { std });
  init.zeros_(before.bias as Parameter);
  return new Sequential(
    new Map<string, Module>([
      ['pre_logits', before],
      ['act', new Tanh()],
      ['head', head],
    ]),
  );
}

/** A transformer over the patches of an image. torchvision: `VisionTransformer`. */
export class VisionTransformer extends Module {
  static override readonly fieldNames: FieldNames = {
    convProj: 'conv_proj',
    classToken: 'class_token',
  };

  readonly imageSize: number;
  readonly patchSize: number;
  classToken: Parameter;
  convProj: Conv2d;
  encoder: Encoder;
  heads: Sequential;

  constructor(options: VisionTransformerOptions = {}) {
    super();
    const name = new.target.name;
    const read = readOptions(name, spec, options);
    const { imageSize, patchSize, hiddenDim } = read;
    if (imageSize % patchSize !== 0) {
      throw makeError(
        'ERR_VALUE',
        `${name}: argument 'imageSize' must be a multiple of patchSize, got ${imageSize} and ` +
          `${patchSize}`,
      );
    }
    this.imageSize = imageSize;
    this.patchSize = patchSize;
    this.classToken = new Parameter(init.zeros_(empty([1, 1, hiddenDim])));
    this.convProj = new Conv2d(read.inChannels, hiddenDim, patchSize, { stride: patchSize });
    const fanIn = read.inChannels * patchSize * patchSize;
    init.truncNormal_(this.convProj.weight, { std: Math.sqrt(1 / fanIn) });
    init.zeros_(this.convProj.bias as Parameter);
    this.encoder = new Encoder(read, (imageSize / patchSize) ** 2 + 1);
    this.heads = classifier(read);
  }

  /** [N, inChannels, imageSize, imageSize] to [N, numClasses]. */
  override forward(images: Tensor): Tensor {
    const { imageSize } = this;
    if (images.ndim !== 4 || images.size(2) !== imageSize || images.size(3) !== imageSize) {
      throw makeError(
        'ERR_SHAPE',
        `${this.constructor.name}: argument 'images' must have shape [N, C, ${imageSize}, ` +
          `${imageSize}], got [${images.shape.join(', ')}]`,
      );
    }
    const patches = this.convProj.call(images).flatten(2).transpose(1, 2);
    const first = this.classToken.expand(images.size(0), -1, -1);
    const x = this.encoder.call(cat([first, patches], 1));
    return this.heads.call(x.select(1, 0));
  }
}

/** ViT-B/16: 86.6 million parameters. */
export function vitB16(options: VisionTransformerOptions = {}): VisionTransformer {
  return new VisionTransformer(options);
}
