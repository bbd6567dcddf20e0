/** Plain arrays with a shape: what the reference implementations compute on. */
export class Nd {
  constructor(
    readonly shape: readonly number[],
    readonly data: readonly number[],
  ) {
    if (sizeOf(shape) !== data.length) {
      throw new Error(`Nd: shape [${shape.join(', ')}] with ${String(data.length)} values`);
    }
  }

  get ndim(): number {
    return this.shape.length;
  }

  static from(shape: readonly number[], at: (index: number[], flat: number) => number): Nd {
    const data: number[] = [];
    forEachIndex(shape, (index) => data.push(at(index, data.length)));
    return new Nd(shape, data);
  }

  static scalar(value: number): Nd {
    return new Nd([], [value]);
  }

  at(index: readonly number[]): number {
    let flat = 0;
    for (let d = 0; d < this.shape.length; ++d) {
      flat = flat * (this.shape[d] as number) + (index[d] as number);
    }
    return this.data[flat] as number;
  }

  /** The element that broadcasting to more dimensions reads at `index`. */
  broadcastAt(index: readonly number[]): number {
    const skip = index.length - this.ndim;
    return this.at(this.shape.map((n, d) => (n === 1 ? 0 : (index[d + skip] as number))));
  }

  map(fn: (value: number) => number): Nd {
    return new Nd(this.shape, this.data.map(fn));
  }

  reshape(shape: readonly number[]): Nd {
    return new Nd(shape, this.data);
  }
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((n, v) => n * v, 1);
}

/** Visits every index of a shape in row-major order. */
export function forEachIndex(shape: readonly number[], fn: (index: number[]) => void): void {
  const index = shape.map(() => 0);
  for (let left = sizeOf(shape); left > 0; --left) {
    fn([...index]);
    for (let d = shape.length - 1; d >= 0; --d) {
      index[d] = (index[d] as number) + 1;
      if ((index[d] as number) < (shape[d] as number)) break;
      index[d] = 0;
    }
  }
}

export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] {
  const ndim = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: ndim }, (_, d) => {
    const sizes = shapes.map((s) => s[d - (ndim - s.length)] ?? 1).filter((n) => n !== 1);
    return sizes.length === 0 ? 1 : (sizes[0] as number);
  });
}

export function asNd(value: unknown): Nd {
  return value instanceof Nd ? value : Nd.scalar(Number(value));
}

/** Applies a scalar function to broadcast operands. */
export function elementwise(fn: (...v: number[]) => number, ...operands: unknown[]): Nd {
  const list = operands.map(asNd);
  const shape = broadcastShapes(...list.map((x) => x.shape));
  return Nd.from(shape, (index) => fn(...list.map((x) => x.broadcastAt(index))));
}

export function wrapDim(dim: number, ndim: number): number {
  return dim < 0 ? dim + Math.max(ndim, 1) : dim;
}

/** Splits a reduction: kept dimensions, and the values along the reduced ones. */
export function reduceDims(
  x: Nd,
  dims: readonly number[] | null | undefined,
  keepdim: boolean,
  fn: (values: number[]) => number,
): Nd {
  const all = dims === null || dims === undefined || dims.length === 0;
  const reduced = new Set(all ? x.shape.map((_, d) => d) : dims.map((d) => wrapDim(d, x.ndim)));
  const kept = x.shape.map((n, d) => (reduced.has(d) ? 1 : n));
  const inner = x.shape.map((n, d) => (reduced.has(d) ? n : 1));
  const out = Nd.from(kept, (index) => {
    const values: number[] = [];
    forEachIndex(inner, (offset) =>
      values.push(x.at(index.map((v, d) => v + (offset[d] as number)))),
    );
    return fn(values);
  });
  return keepdim ? out : out.reshape(x.shape.filter((_, d) => !reduced.has(d)));
}

/** Applies a function from vectors to vectors along one dimension. */
export function alongDim(x: Nd, dim: number, fn: (values: number[]) => number[]): Nd {
  if (x.ndim === 0) return new Nd([], fn([...x.data]));
  const d = wrapDim(dim, x.ndim);
  const n = x.shape[d] as number;
  const lines = new Map<string, number[]>();
  return Nd.from(x.shape, (index) => {
    const key = index.map((v, i) => (i === d ? 0 : v));
    let line = lines.get(key.join());
    if (line === undefined) {
      line = fn(Array.from({ length: n }, (_, k) => x.at(key.map((v, i) => (i === d ? k : v)))));
      lines.set(key.join(), line);
    }
    return line[index[d] as number] as number;
  });
}

export function permuteNd(x: Nd, dims: readonly number[]): Nd {
  const order = dims.map((d) => wrapDim(d, x.ndim));
  const shape = order.map((d) => x.shape[d] as number);
  return Nd.from(shape, (index) => {
    const source = new Array<number>(x.ndim).fill(0);
    order.forEach((d, i) => (source[d] = index[i] as number));
    return x.at(source);
  });
}

export function transposeNd(x: Nd, a: number, b: number): Nd {
  const dims = x.shape.map((_, d) => d);
  const [i, j] = [wrapDim(a, x.ndim), wrapDim(b, x.ndim)];
  [dims[i], dims[j]] = [dims[j] as number, dims[i] as number];
  return permuteNd(x, dims);
}
