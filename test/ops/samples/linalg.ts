/** Matrix products. */
import { normalCdf } from '../reference/special';
import { broadcastShapes, Nd, transposeNd } from '../support/nd';
import type { Family, OpSpec, Sample, Source } from '../support/sample';

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

/** x W^T + b over the last dimension. */
function linearNd(x: Nd, w: Nd, b?: unknown): Nd {
  const y = matmulNd(x, transposeNd(w, 0, 1));
  if (!(b instanceof Nd)) return y;
  return Nd.from(
    y.shape,
    (index, i) => (y.data[i] as number) + b.at([index[index.length - 1] as number]),
  );
}

/** Input, weights and biases of two layers, of sizes at which no sum grows large. */
function layers(
  s: Source,
  lead: readonly number[],
  [from, hidden, to]: readonly [number, number, number],
  biases: boolean,
): Sample['args'] {
  const small = { low: -1, high: 1 };
  const half = { low: -0.5, high: 0.5 };
  return [
    s.x([...lead, from], small),
    s.x([hidden, from], small),
    biases ? s.x([hidden], small) : null,
    s.x([to, hidden], half),
    biases ? s.x([to], half) : null,
  ];
}

const functions: Readonly<Record<string, (x: number) => number>> = {
  relu: (x) => (x > 0 ? x : x === x ? 0 : x),
  gelu: (x) => x * normalCdf(x),
  geluTanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  silu: (x) => x / (1 + Math.exp(-x)),
};

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
      { args: [s.x([2, 0]), s.x([3, 0]), s.x([3])] },
    ],
    reference: linearNd,
    skip: twoDim,
  },
  feedForward: {
    samples: (s) => [
      ...(['relu', 'gelu', 'geluTanh', 'silu'] as const).map((activation) => ({
        args: layers(s, [2], [3, 5, 4], true),
        options: { activation },
      })),
      // Widths that auxiliary matrices fit without padding, and one row.
      { args: layers(s, [4], [3, 8, 16], true), options: { activation: 'geluTanh' } },
      { args: layers(s, [], [3, 8, 2], false), options: { activation: 'gelu' } },
      { args: layers(s, [2, 2], [3, 8, 8], true) },
      { args: layers(s, [2, 1], [3, 1, 1], false), options: { activation: 'silu' } },
      { args: layers(s, [0], [3, 5, 4], true) },
      { args: layers(s, [2], [3, 0, 4], true) },
      { args: layers(s, [2], [0, 5, 4], true), options: { activation: 'gelu' } },
    ],
    // What the first layer gives is rounded before the second one adds it up.
    tolerance: { float16: [1e-3, 2e-3], bfloat16: [1.6e-2, 1.6e-2] },
    reference: ((x: Nd, w1: Nd, b1: unknown, w2: Nd, b2: unknown, o: { activation?: string }) => {
      const hidden = linearNd(x, w1, b1).map(functions[o.activation ?? 'relu'] as never);
      return linearNd(hidden, w2, b2);
    }) as never,
    skip: twoDim,
  },
  nativeFeedForward: { samples: () => [], coveredBy: 'feedForward' },
};
