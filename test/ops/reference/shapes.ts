/** Rearrangements, repetition, joins, splits and diagonals of plain arrays. */
import { diagonal, narrowNd, optional, splitNd } from '../samples/shapes';
import { Nd, permuteNd, sizeOf, wrapDim } from '../support/nd';

export function movedim(x: Nd, source: number[], destination: number[]): Nd {
  const from = source.map((d) => wrapDim(d, x.ndim));
  const to = destination.map((d) => wrapDim(d, x.ndim));
  const others = x.shape.map((_, d) => d).filter((d) => !from.includes(d));
  const order = x.shape.map((_, d) =>
    to.includes(d) ? (from[to.indexOf(d)] as number) : (others.shift() as number),
  );
  return permuteNd(x, order);
}

/** A vector becomes a row; further dimensions come last. */
export function atLeast(n: number): (x: Nd) => Nd {
  return (x) => {
    if (x.ndim >= n) return x;
    const shape = x.ndim === 1 && n > 1 ? [1, ...x.shape] : [...x.shape];
    while (shape.length < n) shape.push(1);
    return x.reshape(shape);
  };
}

export function unfold(x: Nd, dimension: number, size: number, step: number): Nd {
  if (x.ndim === 0) return Nd.from([size], () => x.data[0] as number);
  const d = wrapDim(dimension, x.ndim);
  const shape = x.shape.map((n, i) => (i === d ? Math.floor((n - size) / step) + 1 : n));
  return Nd.from([...shape, size], (index) => {
    const within = index.pop() as number;
    return x.at(index.map((v, i) => (i === d ? v * step + within : v)));
  });
}

export function flip(x: Nd, dims: readonly number[]): Nd {
  const flipped = dims.map((d) => wrapDim(d, x.ndim));
  return Nd.from(x.shape, (index) =>
    x.at(index.map((v, d) => (flipped.includes(d) ? (x.shape[d] as number) - 1 - v : v))),
  );
}

/** A quarter turn at a time, from the first axis towards the second. */
export function rot90(x: Nd, ...rest: unknown[]): Nd {
  const turns = optional(rest, 0, 1);
  const dims = (rest.length > 2 ? rest[1] : [0, 1]) as number[];
  const [a, b] = dims.map((d) => wrapDim(d, x.ndim)) as [number, number];
  let turned = x;
  for (let k = ((turns % 4) + 4) % 4; k > 0; --k) {
    const from = turned;
    const shape = [...from.shape];
    [shape[a], shape[b]] = [shape[b] as number, shape[a] as number];
    turned = Nd.from(shape, (index) => {
      const at = [...index];
      at[a] = index[b] as number;
      at[b] = (shape[a] as number) - 1 - (index[a] as number);
      return from.at(at);
    });
  }
  return turned;
}

export function roll(x: Nd, shifts: number[], ...rest: unknown[]): Nd {
  if (rest.length < 2) return roll(x.reshape([x.data.length]), shifts, [0], {}).reshape(x.shape);
  const dims = (rest[0] as number[]).map((d) => wrapDim(d, x.ndim));
  return Nd.from(x.shape, (index) =>
    x.at(
      index.map((v, d) => {
        const n = x.shape[d] as number;
        const shift = dims.reduce((sum, e, i) => sum + (e === d ? (shifts[i] as number) : 0), 0);
        return (((v - shift) % n) + n) % n;
      }),
    ),
  );
}

export function repeat(x: Nd, repeats: readonly number[]): Nd {
  const padded = [...new Array<number>(repeats.length - x.ndim).fill(1), ...x.shape];
  const wide = x.reshape(padded);
  return Nd.from(
    padded.map((n, d) => n * (repeats[d] as number)),
    (index) => wide.at(index.map((v, d) => v % (padded[d] as number))),
  );
}

export function tile(x: Nd, dims: readonly number[]): Nd {
  return repeat(x, [...new Array<number>(Math.max(0, x.ndim - dims.length)).fill(1), ...dims]);
}

/** Takes the given positions of one dimension. */
export function take(x: Nd, dim: number, positions: readonly number[]): Nd {
  const d = wrapDim(dim, x.ndim);
  const shape = x.shape.map((n, i) => (i === d ? positions.length : n));
  return Nd.from(shape, (index) =>
    x.at(index.map((v, i) => (i === d ? (positions[v] as number) : v))),
  );
}

export function repeatInterleave(input: Nd, repeats: Nd | number, ...rest: unknown[]): Nd {
  const flat = rest.length < 2;
  const x = flat ? input.reshape([input.data.length]) : input;
  const dim = wrapDim(optional(rest, 0, 0), x.ndim);
  const positions = Array.from({ length: x.shape[dim] as number }, (_, i) => {
    const count =
      repeats instanceof Nd ? (repeats.data[repeats.data.length === 1 ? 0 : i] as number) : repeats;
    return new Array<number>(count).fill(i);
  });
  return take(x, dim, positions.flat());
}

