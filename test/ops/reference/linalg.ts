/** Dense linear algebra in plain JavaScript: elimination with pivots, Cholesky, products. */
import { forEachIndex, Nd } from '../support/nd';

export type Matrix = number[][];

/** The matrices of a batch, with the batch's shape. */
function matrices(x: Nd): { batch: number[]; list: Matrix[] } {
  const [m, n] = x.shape.slice(-2) as [number, number];
  const batch = x.shape.slice(0, -2);
  const list: Matrix[] = [];
  forEachIndex(batch, (index) =>
    list.push(
      Array.from({ length: m }, (_, i) =>
        Array.from({ length: n }, (_, j) => x.at([...index, i, j])),
      ),
    ),
  );
  return { batch, list };
}

/** Applies a function of one matrix to a batch; every result has the same shape. */
export function eachMatrix(
  x: Nd,
  shape: readonly number[],
  fn: (a: Matrix, index: number) => number[],
): Nd {
  const { batch, list } = matrices(x);
  return new Nd([...batch, ...shape], list.map(fn).flat());
}

/** Forward elimination with the largest pivot: the determinant, and what becomes of `b`. */
export function eliminate(a: Matrix, b: Matrix): { det: number; x: Matrix } {
  const n = a.length;
  const lu = a.map((row) => [...row]);
  const x = b.map((row) => [...row]);
  let det = 1;
  for (let k = 0; k < n; ++k) {
    let p = k;
    for (let i = k; i < n; ++i) {
      if (Math.abs(lu[i]?.[k] as number) > Math.abs(lu[p]?.[k] as number)) p = i;
    }
    if (p !== k) det = -det;
    [lu[k], lu[p]] = [lu[p] as number[], lu[k] as number[]];
    [x[k], x[p]] = [x[p] as number[], x[k] as number[]];
    const [pivot, solved] = [lu[k] as number[], x[k] as number[]];
    det *= pivot[k] as number;
    for (let i = 0; i < n; ++i) {
      if (i === k) continue;
      const factor = (lu[i]?.[k] as number) / (pivot[k] as number);
      lu[i] = (lu[i] as number[]).map((v, j) => v - factor * (pivot[j] as number));
      x[i] = (x[i] as number[]).map((v, j) => v - factor * (solved[j] as number));
    }
  }
  return { det, x: x.map((row, i) => row.map((v) => v / (lu[i]?.[i] as number))) };
}

export const identity = (n: number): Matrix =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));

export function inverseNd(a: Nd): Nd {
  return eachMatrix(a, a.shape.slice(-2), (m) => eliminate(m, identity(m.length)).x.flat());
}

export function detNd(a: Nd): Nd {
  return eachMatrix(a, [], (m) => [eliminate(m, identity(m.length)).det]);
}

export function choleskyNd(a: Nd, upper: boolean): Nd {
  return eachMatrix(a, a.shape.slice(-2), (m) => {
    const n = m.length;
    const l = identity(n).map((row) => row.map(() => 0));
    const at = (i: number, j: number): number => (upper ? m[j]?.[i] : m[i]?.[j]) as number;
    for (let j = 0; j < n; ++j) {
      for (let i = j; i < n; ++i) {
        let v = at(i, j);
        for (let k = 0; k < j; ++k) v -= (l[i]?.[k] as number) * (l[j]?.[k] as number);
        (l[i] as number[])[j] = i === j ? Math.sqrt(v) : v / (l[j]?.[j] as number);
      }
    }
    return l.flatMap((row, i) => row.map((v, j) => (upper ? (l[j]?.[i] as number) : v)));
  });
}

/** One triangle of a matrix; `unit`: with ones on its diagonal. */
export function triangleNd(a: Nd, upper: boolean, unit: boolean): Nd {
  return Nd.from(a.shape, (index, flat) => {
    const [i, j] = index.slice(-2) as [number, number];
    if (i === j && unit) return 1;
    return (upper ? i <= j : i >= j) ? (a.data[flat] as number) : 0;
  });
}
