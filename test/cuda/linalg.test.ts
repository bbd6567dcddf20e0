/** Dense linear algebra on the device, in sizes of several columns a warp and blocks of each size. */
import { cholesky, eye, linalg, luUnpack, manualSeed, randn, type Tensor } from '../../lib';
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
      agree((a, y) => linalg.solveTriangular(a.triu(), y, { upper: true } as object), [x, b], 1e-4);
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
});
