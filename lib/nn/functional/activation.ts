/** Activation functions. Rows of the op table under PyTorch's names, and what is made of them. */
import {
  celu as celuOp,
  elu as eluOp,
  hardsigmoid as hardsigmoidOp,
  hardswish as hardswishOp,
  hardtanh as hardtanhOp,
  leakyRelu as leakyReluOp,
  mish as mishOp,
  relu as reluOp,
  relu6 as relu6Op,
  rand,
  rrelu as rreluOp,
  selu as seluOp,
  silu as siluOp,
  softmax,
  type SoftmaxOptions,
  threshold as thresholdOp,
  where,
  zerosLike,
} from '../../ops.gen';
import { noGrad } from '../../autograd';
import type { Tensor } from '../../tensor';
import { bool, int, num, readArguments, requiredNum } from '../options';

export {
  gelu,
  glu,
  hardshrink,
  logSigmoid,
  logsigmoid,
  logSoftmax,
  prelu,
  sigmoid,
  softmax,
  softplus,
  softshrink,
  softsign,
  tanh,
  tanhshrink,
} from '../../ops.gen';

export interface InplaceOptions {
  /** Write the result over the input. Default false. */
  readonly inplace?: boolean | undefined;
}

const inplaceOnly = { inplace: bool(false) };

/** Reads `{ inplace }` without cost when nothing is given. */
function inPlace(name: string, options: InplaceOptions | undefined): boolean {
  return options !== undefined && readArguments(name, inplaceOnly, [options]).inplace;
}

/** max(0, x) */
export function relu(input: Tensor, options?: InplaceOptions): Tensor {
  return inPlace('relu', options) ? input.relu_() : reluOp(input);
}

/** min(max(0, x), 6) */
export function relu6(input: Tensor, options?: InplaceOptions): Tensor {
  return inPlace('relu6', options) ? input.relu6_() : relu6Op(input);
}

/** x * sigmoid(x) */
export function silu(input: Tensor, options?: InplaceOptions): Tensor {
  return inPlace('silu', options) ? input.silu_() : siluOp(input);
}

/** x * tanh(softplus(x)) */
export function mish(input: Tensor, options?: InplaceOptions): Tensor {
  return inPlace('mish', options) ? input.mish_() : mishOp(input);
}

export function selu(input: Tensor, options?: InplaceOptions): Tensor {
  return inPlace('selu', options) ? input.selu_() : seluOp(input);
}

export function hardswish(input: Tensor, options?: InplaceOptions): Tensor {
  return inPlace('hardswish', options) ? input.hardswish_() : hardswishOp(input);
}

export function hardsigmoid(input: Tensor, options?: InplaceOptions): Tensor {
  return inPlace('hardsigmoid', options) ? input.hardsigmoid_() : hardsigmoidOp(input);
}

export interface LeakyReluOptions extends InplaceOptions {
  readonly negativeSlope?: number | undefined;
}

/** x where positive, else negativeSlope * x (0.01 by default) */
export function leakyRelu(
  input: Tensor,
  ...args: [options?: LeakyReluOptions] | [negativeSlope: number, options?: InplaceOptions]
): Tensor {
  const spec = { negativeSlope: num(0.01), ...inplaceOnly };
  const { negativeSlope, inplace } = readArguments('leakyRelu', spec, args, ['negativeSlope']);
  return inplace ? input.leakyRelu_(negativeSlope) : leakyReluOp(input, negativeSlope);
}

export interface AlphaOptions extends InplaceOptions {
  readonly alpha?: number | undefined;
}

type AlphaArguments = [options?: AlphaOptions] | [alpha: number, options?: InplaceOptions];

const alphaSpec = { alpha: num(1), ...inplaceOnly };

/** x where positive, else alpha * (exp(x) - 1) */
export function elu(input: Tensor, ...args: AlphaArguments): Tensor {
  const { alpha, inplace } = readArguments('elu', alphaSpec, args, ['alpha']);
  return inplace ? input.elu_(alpha) : eluOp(input, alpha);
}

/** max(0, x) + min(0, alpha * (exp(x / alpha) - 1)) */
export function celu(input: Tensor, ...args: AlphaArguments): Tensor {
  const { alpha, inplace } = readArguments('celu', alphaSpec, args, ['alpha']);
  return inplace ? input.celu_(alpha) : celuOp(input, alpha);
}

