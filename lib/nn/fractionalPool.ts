/** Pooling by maxima over windows that a pseudo-random sequence places. */
import { makeError } from '../errors';
import type { Tensor } from '../tensor';
import {
  fractionalMaxPool2d,
  fractionalMaxPool3d,
  type FractionalPoolOptions,
} from './functional/pool';
import { optionalSize, type Size, sizeOf } from './functional/sizes';
import { Module } from './module';
import { badArgument, bool, type Check, optionalTensor, readOptions } from './options';

/** One ratio for all dimensions or one for each, between 0 and 1. */
function ratios(dims: number): Check<readonly number[] | null> {
  return (layer, name, value) => {
    if (value === undefined || value === null) return null;
    const list: unknown[] = Array.isArray(value) ? value : new Array<unknown>(dims).fill(value);
    if (list.length !== dims || !list.every((r) => typeof r === 'number' && r > 0 && r < 1)) {
      const expected = `one or ${dims} numbers between 0 and 1`;
      throw badArgument(layer, name, expected, value, 'ERR_VALUE');
    }
    return list as number[];
  };
}

abstract class FractionalPoolBase extends Module {
  readonly kernelSize: readonly number[];
  readonly outputSize: readonly number[] | null;
  readonly outputRatio: readonly number[] | null;
  readonly returnIndices: boolean;
  _randomSamples: Tensor | null = null;

  constructor(dims: number, kernelSize: Size, options: FractionalPoolOptions) {
    super();
    const name = new.target.name;
    const spec = {
      outputSize: optionalSize(dims, 1),
      outputRatio: ratios(dims),
      returnIndices: bool(false),
      _randomSamples: optionalTensor,
    };
    const read = readOptions(name, spec, options);
    if ((read.outputSize === null) === (read.outputRatio === null)) {
      throw makeError(
        'ERR_VALUE',
        `${name}: exactly one of outputSize and outputRatio must be given`,
      );
    }
    this.kernelSize = sizeOf(dims, 1)(name, 'kernelSize', kernelSize);
    this.outputSize = read.outputSize;
    this.outputRatio = read.outputRatio;
    this.returnIndices = read.returnIndices;
    this.registerBuffer('_randomSamples', read._randomSamples);
  }

  protected get options(): FractionalPoolOptions {
    const { outputSize, outputRatio, returnIndices, _randomSamples } = this;
    return { outputSize, outputRatio, returnIndices, _randomSamples };
  }
}

/** Fractional pooling of [N, C, H, W] or [C, H, W]; [output, indices] with returnIndices. */
export class FractionalMaxPool2d extends FractionalPoolBase {
  static override readonly fieldNames = { _randomSamples: '_random_samples' };

  constructor(kernelSize: Size, options: FractionalPoolOptions = {}) {
    super(2, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return fractionalMaxPool2d(input, this.kernelSize, this.options);
  }
}

/** Fractional pooling of [N, C, D, H, W] or [C, D, H, W]; [output, indices] with returnIndices. */
export class FractionalMaxPool3d extends FractionalPoolBase {
  static override readonly fieldNames = { _randomSamples: '_random_samples' };

  constructor(kernelSize: Size, options: FractionalPoolOptions = {}) {
    super(3, kernelSize, options);
  }

  override forward(input: Tensor): Tensor {
    return fractionalMaxPool3d(input, this.kernelSize, this.options);
  }
}
