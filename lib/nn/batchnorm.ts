/** Normalisation with running statistics: BatchNorm and InstanceNorm. */
import { makeError } from '../errors';
import { batchNorm, empty, instanceNorm, ones, zeros } from '../ops.gen';
import { tensor } from '../functions/creation';
import { Tensor } from '../tensor';
import { ModuleDict } from './dict';
import { ones_, zeros_ } from './init';
import { type FieldNames, Module } from './module';
import {
  badArgument,
  bool,
  type FactoryOptions,
  factory,
  num,
  optionalNum,
  readOptions,
  requiredInt,
} from './options';
import { Parameter } from './parameter';
import type { StateDict } from './stateDict';

export interface BatchNormOptions extends FactoryOptions {
  /** Default 1e-5. */
  readonly eps?: number | undefined;
  /** Weight of the newest statistics; null for the mean of all. Default 0.1. */
  readonly momentum?: number | null | undefined;
  /** Learn a scale and bias for each channel. Default true (InstanceNorm: false). */
  readonly affine?: boolean | undefined;
  /** Keep running statistics for evaluation. Default true (InstanceNorm: false). */
  readonly trackRunningStats?: boolean | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
}

/** What both kinds share: parameters, buffers, checks. */
abstract class NormBase extends Module {
  static override readonly fieldNames: FieldNames = 'snake';

  readonly numFeatures: number;
  readonly eps: number;
  momentum: number | null;
  readonly affine: boolean;
  readonly trackRunningStats: boolean;
  weight: Parameter | null = null;
  bias: Parameter | null = null;
  runningMean: Tensor | null = null;
  runningVar: Tensor | null = null;
  numBatchesTracked: Tensor | null = null;

  /** Numbers of dimensions of the input. */
  protected abstract get dims(): readonly number[];

  constructor(numFeatures: number, options: BatchNormOptions, byDefault: boolean) {
    super();
    const name = new.target.name;
    const spec = {
      eps: num(1e-5),
      momentum: optionalNum(0.1),
      affine: bool(byDefault),
      trackRunningStats: bool(byDefault),
      bias: bool(true),
      ...factory,
    };
    const { dtype, device, ...read } = readOptions(name, spec, options);
    this.numFeatures = requiredInt()(name, 'numFeatures', numFeatures);
    this.eps = read.eps;
    this.momentum = read.momentum;
    this.affine = read.affine;
    this.trackRunningStats = read.trackRunningStats;
    const place = { dtype, device };
    if (read.affine) {
      this.weight = new Parameter(empty([numFeatures], place));
      if (read.bias) this.bias = new Parameter(empty([numFeatures], place));
    }
    const track = read.trackRunningStats;
    this.registerBuffer('runningMean', track ? zeros([numFeatures], place) : null);
    this.registerBuffer('runningVar', track ? ones([numFeatures], place) : null);
    this.registerBuffer('numBatchesTracked', track ? tensor(0, { dtype: 'int64', device }) : null);
    this.resetParameters();
  }

  resetRunningStats(): void {
    this.runningMean?.zero_();
    this.runningVar?.fill_(1);
    this.numBatchesTracked?.zero_();
  }

  resetParameters(): void {
    this.resetRunningStats();
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  protected checkDims(input: Tensor): void {
    if (!(input instanceof Tensor)) {
      throw badArgument(this.constructor.name, 'input', 'a Tensor', input);
    }
    if (this.dims.includes(input.ndim)) return;
    throw makeError(
      'ERR_SHAPE',
      `${this.constructor.name}: expected ${this.dims.map((d) => `${d}D`).join(' or ')} input, ` +
        `got ${input.ndim}D input of shape [${input.shape.join(', ')}]`,
    );
  }

  /** Checkpoints of old versions have no counter: the module's own stays. */
  override upgradeStateDict(state: StateDict, prefix: string): void {
    const key = `${prefix}num_batches_tracked`;
    if (this.numBatchesTracked !== null && !Object.hasOwn(state, key)) {
      state[key] = this.numBatchesTracked.detach();
    }
  }

  override extraRepr(): string {
    return (
      `${this.numFeatures}, eps=${this.eps}, momentum=${String(this.momentum)}, ` +
      `affine=${this.affine}, trackRunningStats=${this.trackRunningStats}`
    );
  }
}

/** What the batch normalisations share. Ioffe & Szegedy 2015. */
export abstract class BatchNormBase extends NormBase {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options, true);
  }

  override forward(input: Tensor): Tensor {
    this.checkDims(input);
    let { momentum } = this;
    if (this.training && this.numBatchesTracked !== null) {
      this.numBatchesTracked.add_(1);
      momentum ??= 1 / this.numBatchesTracked.item();
    }
    const useBatch = this.training || (this.runningMean === null && this.runningVar === null);
    const keep = !this.training || this.trackRunningStats;
    return batchNorm(
      input,
      keep ? this.runningMean : null,
      keep ? this.runningVar : null,
      this.weight,
      this.bias,
      useBatch,
      momentum ?? 0,
      this.eps,
    );
  }
}

