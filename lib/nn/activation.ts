/** Activation modules: elementwise functions as layers. */
import { makeError } from '../errors';
import {
  empty,
  hardshrink,
  gelu,
  logSigmoid,
  sigmoid,
  softplus,
  softshrink,
  softsign,
  tanh,
  tanhshrink,
  threshold as thresholdOp,
} from '../ops.gen';
import type { Tensor } from '../tensor';
import * as F from './functional/activation';
import { constant_ } from './init';
import { Module } from './module';
import {
  bool,
  choice,
  factory,
  type FactoryOptions,
  int,
  num,
  optionalInt,
  readArguments,
  requiredNum,
} from './options';
import { Parameter } from './parameter';

export interface InplaceOptions {
  /** Write the result over the input. Default false. */
  readonly inplace?: boolean | undefined;
}

const inplaceSpec = { inplace: bool(false) };

type InplaceArguments = [options?: InplaceOptions] | [inplace: boolean];

/** Base of activations whose only option is to work in place. */
abstract class InplaceActivation extends Module {
  inplace: boolean;

  constructor(...args: InplaceArguments) {
    super();
    this.inplace = readArguments(new.target.name, inplaceSpec, args, ['inplace']).inplace;
  }

  abstract override forward(input: Tensor): Tensor;

  override extraRepr(): string {
    return this.inplace ? 'inplace=true' : '';
  }
}

/** max(0, x) */
export class ReLU extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.relu_() : F.relu(input);
  }
}

/** min(max(0, x), 6) */
export class ReLU6 extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.relu6_() : F.relu6(input);
  }
}

/** Scaled ELU (Klambauer et al. 2017). */
export class SELU extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.selu_() : F.selu(input);
  }
}

/** x * sigmoid(x) */
export class SiLU extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.silu_() : F.silu(input);
  }
}

/** x * tanh(softplus(x)) */
export class Mish extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.mish_() : F.mish(input);
  }
}

/** x * relu6(x + 3) / 6 */
export class Hardswish extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.hardswish_() : F.hardswish(input);
  }
}

/** relu6(x + 3) / 6 */
export class Hardsigmoid extends InplaceActivation {
  override forward(input: Tensor): Tensor {
    return this.inplace ? input.hardsigmoid_() : F.hardsigmoid(input);
  }
}

/** 1 / (1 + exp(-x)) */
export class Sigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return sigmoid(input);
  }
}

/** tanh(x) */
export class Tanh extends Module {
  override forward(input: Tensor): Tensor {
    return tanh(input);
  }
}

/** log(sigmoid(x)) */
export class LogSigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return logSigmoid(input);
  }
}

/** x / (1 + |x|) */
export class Softsign extends Module {
  override forward(input: Tensor): Tensor {
    return softsign(input);
  }
}

/** x - tanh(x) */
export class Tanhshrink extends Module {
  override forward(input: Tensor): Tensor {
    return tanhshrink(input);
  }
}

export interface LeakyReLUOptions extends InplaceOptions {
  readonly negativeSlope?: number | undefined;
}

/** x where positive, else negativeSlope * x; the slope is 0.01 by default. */
export class LeakyReLU extends Module {
  negativeSlope: number;
  inplace: boolean;

  constructor(
    ...args: [options?: LeakyReLUOptions] | [negativeSlope: number, options?: InplaceOptions]
  ) {
    super();
    const spec = { negativeSlope: num(0.01), ...inplaceSpec };
    const read = readArguments(new.target.name, spec, args, ['negativeSlope']);
    this.negativeSlope = read.negativeSlope;
    this.inplace = read.inplace;
  }

  override forward(input: Tensor): Tensor {
    return F.leakyRelu(input, this.negativeSlope, { inplace: this.inplace });
  }

  override extraRepr(): string {
    return `negativeSlope=${this.negativeSlope}` + (this.inplace ? ', inplace=true' : '');
  }
}

export interface ELUOptions extends InplaceOptions {
  readonly alpha?: number | undefined;
}

/** x where positive, else alpha * (exp(x) - 1); alpha is 1 by default. */
export class ELU extends Module {
  alpha: number;
  inplace: boolean;

  constructor(...args: [options?: ELUOptions] | [alpha: number, options?: InplaceOptions]) {
    super();
    const spec = { alpha: num(1), ...inplaceSpec };
    const read = readArguments(new.target.name, spec, args, ['alpha']);
    this.alpha = read.alpha;
    this.inplace = read.inplace;
  }

