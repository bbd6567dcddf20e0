/** Activation modules: elementwise functions as layers, whose options are fields. */
import { makeError } from '../errors';
import { empty } from '../ops.gen';
import type { Tensor } from '../tensor';
import * as F from './functional/activation';
import { constant_ } from './init';
import { Module } from './module';
import {
  bool,
  type Check,
  choice,
  factory,
  type FactoryOptions,
  int,
  num,
  optionalInt,
  type Read,
  readArguments,
  requiredNum,
  type Spec,
} from './options';
import { Parameter } from './parameter';

/** The options of a spec as fields that may change. */
type Fields<S extends Spec> = { -readonly [K in keyof S]: ReturnType<S[K]> };

type Options<S extends Spec> = { readonly [K in keyof S]?: ReturnType<S[K]> | undefined };

interface TensorFunction {
  forward(input: Tensor): Tensor;
}

/** A layer made from options, of which the first may be given by position. */
type ActivationClass<S extends Spec, P extends readonly unknown[]> = new (
  ...args: [options?: Options<S>] | [...P, options?: Options<S>]
) => Module & TensorFunction & Fields<S>;

/**
 * The class of a function with the options of `spec`; those in `positional` may be given by
 * position. It prints every option, `inplace` only when set.
 */
function activationOf<S extends Spec, P extends readonly unknown[] = []>(
  spec: S,
  positional: readonly (keyof S & string)[],
  run: (input: Tensor, options: Read<S>, training: boolean) => Tensor,
): ActivationClass<S, P> {
  class Activation extends Module {
    constructor(...args: unknown[]) {
      super();
      Object.assign(this, readArguments(new.target.name, spec, args, positional));
    }

    override forward(input: Tensor): Tensor {
      return run(input, this as unknown as Read<S>, this.training);
    }

    override extraRepr(): string {
      const entries = Object.keys(spec).map((name) => {
        const value = (this as Record<string, unknown>)[name];
        if (name === 'inplace') return value === true ? 'inplace=true' : '';
        return `${name}=${typeof value === 'string' ? `'${value}'` : String(value)}`;
      });
      return entries.filter((text) => text !== '').join(', ');
    }
  }
  return Activation as never;
}

/** A function without options. */
function plainOf(run: (input: Tensor) => Tensor): new () => Module & TensorFunction {
  return class extends Module {
    override forward(input: Tensor): Tensor {
      return run(input);
    }
  };
}

const inplaceSpec = { inplace: bool(false) };

type InplaceSpec = typeof inplaceSpec;

/** A function whose only option is to work in place. */
function inplaceOf(
  run: (input: Tensor, options: F.InplaceOptions) => Tensor,
): ActivationClass<InplaceSpec, [inplace: boolean]> {
  return activationOf<InplaceSpec, [inplace: boolean]>(
    inplaceSpec,
    ['inplace'],
    (input, { inplace }) => run(input, { inplace }),
  );
}

/** max(0, x) */
export class ReLU extends inplaceOf(F.relu) {}

/** min(max(0, x), 6) */
export class ReLU6 extends inplaceOf(F.relu6) {}

/** Scaled ELU (Klambauer et al. 2017). */
export class SELU extends inplaceOf(F.selu) {}

/** x * sigmoid(x) */
export class SiLU extends inplaceOf(F.silu) {}

/** x * tanh(softplus(x)) */
export class Mish extends inplaceOf(F.mish) {}

/** x * relu6(x + 3) / 6 */
export class Hardswish extends inplaceOf(F.hardswish) {}

/** relu6(x + 3) / 6 */
export class Hardsigmoid extends inplaceOf(F.hardsigmoid) {}

/** 1 / (1 + exp(-x)) */
export class Sigmoid extends plainOf(F.sigmoid) {}

/** tanh(x) */
export class Tanh extends plainOf(F.tanh) {}

/** log(sigmoid(x)) */
export class LogSigmoid extends plainOf(F.logSigmoid) {}

/** x / (1 + |x|) */
export class Softsign extends plainOf(F.softsign) {}

/** x - tanh(x) */
export class Tanhshrink extends plainOf(F.tanhshrink) {}

const leaky = { negativeSlope: num(0.01), ...inplaceSpec };

/** x where positive, else negativeSlope * x; the slope is 0.01 by default. */
export class LeakyReLU extends activationOf<typeof leaky, [negativeSlope: number]>(
  leaky,
  ['negativeSlope'],
  (input, { negativeSlope, inplace }) => F.leakyRelu(input, negativeSlope, { inplace }),
) {}

const alphas = { alpha: num(1), ...inplaceSpec };

/** x where positive, else alpha * (exp(x) - 1); alpha is 1 by default. */
export class ELU extends activationOf<typeof alphas, [alpha: number]>(
  alphas,
  ['alpha'],
  (input, { alpha, inplace }) => F.elu(input, alpha, { inplace }),
) {}

/** max(0, x) + min(0, alpha * (exp(x / alpha) - 1)); alpha is 1 by default. */
export class CELU extends activationOf<typeof alphas, [alpha: number]>(
  alphas,
  ['alpha'],
  (input, { alpha, inplace }) => F.celu(input, alpha, { inplace }),
) {}

const bounds = { minVal: num(-1), maxVal: num(1), ...inplaceSpec };

