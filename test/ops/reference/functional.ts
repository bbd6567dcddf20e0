/** Slopes, unit vectors and fractional pooling, element by element. */
import { forEachIndex, Nd } from '../support/nd';

export function prelu(x: Nd, weight: Nd): Nd {
  return Nd.from(x.shape, (index, flat) => {
    const v = x.data[flat] as number;
    const slope = weight.data[weight.data.length === 1 ? 0 : (index[1] as number)] as number;
    return v > 0 ? v : v * slope;
  });
}

export function rrelu(x: Nd, ...rest: unknown[]): Nd {
  const [lower, upper] = rest.filter((v) => typeof v === 'number');
  const o = rest[rest.length - 1] as { lower?: number; upper?: number };
  const low = (lower as number | undefined) ?? o.lower ?? 1 / 8;
  const high = (upper as number | undefined) ?? o.upper ?? 1 / 3;
  return x.map((v) => (v > 0 ? v : (v * (low + high)) / 2));
}

export function normalize(x: Nd, o: { p?: number; dim?: number; eps?: number }): Nd {
  const { p = 2, dim = 1, eps = 1e-12 } = o;
  if (x.ndim === 0) return x.map((v) => v / Math.max(Math.abs(v), eps));
  const d = dim < 0 ? dim + x.ndim : dim;
  return Nd.from(x.shape, (index, flat) => {
    let sum = 0;
    for (let i = 0; i < (x.shape[d] as number); ++i) {
      sum += Math.abs(x.at(index.map((v, k) => (k === d ? i : v)))) ** p;
    }
    return (x.data[flat] as number) / Math.max(sum ** (1 / p), eps);
  });
}

interface FractionalOptions {
  readonly outputSize?: number | readonly number[];
  readonly outputRatio?: readonly number[];
  readonly randomSamples: Nd;
}

/** Where the windows of one dimension start. */
function starts(sample: number, size: number, count: number, kernel: number): number[] {
  const last = size - kernel;
  const step = last / Math.max(count - 1, 1);
  const out = Array.from(
    { length: count },
    (_, i) => Math.trunc((i + sample) * step) - Math.trunc(sample * step),
  );
  out[count - 1] = last;
  return out;
}

export function fractionalMaxPool(
  x: Nd,
  kernel: number | readonly number[],
  o: FractionalOptions,
): Nd {
  const n = o.randomSamples.shape[2] as number;
  const each = (v: number | readonly number[], i: number): number =>
    typeof v === 'number' ? v : (v[i] as number);
  const sizes = x.shape.slice(-n);
  const counts = sizes.map((size, i) =>
    o.outputSize === undefined
      ? Math.floor(size * each(o.outputRatio as readonly number[], i))
      : each(o.outputSize, i),
  );
  return Nd.from([...x.shape.slice(0, -n), ...counts], (index) => {
    const lead = index.slice(0, -n);
    const plane = lead.length === 1 ? [0, ...lead] : lead;
    const begin = sizes.map((size, d) => {
      const sample = o.randomSamples.at([...plane, n === 2 ? 1 - d : d]);
      const at = starts(sample, size, counts[d] as number, each(kernel, d));
      return at[index[lead.length + d] as number] as number;
    });
    let best = -Infinity;
    forEachIndex(
      sizes.map((_, d) => each(kernel, d)),
      (offset) => {
        best = Math.max(best, x.at([...lead, ...offset.map((v, d) => v + (begin[d] as number))]));
      },
    );
    return best;
  });
}