export function meshgrid(list: Nd[], options: { indexing?: string }): Nd[] {
  const sizes = list.map((x) => x.data.length);
  const swap = options.indexing === 'xy' && list.length >= 2;
  const shape = swap ? [sizes[1] as number, sizes[0] as number, ...sizes.slice(2)] : sizes;
  return list.map((x, i) =>
    Nd.from(shape, (index) => x.data[index[swap && i < 2 ? 1 - i : i] as number] as number),
  );
}

export function cartesianProd(list: Nd[]): Nd {
  const [only] = list;
  if (list.length === 1) return only as Nd;
  const grids = meshgrid(list, {});
  const rows = sizeOf(list.map((x) => x.data.length));
  return Nd.from([rows, list.length], ([r, c]) => grids[c as number]?.data[r as number] as number);
}

/** Rising sequences of `length` positions below `n`, in lexical order. */
export function sequences(n: number, length: number, repeats: boolean, from = 0): number[][] {
  if (length === 0) return [[]];
  return Array.from({ length: Math.max(0, n - from) }, (_, i) => from + i).flatMap((first) =>
    sequences(n, length - 1, repeats, repeats ? first : first + 1).map((tail) => [first, ...tail]),
  );
}

export function combinations(x: Nd, ...rest: unknown[]): Nd {
  const r = optional(rest, 0, 2);
  const rows = sequences(x.data.length, r, rest.length > 2 && rest[1] === true);
  return new Nd(
    [rows.length, r],
    rows.flat().map((i) => x.data[i] as number),
  );
}

export function blockDiag(list: Nd[]): Nd {
  const blocks = list.map(atLeast(2));
  const total = (d: number): number => blocks.reduce((n, b) => n + (b.shape[d] as number), 0);
  const columns = total(1);
  const data = new Array<number>(total(0) * columns).fill(0);
  let [row, column] = [0, 0];
  for (const block of blocks) {
    const [rows, width] = block.shape as [number, number];
    block.data.forEach((v, i) => {
      data[(row + Math.floor(i / width)) * columns + column + (i % width)] = v;
    });
    row += rows;
    column += width;
  }
  return new Nd([row, columns], data);
}

export function splitIndices(x: Nd, indices: number[], ...rest: unknown[]): Nd[] {
  const dim = optional(rest, 0, 0);
  const n = x.shape[wrapDim(dim, x.ndim)] as number;
  const edges = [0, ...indices.map((i) => Math.min(n, Math.max(0, i < 0 ? i + n : i))), n];
  return edges.slice(1).map((end, i) => {
    const start = edges[i] as number;
    return narrowNd(x, dim, start, Math.max(0, end - start));
  });
}

export function splitSections(x: Nd, sections: number, ...rest: unknown[]): Nd[] {
  const dim = optional(rest, 0, 0);
  const n = x.shape[wrapDim(dim, x.ndim)] as number;
  const sizes = Array.from(
    { length: sections },
    (_, i) => Math.floor(n / sections) + (i < n % sections ? 1 : 0),
  );
  return splitNd(x, sizes, dim);
}

export function triangle(keeps: (beyond: number) => boolean): (x: Nd, ...rest: unknown[]) => Nd {
  return (x, ...rest) => {
    const offset = optional(rest, 0, 0);
    return Nd.from(x.shape, (index) => {
      const [i, j] = index.slice(-2) as [number, number];
      return keeps(j - i - offset) ? x.at(index) : 0;
    });
  };
}

export function diagEmbed(x: Nd, ...rest: unknown[]): Nd {
  const offset = optional(rest, 0, 0);
  const ndim = x.ndim + 1;
  const a = wrapDim(optional(rest, 1, -2), ndim);
  const b = wrapDim(optional(rest, 2, -1), ndim);
  const n = (x.shape[x.ndim - 1] as number) + Math.abs(offset);
  const others = x.shape.slice(0, -1);
  const shape = Array.from({ length: ndim }, (_, d) =>
    d === a || d === b ? n : (others.shift() as number),
  );
  return Nd.from(shape, (index) => {
    const [i, j] = [index[a] as number, index[b] as number];
    if (j - i !== offset) return 0;
    return x.at([...index.filter((_, d) => d !== a && d !== b), Math.min(i, j)]);
  });
}

export function diag(x: Nd, ...rest: unknown[]): Nd {
  const offset = optional(rest, 0, 0);
  return x.ndim === 1
    ? diagEmbed(x, offset, {})
    : (diagonal(x, ...([offset, {}] as never[])) as Nd);
}

/** A view of positions says where the elements of `src` go. */
export function scattered(x: Nd, src: Nd, view: (positions: Nd) => Nd): Nd {
  const positions = view(Nd.from(x.shape, (_, i) => i));
  const data = [...x.data];
  positions.data.forEach((at, i) => (data[at] = src.data[i] as number));
  return new Nd(x.shape, data);
}
