/**
 * Mixing within a batch: MixUp (Zhang et al., 2018) and CutMix (Yun et al., 2019). Every sample is mixed
 * with its predecessor, as in torchvision, so batches should be shuffled.
 */
import '../../functions/convert';

import { type Collated, defaultCollate } from '../../data/collate';
import { checkFunction, checkInteger, checkKeys, checkNumber, describe } from '../../data/options';
import { isFloatingDType } from '../../dtype';
import { makeError } from '../../errors';
import { clone, oneHot, rand, randn, roll } from '../../ops.gen';
import { Tensor } from '../../tensor';
import { sizeOf, window } from './geometry';
import { integerBelow, uniform } from './random';
import { Transform } from './transform';

export interface MixOptions {
  /** Both parameters of the Beta distribution of the share. Default 1: uniform. */
  readonly alpha?: number | undefined;
  /** Needed where labels are class numbers. */
  readonly numClasses?: number | undefined;
  /** Finds the labels of a batch. Default: the second entry of an array. */
  readonly labelsGetter?: ((batch: never) => Tensor) | undefined;
}

/** Draws from the Gamma distribution (Marsaglia and Tsang, 2000), as a logarithm: tiny draws stay apart. */
function logGamma(shape: number): number {
  if (shape < 1) return logGamma(shape + 1) + Math.log(1 - uniform()) / shape;
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = randn([1], { dtype: 'float64' }).item();
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    // In (0, 1]: its logarithm is finite.
    const u = 1 - rand([1], { dtype: 'float64' }).item();
    if (Math.log(u) < (x * x) / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}

/** A draw from Beta(alpha, alpha). */
export function beta(alpha: number): number {
  const [a, b] = [logGamma(alpha), logGamma(alpha)];
  return 1 / (1 + Math.exp(b - a));
}

/** What one batch is mixed by. */
interface Mix {
  /** Share of a sample's own label. */
  readonly share: number;
  images(batch: Tensor): Tensor;
}

abstract class BatchMix extends Transform<unknown, unknown> {
  readonly alpha: number;
  readonly numClasses: number | undefined;
  readonly labelsGetter: ((batch: never) => Tensor) | undefined;

  constructor(name: string, options: MixOptions) {
    super();
    checkKeys(name, options, ['alpha', 'numClasses', 'labelsGetter']);
    this.alpha = checkNumber(name, 'alpha', options.alpha ?? 1, Number.MIN_VALUE);
    this.numClasses =
      options.numClasses === undefined
        ? undefined
        : checkInteger(name, 'numClasses', options.numClasses, 1);
    this.labelsGetter = checkFunction(name, 'labelsGetter', options.labelsGetter);
  }

  /** @param images all tensors of the batch but the labels. */
  protected abstract draw(images: readonly Tensor[]): Mix;

  /**
   * Mixes a batch: an array such as [images, labels], or an object or Map with `labelsGetter`. Labels
   * become probabilities of shape [n, classes], which `crossEntropy` accepts; other tensors of the batch
   * must be images [n, channels, height, width].
   */
  override call<B>(batch: B): B {
    const labels = this.#labels(batch);
    const images = tensorsOf(batch).filter((t) => t !== labels);
    for (const t of images) this.#checkImages(t, labels);
    const mix = this.draw(images);
    const change = (v: unknown): unknown => {
      if (!(v instanceof Tensor)) return v;
      return v === labels ? this.#mixLabels(v, mix.share) : mix.images(v);
    };
    if (Array.isArray(batch)) return batch.map(change) as B;
    if (batch instanceof Map) return new Map(Array.from(batch, ([k, v]) => [k, change(v)])) as B;
    const entries = Object.entries(batch as object).map(([k, v]) => [k, change(v)] as const);
    return Object.fromEntries(entries) as B;
  }

  /**
   * For a DataLoader: makes a batch by `defaultCollate` and mixes it.
   * @example new DataLoader(set, { batchSize: 64, shuffle: true, collateFn: mixUp.collate })
   */
  readonly collate = <S>(samples: readonly S[]): Collated<S> => this.call(defaultCollate(samples));

  #labels(batch: unknown): Tensor {
    const { name } = this.constructor;
    if (typeof batch !== 'object' || batch === null || batch instanceof Tensor) {
      throw makeError(
        'ERR_TYPE',
        `${name}: expected a batch such as [images, labels], got ${describe(batch)}`,
      );
    }
    const labels: unknown =
      this.labelsGetter === undefined ? (batch as unknown[])[1] : this.labelsGetter(batch as never);
    if (!(labels instanceof Tensor)) {
      const hint = this.labelsGetter === undefined ? "; see option 'labelsGetter'" : '';
      throw makeError(
        'ERR_TYPE',
        `${name}: labels must be a Tensor, got ${describe(labels)}${hint}`,
      );
    }
    this.#checkLabels(name, labels);
    return labels;
  }

  #checkLabels(name: string, labels: Tensor): void {
    const { numClasses } = this;
    const shape = `[${labels.shape.join(', ')}]`;
    if (labels.ndim !== 1 && labels.ndim !== 2) {
      throw makeError(
        'ERR_SHAPE',
        `${name}: labels must be class numbers [n] or probabilities [n, classes], got shape ${shape}`,
      );
    }
    if (labels.ndim === 2 && numClasses !== undefined && labels.shape[1] !== numClasses) {
      throw makeError(
        'ERR_SHAPE',
        `${name}: labels must have 'numClasses' (${String(numClasses)}) columns, got shape ${shape}`,
      );
    }
    if (labels.ndim === 2) return;
    if (numClasses === undefined) {
      throw makeError(
        'ERR_VALUE',
        `${name}: option 'numClasses' is needed where labels are class numbers`,
      );
    }
    if (isFloatingDType(labels.dtype) || labels.dtype === 'bool') {
      throw makeError('ERR_DTYPE', `${name}: class numbers must be integers, got ${labels.dtype}`);
    }
  }

  #checkImages(images: Tensor, labels: Tensor): void {
    const { name } = this.constructor;
    if (images.ndim !== 4 || images.shape[0] !== labels.shape[0]) {
      throw makeError(
        'ERR_SHAPE',
        `${name}: images must have shape [${String(labels.shape[0])}, channels, height, width], as ` +
          `many as labels, got [${images.shape.join(', ')}]`,
      );
    }
  }

  #mixLabels(labels: Tensor, share: number): Tensor {
    const { numClasses } = this;
    let x = labels;
    if (x.ndim === 1) x = oneHot(x.to('int64'), numClasses as number);
    if (!isFloatingDType(x.dtype)) x = x.to('float32');
    return blendWithPrevious(x, share);
  }

  override constructorArgs(): readonly unknown[] | undefined {
    if (this.labelsGetter !== undefined) return undefined;
    const { alpha, numClasses } = this;
    return [numClasses === undefined ? { alpha } : { alpha, numClasses }];
  }
}

