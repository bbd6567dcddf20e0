/** Losses over rows: margins, embeddings, label sequences. */
import { elementwise, Nd } from '../support/nd';
import { reduceLoss } from './losses';

export interface RowLossOptions {
  readonly reduction?: string;
  readonly margin?: number;
  readonly weight?: Nd;
  readonly p?: number;
  readonly eps?: number;
  readonly swap?: boolean;
  readonly blank?: number;
  readonly zeroInfinity?: boolean;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

/** The last dimension as plain rows; a vector is one row. */
function rowsOf(x: Nd): number[][] {
  const width = x.shape[x.ndim - 1] ?? 1;
  const count = x.ndim === 0 ? 1 : width === 0 ? 0 : x.data.length / width;
  return Array.from({ length: count }, (_, i) => x.data.slice(i * width, (i + 1) * width));
}

/** One loss for each row, in the shape that is left without the last dimension. */
function perRow(x: Nd, fn: (row: number[], i: number) => number, reduction?: string): Nd {
  return reduceLoss(new Nd(x.shape.slice(0, -1), rowsOf(x).map(fn)), reduction);
}

export function cosineEmbeddingLoss(a: Nd, b: Nd, target: Nd, options: RowLossOptions): Nd {
  const { margin = 0, reduction } = options;
  const others = rowsOf(b);
  return perRow(
    a,
    (row, i) => {
      const other = others[i] as number[];
      const dot = sum(row.map((v, k) => v * (other[k] as number)));
      const squares = [row, other].map((r) => sum(r.map((v) => v * v)) + 1e-12);
      const cosine = dot / Math.sqrt((squares[0] as number) * (squares[1] as number));
      const y = target.data[i];
      return y === 1 ? 1 - cosine : y === -1 ? Math.max(0, cosine - margin) : 0;
    },
    reduction,
  );
}

export function multiMarginLoss(x: Nd, target: Nd, options: RowLossOptions): Nd {
  const { p = 1, margin = 1, weight, reduction } = options;
  return perRow(
    x,
    (row, i) => {
      const y = target.data[i] as number;
      const terms = row.map((v, c) =>
        c === y ? 0 : Math.max(0, margin - (row[y] as number) + v) ** p,
      );
      return ((weight?.data[y] ?? 1) * sum(terms)) / row.length;
    },
    reduction,
  );
}

export function multilabelMarginLoss(x: Nd, target: Nd, options: RowLossOptions): Nd {
  const labels = rowsOf(target);
  return perRow(
    x,
    (row, i) => {
      const all = labels[i] as number[];
      const end = all.findIndex((v) => v < 0);
      const mine = end < 0 ? all : all.slice(0, end);
      const others = row.filter((_, c) => !mine.includes(c));
      const terms = mine.flatMap((y) => others.map((v) => Math.max(0, 1 - (row[y] as number) + v)));
      return sum(terms) / row.length;
    },
    options.reduction,
  );
}

export function multilabelSoftMarginLoss(x: Nd, y: Nd, options: RowLossOptions): Nd {
  const terms = elementwise(
    (v, t, w) => -w * (t * Math.log(sigmoid(v)) + (1 - t) * Math.log(sigmoid(-v))),
    x,
    y,
    options.weight ?? 1,
  );
  return perRow(terms, (row) => sum(row) / row.length, options.reduction);
}

export function tripletMarginLoss(a: Nd, near: Nd, far: Nd, options: RowLossOptions): Nd {
  const { margin = 1, p = 2, eps = 1e-6, swap = false, reduction } = options;
  const [x, y, z] = [a, near, far].map(rowsOf) as [number[][], number[][], number[][]];
  const distance = (u: number[], v: number[]): number => {
    const d = u.map((e, k) => Math.abs(e - (v[k] as number) + eps));
    return p === Infinity ? Math.max(...d) : sum(d.map((e) => e ** p)) ** (1 / p);
  };
  return perRow(
    a,
    (_, i) => {
      const [anchor, positive, negative] = [x[i], y[i], z[i]] as [number[], number[], number[]];
      const direct = distance(anchor, negative);
      const away = swap ? Math.min(direct, distance(positive, negative)) : direct;
      return Math.max(0, distance(anchor, positive) - away + margin);
    },
    reduction,
  );
}

/** What is left of a path when repeats and then blanks go. */
function collapse(path: readonly number[], blank: number): string {
  return path.filter((c, t) => c !== blank && c !== path[t - 1]).join();
}

/** Every path of `time` steps through `classes` classes. */
function paths(time: number, classes: number): number[][] {
  if (time === 0) return [[]];
  return paths(time - 1, classes).flatMap((head) =>
    Array.from({ length: classes }, (_, c) => [...head, c]),
  );
}

/** Adds up the probability of every path that reads as the target: only for tiny inputs. */
export function ctcLoss(
  logProbs: Nd,
  targets: Nd,
  inputLengths: Nd,
  targetLengths: Nd,
  options: RowLossOptions,
): Nd {
  const { blank = 0, reduction = 'mean', zeroInfinity = false } = options;
  const batched = logProbs.ndim === 3;
  const classes = logProbs.shape[logProbs.ndim - 1] as number;
  let used = 0;
  const losses = inputLengths.data.map((time, n) => {
    const length = targetLengths.data[n] as number;
    const start = targets.ndim === 2 ? n * (targets.shape[1] as number) : used;
    used += length;
    const wanted = targets.data.slice(start, start + length).join();
    const likelihood = paths(time, classes)
      .filter((path) => collapse(path, blank) === wanted)
      .map((path) => Math.exp(sum(path.map((c, t) => logProbs.at(batched ? [t, n, c] : [t, c])))));
    const loss = -Math.log(sum(likelihood));
    return zeroInfinity && loss === Infinity ? 0 : loss;
  });
  if (reduction === 'none') return new Nd(inputLengths.shape, losses);
  const perLabel = losses.map((v, n) => v / Math.max(1, targetLengths.data[n] as number));
  return reduceLoss(new Nd([losses.length], reduction === 'mean' ? perLabel : losses), reduction);
}