export interface HardtanhOptions extends InplaceOptions {
  readonly minVal?: number | undefined;
  readonly maxVal?: number | undefined;
}

/** x limited to [minVal, maxVal], [-1, 1] by default */
export function hardtanh(
  input: Tensor,
  ...args: [options?: HardtanhOptions] | [minVal: number, maxVal: number, options?: InplaceOptions]
): Tensor {
  const spec = { minVal: num(-1), maxVal: num(1), ...inplaceOnly };
  const { minVal, maxVal, inplace } = readArguments('hardtanh', spec, args, ['minVal', 'maxVal']);
  return inplace ? input.hardtanh_(minVal, maxVal) : hardtanhOp(input, minVal, maxVal);
}

/** x where x > threshold, else value */
export function threshold(
  input: Tensor,
  limit: number,
  value: number,
  options?: InplaceOptions,
): Tensor {
  requiredNum('threshold', 'threshold', limit);
  requiredNum('threshold', 'value', value);
  return inPlace('threshold', options)
    ? input.threshold_(limit, value)
    : thresholdOp(input, limit, value);
}

export interface RreluOptions extends InplaceOptions {
  readonly lower?: number | undefined;
  readonly upper?: number | undefined;
  /** Draw slopes at random; otherwise the mean slope. Default false. */
  readonly training?: boolean | undefined;
}

/** Leaky ReLU with slopes drawn from U(lower, upper), [1/8, 1/3] by default. */
export function rrelu(input: Tensor, options: RreluOptions = {}): Tensor {
  const spec = { lower: num(1 / 8), upper: num(1 / 3), training: bool(false), ...inplaceOnly };
  const { lower, upper, training, inplace } = readArguments('rrelu', spec, [options]);
  return inplace ? input.rrelu_(lower, upper, training) : rreluOp(input, lower, upper, training);
}

/** relu in place. */
export const relu_ = (input: Tensor): Tensor => input.relu_();

/** selu in place. */
export const selu_ = (input: Tensor): Tensor => input.selu_();

/** elu in place. */
export const elu_ = (input: Tensor, alpha = 1): Tensor => input.elu_(alpha);

/** celu in place. */
export const celu_ = (input: Tensor, alpha = 1): Tensor => input.celu_(alpha);

/** leakyRelu in place. */
export const leakyRelu_ = (input: Tensor, negativeSlope = 0.01): Tensor =>
  input.leakyRelu_(negativeSlope);

/** hardtanh in place. */
export const hardtanh_ = (input: Tensor, minVal = -1, maxVal = 1): Tensor =>
  input.hardtanh_(minVal, maxVal);

/** threshold in place. */
export const threshold_ = (input: Tensor, limit: number, value: number): Tensor =>
  input.threshold_(limit, value);

/** rrelu in place. */
export const rrelu_ = (input: Tensor, options: Omit<RreluOptions, 'inplace'> = {}): Tensor =>
  rrelu(input, { ...options, inplace: true });

/** softmax(-x) */
export function softmin(input: Tensor, dim: number, options?: SoftmaxOptions): Tensor {
  return softmax(input.neg(), dim, options ?? {});
}

export interface GumbelSoftmaxOptions {
  /** Temperature. Default 1. */
  readonly tau?: number | undefined;
  /** One-hot samples with the gradient of the soft ones. Default false. */
  readonly hard?: boolean | undefined;
  readonly dim?: number | undefined;
}

/** Samples from the Gumbel-softmax distribution (Jang et al. 2017; Maddison et al. 2017). */
export function gumbelSoftmax(logits: Tensor, options: GumbelSoftmaxOptions = {}): Tensor {
  const spec = { tau: num(1), hard: bool(false), dim: int(-1, -Infinity) };
  const { tau, hard, dim } = readArguments('gumbelSoftmax', spec, [options]);
  // -log of an exponential variate: 1 - U lies in (0, 1].
  const gumbels = noGrad(() => {
    const u = rand(logits.shape, { dtype: 'float32', device: logits.device });
    return u.neg().add(1).log().neg().clamp(1e-38).log().neg().to(logits.dtype);
  });
  const soft = softmax(logits.add(gumbels).div(tau), dim);
  if (!hard) return soft;
  const oneHot = noGrad(() => {
    const { values } = soft.max(dim, { keepdim: true });
    return where(soft.eq(values), 1, zerosLike(soft)).to(soft.dtype);
  });
  return oneHot.sub(soft.detach()).add(soft);
}