  override forward(input: Tensor): Tensor {
    return F.elu(input, this.alpha, { inplace: this.inplace });
  }

  override extraRepr(): string {
    return `alpha=${this.alpha}` + (this.inplace ? ', inplace=true' : '');
  }
}

export interface CELUOptions extends InplaceOptions {
  readonly alpha?: number | undefined;
}

/** max(0, x) + min(0, alpha * (exp(x / alpha) - 1)); alpha is 1 by default. */
export class CELU extends Module {
  alpha: number;
  inplace: boolean;

  constructor(...args: [options?: CELUOptions] | [alpha: number, options?: InplaceOptions]) {
    super();
    const spec = { alpha: num(1), ...inplaceSpec };
    const read = readArguments(new.target.name, spec, args, ['alpha']);
    this.alpha = read.alpha;
    this.inplace = read.inplace;
  }

  override forward(input: Tensor): Tensor {
    return F.celu(input, this.alpha, { inplace: this.inplace });
  }

  override extraRepr(): string {
    return `alpha=${this.alpha}` + (this.inplace ? ', inplace=true' : '');
  }
}

export interface HardtanhOptions extends InplaceOptions {
  readonly minVal?: number | undefined;
  readonly maxVal?: number | undefined;
}

/** x limited to [minVal, maxVal], [-1, 1] by default. */
export class Hardtanh extends Module {
  minVal: number;
  maxVal: number;
  inplace: boolean;

  constructor(
    ...args:
      [options?: HardtanhOptions] | [minVal: number, maxVal?: number, options?: InplaceOptions]
  ) {
    super();
    const spec = { minVal: num(-1), maxVal: num(1), ...inplaceSpec };
    const read = readArguments(new.target.name, spec, args, ['minVal', 'maxVal']);
    this.minVal = read.minVal;
    this.maxVal = read.maxVal;
    this.inplace = read.inplace;
  }

  override forward(input: Tensor): Tensor {
    return F.hardtanh(input, this.minVal, this.maxVal, { inplace: this.inplace });
  }

  override extraRepr(): string {
    return `minVal=${this.minVal}, maxVal=${this.maxVal}` + (this.inplace ? ', inplace=true' : '');
  }
}

export interface SoftplusOptions {
  readonly beta?: number | undefined;
  readonly threshold?: number | undefined;
}

/** log(1 + exp(beta * x)) / beta; linear above threshold. Defaults: beta 1, threshold 20. */
export class Softplus extends Module {
  beta: number;
  threshold: number;

  constructor(...args: [options?: SoftplusOptions] | [beta: number, threshold?: number]) {
    super();
    const spec = { beta: num(1), threshold: num(20) };
    const read = readArguments(new.target.name, spec, args, ['beta', 'threshold']);
    this.beta = read.beta;
    this.threshold = read.threshold;
  }

  override forward(input: Tensor): Tensor {
    return softplus(input, this.beta, this.threshold);
  }

  override extraRepr(): string {
    return `beta=${this.beta}, threshold=${this.threshold}`;
  }
}

export interface HardshrinkOptions {
  readonly lambd?: number | undefined;
}

/** x outside [-lambd, lambd], else 0; lambd is 0.5 by default. */
export class Hardshrink extends Module {
  lambd: number;

  constructor(...args: [options?: HardshrinkOptions] | [lambd: number]) {
    super();
    const spec = { lambd: num(0.5) };
    const read = readArguments(new.target.name, spec, args, ['lambd']);
    this.lambd = read.lambd;
  }

  override forward(input: Tensor): Tensor {
    return hardshrink(input, this.lambd);
  }

  override extraRepr(): string {
    return `${this.lambd}`;
  }
}

export interface SoftshrinkOptions {
  readonly lambd?: number | undefined;
}

/** x moved towards 0 by lambd (0.5 by default), 0 inside [-lambd, lambd]. */
export class Softshrink extends Module {
  lambd: number;

  constructor(...args: [options?: SoftshrinkOptions] | [lambd: number]) {
    super();
    const spec = { lambd: num(0.5) };
    const read = readArguments(new.target.name, spec, args, ['lambd']);
    this.lambd = read.lambd;
  }

  override forward(input: Tensor): Tensor {
    return softshrink(input, this.lambd);
  }

  override extraRepr(): string {
    return `${this.lambd}`;
  }
}

