/** Changes of shape. */
import { flatten, unflatten } from '../ops.gen';
import type { Tensor } from '../tensor';
import { Module } from './module';
import { badArgument, int, readArguments, requiredInt } from './options';

/** Joins dimensions startDim (default 1) to endDim (default -1). */
export class Flatten extends Module {
  readonly startDim: number;
  readonly endDim: number;

  constructor(
    ...args:
      | [options?: { readonly startDim?: number; readonly endDim?: number }]
      | [startDim: number, endDim?: number]
  ) {
    super();
    const spec = { startDim: int(1, -Infinity), endDim: int(-1, -Infinity) };
    const read = readArguments(new.target.name, spec, args, ['startDim', 'endDim']);
    this.startDim = read.startDim;
    this.endDim = read.endDim;
  }

  override forward(input: Tensor): Tensor {
    return flatten(input, this.startDim, this.endDim);
  }

  override extraRepr(): string {
    return `startDim=${this.startDim}, endDim=${this.endDim}`;
  }
}

/** Splits dimension `dim` into several; one of the sizes may be -1. */
export class Unflatten extends Module {
  readonly dim: number;
  readonly unflattenedSize: readonly number[];

  constructor(dim: number, unflattenedSize: readonly number[]) {
    super();
    const name = new.target.name;
    this.dim = requiredInt(-Infinity)(name, 'dim', dim);
    if (!Array.isArray(unflattenedSize)) {
      throw badArgument(name, 'unflattenedSize', 'a list of integers', unflattenedSize);
    }
    const check = requiredInt(-1);
    this.unflattenedSize = unflattenedSize.map((n) => check(name, 'unflattenedSize', n));
  }

  override forward(input: Tensor): Tensor {
    return unflatten(input, this.dim, this.unflattenedSize);
  }

  override extraRepr(): string {
    return `dim=${this.dim}, unflattenedSize=[${this.unflattenedSize.join(', ')}]`;
  }
}
