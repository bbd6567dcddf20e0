/** Functions whose PyTorch forms a schema cannot express: `std(x, unbiased)`, `norm(x, 'fro')`. */
import { call, type Named, opEntry, type OpEntry, type OutOption, type OutsOption } from '../call';
import { makeError } from '../errors';
import { defineMethod, type Tensor } from '../tensor';

type Dims = number | readonly number[] | null;

/** Options of {@link std}, {@link var_ | var}, {@link stdMean} and {@link varMean}. */
export interface VarianceOptions {
  readonly dim?: Dims | undefined;
  /** What is taken off the count. Default 1. */
  readonly correction?: number | null | undefined;
  /** PyTorch's older form of correction: true for 1, false for 0. */
  readonly unbiased?: boolean | null | undefined;
  readonly keepdim?: boolean | undefined;
}

/** `(variance, mean)`. */
export type VarianceAndMean = Named<
  [variance: Tensor, mean: Tensor],
  { readonly variance: Tensor; readonly mean: Tensor }
>;
/** `(deviation, mean)`. */
export type DeviationAndMean = Named<
  [deviation: Tensor, mean: Tensor],
  { readonly deviation: Tensor; readonly mean: Tensor }
>;

type VarianceArgs<Out = object> =
  | [options?: VarianceOptions & Out]
  | [unbiased: boolean]
  | [dim: Dims, options?: VarianceOptions & Out]
  | [dim: Dims, unbiased: boolean, keepdim?: boolean];

/** A truth value in the place of `dim` is PyTorch's `unbiased`. */
function runVariance<T>(entry: OpEntry, input: Tensor, args: readonly unknown[]): T {
  if (typeof args[0] !== 'boolean') return call(entry, [input, ...args]);
  if (args.length > 1) {
    throw makeError('ERR_TYPE', `${entry.name}: argument 'unbiased' must be followed by nothing`);
  }
  return call(entry, [input, { unbiased: args[0] }]);
}

const entries = {
  std: opEntry('std'),
  var: opEntry('var'),
  stdMean: opEntry('stdMean'),
  varMean: opEntry('varMean'),
  norm: opEntry('norm'),
  matrixNorm: opEntry('linalgMatrixNorm'),
};

/** Standard deviation. PyTorch: `torch.std`. */
export function std(input: Tensor, ...args: VarianceArgs<OutOption>): Tensor {
  return runVariance(entries.std, input, args);
}

function var_(input: Tensor, ...args: VarianceArgs<OutOption>): Tensor {
  return runVariance(entries.var, input, args);
}
/** Variance. PyTorch: `torch.var`. */
export { var_ as var };

/** Standard deviation and mean. PyTorch: `torch.std_mean`. */
export function stdMean(
  input: Tensor,
  ...args: VarianceArgs<OutsOption<readonly [deviation: Tensor, mean: Tensor]>>
): DeviationAndMean {
  return runVariance(entries.stdMean, input, args);
}

/** Variance and mean. PyTorch: `torch.var_mean`. */
export function varMean(
  input: Tensor,
  ...args: VarianceArgs<OutsOption<readonly [variance: Tensor, mean: Tensor]>>
): VarianceAndMean {
  return runVariance(entries.varMean, input, args);
}

export interface NormOptions {
  /** Order of the vector norm; 'fro' is 2, 'nuc' the sum of singular values. Default 'fro'. */
  readonly p?: number | 'fro' | 'nuc' | null | undefined;
  readonly dim?: Dims | undefined;
  readonly keepdim?: boolean | undefined;
  readonly dtype?: 'float16' | 'bfloat16' | 'float32' | 'float64' | undefined;
}

type NormArgs<Out = object> =
  | [options?: NormOptions & Out]
  | [p: number | 'fro' | 'nuc' | null, options?: NormOptions & Out]
  | [p: number | 'fro' | 'nuc' | null, dim: Dims, options?: NormOptions & Out]
  | [p: number | 'fro' | 'nuc' | null, dim: Dims, keepdim: boolean, options?: NormOptions & Out];

function order(p: unknown): unknown {
  return p === 'fro' ? 2 : p;
}

/** `p` where it was given, by position or by name. */
function orderOf(args: NormArgs): unknown {
  const [first] = args;
  if (typeof first !== 'object' || first === null) return first;
  return first.p;
}

/** The nuclear norm is one of matrices: what `norm` takes by position goes by name. */
function nuclearNorm(input: Tensor, args: readonly unknown[]): Tensor {
  const options: Record<string, unknown> = {};
  const names = ['p', 'dim', 'keepdim'];
  args.forEach((a, i) => {
    if (typeof a === 'object' && a !== null && !Array.isArray(a)) Object.assign(options, a);
    else options[names[i] ?? ''] = a;
  });
  const { p: _, dim, ...rest } = options;
  const dims = dim ?? input.shape.map((__, d) => d);
  return call(entries.matrixNorm, [input, 'nuc', { dim: dims, ...rest }]);
}

/** Norm of the elements, over everything or some dimensions. PyTorch: `torch.norm`. */
export function norm(input: Tensor, ...args: NormArgs<OutOption>): Tensor {
  if (orderOf(args) === 'nuc') return nuclearNorm(input, args);
  const plain = args.map((a: unknown, i) => {
    if (i === 0 && typeof a === 'string') return order(a);
    if (typeof a !== 'object' || a === null || !('p' in a)) return a;
    return { ...a, p: order(a.p) };
  });
  return call(entries.norm, [input, ...plain]);
}

declare module '../tensor' {
  interface Tensor {
    /** See {@link std}. */
    std(...args: VarianceArgs): Tensor;
    /** Variance. */
    var(...args: VarianceArgs): Tensor;
    /** See {@link norm}. */
    norm(...args: NormArgs): Tensor;
  }
}

for (const [name, fn] of Object.entries({ std, var: var_, norm })) {
  defineMethod(name, function (...args: never[]) {
    return (fn as unknown as (input: Tensor, ...rest: never[]) => Tensor)(this, ...args);
  });
}
