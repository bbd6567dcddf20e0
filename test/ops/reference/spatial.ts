/** Padding, rearrangements of planes and windows as columns, element by element. */
import { forEachIndex, Nd } from '../support/nd';

/** Where padding by a mode reads; undefined is the constant. */
function source(at: number, n: number, mode: string): number | undefined {
  if (at >= 0 && at < n) return at;
  if (mode === 'reflect') return at < 0 ? -at : 2 * (n - 1) - at;
  if (mode === 'replicate') return at < 0 ? 0 : n - 1;
  return mode === 'circular' ? (at + n) % n : undefined;
}

/** `amounts` go from the last dimension to the first: before, after, before, after, ... */
export function pad(x: Nd, amounts: readonly number[], mode: string, value: number): Nd {
  const of = (d: number, side: number): number => amounts[2 * (x.ndim - 1 - d) + side] ?? 0;
  const shape = x.shape.map((n, d) => n + of(d, 0) + of(d, 1));
  return Nd.from(shape, (index) => {
    const at = index.map((v, d) => source(v - of(d, 0), x.shape[d] as number, mode));
    return at.some((v) => v === undefined) ? value : x.at(at as number[]);
  });
}

/** Channels become blocks of r x r pixels. */
export function pixelShuffle(x: Nd, r: number): Nd {
  const [c, h, w] = x.shape.slice(-3) as [number, number, number];
  return Nd.from([...x.shape.slice(0, -3), c / (r * r), h * r, w * r], (index) => {
    const [k, i, j] = index.slice(-3) as [number, number, number];
    const channel = k * r * r + (i % r) * r + (j % r);
    return x.at([...index.slice(0, -3), channel, Math.floor(i / r), Math.floor(j / r)]);
  });
}

export function pixelUnshuffle(x: Nd, r: number): Nd {
  const [c, h, w] = x.shape.slice(-3) as [number, number, number];
  return Nd.from([...x.shape.slice(0, -3), c * r * r, h / r, w / r], (index) => {
    const [k, i, j] = index.slice(-3) as [number, number, number];
    const [row, column] = [Math.floor(k / r) % r, k % r];
    return x.at([...index.slice(0, -3), Math.floor(k / (r * r)), i * r + row, j * r + column]);
  });
}

/** Channel k of g groups of n comes from channel (k % g) * n + floor(k / g). */
export function channelShuffle(x: Nd, groups: number): Nd {
  const each = (x.shape[1] as number) / groups;
  return Nd.from(x.shape, ([n, k, ...rest]) => {
    const from = ((k as number) % groups) * each + Math.floor((k as number) / groups);
    return x.at([n as number, from, ...rest]);
  });
}

export interface ColumnOptions {
  readonly dilation?: readonly [number, number];
  readonly padding?: readonly [number, number];
  readonly stride?: readonly [number, number];
}

interface Meeting {
  readonly row: number;
  readonly column: number;
  readonly at: readonly [number, number];
}

/** Which element of the columns holds which position of a plane. */
function meetings(
  size: readonly [number, number],
  kernel: readonly [number, number],
  { dilation = [1, 1], padding = [0, 0], stride = [1, 1] }: ColumnOptions,
): { readonly list: Meeting[]; readonly blocks: number } {
  const count = ([0, 1] as const).map(
    (d) =>
      Math.floor((size[d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1) / stride[d]) + 1,
  ) as [number, number];
  const list: Meeting[] = [];
  forEachIndex([...kernel, ...count], (index) => {
    const [a, b, i, j] = index as [number, number, number, number];
    const at = [
      i * stride[0] + a * dilation[0] - padding[0],
      j * stride[1] + b * dilation[1] - padding[1],
    ] as const;
    list.push({ row: a * kernel[1] + b, column: i * count[1] + j, at });
  });
  return { list, blocks: count[0] * count[1] };
}

/** The windows of [..., c, h, w] as columns [..., c * taps, blocks]. */
export function im2col(x: Nd, kernel: readonly [number, number], o: ColumnOptions): Nd {
  const [c, h, w] = x.shape.slice(-3) as [number, number, number];
  const taps = kernel[0] * kernel[1];
  const { list, blocks } = meetings([h, w], kernel, o);
  const at = new Map(list.map((m) => [`${String(m.row)},${String(m.column)}`, m.at]));
  return Nd.from([...x.shape.slice(0, -3), c * taps, blocks], (index) => {
    const [row, block] = index.slice(-2) as [number, number];
    const [i, j] = at.get(`${String(row % taps)},${String(block)}`) as readonly [number, number];
    const padded = i < 0 || j < 0 || i >= h || j >= w;
    return padded ? 0 : x.at([...index.slice(0, -2), Math.floor(row / taps), i, j]);
  });
}

/** Adds columns up where they came from. */
export function col2im(
  x: Nd,
  size: readonly [number, number],
  kernel: readonly [number, number],
  o: ColumnOptions,
): Nd {
  const taps = kernel[0] * kernel[1];
  const { list } = meetings(size, kernel, o);
  const channels = (x.shape.at(-2) as number) / taps;
  return Nd.from([...x.shape.slice(0, -2), channels, ...size], (index) => {
    const [c, i, j] = index.slice(-3) as [number, number, number];
    return list
      .filter((m) => m.at[0] === i && m.at[1] === j)
      .reduce((sum, m) => sum + x.at([...index.slice(0, -3), c * taps + m.row, m.column]), 0);
  });
}

/** x / (k + alpha * mean of squares over `size` channels) ** beta; padding counts. */
export function localResponseNorm(
  x: Nd,
  size: number,
  [alpha, beta, k]: readonly [number, number, number],
  integers: boolean,
): Nd {
  const before = Math.floor(size / 2);
  return Nd.from(x.shape, (index, flat) => {
    let total = 0;
    for (let c = 0; c < size; ++c) {
      const from = (index[1] as number) - before + c;
      if (from < 0 || from >= (x.shape[1] as number)) continue;
      total += x.at([index[0] as number, from, ...index.slice(2)]) ** 2;
    }
    const mean = integers ? Math.trunc(total / size) : total / size;
    return (x.data[flat] as number) / (k + alpha * mean) ** beta;
  });
}

/** The first half of a dimension times the logistic function of the second. */
export function glu(x: Nd, dim: number): Nd {
  const d = dim < 0 ? dim + x.ndim : dim;
  const half = (x.shape[d] as number) / 2;
  const shape = x.shape.map((n, i) => (i === d ? half : n));
  return Nd.from(shape, (index) => {
    const gate = x.at(index.map((v, i) => (i === d ? v + half : v)));
    return x.at(index) / (1 + Math.exp(-gate));
  });
}

export function masked(g: Nd, mask: Nd, scale: number): Nd {
  return new Nd(
    g.shape,
    g.data.map((v, i) => (mask.data[i] === 0 ? 0 : v * scale)),
  );
}
