/**
 * Residual networks with torchvision's layout: names of parameters, order and initial values.
 * Source: He et al. 2015, "Deep Residual Learning for Image Recognition"; the stride of a
 * bottleneck stands at its 3x3 convolution (ResNet v1.5), as in torchvision.
 */
import { makeError } from '../../errors';
import {
  AdaptiveAvgPool2d,
  BatchNorm2d,
  Conv2d,
  Identity,
  init,
  Linear,
  MaxPool2d,
  Module,
  ReLU,
  Sequential,
  type TensorModule,
} from '../../nn';
import { bool, type Check, choice, int, readOptions, show } from '../../nn/options';
import { flatten } from '../../ops.gen';
import { Tensor } from '../../tensor';

/** Makes the normalisation of a number of channels. */
export type NormLayer = (channels: number) => TensorModule;

/** How large a {@link ResNet} is. The defaults are those of torchvision. */
export interface ResNetOptions {
  /** Default 1000. */
  readonly numClasses?: number | undefined;
  /** Channels of the images. Default 3. */
  readonly inChannels?: number | undefined;
  /** Channels of the first stage; each later one has twice as many. Default 64. */
  readonly width?: number | undefined;
  /**
   * 'imagenet' (default): a 7x7 convolution of stride 2 and a 3x3 max-pool of stride 2; 'small': a
   * 3x3 convolution of stride 1, for images of about 32x32, as in section 4.2 of the paper.
   */
  readonly stem?: 'imagenet' | 'small' | undefined;
  /** Start each block as the identity (Goyal et al. 2017). Default false. */
  readonly zeroInitResidual?: boolean | undefined;
  /** Groups of a bottleneck's 3x3 convolution (ResNeXt). Default 1. */
  readonly groups?: number | undefined;
  /** Width of one group (wide ResNet, ResNeXt). Default 64. */
  readonly widthPerGroup?: number | undefined;
  /** For each of the last three stages: dilate instead of stepping. Default all false. */
  readonly replaceStrideWithDilation?: readonly [boolean, boolean, boolean] | undefined;
  /** Default BatchNorm2d. */
  readonly normLayer?: NormLayer | undefined;
}

const batchNorm: NormLayer = (channels) => new BatchNorm2d(channels);

const normLayer: Check<NormLayer> = (layer, name, value) => {
  if (value === undefined) return batchNorm;
  if (typeof value === 'function') return value as NormLayer;
  throw makeError(
    'ERR_TYPE',
    `${layer}: argument '${name}' must be a function of the number of channels, got ${show(value)}`,
  );
};

type Dilate = readonly [boolean, boolean, boolean];

const dilate: Check<Dilate> = (layer, name, value) => {
  if (value === undefined) return [false, false, false];
  const list: unknown[] = Array.isArray(value) ? value : [];
  if (list.length === 3 && list.every((v) => typeof v === 'boolean')) return list as never;
  throw makeError(
    Array.isArray(value) ? 'ERR_VALUE' : 'ERR_TYPE',
    `${layer}: argument '${name}' must be an array of 3 booleans, got ${show(value)}`,
  );
};

const spec = {
  numClasses: int(1000, 1),
  inChannels: int(3, 1),
  width: int(64, 1),
  stem: choice(['imagenet', 'small'], 'imagenet'),
  zeroInitResidual: bool(false),
  groups: int(1, 1),
  widthPerGroup: int(64, 1),
  replaceStrideWithDilation: dilate,
  normLayer,
};

/** The parts of a {@link BasicBlock} or {@link Bottleneck} that its place in the network decides. */
export interface BlockOptions {
  readonly stride?: number | undefined;
  /** What the shortcut passes through, where shapes differ. */
  readonly downsample?: TensorModule | null | undefined;
  readonly groups?: number | undefined;
  /** Width of one group. Default 64. */
  readonly baseWidth?: number | undefined;
  readonly dilation?: number | undefined;
  readonly normLayer?: NormLayer | undefined;
}

const downsample: Check<TensorModule | null> = (layer, name, value) => {
  if (value === undefined || value === null) return null;
  if (value instanceof Module) return value as TensorModule;
  throw makeError(
    'ERR_TYPE',
    `${layer}: argument '${name}' must be a Module or null, got ${show(value)}`,
  );
};

const blockSpec = {
  stride: int(1, 1),
  downsample,
  groups: int(1, 1),
  baseWidth: int(64, 1),
  dilation: int(1, 1),
  normLayer,
};

