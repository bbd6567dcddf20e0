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

abstract class PadBase extends Module {
  readonly padding: readonly number[];

  constructor(
    dims: number,
    padding: PaddingSize,
    protected readonly mode: PadMode,
    protected readonly fill: number = 0,
  ) {
    super();
    this.padding = readSides(new.target.name, dims, padding);
  }

  override forward(input: Tensor): Tensor {
    return this.mode === 'constant'
      ? pad(input, this.padding, { value: this.fill })
      : pad(input, this.padding, { mode: this.mode });
  }

  override extraRepr(): string {
    return `[${this.padding.join(', ')}]`;
  }
}

abstract class ConstantPadBase extends PadBase {
  readonly value: number;

  constructor(dims: number, padding: PaddingSize, value: number) {
    super(dims, padding, 'constant', value);
    this.value = requiredNum(new.target.name, 'value', value);
  }

  override extraRepr(): string {
    return `padding=${super.extraRepr()}, value=${this.value}`;
  }
}

/** Adds a constant around the last dimension. */
export class ConstantPad1d extends ConstantPadBase {
  constructor(padding: PaddingSize, value: number) {
    super(1, padding, value);
  }
}

/** Adds zeros around the last dimension. */
export class ZeroPad1d extends PadBase {
  constructor(padding: PaddingSize) {
    super(1, padding, 'constant');
  }
}

/** Adds the mirror image of the last dimension, without repeating the edge. */
export class ReflectionPad1d extends PadBase {
  constructor(padding: PaddingSize) {
    super(1, padding, 'reflect');
  }
}

/** Repeats the edges of the last dimension. */
export class ReplicationPad1d extends PadBase {
  constructor(padding: PaddingSize) {
    super(1, padding, 'replicate');
  }
}

/** Wraps the last dimension around. */
export class CircularPad1d extends PadBase {
  constructor(padding: PaddingSize) {
    super(1, padding, 'circular');
  }
}

/** Adds a constant around the last two dimensions. */
export class ConstantPad2d extends ConstantPadBase {
  constructor(padding: PaddingSize, value: number) {
    super(2, padding, value);
  }
}

/** Adds zeros around the last two dimensions. */
export class ZeroPad2d extends PadBase {
  constructor(padding: PaddingSize) {
    super(2, padding, 'constant');
  }
}

/** Adds the mirror image of the last two dimensions, without repeating the edge. */
export class ReflectionPad2d extends PadBase {
  constructor(padding: PaddingSize) {
    super(2, padding, 'reflect');
  }
}

/** Repeats the edges of the last two dimensions. */
export class ReplicationPad2d extends PadBase {
  constructor(padding: PaddingSize) {
    super(2, padding, 'replicate');
  }
}

/** Wraps the last two dimensions around. */
export class CircularPad2d extends PadBase {
  constructor(padding: PaddingSize) {
    super(2, padding, 'circular');
  }
}

/** Adds a constant around the last three dimensions. */
export class ConstantPad3d extends ConstantPadBase {
  constructor(padding: PaddingSize, value: number) {
    super(3, padding, value);
  }
}

/** Adds zeros around the last three dimensions. */
export class ZeroPad3d extends PadBase {
  constructor(padding: PaddingSize) {
    super(3, padding, 'constant');
  }
}

/** Adds the mirror image of the last three dimensions, without repeating the edge. */
export class ReflectionPad3d extends PadBase {
  constructor(padding: PaddingSize) {
    super(3, padding, 'reflect');
  }
}

/** Repeats the edges of the last three dimensions. */
export class ReplicationPad3d extends PadBase {
  constructor(padding: PaddingSize) {
    super(3, padding, 'replicate');
  }
}

/** Wraps the last three dimensions around. */
export class CircularPad3d extends PadBase {
  constructor(padding: PaddingSize) {
    super(3, padding, 'circular');
  }
}
