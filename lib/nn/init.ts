/**
 * Initialisers: they fill a tensor in place, outside the graph, and return it. Names of modes and
 * nonlinearities are PyTorch's.
 * Sources: Glorot & Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal).
 */
import { noGrad } from '../autograd';
import { makeError } from '../errors';
import { tensor } from '../functions/creation';
import { clamp, erf, erfinv, eye, randn, randperm, where } from '../ops.gen';
import { Tensor } from '../tensor';
import { badArgument, choice, int, num, readArguments, requiredNum, show } from './options';
import { householderQ } from './orthogonal';

export type FanMode = 'fan_in' | 'fan_out';

const nonlinearities = [
  'linear',
  'conv1d',
  'conv2d',
  'conv3d',
  'conv_transpose1d',
  'conv_transpose2d',
  'conv_transpose3d',
  'sigmoid',
  'tanh',
  'relu',
  'leaky_relu',
  'selu',
] as const;

export type Nonlinearity = (typeof nonlinearities)[number];

function checked<T extends Tensor>(where_: string, t: T, minDims = 0): T {
  if (!(t instanceof Tensor)) throw badArgument(where_, 'tensor', 'a Tensor', t);
  if (t.ndim < minDims) {
    throw makeError(
      'ERR_SHAPE',
      `${where_}: argument 'tensor' must have at least ${minDims} dimensions, got ${show(t)}`,
    );
  }
  return t;
}

/** Runs `fill` on the tensor's data without recording. */
function filled<T extends Tensor>(t: T, fill: () => void): T {
  noGrad(fill);
  return t;
}

/** Gain that keeps the scale of activations through a nonlinearity. */
export function calculateGain(nonlinearity: Nonlinearity, param?: number | null): number {
  choice(nonlinearities, 'linear')('calculateGain', 'nonlinearity', nonlinearity);
  switch (nonlinearity) {
    case 'tanh':
      return 5 / 3;
    case 'relu':
      return Math.SQRT2;
    case 'leaky_relu': {
      const slope = param ?? 0.01;
      if (typeof slope !== 'number') throw badArgument('calculateGain', 'param', 'a number', slope);
      return Math.sqrt(2 / (1 + slope * slope));
    }
    case 'selu':
      return 3 / 4;
    default:
      return 1;
  }
}

/** Numbers of inputs and outputs of one unit, from a weight [out, in, ...kernel]. */
export function calculateFanInAndFanOut(t: Tensor): { fanIn: number; fanOut: number } {
  checked('calculateFanInAndFanOut', t, 2);
  const field = t.shape.slice(2).reduce((a, b) => a * b, 1);
  return { fanIn: t.size(1) * field, fanOut: t.size(0) * field };
}

/** Fills with U(a, b). */
export function uniform_<T extends Tensor>(
  t: T,
  ...args: [options?: { a?: number; b?: number }] | [a: number, b?: number]
): T {
  const { a, b } = readArguments('uniform_', { a: num(0), b: num(1) }, args, ['a', 'b']);
  return filled(checked('uniform_', t), () => t.uniform_(a, b));
}

/** Fills with N(mean, std). */
export function normal_<T extends Tensor>(
  t: T,
  ...args: [options?: { mean?: number; std?: number }] | [mean: number, std?: number]
): T {
  const spec = { mean: num(0), std: num(1) };
  const { mean, std } = readArguments('normal_', spec, args, ['mean', 'std']);
  return filled(checked('normal_', t), () => t.normal_(mean, std));
}

export interface TruncNormalOptions {
  readonly mean?: number;
  readonly std?: number;
  /** Values outside [a, b] do not occur. Default [-2, 2]. */
  readonly a?: number;
  readonly b?: number;
}

/** Distribution function of the standard normal distribution. */
function normalCdf(x: number): number {
  return (1 + erf(tensor(x / Math.SQRT2, { dtype: 'float64' })).item()) / 2;
}

/** Fills with N(mean, std) cut off at a and b, by inversion of the distribution function. */
export function truncNormal_<T extends Tensor>(t: T, options: TruncNormalOptions = {}): T {
  const spec = { mean: num(0), std: num(1), a: num(-2), b: num(2) };
  const { mean, std, a, b } = readArguments('truncNormal_', spec, [options]);
  return filled(checked('truncNormal_', t), () => {
    const low = normalCdf((a - mean) / std);
    const high = normalCdf((b - mean) / std);
    t.uniform_(2 * low - 1, 2 * high - 1);
    t.copy_(
      clamp(
        erfinv(t)
          .mul(std * Math.SQRT2)
          .add(mean),
        a,
        b,
      ),
    );
  });
}

/** Fills with one value. */
export function constant_<T extends Tensor>(t: T, val: number): T {
  requiredNum('constant_', 'val', val);
  return filled(checked('constant_', t), () => t.fill_(val));
}

export function ones_<T extends Tensor>(t: T): T {
  return filled(checked('ones_', t), () => t.fill_(1));
}

export function zeros_<T extends Tensor>(t: T): T {
  return filled(checked('zeros_', t), () => t.zero_());
}

/** Fills a matrix with the identity. */
export function eye_<T extends Tensor>(t: T): T {
  if (checked('eye_', t).ndim !== 2) throw badArgument('eye_', 'tensor', '2-dimensional', t);
  return filled(t, () => t.copy_(eye(t.size(0), t.size(1))));
}

/**
 * Fills a convolution weight so that it passes its inputs on: ones in the kernels' centres.
 * @param groups number of groups of output channels; each of them keeps the identity.
 */
