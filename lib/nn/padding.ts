/** Padding layers: constants, reflections, replications, wrapping around. */
import type { Tensor } from '../tensor';
import { pad, type PadMode } from './functional/pad';
import { Module } from './module';
import { badArgument, requiredNum } from './options';

/** One number for all sides, or [left, right, top, bottom, front, back] as far as needed. */
export type PaddingSize = number | readonly number[];

function readSides(name: string, dims: number, padding: PaddingSize): number[] {
  const list = typeof padding === 'number' ? new Array<number>(2 * dims).fill(padding) : padding;
  if (!Array.isArray(list) || list.length !== 2 * dims || !list.every(Number.isSafeInteger)) {
    const expected = `an integer or a list of ${2 * dims} integers`;
    throw badArgument(name, 'padding', expected, padding);
  }
  return [...(list as number[])];
}

/** Pads the last `dims` dimensions. */
abstract class PadBase extends Module {
  readonly padding: readonly number[];

  constructor(
    dims: number,
    padding: PaddingSize,
    private readonly mode: PadMode,
  ) {
    super();
    this.padding = readSides(new.target.name, dims, padding);
  }

  override forward(input: Tensor): Tensor {
    return pad(input, this.padding, { mode: this.mode });
  }

  override extraRepr(): string {
    return `[${this.padding.join(', ')}]`;
  }
}

/** A layer that pads by a mode, for a number of dimensions. */
function padOf(mode: PadMode, dims: number): new (padding: PaddingSize) => PadBase {
  return class extends PadBase {
    constructor(padding: PaddingSize) {
      super(dims, padding, mode);
    }
  };
}

abstract class ConstantPadBase extends Module {
  readonly padding: readonly number[];
  readonly value: number;

  constructor(dims: number, padding: PaddingSize, value: number) {
    super();
    this.padding = readSides(new.target.name, dims, padding);
    this.value = requiredNum(new.target.name, 'value', value);
  }

  override forward(input: Tensor): Tensor {
    return pad(input, this.padding, { value: this.value });
  }

  override extraRepr(): string {
    return `padding=[${this.padding.join(', ')}], value=${this.value}`;
  }
}

function constantPadOf(dims: number): new (padding: PaddingSize, value: number) => ConstantPadBase {
  return class extends ConstantPadBase {
    constructor(padding: PaddingSize, value: number) {
      super(dims, padding, value);
    }
  };
}

/** Adds a constant around the last dimension. */
export class ConstantPad1d extends constantPadOf(1) {}

/** Adds a constant around the last two dimensions. */
export class ConstantPad2d extends constantPadOf(2) {}

/** Adds a constant around the last three dimensions. */
export class ConstantPad3d extends constantPadOf(3) {}

/** Adds zeros around the last dimension. */
export class ZeroPad1d extends padOf('constant', 1) {}

/** Adds zeros around the last two dimensions. */
export class ZeroPad2d extends padOf('constant', 2) {}

/** Adds zeros around the last three dimensions. */
export class ZeroPad3d extends padOf('constant', 3) {}

/** Adds the mirror image of the last dimension, without repeating the edge. */
export class ReflectionPad1d extends padOf('reflect', 1) {}

/** Adds the mirror image of the last two dimensions, without repeating the edges. */
export class ReflectionPad2d extends padOf('reflect', 2) {}

/** Adds the mirror image of the last three dimensions, without repeating the edges. */
export class ReflectionPad3d extends padOf('reflect', 3) {}

/** Repeats the edges of the last dimension. */
export class ReplicationPad1d extends padOf('replicate', 1) {}

/** Repeats the edges of the last two dimensions. */
export class ReplicationPad2d extends padOf('replicate', 2) {}

/** Repeats the edges of the last three dimensions. */
export class ReplicationPad3d extends padOf('replicate', 3) {}

/** Wraps the last dimension around. */
export class CircularPad1d extends padOf('circular', 1) {}

/** Wraps the last two dimensions around. */
export class CircularPad2d extends padOf('circular', 2) {}

/** Wraps the last three dimensions around. */
export class CircularPad3d extends padOf('circular', 3) {}
