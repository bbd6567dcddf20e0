/** Matrix products. */
import { broadcastShapes, Nd, transposeNd } from '../support/nd';
import type { Family, OpSpec, Source } from '../support/sample';

/** Product over the last two dimensions, batches broadcast; vectors as in NumPy. */
export function matmulNd(a: Nd, b: Nd): Nd {
  const left = a.ndim === 1 ? a.reshape([1, ...a.shape]) : a;
  const right = b.ndim === 1 ? b.reshape([...b.shape, 1]) : b;
  const [n, k] = left.shape.slice(-2) as [number, number];
  const m = right.shape[right.ndim - 1] as number;
  const batch = broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2));
  const pick = (x: Nd, index: number[], row: number, column: number): number => {
    const skip = batch.length - (x.ndim - 2);
    const at = x.shape
      .slice(0, -2)
      .map((size, d) => (size === 1 ? 0 : (index[d + skip] as number)));
    return x.at([...at, row, column]);
  };
  const full = Nd.from([...batch, n, m], (index) => {
    const [i, j] = index.slice(-2) as [number, number];
    let total = 0;
    for (let p = 0; p < k; ++p) total += pick(left, index, i, p) * pick(right, index, p, j);
    return total;
  });
  const shape = [...batch, ...(a.ndim === 1 ? [] : [n]), ...(b.ndim === 1 ? [] : [m])];
  return full.reshape(shape);
}

const twoDim = { zeroDim: 'matrices have two dimensions' } as const;

function product(
  pairs: readonly (readonly [number[], number[]])[],
  extra: Partial<OpSpec> = {},
): OpSpec {
  return {
    samples: (s: Source) =>
      pairs.map(([a, b]) => ({ args: [s.x(a, { ints: [-2, 2] }), s.x(b, { ints: [-2, 2] })] })),
    reference: matmulNd,
    special: false,
    skip: twoDim,
    ...extra,
  };
}

export const linalg: Family = {
  matmul: product([
    [
      [2, 3],
      [3, 4],
    ],
    [[3], [3]],
    [[3], [3, 2]],
    [[2, 3], [3]],
    [
      [2, 1, 2, 3],
      [3, 3, 2],
    ],
    [[4, 2, 3], [3]],
    [
      [2, 0],
      [0, 3],
    ],
    [
      [0, 2],
      [2, 3],
    ],
  ]),
  mm: product([
    [
      [2, 3],
      [3, 4],
    ],
    [
      [5, 7],
      [7, 5],
    ],
    [
      [0, 3],
      [3, 2],
    ],
    [
      [2, 0],
      [0, 2],
    ],
  ]),
  bmm: product([
    [
      [2, 2, 3],
      [2, 3, 4],
    ],
    [
      [0, 2, 3],
      [0, 3, 1],
    ],
    [
      [1, 2, 0],
      [1, 0, 2],
    ],
  ]),
  linear: {
    samples: (s) => [
      { args: [s.x([2, 3]), s.x([4, 3]), s.x([4])] },
      { args: [s.x([2, 3]), s.x([4, 3])] },
      { args: [s.x([3]), s.x([2, 3]), s.x([2])] },
      { args: [s.x([2, 3, 3]), s.x([2, 3]), s.x([2])] },
      { args: [s.x([0, 3]), s.x([2, 3]), s.x([2])] },
    ],
    reference: (x: Nd, w: Nd, b?: unknown) => {
      const y = matmulNd(x, transposeNd(w, 0, 1));
      if (!(b instanceof Nd)) return y;
      return Nd.from(
        y.shape,
        (index, i) => (y.data[i] as number) + b.at([index[index.length - 1] as number]),
      );
    },
    skip: twoDim,
  },
};