function tensorsOf(batch: unknown): Tensor[] {
  const values = batch instanceof Map ? [...batch.values()] : Object.values(batch as object);
  return (values as unknown[]).filter((v) => v instanceof Tensor);
}

/** share * x + (1 - share) * the previous row. */
function blendWithPrevious(x: Tensor, share: number): Tensor {
  return roll(x, 1, 0)
    .mul(1 - share)
    .add(x.mul(share));
}

/** Blends every image and its label with those of the sample before. torchvision: `v2.MixUp`. */
export class MixUp extends BatchMix {
  constructor(options: MixOptions = {}) {
    super('MixUp', options);
  }

  protected override draw(images: readonly Tensor[]): Mix {
    const wrong = images.find((t) => !isFloatingDType(t.dtype));
    if (wrong !== undefined) {
      throw makeError(
        'ERR_DTYPE',
        `MixUp: images must be floating point, got ${wrong.dtype}; apply ToTensor first`,
      );
    }
    const share = beta(this.alpha);
    return { share, images: (batch) => blendWithPrevious(batch, share) };
  }
}

/** Replaces a window of every image by that of the sample before; labels are mixed by area. torchvision: `v2.CutMix`. */
export class CutMix extends BatchMix {
  constructor(options: MixOptions = {}) {
    super('CutMix', options);
  }

  protected override draw(images: readonly Tensor[]): Mix {
    const [first] = images;
    if (first === undefined) throw makeError('ERR_VALUE', 'CutMix: the batch has no images');
    const [height, width] = sizeOf(first);
    const other = images.find((t) => t.shape[2] !== height || t.shape[3] !== width);
    if (other !== undefined || height === 0 || width === 0) {
      throw makeError(
        'ERR_SHAPE',
        'CutMix: images of a batch must have one size, and not be empty',
      );
    }
    const side = Math.sqrt(1 - beta(this.alpha)) / 2;
    const extent = (n: number): [number, number] => {
      const [middle, reach] = [integerBelow(n), Math.trunc(side * n)];
      return [Math.max(middle - reach, 0), Math.min(middle + reach, n)];
    };
    const [left, right] = extent(width);
    const [top, bottom] = extent(height);
    const place = [top, left, bottom - top, right - left] as const;
    const cut = (batch: Tensor): Tensor => {
      const out = clone(batch);
      if (place[2] > 0 && place[3] > 0) {
        window(out, ...place).copy_(roll(window(batch, ...place), 1, 0));
      }
      return out;
    };
    return { share: 1 - (place[2] * place[3]) / (height * width), images: cut };
  }
}
