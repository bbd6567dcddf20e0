/** Convolution and pooling by naive loops over every window. */
import { forEachIndex, Nd, sizeOf } from '../support/nd';

export type Ints = number | readonly number[];

/** One number per spatial dimension. */
export function spread(value: Ints | null | undefined, n: number, fallback: Ints): number[] {
  const given = value ?? fallback;
  const list = typeof given === 'number' ? [given] : given;
  return Array.from({ length: n }, (_, i) => list[list.length === 1 ? 0 : i] as number);
}

/** What a window reads: output position, tap, and the input position they meet at. */
function meet(o: readonly number[], tap: readonly number[], g: Geometry): number[] {
  return o.map(
    (v, i) =>
      v * (g.stride[i] as number) -
      (g.padding[i] as number) +
      (tap[i] as number) * (g.dilation[i] as number),
  );
}

function inside(at: readonly number[], size: readonly number[]): boolean {
  return at.every((v, i) => v >= 0 && v < (size[i] as number));
}

export interface Geometry {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

/** y[n, k, o] = bias[k] + sum of x[n, c, o meets tap] * w[k, c, tap]. */
export function convolve(x: Nd, w: Nd, bias: unknown, size: readonly number[], g: Geometry): Nd {
  const [outs, ins, ...kernel] = w.shape as [number, number, ...number[]];
  const [batch, , ...from] = x.shape as [number, number, ...number[]];
  return Nd.from([batch, outs, ...size], ([n, k, ...o]) => {
    const first = Math.floor((k as number) / (outs / g.groups)) * ins;
    let total = bias instanceof Nd ? bias.at([k as number]) : 0;
    forEachIndex([ins, ...kernel], ([c, ...tap]) => {
      const at = meet(o, tap, g);
      if (!inside(at, from)) return;
      total +=
        x.at([n as number, first + (c as number), ...at]) *
        w.at([k as number, c as number, ...tap]);
    });
    return total;
  });
}

/** The transpose of `convolve` in x: spreads every y[n, k, o] over the positions it reads. */
export function spreadOut(y: Nd, w: Nd, bias: unknown, size: readonly number[], g: Geometry): Nd {
  const [ins, outs, ...kernel] = w.shape as [number, number, ...number[]];
  const [batch, , ...from] = y.shape as [number, number, ...number[]];
  const shape = [batch, outs * g.groups, ...size];
  const total = new Map<string, number>();
  forEachIndex([batch, ins, ...from], ([n, k, ...o]) => {
    const first = Math.floor((k as number) / (ins / g.groups)) * outs;
    forEachIndex([outs, ...kernel], ([c, ...tap]) => {
      const at = meet(o, tap, g);
      if (!inside(at, size)) return;
      const key = [n, first + (c as number), ...at].join();
      const product =
        y.at([n as number, k as number, ...o]) * w.at([k as number, c as number, ...tap]);
      total.set(key, (total.get(key) ?? 0) + product);
    });
  });
  return Nd.from(
    shape,
    (i) => (total.get(i.join()) ?? 0) + (bias instanceof Nd ? bias.at([i[1] as number]) : 0),
  );
}

/** w[k, c, tap] = sum over n and o of y[n, k, o] * x[n, c, o meets tap]. */
export function correlate(y: Nd, x: Nd, kernel: readonly number[], g: Geometry): Nd {
  const [batch, outs, ...size] = y.shape as [number, number, ...number[]];
  const [, channels, ...from] = x.shape as [number, number, ...number[]];
  const ins = channels / g.groups;
  return Nd.from([outs, ins, ...kernel], ([k, c, ...tap]) => {
    const channel = Math.floor((k as number) / (outs / g.groups)) * ins + (c as number);
    let total = 0;
    forEachIndex([batch, ...size], ([n, ...o]) => {
      const at = meet(o, tap, g);
      if (inside(at, from))
        total += y.at([n as number, k as number, ...o]) * x.at([n as number, channel, ...at]);
    });
    return total;
  });
}

/** The positions (per dimension) that one output element pools, and what it divides by. */
export interface Window {
  readonly at: readonly number[];
  readonly count: number;
}

export interface PoolOptions {
  readonly stride?: Ints | null;
  readonly padding?: Ints;
  readonly dilation?: Ints;
  readonly ceilMode?: boolean;
  readonly countIncludePad?: boolean;
  readonly divisorOverride?: number | null;
}

/** Windows along one dimension of size `n`. */
function slide(n: number, k: number, s: number, p: number, d: number, o: PoolOptions): Window[] {
  const room = n + 2 * p - d * (k - 1) - 1;
  let count = (o.ceilMode === true ? Math.ceil(room / s) : Math.floor(room / s)) + 1;
  if (o.ceilMode === true && (count - 1) * s >= n + p) --count;
  return Array.from({ length: count }, (_, i) => {
    const taps = Array.from({ length: k }, (_, t) => i * s - p + t * d);
    const at = taps.filter((v) => v >= 0 && v < n);
    const padded = taps.filter((v) => v < n + p).length;
    return { at, count: o.countIncludePad === false ? at.length : padded };
  });
}

export function slidingWindows(size: readonly number[], kernel: Ints, o: PoolOptions): Window[][] {
  const n = size.length;
  const k = spread(kernel, n, kernel);
  const [s, p, d] = [spread(o.stride, n, k), spread(o.padding, n, 0), spread(o.dilation, n, 1)];
  return size.map((v, i) =>
    slide(v, k[i] as number, s[i] as number, p[i] as number, d[i] as number, o),
  );
}

export function adaptiveWindows(size: readonly number[], out: Ints): Window[][] {
  const outs = spread(out, size.length, out);
  return size.map((n, i) => {
    const m = outs[i] as number;
    return Array.from({ length: m }, (_, o) => {
      const first = Math.floor((o * n) / m);
      const length = Math.ceil(((o + 1) * n) / m) - first;
      return { at: Array.from({ length }, (_, t) => first + t), count: length };
    });
  });
}

/** Reduces every window of the trailing dimensions; `fn` gets values, flat positions, the divisor. */
export function pool(
  x: Nd,
  windows: readonly Window[][],
  fn: (values: number[], positions: number[], divisor: number) => number,
): Nd {
  const n = windows.length;
  const lead = x.shape.slice(0, x.ndim - n);
  const size = x.shape.slice(x.ndim - n);
  const plane = new Nd(
    size,
    Array.from({ length: sizeOf(size) }, (_, i) => i),
  );
  return Nd.from([...lead, ...windows.map((w) => w.length)], (index) => {
    const own = windows.map((w, d) => w[index[lead.length + d] as number] as Window);
    const values: number[] = [];
    const positions: number[] = [];
    forEachIndex(
      own.map((w) => w.at.length),
      (t) => {
        const at = own.map((w, d) => w.at[t[d] as number] as number);
        values.push(x.at([...index.slice(0, lead.length), ...at]));
        positions.push(plane.at(at));
      },
    );
    return fn(
      values,
      positions,
      own.reduce((a, w) => a * w.count, 1),
    );
  });
}

export function average(x: Nd, windows: readonly Window[][], divisor?: number | null): Nd {
  return pool(x, windows, (v, _, count) => v.reduce((a, b) => a + b, 0) / (divisor ?? count));
}

/** Maxima and where they are in their plane; the first of equals. */
export function maxima(x: Nd, windows: readonly Window[][]): [Nd, Nd] {
  return [
    pool(x, windows, (v) => Math.max(...v)),
    pool(x, windows, (v, at) => at[v.indexOf(Math.max(...v))] as number),
  ];
}