function conv3x3(from: number, to: number, stride = 1, groups = 1, dilation = 1): Conv2d {
  return new Conv2d(from, to, 3, { stride, padding: dilation, groups, dilation, bias: false });
}

function conv1x1(from: number, to: number, stride = 1): Conv2d {
  return new Conv2d(from, to, 1, { stride, bias: false });
}

/** Two 3x3 convolutions and a shortcut: the block of ResNet-18 and -34. */
export class BasicBlock extends Module {
  static readonly expansion = 1;

  conv1: Conv2d;
  bn1: TensorModule;
  relu = new ReLU({ inplace: true });
  conv2: Conv2d;
  bn2: TensorModule;
  downsample: TensorModule | null;

  constructor(inplanes: number, planes: number, options: BlockOptions = {}) {
    super();
    const read = readOptions(new.target.name, blockSpec, options);
    if (read.groups !== 1 || read.baseWidth !== 64 || read.dilation !== 1) {
      throw makeError(
        'ERR_VALUE',
        'BasicBlock: arguments groups, baseWidth and dilation must be 1, 64 and 1, got ' +
          `${read.groups}, ${read.baseWidth} and ${read.dilation}; use Bottleneck`,
      );
    }
    this.conv1 = conv3x3(inplanes, planes, read.stride);
    this.bn1 = read.normLayer(planes);
    this.conv2 = conv3x3(planes, planes);
    this.bn2 = read.normLayer(planes);
    this.downsample = read.downsample;
  }

  /** The normalisation at the end of the residual branch. */
  get lastNorm(): TensorModule {
    return this.bn2;
  }

  /** [N, inplanes, H, W] to [N, planes, H / stride, W / stride]. */
  override forward(x: Tensor): Tensor {
    const shortcut = this.downsample === null ? x : this.downsample.call(x);
    const y = this.relu.call(this.bn1.call(this.conv1.call(x)));
    return this.relu.call(this.bn2.call(this.conv2.call(y)).add_(shortcut));
  }
}

/** 1x1, 3x3 and 1x1 convolutions and a shortcut: the block of ResNet-50 and deeper. */
export class Bottleneck extends Module {
  static readonly expansion = 4;

  conv1: Conv2d;
  bn1: TensorModule;
  conv2: Conv2d;
  bn2: TensorModule;
  conv3: Conv2d;
  bn3: TensorModule;
  relu = new ReLU({ inplace: true });
  downsample: TensorModule | null;

  constructor(inplanes: number, planes: number, options: BlockOptions = {}) {
    super();
    const read = readOptions(new.target.name, blockSpec, options);
    const width = Math.floor(planes * (read.baseWidth / 64)) * read.groups;
    const out = planes * Bottleneck.expansion;
    this.conv1 = conv1x1(inplanes, width);
    this.bn1 = read.normLayer(width);
    this.conv2 = conv3x3(width, width, read.stride, read.groups, read.dilation);
    this.bn2 = read.normLayer(width);
    this.conv3 = conv1x1(width, out);
    this.bn3 = read.normLayer(out);
    this.downsample = read.downsample;
  }

  /** The normalisation at the end of the residual branch. */
  get lastNorm(): TensorModule {
    return this.bn3;
  }

  /** [N, inplanes, H, W] to [N, 4 planes, H / stride, W / stride]. */
  override forward(x: Tensor): Tensor {
    const shortcut = this.downsample === null ? x : this.downsample.call(x);
    let y = this.relu.call(this.bn1.call(this.conv1.call(x)));
    y = this.relu.call(this.bn2.call(this.conv2.call(y)));
    return this.relu.call(this.bn3.call(this.conv3.call(y)).add_(shortcut));
  }
}

/** The class of a block. */
export interface BlockClass {
  readonly expansion: number;
  new (inplanes: number, planes: number, options?: BlockOptions): BasicBlock | Bottleneck;
}

type Read = { readonly [K in keyof typeof spec]: ReturnType<(typeof spec)[K]> };

/** Adds stages one after the other, keeping count of channels and dilation. */
class StageMaker {
  inplanes: number;
  private dilation = 1;

  constructor(
    private readonly block: BlockClass,
    private readonly read: Read,
  ) {
    this.inplanes = read.width;
  }