/** Batch normalisation of [N, C] or [N, C, L]. */
export class BatchNorm1d extends BatchNormBase {
  protected override get dims(): readonly number[] {
    return [2, 3];
  }
}

/** Batch normalisation of [N, C, H, W]. */
export class BatchNorm2d extends BatchNormBase {
  protected override get dims(): readonly number[] {
    return [4];
  }
}

/** Batch normalisation of [N, C, D, H, W]. */
export class BatchNorm3d extends BatchNormBase {
  protected override get dims(): readonly number[] {
    return [5];
  }
}

/**
 * Batch normalisation with statistics of all processes. This package runs one process, where it
 * equals {@link BatchNorm2d} for inputs of any number of dimensions.
 */
export class SyncBatchNorm extends BatchNormBase {
  protected override get dims(): readonly number[] {
    return [2, 3, 4, 5];
  }

  /** Replaces every batch normalisation below (and including) a module by this one. */
  static convertSyncBatchnorm<M extends Module>(module: M): M | SyncBatchNorm {
    if (module instanceof BatchNormBase && !(module instanceof SyncBatchNorm)) {
      const { eps, momentum, affine, trackRunningStats } = module;
      const out = new SyncBatchNorm(module.numFeatures, {
        eps,
        momentum,
        affine,
        trackRunningStats,
      });
      const { weight, bias, runningMean, runningVar, numBatchesTracked, training } = module;
      return Object.assign(out, {
        weight,
        bias,
        runningMean,
        runningVar,
        numBatchesTracked,
        training,
      });
    }
    if (module instanceof ModuleDict) {
      for (const [name, child] of [...module]) {
        module.set(name, SyncBatchNorm.convertSyncBatchnorm(child));
      }
      return module;
    }
    for (const [name, child] of Object.entries(module) as [string, unknown][]) {
      if (!(child instanceof Module)) continue;
      (module as unknown as Record<string, unknown>)[name] =
        SyncBatchNorm.convertSyncBatchnorm(child);
    }
    return module;
  }
}

/** What the instance normalisations share. Ulyanov et al. 2016. */
abstract class InstanceNormBase extends NormBase {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options, false);
  }

  override forward(input: Tensor): Tensor {
    this.checkDims(input);
    const [unbatched] = this.dims as [number, number];
    const channelDim = input.ndim === unbatched ? 0 : 1;
    const channels = input.size(channelDim);
    if (this.affine && channels !== this.numFeatures) {
      throw makeError(
        'ERR_SHAPE',
        `${this.constructor.name}: expected ${this.numFeatures} channels in dimension ` +
          `${channelDim}, got shape [${input.shape.join(', ')}]`,
      );
    }
    const output = instanceNorm(
      channelDim === 0 ? input.unsqueeze(0) : input,
      this.runningMean,
      this.runningVar,
      this.weight,
      this.bias,
      this.training || !this.trackRunningStats,
      this.momentum ?? 0,
      this.eps,
    );
    return channelDim === 0 ? output.squeeze(0) : output;
  }
}

/** Instance normalisation of [N, C, L] or [C, L]. */
export class InstanceNorm1d extends InstanceNormBase {
  protected override get dims(): readonly number[] {
    return [2, 3];
  }
}

/** Instance normalisation of [N, C, H, W] or [C, H, W]. */
export class InstanceNorm2d extends InstanceNormBase {
  protected override get dims(): readonly number[] {
    return [3, 4];
  }
}

/** Instance normalisation of [N, C, D, H, W] or [C, D, H, W]. */
export class InstanceNorm3d extends InstanceNormBase {
  protected override get dims(): readonly number[] {
    return [4, 5];
  }
}