/** x limited to [minVal, maxVal], [-1, 1] by default. */
export class Hardtanh extends activationOf<typeof bounds, [minVal: number, maxVal?: number]>(
  bounds,
  ['minVal', 'maxVal'],
  (input, { minVal, maxVal, inplace }) => F.hardtanh(input, minVal, maxVal, { inplace }),
) {}

const soft = { beta: num(1), threshold: num(20) };

/** log(1 + exp(beta * x)) / beta; linear above threshold. Defaults: beta 1, threshold 20. */
export class Softplus extends activationOf<typeof soft, [beta: number, threshold?: number]>(
  soft,
  ['beta', 'threshold'],
  (input, { beta, threshold }) => F.softplus(input, beta, threshold),
) {}

const shrink = { lambd: num(0.5) };

/** x outside [-lambd, lambd], else 0; lambd is 0.5 by default. */
export class Hardshrink extends activationOf<typeof shrink, [lambd: number]>(
  shrink,
  ['lambd'],
  (input, { lambd }) => F.hardshrink(input, lambd),
) {
  override extraRepr(): string {
    return `${this.lambd}`;
  }
}

/** x moved towards 0 by lambd (0.5 by default), 0 inside [-lambd, lambd]. */
export class Softshrink extends activationOf<typeof shrink, [lambd: number]>(
  shrink,
  ['lambd'],
  (input, { lambd }) => F.softshrink(input, lambd),
) {
  override extraRepr(): string {
    return `${this.lambd}`;
  }
}

const randomSlope = { lower: num(1 / 8), upper: num(1 / 3), ...inplaceSpec };

/** Leaky ReLU whose slope is drawn from U(lower, upper) in training, else their mean. */
export class RReLU extends activationOf<typeof randomSlope, [lower: number, upper?: number]>(
  randomSlope,
  ['lower', 'upper'],
  (input, { lower, upper, inplace }, training) =>
    F.rrelu(input, { lower, upper, training, inplace }),
) {}

const limit = { threshold: requiredNum, value: requiredNum, ...inplaceSpec };

/** x where x > threshold, else value. */
export class Threshold extends activationOf<typeof limit, [threshold: number, value: number]>(
  limit,
  ['threshold', 'value'],
  (input, { threshold, value, inplace }) => F.threshold(input, threshold, value, { inplace }),
) {}

const approximation = { approximate: choice(['none', 'tanh'], 'none') };

/** x * P(X <= x) for a standard normal X, or its approximation by tanh (Hendrycks & Gimpel 2016). */
export class GELU extends activationOf(approximation, [], (input, { approximate }) =>
  F.gelu(input, { approximate }),
) {}

const halved = { dim: int(-1, -Infinity) };

/** a * sigmoid(b) with a, b the halves of the input along `dim`, the last by default. */
export class GLU extends activationOf<typeof halved, [dim: number]>(
  halved,
  ['dim'],
  (input, { dim }) => F.glu(input, dim),
) {}

const dimension: { dim: Check<number | null> } = { dim: optionalInt(null, -Infinity) };

/** A function over one dimension; by PyTorch's rule 0 for 0, 1 and 3 dimensions, else 1. */
function alongDim(
  run: (input: Tensor, dim: number) => Tensor,
): ActivationClass<typeof dimension, [dim: number | null]> {
  return activationOf<typeof dimension, [dim: number | null]>(
    dimension,
    ['dim'],
    (input, { dim }) => run(input, dim ?? ([0, 1, 3].includes(input.ndim) ? 0 : 1)),
  );
}

/** exp(x) / sum(exp(x)) over `dim`. */
export class Softmax extends alongDim(F.softmax) {}

/** softmax(-x) over `dim`. */
export class Softmin extends alongDim(F.softmin) {}

/** log(softmax(x)) over `dim`. */
export class LogSoftmax extends alongDim(F.logSoftmax) {}

/** Softmax over the channels of [N, C, H, W] or [C, H, W]. */
export class Softmax2d extends Module {
  override forward(input: Tensor): Tensor {
    if (input.ndim !== 3 && input.ndim !== 4) {
      throw makeError(
        'ERR_SHAPE',
        `Softmax2d: expected input of 3 or 4 dimensions, got shape [${input.shape.join(', ')}]`,
      );
    }
    return F.softmax(input, -3);
  }
}

export interface PReLUOptions extends FactoryOptions {
  /** 1, or the number of channels. Default 1. */
  readonly numParameters?: number | undefined;
  /** Initial slope. Default 0.25. */
  readonly init?: number | undefined;
}

/** x where positive, else weight * x with learned slopes (He et al. 2015). */
export class PReLU extends Module {
  readonly numParameters: number;
  readonly init: number;
  weight: Parameter;

  constructor(options: PReLUOptions = {}) {
    super();
    const spec = { numParameters: int(1, 1), init: num(0.25), ...factory };
    const read = readArguments(new.target.name, spec, [options]);
    this.numParameters = read.numParameters;
    this.init = read.init;
    this.weight = new Parameter(
      empty([read.numParameters], { dtype: read.dtype, device: read.device }),
    );
    this.resetParameters();
  }

  resetParameters(): void {
    constant_(this.weight, this.init);
  }

  override forward(input: Tensor): Tensor {
    return F.prelu(input, this.weight);
  }

  override extraRepr(): string {
    return `numParameters=${this.numParameters}`;
  }
}
