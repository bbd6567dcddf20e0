/** Sampling at the points of a grid, and the grids of affine maps, one element at a time. */
import { forEachIndex, Nd } from '../support/nd';

interface GridOptions {
  readonly mode?: string;
  readonly paddingMode?: string;
  readonly alignCorners?: boolean;
}

/** Mirrors a position until it lies between the bounds. */
function mirrored(at: number, low: number, high: number): number {
  if (high === low) return low;
  let x = at;
  while (x < low || x > high) x = x < low ? 2 * low - x : 2 * high - x;
  return x;
}

function padded(at: number, n: number, o: GridOptions): number {
  if ((o.paddingMode ?? 'zeros') === 'zeros') return at;
  const edge = o.alignCorners === true ? 0 : 0.5;
  const x = o.paddingMode === 'reflection' ? mirrored(at, -edge, n - 1 + edge) : at;
  return Math.min(Math.max(x, 0), n - 1);
}

function cubic(x: number): number {
  const d = Math.abs(x);
  if (d <= 1) return 1.25 * d ** 3 - 2.25 * d ** 2 + 1;
  return d < 2 ? -0.75 * (d ** 3 - 5 * d ** 2 + 8 * d - 4) : 0;
}

/** Rounds halves to even. */
function rounded(x: number): number {
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** Pairs of element and weight along one dimension. */
function taps(coordinate: number, n: number, o: GridOptions): [number, number][] {
  const span = o.alignCorners === true ? n - 1 : n;
  const at = ((coordinate + 1) * span) / 2 - (o.alignCorners === true ? 0 : 0.5);
  const base = Math.floor(at);
  if (o.mode === 'bicubic') {
    return [-1, 0, 1, 2].map((i) => [padded(base + i, n, o), cubic(at - base - i)]);
  }
  const x = padded(at, n, o);
  if (o.mode === 'nearest') return [[rounded(x), 1]];
  const first = Math.floor(x);
  return [
    [first, 1 - (x - first)],
    [first + 1, x - first],
  ];
}

export function gridSample(x: Nd, grid: Nd, o: GridOptions): Nd {
  const spatial = x.shape.slice(2);
  const shape = [...x.shape.slice(0, 2), ...grid.shape.slice(1, -1)];
  return Nd.from(shape, ([n, c, ...place]) => {
    const along = spatial.map((size, d) => {
      const index = [n as number, ...place, spatial.length - 1 - d];
      return taps(grid.at(index), size, o);
    });
    let sum = 0;
    forEachIndex(
      along.map((t) => t.length),
      (choice) => {
        const chosen = choice.map((k, d) => (along[d] as [number, number][])[k]);
        const at = chosen.map((t) => (t as [number, number])[0]);
        if (at.some((v, d) => !(v >= 0 && v < (spatial[d] as number)))) return;
        const weight = chosen.reduce((w, t) => w * (t as [number, number])[1], 1);
        sum += weight * x.at([n as number, c as number, ...at]);
      },
    );
    return sum;
  });
}

export function affineGrid(
  theta: Nd,
  size: readonly number[],
  o: { readonly alignCorners?: boolean },
): Nd {
  const spatial = size.slice(2);
  const dims = spatial.length;
  return Nd.from([size[0] as number, ...spatial, dims], (index) => {
    const [n, row] = [index[0] as number, index[dims + 1] as number];
    const point = spatial.map((count, d) => {
      if (count === 1) return 0;
      const place = -1 + (2 * (index[d + 1] as number)) / (count - 1);
      return o.alignCorners === true ? place : (place * (count - 1)) / count;
    });
    return [...point.reverse(), 1].reduce((sum, v, k) => sum + v * theta.at([n, row, k]), 0);
  });
}