export function dirac_<T extends Tensor>(t: T, groups: number | { groups?: number } = 1): T {
  const spec = { groups: int(1, 1) };
  const { groups: count } = readArguments('dirac_', spec, [groups], ['groups']);
  if (checked('dirac_', t).ndim < 3 || t.ndim > 5) {
    throw badArgument('dirac_', 'tensor', '3, 4 or 5-dimensional', t, 'ERR_SHAPE');
  }
  if (t.size(0) % count !== 0) {
    throw badArgument('dirac_', 'groups', 'a divisor of the first size', groups, 'ERR_VALUE');
  }
  const perGroup = t.size(0) / count;
  const center = t.shape.slice(2).map((n) => Math.floor(n / 2));
  return filled(t, () => {
    t.zero_();
    for (let g = 0; g < count; ++g) {
      for (let d = 0; d < Math.min(perGroup, t.size(1)); ++d) {
        const at = [g * perGroup + d, d, ...center];
        at.reduce<Tensor>((view, i) => view.select(0, i), t).fill_(1);
      }
    }
  });
}

type GainArguments = [options?: { gain?: number }] | [gain: number];

/** Fills with U(-a, a), a = gain * sqrt(6 / (fanIn + fanOut)). */
export function xavierUniform_<T extends Tensor>(t: T, ...args: GainArguments): T {
  const { gain } = readArguments('xavierUniform_', { gain: num(1) }, args, ['gain']);
  const { fanIn, fanOut } = calculateFanInAndFanOut(checked('xavierUniform_', t, 2));
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return filled(t, () => t.uniform_(-bound, bound));
}

/** Fills with N(0, gain * sqrt(2 / (fanIn + fanOut))). */
export function xavierNormal_<T extends Tensor>(t: T, ...args: GainArguments): T {
  const { gain } = readArguments('xavierNormal_', { gain: num(1) }, args, ['gain']);
  const { fanIn, fanOut } = calculateFanInAndFanOut(checked('xavierNormal_', t, 2));
  return filled(t, () => t.normal_(0, gain * Math.sqrt(2 / (fanIn + fanOut))));
}

export interface KaimingOptions {
  /** Negative slope of the rectifier that follows; used with 'leaky_relu'. Default 0. */
  readonly a?: number;
  /** Keep the variance of the forward ('fan_in') or of the backward pass. Default 'fan_in'. */
  readonly mode?: FanMode;
  /** Default 'leaky_relu'. */
  readonly nonlinearity?: Nonlinearity;
}

function kaimingStd(name: string, t: Tensor, options: KaimingOptions): number {
  const { a, mode, nonlinearity } = readArguments(
    name,
    {
      a: num(0),
      mode: choice(['fan_in', 'fan_out'], 'fan_in'),
      nonlinearity: choice(nonlinearities, 'leaky_relu'),
    },
    [options],
  );
  const { fanIn, fanOut } = calculateFanInAndFanOut(checked(name, t, 2));
  return calculateGain(nonlinearity, a) / Math.sqrt(mode === 'fan_in' ? fanIn : fanOut);
}

/** Fills with U(-b, b), b = gain * sqrt(3 / fan). */
export function kaimingUniform_<T extends Tensor>(t: T, options: KaimingOptions = {}): T {
  const std = kaimingStd('kaimingUniform_', t, options);
  // No element, no fan: nothing to fill.
  if (t.numel() === 0) return t;
  const bound = Math.sqrt(3) * std;
  return filled(t, () => t.uniform_(-bound, bound));
}

/** Fills with N(0, gain / sqrt(fan)). */
export function kaimingNormal_<T extends Tensor>(t: T, options: KaimingOptions = {}): T {
  const std = kaimingStd('kaimingNormal_', t, options);
  if (t.numel() === 0) return t;
  return filled(t, () => t.normal_(0, std));
}

/** Fills with a (semi-)orthogonal matrix, all dimensions but the first taken as one. */
export function orthogonal_<T extends Tensor>(t: T, ...args: GainArguments): T {
  const { gain } = readArguments('orthogonal_', { gain: num(1) }, args, ['gain']);
  checked('orthogonal_', t, 2);
  if (t.numel() === 0) return t;
  const rows = t.size(0);
  const cols = t.numel() / rows;
  return filled(t, () => {
    const dtype = t.dtype === 'float64' ? 'float64' : 'float32';
    const size = [Math.max(rows, cols), Math.min(rows, cols)];
    const q = householderQ(randn(size, { dtype, device: t.device }));
    t.copy_((rows < cols ? q.t() : q).mul(gain).reshape(t.shape));
  });
}

/**
 * Fills a matrix with N(0, std) and sets a fraction of every column to zero.
 * @param sparsity the fraction.
 */
export function sparse_<T extends Tensor>(
  t: T,
  sparsity: number,
  ...args: [options?: { std?: number }] | [std: number]
): T {
  requiredNum('sparse_', 'sparsity', sparsity);
  const { std } = readArguments('sparse_', { std: num(0.01) }, args, ['std']);
  if (checked('sparse_', t).ndim !== 2) throw badArgument('sparse_', 'tensor', '2-dimensional', t);
  const [rows = 0, cols = 0] = t.shape;
  const zeros = Math.min(rows, Math.max(0, Math.ceil(sparsity * rows)));
  const keep = new Uint8Array(rows * cols).fill(1);
  for (let c = 0; c < cols; ++c) {
    const order = randperm(rows).dataSync();
    for (let i = 0; i < zeros; ++i) keep[Number(order[i]) * cols + c] = 0;
  }
  return filled(t, () => {
    t.normal_(0, std);
    const mask = tensor(keep, { device: t.device }).view(rows, cols).to('bool');
    t.copy_(where(mask, t, 0));
  });
}
