/** Normalisations: statistics over groups of elements, then scale and shift. */
import { Nd } from '../support/nd';

/** Normalises elements of equal key by their common mean and (biased) variance. */
function normalize(x: Nd, key: (index: number[]) => string, eps: number, centre = true): Nd {
  const groups = new Map<string, number[]>();
  Nd.from(x.shape, (index, i) => {
    const k = key(index);
    groups.set(k, [...(groups.get(k) ?? []), x.data[i] as number]);
    return 0;
  });
  const stats = new Map<string, [mean: number, scale: number]>();
  for (const [k, values] of groups) {
    const mean = centre ? values.reduce((a, b) => a + b, 0) / values.length : 0;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    stats.set(k, [mean, 1 / Math.sqrt(variance + eps)]);
  }
  return Nd.from(x.shape, (index, i) => {
    const [mean, scale] = stats.get(key(index)) as [number, number];
    return ((x.data[i] as number) - mean) * scale;
  });
}

function affine(x: Nd, at: (index: number[]) => number[], weight: unknown, bias: unknown): Nd {
  return Nd.from(x.shape, (index, i) => {
    const scale = weight instanceof Nd ? weight.at(at(index)) : 1;
    const shift = bias instanceof Nd ? bias.at(at(index)) : 0;
    return (x.data[i] as number) * scale + shift;
  });
}

interface NormOptions {
  weight?: Nd;
  bias?: Nd;
  eps?: number;
}

export function layerNorm(x: Nd, size: number[], ...rest: unknown[]): Nd {
  const options = rest.pop() as NormOptions;
  const [weight, bias, eps] = [rest[0] ?? options.weight, rest[1] ?? options.bias, rest[2]];
  const lead = x.ndim - size.length;
  const y = normalize(x, (i) => i.slice(0, lead).join(), (eps as number) ?? options.eps ?? 1e-5);
  return affine(y, (i) => i.slice(lead), weight, bias);
}

export function rmsNorm(x: Nd, size: number[], ...rest: unknown[]): Nd {
  const options = rest.pop() as NormOptions;
  const lead = x.ndim - size.length;
  const eps = (rest[1] as number | undefined) ?? options.eps ?? Number.EPSILON;
  const y = normalize(x, (i) => i.slice(0, lead).join(), eps, false);
  return affine(y, (i) => i.slice(lead), rest[0] ?? options.weight, undefined);
}

export function groupNorm(x: Nd, groups: number, ...rest: unknown[]): Nd {
  const options = rest.pop() as NormOptions;
  const size = (x.shape[1] as number) / groups;
  const key = (i: number[]): string =>
    `${String(i[0])},${String(Math.floor((i[1] as number) / size))}`;
  const y = normalize(x, key, options.eps ?? 1e-5);
  return affine(y, (i) => [i[1] as number], rest[0] ?? options.weight, rest[1] ?? options.bias);
}

interface BatchNormOptions extends NormOptions {
  training?: boolean;
  useInputStats?: boolean;
  runningMean?: Nd;
  runningVar?: Nd;
}

function byRunning(x: Nd, mean: Nd, variance: Nd, eps: number): Nd {
  return Nd.from(x.shape, (index, i) => {
    const c = [index[1] as number];
    return ((x.data[i] as number) - mean.at(c)) / Math.sqrt(variance.at(c) + eps);
  });
}

export function batchNorm(x: Nd, mean: unknown, variance: unknown, ...rest: unknown[]): Nd {
  const options = rest.pop() as BatchNormOptions;
  const eps = options.eps ?? 1e-5;
  const own = options.training === true || !(mean instanceof Nd);
  const y = own ? normalize(x, (i) => String(i[1]), eps) : byRunning(x, mean, variance as Nd, eps);
  return affine(y, (i) => [i[1] as number], rest[0] ?? options.weight, rest[1] ?? options.bias);
}

export function instanceNorm(x: Nd, options: BatchNormOptions): Nd {
  const eps = options.eps ?? 1e-5;
  const own = options.useInputStats !== false;
  const y = own
    ? normalize(x, (i) => i.slice(0, 2).join(), eps)
    : byRunning(x, options.runningMean as Nd, options.runningVar as Nd, eps);
  return affine(y, (i) => [i[1] as number], options.weight, options.bias);
}
