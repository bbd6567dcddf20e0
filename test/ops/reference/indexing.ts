/** Reads and writes at positions that tensors name. */
import { broadcastShapes, Nd, sizeOf, wrapDim } from '../support/nd';

type Step = (old: number, value: number) => number;
type Index = number[];

/** An index with one coordinate replaced; nothing to replace without dimensions. */
function withCoordinate(index: readonly number[], dim: number, at: number): Index {
  return index.map((v, d) => (d === dim ? at : v));
}

function flatOf(shape: readonly number[], index: readonly number[]): number {
  return index.reduce((flat, v, d) => flat * (shape[d] as number) + v, 0);
}

export function indexSelectNd(x: Nd, dim: number, index: Nd): Nd {
  const d = wrapDim(dim, x.ndim);
  const shape = x.shape.map((n, i) => (i === d ? index.data.length : n));
  return Nd.from(shape, (at) => x.at(withCoordinate(at, d, index.data[at[d] as number] as number)));
}

export function gatherNd(x: Nd, dim: number, index: Nd): Nd {
  const d = wrapDim(dim, x.ndim);
  return Nd.from(index.shape, (at, flat) =>
    x.at(withCoordinate(at, d, index.data[flat] as number)),
  );
}

/** Writes values one after the other; `place` names the position of each. */
function write(
  x: Nd,
  shape: readonly number[],
  place: (at: Index, flat: number) => Index,
  value: (at: Index, flat: number) => number,
  step: Step,
): Nd {
  const data = [...x.data];
  Nd.from(shape, (at, flat) => {
    const target = flatOf(x.shape, place(at, flat));
    data[target] = step(data[target] as number, value(at, flat));
    return 0;
  });
  return new Nd(x.shape, data);
}

/** Element by element, as scatter does; `src` may be larger than the index. */
export function scatterNd(x: Nd, dim: number, index: Nd, src: Nd | number, step: Step): Nd {
  const d = wrapDim(dim, x.ndim);
  return write(
    x,
    index.shape,
    (at, flat) => withCoordinate(at, d, index.data[flat] as number),
    (at) => (src instanceof Nd ? src.at(at) : src),
    step,
  );
}

/** Slice by slice, as indexAdd does. */
export function indexWriteNd(x: Nd, dim: number, index: Nd, src: Nd | number, step: Step): Nd {
  const d = wrapDim(dim, x.ndim);
  const shape = x.shape.map((n, i) => (i === d ? index.data.length : n));
  return write(
    x,
    shape,
    (at) => withCoordinate(at, d, index.data[at[d] as number] as number),
    (at) => (src instanceof Nd ? src.at(at) : src),
    step,
  );
}

const folds: Readonly<Record<string, (values: number[]) => number>> = {
  sum: (v) => v.reduce((a, b) => a + b, 0),
  prod: (v) => v.reduce((a, b) => a * b, 1),
  mean: (v) => v.reduce((a, b) => a + b, 0) / v.length,
  amax: (v) => (v.some(Number.isNaN) ? NaN : Math.max(...v)),
  amin: (v) => (v.some(Number.isNaN) ? NaN : Math.min(...v)),
};

/**
 * Folds what lands on each element, by a writer from above that gets the ordinal of each value;
 * elements that nothing lands on stay.
 */
export function reduceInto(
  writer: typeof scatterNd,
  args: readonly [x: Nd, dim: number, index: Nd, src: Nd],
  reduce: string,
  includeSelf: boolean,
): Nd {
  const [x, dim, index, src] = args;
  const landed = x.data.map((v) => (includeSelf ? [v] : []));
  const ordinals = new Nd(
    x.shape,
    x.data.map((_, i) => i),
  );
  writer(ordinals, dim, index, src, (target, value) => {
    landed[target]?.push(value);
    return target;
  });
  const fold = folds[reduce] as (values: number[]) => number;
  const touched = writer(
    x.map(() => 0),
    dim,
    index,
    src,
    () => 1,
  );
  return new Nd(
    x.shape,
    x.data.map((v, i) => (touched.data[i] === 1 ? fold(landed[i] as number[]) : v)),
  );
}

/** The position that index tensors, broadcast together, name in the leading dimensions. */
function positions(x: Nd, indices: readonly Nd[]): { shape: number[]; at: (i: Index) => Index } {
  const shape = broadcastShapes(...indices.map((i) => i.shape));
  const wrap = (v: number, d: number): number => (v < 0 ? v + (x.shape[d] as number) : v);
  return { shape, at: (i) => indices.map((index, d) => wrap(index.broadcastAt(i), d)) };
}

export function indexNd(x: Nd, indices: readonly Nd[]): Nd {
  const { shape, at } = positions(x, indices);
  const rest = x.shape.slice(indices.length);
  return Nd.from([...shape, ...rest], (i) =>
    x.at([...at(i.slice(0, shape.length)), ...i.slice(shape.length)]),
  );
}

export function indexPutNd(x: Nd, indices: readonly Nd[], values: Nd, accumulate: boolean): Nd {
  const { shape, at } = positions(x, indices);
  const rest = x.shape.slice(indices.length);
  return write(
    x,
    [...shape, ...rest],
    (i) => [...at(i.slice(0, shape.length)), ...i.slice(shape.length)],
    (i) => values.broadcastAt(i),
    (old, value) => (accumulate ? old + value : value),
  );
}

export function flattened(x: Nd): Nd {
  return x.reshape([sizeOf(x.shape)]);
}
