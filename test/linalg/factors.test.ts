/** Factorizations put together again, errors of matrices that have none, threads, batches. */
import {
  getNumThreads,
  linalg,
  lu,
  manualSeed,
  norm,
  randn,
  setNumThreads,
  svd,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';
import { expectClose } from '../ops/support/compare';
import { expectNoLeaks } from '../ops/support/leaks';
import { bits, toNd } from '../ops/support/run';

expectNoLeaks();

const dtypes = ['float32', 'float64'] as const;
type Real = (typeof dtypes)[number];

const tolerance = { float32: [0, 5e-5], float64: [0, 1e-12] } as const;

function random(shape: readonly number[], dtype: Real): Tensor {
  manualSeed(shape.length + shape.reduce((a, b) => a + b, 0));
  return randn([...shape], { dtype });
}

function near(actual: Tensor, expected: Tensor, what: string): void {
  expect(actual.dtype).toBe(expected.dtype);
  expectClose(toNd(actual), toNd(expected), tolerance[actual.dtype as Real], what);
}

function orthonormal(q: Tensor): void {
  const gram = q.mT.matmul(q);
  near(gram, linalg.matrixPower(gram, 0), "Q' Q");
}

const shapes = [
  [4, 4],
  [3, 5, 2],
  [2, 2, 2, 5],
  [1, 1],
  [40, 30],
];

describe.each(dtypes)('%s', (dtype) => {
  describe.each(shapes)('of %j', (...shape) => {
    const a = (): Tensor => random(shape, dtype);

    test('svd', () => {
      const x = a();
      const [u, s, vh] = linalg.svd(x, { fullMatrices: false });
      near(u.mul(s.unsqueeze(-2)).matmul(vh), x, 'U S Vh');
      orthonormal(u);
      orthonormal(vh.mT);
      near(linalg.svdvals(x), s, 'svdvals');
      const [fullU, , fullVh] = linalg.svd(x);
      orthonormal(fullU);
      orthonormal(fullVh);
      const [, , v] = svd(x);
      near(v.mT, vh, 'torch.svd');
    });

    test.each(['reduced', 'complete'])('qr, %s', (mode) => {
      const x = a();
      const [q, r] = linalg.qr(x, { mode });
      near(q.matmul(r), x, 'Q R');
      near(r.triu(), r, 'R');
      orthonormal(q);
    });

    test('lu', () => {
      const x = a();
      const [p, l, u] = linalg.lu(x);
      near(p.matmul(l).matmul(u), x, 'P L U');
      near(l.tril(), l, 'L');
      near(u.triu(), u, 'U');
    });

    test('pinv', () => {
      const x = a();
      const p = linalg.pinv(x);
      near(x.matmul(p).matmul(x), x, 'A P A');
    });

    test('eigh and cholesky', () => {
      const x = a();
      const s = x.matmul(x.mT);
      const [w, v] = linalg.eigh(s);
      near(v.mul(w.unsqueeze(-2)).matmul(v.mT).div(10), s.div(10), "V w V'");
      near(linalg.eigvalsh(s).div(10), w.div(10), 'eigvalsh');
      const regular = s.add(linalg.matrixPower(s, 0));
      const l = linalg.cholesky(regular);
      near(l.matmul(l.mT).div(10), regular.div(10), "L L'");
    });
  });

  test.each(['gels', 'gelsy', 'gelsd', 'gelss'])('least squares by %s', (driver) => {
    const a = random([2, 6, 3], dtype);
    const b = random([2, 6, 2], dtype);
    const { solution } = linalg.lstsq(a, b, { driver });
    near(a.mT.matmul(a.matmul(solution)), a.mT.matmul(b), 'normal equations');
  });

  test('the exponential of a skew matrix is a rotation', () => {
    const skew = tensor(
      [
        [0, -20],
        [20, 0],
      ],
      { dtype },
    );
    const [c, s] = [Math.cos(20), Math.sin(20)];
    const rotation = tensor(
      [
        [c, -s],
        [s, c],
      ],
      { dtype },
    );
    near(linalg.matrixExp(skew), rotation, 'exp');
  });
});

describe('matrices without a factorization', () => {
  const flat = (): Tensor => zeros([2, 2]);
  const code = 'ERR_LINALG';
  const named = (pattern: RegExp): Error =>
    expect.objectContaining({
      code,
      message: expect.stringMatching(pattern) as string,
    }) as Error;

  test('are named by their place in the batch', () => {
    expect(() => linalg.inv(flat())).toThrow(named(/linalg\.inv: The diagonal element 1 is zero/));
    const batch = zeros([2, 2, 2]);
    batch.get(0).copy_(linalg.matrixPower(flat(), 0));
    expect(() => linalg.inv(batch)).toThrow(named(/\(Batch element 1\)/));
    expect(() => linalg.solve(flat(), zeros([2]))).toThrow(named(/singular/));
    expect(() => linalg.cholesky(flat())).toThrow(named(/leading minor of order 1/));
    expect(() => linalg.luFactor(flat())).toThrow(named(/U\[1,1\] is zero/));
    expect(() => lu(flat())).toThrow(named(/U\[1,1\] is zero/));
    expect(() => linalg.svd(flat().fill_(NaN))).toThrow(named(/non-finite/));
  });

  test('are reported by the Ex forms', () => {
    expect(linalg.invEx(flat()).info.item()).toBe(1);
    expect(linalg.choleskyEx(flat()).info.item()).toBe(1);
    expect(linalg.solveEx(flat(), zeros([2])).info.item()).toBe(1);
    expect(lu(flat(), { getInfos: true })[2]?.item()).toBe(1);
    expect(linalg.cond(flat(), 1).item()).toBe(Infinity);
    expect(linalg.det(flat()).item()).toBe(0);
    expect(linalg.slogdet(flat()).logabsdet.item()).toBe(-Infinity);
  });
});

test('wrong shapes and dtypes', () => {
  const shape = expect.objectContaining({ code: 'ERR_SHAPE' }) as Error;
  const dtype = expect.objectContaining({ code: 'ERR_DTYPE' }) as Error;
  expect(() => linalg.inv(zeros([2, 3]))).toThrow(shape);
  expect(() => linalg.inv(zeros([3]))).toThrow(shape);
  expect(() => linalg.solve(zeros([2, 2]), zeros([3, 1]))).toThrow(shape);
  expect(() => linalg.inv(zeros([2, 2], { dtype: 'float16' }))).toThrow(dtype);
  expect(() => linalg.svd(zeros([2, 2], { dtype: 'int64' }))).toThrow(dtype);
  expect(() => linalg.solve(zeros([2, 2]), zeros([2], { dtype: 'float64' }))).toThrow(dtype);
});

test('the number of threads does not change a bit', () => {
  const before = getNumThreads();
  const a = random([64, 12, 12], 'float32');
  const run = (threads: number): string[] => {
    setNumThreads(threads);
    return [linalg.inv(a), ...linalg.svd(a), ...linalg.qr(a), linalg.pinv(a)].map(bits);
  };
  try {
    expect(run(4)).toEqual(run(1));
  } finally {
    setNumThreads(before);
  }
});

test('norm knows the nuclear norm', () => {
  const a = random([3, 4], 'float64');
  near(norm(a, 'nuc'), linalg.svdvals(a).sum(), 'nuc');
});

test('every matrix of a large batch is solved with several threads', () => {
  const threads = getNumThreads();
  setNumThreads(4);
  const n = 24;
  const x = random([2000, n, n], 'float32');
  x.diagonal(0, -2, -1).add_(2 * Math.sqrt(n));
  const b = random([2000, n, 3], 'float32');
  const residual = x.matmul(linalg.solve(x, b)).sub(b).abs().amax();
  setNumThreads(threads);
  expect(residual.item() as number).toBeLessThan(1e-4);
});
