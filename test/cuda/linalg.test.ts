/** Dense linear algebra on the device, in sizes of several columns a warp and blocks of each size. */
import { cholesky, eye, linalg, luUnpack, manualSeed, randn, type Tensor, tensor } from '../../lib';
import { agree } from './agree';
import { suite } from './suite';

/** Well-conditioned. */
function regular(shape: number[]): Tensor {
  const x = randn(shape);
  const n = Math.min(...shape.slice(-2));
  const d = x.diagonal(0, -2, -1);
  d.copy_(d.add(2 * Math.sqrt(n)));
  return x;
}

function expectEqual(got: Tensor, wanted: Tensor, bound: number): void {
  const scale = wanted.abs().amax().item() as number;
  expect(got.cpu().sub(wanted).abs().amax().item() as number).toBeLessThanOrEqual(bound * scale);
}

suite('linear algebra on device cuda', () => {
  beforeEach(() => manualSeed(5));

  test('factorizations and solves', () => {
    for (const n of [1, 5, 20, 40]) {
      const x = regular([2, n, n]);
      const b = randn([2, n, 3]);
      agree((a, y) => linalg.solve(a, y), [x, b], 1e-4);
      agree((a, y) => linalg.solve(a.mT, y), [x, b], 1e-4);
      agree((a) => linalg.inv(a), [x], 1e-4);
      agree((a) => linalg.det(a.div(2 * Math.sqrt(n))), [x], 1e-4);
      agree(
        (a) => {
          const [lu, pivots] = linalg.luFactor(a);
          return luUnpack(lu, pivots);
        },
        [x],
        1e-4,
      );
      const definite = x.matmul(x.mT);
      agree((a) => cholesky(a), [definite], 1e-4);
      agree((a) => linalg.cholesky(a, { upper: true }), [definite], 1e-4);
      agree((a, y) => linalg.solveTriangular(a.triu(), y, { upper: true }), [x, b], 1e-4);
      agree((a) => linalg.qr(a, 'complete'), [x], 1e-4);
    }
    agree((a) => linalg.qr(a), [randn([37, 9])], 1e-4);
    agree((a) => linalg.qr(a, 'complete'), [randn([9, 17])], 1e-4);
    expect(() => linalg.inv(randn([3, 3]).mul(0).cuda())).toThrow(/singular/);
    expect(() => cholesky(randn([3, 3]).mul(0).sub(1).cuda())).toThrow(/positive-definite/);
  });

  test('eigenvalues and singular values', () => {
    for (const [m, n] of [
      [1, 1],
      [6, 6],
      [21, 13],
      [13, 40],
    ] as const) {
      const x = randn([2, m, n]);
      agree((a) => linalg.svdvals(a), [x], 1e-5);
      for (const fullMatrices of [false, true]) {
        const [u, s, vh] = linalg.svd(x.cuda(), fullMatrices);
        const k = s.shape[1]!;
        expectEqual(
          u
            .narrow(2, 0, k)
            .mul(s.unsqueeze(1))
            .matmul(vh.narrow(1, 0, k)),
          x,
          1e-5,
        );
        for (const q of [u.cpu(), vh.cpu().mT]) {
          const gram = q.mT.matmul(q);
          expectEqual(gram, eye(q.shape[2]!), 1e-5);
        }
      }
      const h = x.mT.matmul(x);
      agree((a) => linalg.eigvalsh(a), [h], 1e-5);
      const [w, v] = linalg.eigh(h.cuda());
      expectEqual(v.mul(w.unsqueeze(1)).matmul(v.mT), h, 1e-5);
    }
  });

  test('matrices of less than full rank, and not finite ones', () => {
    const x = randn([12, 3]).matmul(randn([3, 8]));
    const [u, s, vh] = linalg.svd(x.cuda());
    expectEqual(u.narrow(1, 0, 8).mul(s).matmul(vh), x, 1e-5);
    expectEqual(u.cpu().t().matmul(u.cpu()), eye(12), 1e-5);
    agree((a) => linalg.pinv(a, { rtol: 1e-4 }), [x.double()], 1e-8);
    // Columns that differ by rounding only.
    const outer = randn([5, 1])
      .double()
      .matmul(randn([1, 5]).double());
    agree((a) => linalg.svdvals(linalg.qr(a)[1]), [outer], 1e-12);
    expect(() => linalg.svdvals(x.mul(NaN).cuda())).toThrow(/non-finite/);
    agree(
      (a) => {
        const y = a.detach().requiresGrad_();
        const [p, q, r] = linalg.svd(y, false);
        p.mul(q).matmul(r).pow(3).sum().backward();
        return y.grad!;
      },
      [randn([6, 4]).double()],
      1e-9,
    );
  });

  const drivers = ['gels', 'gelsy', 'gelsd', 'gelss'] as const;
  test.each(drivers)('least squares by %s, tall and wide', (driver) => {
    for (const [m, n, sides] of [
      [1, 1, 1],
      [6, 3, 2],
      [3, 6, 2],
      [20, 20, 3],
      [70, 11, 5],
      [12, 40, 4],
    ] as const) {
      const f = (a: Tensor, b: Tensor): Tensor[] => linalg.lstsq(a, b, { driver });
      agree(f, [regular([2, m, n]), randn([2, m, sides])], 1e-4);
      agree(f, [regular([2, m, n]).double(), randn([2, m, sides]).double()], 1e-11);
    }
    agree((a, b) => linalg.lstsq(a, b, { driver }), [randn([5, 3]).mul(0), randn([5, 2])]);
    agree((a, b) => linalg.lstsq(a, b, { driver }), [regular([2, 7, 4]), randn([2, 7])], 1e-4);
    const x = randn([4, 3]).mul(NaN).cuda();
    expect(() => linalg.lstsq(x, randn([4, 1]).cuda(), { driver })).toThrow(/non-finite/);
  });

  test.each(['gelsy', 'gelsd', 'gelss'] as const)(
    'the shortest solution of a matrix without full rank by %s',
    (driver) => {
      for (const [m, n, rank] of [
        [9, 6, 4],
        [6, 9, 4],
        [40, 30, 7],
        [5, 5, 1],
      ] as const) {
        const a = randn([m, rank])
          .double()
          .matmul(randn([rank, n]).double());
        const f = (x: Tensor, b: Tensor): Tensor[] => linalg.lstsq(x, b, { driver, rcond: 1e-10 });
        agree(f, [a, randn([m, 2]).double()], 1e-9);
        expect(linalg.lstsq(a.cuda(), a.cuda(), { driver, rcond: 1e-10 }).rank.item()).toBe(rank);
      }
    },
  );

  test('the rank depends on rcond, as on the CPU', () => {
    const q = linalg.qr(randn([8, 8]).double())[0];
    const p = linalg.qr(randn([8, 8]).double())[0];
    const values = tensor([1, 1e-1, 1e-3, 1e-4, 1e-7, 1e-9, 1e-12, 1e-15], { dtype: 'float64' });
    const a = q.mul(values).matmul(p);
    const b = randn([8, 1]).double();
    for (const driver of ['gelsy', 'gelsd', 'gelss'] as const) {
      for (const rcond of [3e-2, 1e-5, 1e-8, 1e-13]) {
        const rank = (x: Tensor): Tensor => linalg.lstsq(x, b.to(x.device), { driver, rcond }).rank;
        agree(rank, [a]);
      }
    }
  });

  test('gels names a column that is zero', () => {
    const a = randn([5, 3]);
    a.select(1, 1).zero_();
    for (const x of [a, a.t().contiguous()]) {
      const b = randn([x.shape[0]!, 1]);
      for (const device of ['cpu', 'cuda'] as const) {
        expect(() => linalg.lstsq(x.to(device), b.to(device), { driver: 'gels' })).toThrow(
          /does not have full rank \(error code: 2\)/,
        );
      }
    }
  });
});
