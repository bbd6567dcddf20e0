/** Specs of element-wise ops, which share their samples. */
import { elementwise, type Nd } from './nd';
import type { InputOptions, OpSpec, Sample, Source } from './sample';

type Extra = Partial<OpSpec>;

/** One tensor: a matrix, a scalar, an empty one, a longer row. */
export function unary(
  fn: (x: number) => number,
  input: InputOptions = {},
  extra: Extra = {},
): OpSpec {
  return {
    samples: (s) => [[2, 3], [], [0, 3], [2, 1, 5]].map((shape) => ({ args: [s.x(shape, input)] })),
    reference: (x: Nd) => x.map(fn),
    special: true,
    ...extra,
  };
}

/** One tensor and parameters; the function gets them by position. */
export function unaryWith(
  fn: (x: number, ...parameters: never[]) => number,
  parameters: readonly (readonly unknown[])[],
  input: InputOptions = {},
  extra: Extra = {},
): OpSpec {
  return {
    samples: (s) => [
      ...[[2, 3], [], [0, 3]].map((shape) => ({
        args: [s.x(shape, input), ...(parameters[0] ?? [])],
      })),
      ...parameters.map((p) => ({ args: [s.x([2, 4], input), ...p] })),
    ],
    reference: (x: Nd, ...rest: unknown[]) => {
      const p = rest.slice(0, -1); // without the options
      return x.map((v) => (fn as (x: number, ...p: unknown[]) => number)(v, ...p));
    },
    special: true,
    ...extra,
  };
}

const pairs: readonly (readonly [number[], number[]])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [
    [2, 1],
    [1, 3],
  ],
  [[], []],
  [[3], []],
  [[0, 3], [3]],
];

export interface BinaryOptions {
  readonly left?: InputOptions;
  readonly right?: InputOptions;
  /** Operands that are plain numbers. Default 2 (with fractions for floats only, see samples). */
  readonly scalars?: readonly number[];
  readonly tensorsOnly?: boolean;
}

export function binarySamples(s: Source, options: BinaryOptions = {}): Sample[] {
  const { left = {}, right = {}, scalars = [2], tensorsOnly = false } = options;
  const samples: Sample[] = pairs.map(([a, b]) => ({ args: [s.x(a, left), s.x(b, right)] }));
  if (tensorsOnly) return samples;
  for (const v of scalars) {
    samples.push({ args: [s.x([2, 3], left), v] }, { args: [v, s.x([2, 3], right)] });
  }
  return samples;
}

export function binary(
  fn: (a: number, b: number) => number,
  options: BinaryOptions = {},
  extra: Extra = {},
): OpSpec {
  return {
    samples: (s) => binarySamples(s, options),
    reference: (a: unknown, b: unknown) => elementwise(fn, a, b),
    special: true,
    ...extra,
  };
}

/** The gradient helpers of activations: (grad, input, ...parameters). */
export function backwardOf(
  fn: (grad: number, x: number, ...parameters: number[]) => number,
  parameters: readonly number[] = [],
  input: InputOptions = {},
  extra: Extra = {},
): OpSpec {
  return {
    samples: (s) =>
      [[2, 3], [], [0, 3]].map((shape) => ({
        args: [s.x(shape), s.x(shape, input), ...parameters],
      })),
    reference: (g: Nd, x: Nd, ...p: number[]) => elementwise((a, b) => fn(a, b, ...p), g, x),
    ...extra,
  };
}