export interface RReLUOptions extends InplaceOptions {
  readonly lower?: number | undefined;
  readonly upper?: number | undefined;
}

/** Leaky ReLU whose slope is drawn from U(lower, upper) in training, else their mean. */
export class RReLU extends Module {
  lower: number;
  upper: number;
  inplace: boolean;

  constructor(
    ...args: [options?: RReLUOptions] | [lower: number, upper?: number, options?: InplaceOptions]
  ) {
    super();
    const spec = { lower: num(1 / 8), upper: num(1 / 3), ...inplaceSpec };
    const read = readArguments(new.target.name, spec, args, ['lower', 'upper']);
    this.lower = read.lower;
    this.upper = read.upper;
    this.inplace = read.inplace;
  }

  override forward(input: Tensor): Tensor {
    return F.rrelu(input, {
      lower: this.lower,
      upper: this.upper,
      training: this.training,
      inplace: this.inplace,
    });
  }

  override extraRepr(): string {
    return `lower=${this.lower}, upper=${this.upper}` + (this.inplace ? ', inplace=true' : '');
  }
}

/** x where x > threshold, else value. */
export class Threshold extends Module {
  threshold: number;
  value: number;
  inplace: boolean;

  constructor(threshold: number, value: number, options: InplaceOptions = {}) {
    super();
    const name = new.target.name;
    this.threshold = requiredNum(name, 'threshold', threshold);
    this.value = requiredNum(name, 'value', value);
    this.inplace = readArguments(name, inplaceSpec, [options]).inplace;
  }

  override forward(input: Tensor): Tensor {
    return this.inplace
      ? input.threshold_(this.threshold, this.value)
      : thresholdOp(input, this.threshold, this.value);
  }

  override extraRepr(): string {
    const { threshold, value } = this;
    return `threshold=${threshold}, value=${value}${this.inplace ? ', inplace=true' : ''}`;
  }
}

export interface GELUOptions {
  /** 'tanh' for the approximation by tanh. Default 'none'. */
  readonly approximate?: 'none' | 'tanh' | undefined;
}

/** x * P(X <= x) for a standard normal X (Hendrycks & Gimpel 2016). */
export class GELU extends Module {
  approximate: 'none' | 'tanh';

  constructor(options: GELUOptions = {}) {
    super();
    const spec = { approximate: choice(['none', 'tanh'], 'none') };
    this.approximate = readArguments(new.target.name, spec, [options]).approximate;
  }

  override forward(input: Tensor): Tensor {
    return gelu(input, { approximate: this.approximate });
  }

  override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

type DimArguments = [options?: { readonly dim?: number | null | undefined }] | [dim: number];

/** a * sigmoid(b) with a, b the halves of the input along `dim`, the last by default. */
export class GLU extends Module {
  dim: number;

  constructor(...args: DimArguments) {
    super();
    const spec = { dim: int(-1, -Infinity) };
    this.dim = readArguments(new.target.name, spec, args, ['dim']).dim;
  }

  override forward(input: Tensor): Tensor {
    return F.glu(input, this.dim);
  }

  override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/** Base of functions that normalise over one dimension. */
abstract class AlongDim extends Module {
  dim: number | null;

  constructor(...args: DimArguments) {
    super();
    const spec = { dim: optionalInt(null, -Infinity) };
    this.dim = readArguments(new.target.name, spec, args, ['dim']).dim;
  }

  /** PyTorch's rule where no dimension was given: 0 for 0, 1 and 3 dimensions, else 1. */
  protected dimOf(input: Tensor): number {
    return this.dim ?? ([0, 1, 3].includes(input.ndim) ? 0 : 1);
  }

  abstract override forward(input: Tensor): Tensor;

  override extraRepr(): string {
    return `dim=${String(this.dim)}`;
  }
}

/** exp(x) / sum(exp(x)) over `dim`. */
export class Softmax extends AlongDim {
  override forward(input: Tensor): Tensor {
    return F.softmax(input, this.dimOf(input));
  }
}

/** softmax(-x) over `dim`. */
export class Softmin extends AlongDim {
  override forward(input: Tensor): Tensor {
    return F.softmin(input, this.dimOf(input));
  }
}

/** log(softmax(x)) over `dim`. */
export class LogSoftmax extends AlongDim {
  override forward(input: Tensor): Tensor {
    return F.logSoftmax(input, this.dimOf(input));
  }
}

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
