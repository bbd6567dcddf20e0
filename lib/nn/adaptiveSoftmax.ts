/** Softmax over many classes of very different frequency. */
import { makeError } from '../errors';
import { cat, empty } from '../ops.gen';
import type { Tensor } from '../tensor';
import { ModuleList } from './container';
import { logSoftmax } from './functional/activation';
import { Linear } from './linear';
import { Module } from './module';
import {
  badArgument,
  bool,
  type FactoryOptions,
  factory,
  num,
  readOptions,
  requiredInt,
} from './options';
import { Sequential } from './sequential';

export interface AdaptiveLogSoftmaxOptions extends FactoryOptions {
  /** Each cluster's features are this many times fewer than those of the one before. Default 4. */
  readonly divValue?: number | undefined;
  /** A bias in the head. Default false. */
  readonly headBias?: boolean | undefined;
}

/**
 * Log-softmax for classes sorted by frequency: the most frequent ones, up to the first cutoff,
 * stand in the head, which also has an entry for each cluster of rarer ones. Grave et al. 2017.
 */
export class AdaptiveLogSoftmaxWithLoss extends Module {
  readonly inFeatures: number;
  readonly nClasses: number;
  readonly cutoffs: readonly number[];
  readonly divValue: number;
  readonly headBias: boolean;
  readonly shortlistSize: number;
  readonly nClusters: number;
  readonly headSize: number;
  head: Linear;
  tail: ModuleList<Sequential>;

  constructor(
    inFeatures: number,
    nClasses: number,
    cutoffs: readonly number[],
    options: AdaptiveLogSoftmaxOptions = {},
  ) {
    super();
    const name = new.target.name;
    const spec = { divValue: num(4), headBias: bool(false), ...factory };
    const { divValue, headBias, dtype, device } = readOptions(name, spec, options);
    this.inFeatures = requiredInt(1)(name, 'inFeatures', inFeatures);
    this.nClasses = requiredInt(1)(name, 'nClasses', nClasses);
    const list: readonly unknown[] = Array.isArray(cutoffs) ? cutoffs : [];
    const rises = list.every((c, i) => {
      const before = i === 0 ? 0 : (list[i - 1] as number);
      return Number.isSafeInteger(c) && (c as number) > before && (c as number) < nClasses;
    });
    if (list.length === 0 || !rises) {
      const expected = 'increasing integers between 1 and nClasses - 1';
      throw badArgument(name, 'cutoffs', expected, cutoffs, 'ERR_VALUE');
    }
    this.cutoffs = [...cutoffs, nClasses];
    this.divValue = divValue;
    this.headBias = headBias;
    this.shortlistSize = cutoffs[0] as number;
    this.nClusters = cutoffs.length;
    this.headSize = this.shortlistSize + this.nClusters;
    const place = { dtype, device };
    this.head = new Linear(inFeatures, this.headSize, { bias: headBias, ...place });
    const clusters = cutoffs.map((start, i) => {
      const hidden = Math.floor(inFeatures / divValue ** (i + 1));
      const size = (this.cutoffs[i + 1] as number) - start;
      return new Sequential(
        new Linear(inFeatures, hidden, { bias: false, ...place }),
        new Linear(hidden, size, { bias: false, ...place }),
      );
    });
    this.tail = new ModuleList(clusters);
  }

  resetParameters(): void {
    this.head.resetParameters();
    for (const cluster of this.tail) {
      for (const layer of cluster) (layer as unknown as Linear).resetParameters();
    }
  }

  /**
   * input [N, F] and target [N] of classes, or [F] and [].
   * @returns the log-probabilities of the targets and the mean of their negatives.
   */
  override forward(input: Tensor, target: Tensor): [output: Tensor, loss: Tensor] {
    const single = target.ndim === 0;
    if (target.ndim > 1 || input.ndim !== target.ndim + 1) {
      throw makeError(
        'ERR_SHAPE',
        `AdaptiveLogSoftmaxWithLoss: expected input [N, F] and target [N], or [F] and [], got ` +
          `shapes [${input.shape.join(', ')}] and [${target.shape.join(', ')}]`,
      );
    }
    const x = single ? input.unsqueeze(0) : input;
    const y = single ? target.unsqueeze(0) : target;
    if (x.size(0) !== y.size(0)) {
      throw makeError(
        'ERR_SHAPE',
        'AdaptiveLogSoftmaxWithLoss: input and target should have the same size in the batch ' +
          `dimension, got ${x.size(0)} and ${y.size(0)}`,
      );
    }
    const output = this.ofTargets(x, y);
    const loss = output.neg().mean();
    return [single ? output.squeeze(0) : output, loss];
  }

  private ofTargets(x: Tensor, y: Tensor): Tensor {
    const bad = y.lt(0).logicalOr(y.ge(this.nClasses));
    if (bad.any().item()) {
      throw makeError(
        'ERR_RANGE',
        `AdaptiveLogSoftmaxWithLoss: target values should be in [0, ${this.nClasses - 1}], but ` +
          `values in range [${y.min().item()}, ${y.max().item()}] were found.`,
      );
    }
    let output = empty([y.size(0)], { dtype: x.dtype, device: x.device }).zero_();
    let inHead = y.clone();
    this.cutoffs.slice(0, -1).forEach((start, i) => {
      const mask = y.ge(start).logicalAnd(y.lt(this.cutoffs[i + 1] as number));
      const rows = mask.nonzero().squeeze(1);
      if (rows.numel() === 0) return;
      const within = y.indexSelect(0, rows).sub(start);
      const scores = (this.tail.at(i) as Sequential).call(x.indexSelect(0, rows)) as Tensor;
      const chosen = logSoftmax(scores, 1).gather(1, within.unsqueeze(1)).squeeze(1);
      output = output.indexAdd(0, rows, chosen);
      inHead = inHead.maskedFill(mask, this.shortlistSize + i);
    });
    const head = logSoftmax(this.head.call(x), 1);
    return output.add(head.gather(1, inHead.unsqueeze(1)).squeeze(1));
  }

  /** Log-probabilities of all classes: [N, F] to [N, nClasses]. */
  logProb(input: Tensor): Tensor {
    return this.allOf(input, this.head.call(input));
  }

  private allOf(input: Tensor, headOutput: Tensor): Tensor {
    const head = logSoftmax(headOutput, 1);
    const parts = [head.narrow(1, 0, this.shortlistSize)];
    for (let i = 0; i < this.nClusters; ++i) {
      const cluster = logSoftmax((this.tail.at(i) as Sequential).call(input) as Tensor, 1);
      parts.push(cluster.add(head.narrow(1, this.shortlistSize + i, 1)));
    }
    return cat(parts, 1);
  }

  /** The most probable class of each row: [N, F] to [N]. */
  predict(input: Tensor): Tensor {
    return this.logProb(input).argmax(1);
  }
}
