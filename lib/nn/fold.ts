/** Sliding blocks as layers: Unfold and Fold. */
import type { Tensor } from '../tensor';
import { fold, type FoldOptions, foldSpec, unfold } from './functional/fold';
import { type Size, showSize, sizeOf } from './functional/sizes';
import { Module } from './module';
import { readOptions } from './options';

abstract class FoldBase extends Module {
  readonly kernelSize: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly number[];
  readonly stride: readonly number[];

  constructor(kernelSize: Size, options: FoldOptions = {}) {
    super();
    const name = new.target.name;
    const read = readOptions(name, foldSpec, options);
    this.kernelSize = sizeOf(2, 1)(name, 'kernelSize', kernelSize);
    this.dilation = read.dilation;
    this.padding = read.padding;
    this.stride = read.stride;
  }

  protected get options(): FoldOptions {
    return { dilation: this.dilation, padding: this.padding, stride: this.stride };
  }

  override extraRepr(): string {
    return (
      `kernelSize=${showSize(this.kernelSize)}, dilation=${showSize(this.dilation)}, ` +
      `padding=${showSize(this.padding)}, stride=${showSize(this.stride)}`
    );
  }
}

/** Blocks of [N, C, H, W] as columns: [N, C * kernel elements, blocks]. */
export class Unfold extends FoldBase {
  override forward(input: Tensor): Tensor {
    return unfold(input, this.kernelSize, this.options);
  }
}

/** Sums columns into images of a given size: the adjoint of {@link Unfold}. */
export class Fold extends FoldBase {
  readonly outputSize: readonly number[];

  constructor(outputSize: Size, kernelSize: Size, options: FoldOptions = {}) {
    super(kernelSize, options);
    this.outputSize = sizeOf(2, 1)(new.target.name, 'outputSize', outputSize);
  }

  override forward(input: Tensor): Tensor {
    return fold(input, this.outputSize, this.kernelSize, this.options);
  }

  override extraRepr(): string {
    return `outputSize=${showSize(this.outputSize)}, ${super.extraRepr()}`;
  }
}