  make(planes: number, blocks: number, step: number, dilated: boolean): Sequential {
    const { block, read } = this;
    const before = this.dilation;
    let stride = step;
    if (dilated) {
      this.dilation *= step;
      stride = 1;
    }
    const out = planes * block.expansion;
    const shared = {
      groups: read.groups,
      baseWidth: read.widthPerGroup,
      normLayer: read.normLayer,
    };
    const shortcut =
      stride !== 1 || this.inplanes !== out
        ? new Sequential(conv1x1(this.inplanes, out, stride), read.normLayer(out))
        : null;
    const first = { ...shared, stride, dilation: before, downsample: shortcut };
    const layers = [new block(this.inplanes, planes, first)];
    this.inplanes = out;
    for (let i = 1; i < blocks; ++i) {
      layers.push(new block(out, planes, { ...shared, dilation: this.dilation }));
    }
    return new Sequential(...layers);
  }
}

/**
 * A residual network of four stages. State-dict keys are torchvision's.
 *
 * @example
 * const model = new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: 10, width: 8, stem: 'small' });
 * const logits = model.call(images); // [N, 3, 32, 32] to [N, 10]
 */
export class ResNet extends Module {
  conv1: Conv2d;
  bn1: TensorModule;
  relu = new ReLU({ inplace: true });
  maxpool: TensorModule;
  layer1: Sequential;
  layer2: Sequential;
  layer3: Sequential;
  layer4: Sequential;
  avgpool = new AdaptiveAvgPool2d(1);
  fc: Linear;

  constructor(
    block: BlockClass,
    layers: readonly [number, number, number, number],
    options: ResNetOptions = {},
  ) {
    super();
    const name = new.target.name;
    const read = readOptions(name, spec, options);
    if (!Array.isArray(layers) || layers.length !== 4) {
      throw makeError(
        'ERR_VALUE',
        `${name}: argument 'layers' must be the numbers of blocks in 4 stages, got ${show(layers)}`,
      );
    }
    layers.forEach((n, i) => int(1, 1)(name, `layers[${i}]`, n));
    const { width } = read;
    const small = read.stem === 'small';
    this.conv1 = small
      ? conv3x3(read.inChannels, width)
      : new Conv2d(read.inChannels, width, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = read.normLayer(width);
    this.maxpool = small ? new Identity() : new MaxPool2d(3, { stride: 2, padding: 1 });
    const stages = new StageMaker(block, read);
    const [dilate2, dilate3, dilate4] = read.replaceStrideWithDilation;
    this.layer1 = stages.make(width, layers[0], 1, false);
    this.layer2 = stages.make(2 * width, layers[1], 2, dilate2);
    this.layer3 = stages.make(4 * width, layers[2], 2, dilate3);
    this.layer4 = stages.make(8 * width, layers[3], 2, dilate4);
    this.fc = new Linear(stages.inplanes, read.numClasses);
    this.initialise(read.zeroInitResidual);
  }

  private initialise(zeroInitResidual: boolean): void {
    for (const module of this.modules()) {
      if (module instanceof Conv2d) {
        init.kaimingNormal_(module.weight, { mode: 'fan_out', nonlinearity: 'relu' });
      } else if (
        zeroInitResidual &&
        (module instanceof BasicBlock || module instanceof Bottleneck)
      ) {
        const { weight } = module.lastNorm as unknown as Partial<BatchNorm2d>;
        if (weight instanceof Tensor) init.zeros_(weight);
      }
    }
  }

  /** What the classifier sees: [N, inChannels, H, W] to [N, 8 width * expansion]. */
  forwardFeatures(x: Tensor): Tensor {
    let y = this.maxpool.call(this.relu.call(this.bn1.call(this.conv1.call(x))));
    y = this.layer4.call(this.layer3.call(this.layer2.call(this.layer1.call(y))));
    return flatten(this.avgpool.call(y), 1);
  }

  /** Scores of the classes: [N, inChannels, H, W] to [N, numClasses]. */
  override forward(x: Tensor): Tensor {
    return this.fc.call(this.forwardFeatures(x));
  }
}

/** ResNet-18: 11.7 million parameters. */
export function resnet18(options: ResNetOptions = {}): ResNet {
  return new ResNet(BasicBlock, [2, 2, 2, 2], options);
}

/** ResNet-34: 21.8 million parameters. */
export function resnet34(options: ResNetOptions = {}): ResNet {
  return new ResNet(BasicBlock, [3, 4, 6, 3], options);
}

/** ResNet-50: 25.6 million parameters. */
export function resnet50(options: ResNetOptions = {}): ResNet {
  return new ResNet(Bottleneck, [3, 4, 6, 3], options);
}
