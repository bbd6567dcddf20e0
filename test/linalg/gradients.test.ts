/**
 * Gradients that the table-driven tests cannot see: of ops that read one triangle of a symmetric
 * matrix, and of determinants of singular matrices.
 */
import {
  choleskyInverse,
  choleskySolve,
  grad,
  linalg,
  type Tensor,
  tensor,
  zeros,
} from '../../lib';
import { definite, regular } from '../ops/samples/linalgDense';
import { checkFirstOrder, checkSecondOrder, type Fn } from '../ops/support/gradient';
import { expectNoLeaks } from '../ops/support/leaks';
import { Nd } from '../ops/support/nd';
import { Source } from '../ops/support/sample';

expectNoLeaks();

const source = new Source(7);
const point = (make: typeof regular, ...shape: number[]): Nd => {
  const input = make(source, shape);
  return new Nd(input.shape, input.floats);
};
const symmetric = (a: Tensor): Tensor => a.add(a.mT).mul(0.5);
const first = (list: readonly Tensor[]): Tensor => list[0] as Tensor;

// Differences of its gradient are too rough: beside a singular matrix stand ill-conditioned ones.
const firstOnly = 'det of a singular matrix';

const cases: Readonly<Record<string, readonly [Fn, Nd[]]>> = {
  'cholesky, lower': [(x) => [linalg.cholesky(symmetric(first(x)))], [point(definite, 2, 3, 3)]],
  'cholesky, upper': [
    (x) => [linalg.cholesky(symmetric(first(x)), { upper: true })],
    [point(definite, 3, 3)],
  ],
  choleskySolve: [
    ([b, l]) => [choleskySolve(b as Tensor, (l as Tensor).tril())],
    [point(regular, 3, 2), point(regular, 3, 3)],
  ],
  'choleskySolve, upper': [
    ([b, l]) => [choleskySolve(b as Tensor, (l as Tensor).triu(), true)],
    [point(regular, 3, 2), point(regular, 2, 3, 3)],
  ],
  choleskyInverse: [(x) => [choleskyInverse(first(x).tril())], [point(regular, 3, 3)]],
  'eigh, values and squared vectors': [
    (x) => {
      const [w, v] = linalg.eigh(symmetric(first(x)));
      return [w, v.square()];
    },
    [point(definite, 2, 3, 3)],
  ],
  'eigh, upper': [
    (x) => [linalg.eigh(symmetric(first(x)), { UPLO: 'U' }).eigenvectors.abs()],
    [point(definite, 3, 3)],
  ],
  eigvalsh: [(x) => [linalg.eigvalsh(symmetric(first(x)))], [point(definite, 2, 3, 3)]],
  'pinv of symmetric matrices': [
    (x) => [linalg.pinv(symmetric(first(x)), { hermitian: true })],
    [point(definite, 3, 3)],
  ],
  [firstOnly]: [
    (x) => [linalg.det(first(x))],
    [new Nd([2, 3, 3], [2, 0, 1, 1, 3, 0, 3, 3, 1, 2, 1, 0, 1, 3, 1, 0, 1, 4])],
  ],
  'det of rank n - 1, diagonal': [
    (x) => [linalg.det(first(x))],
    [new Nd([3, 3], [2, 0, 0, 0, 0, 0, 0, 0, 3])],
  ],
};

describe.each(Object.entries(cases))('%s', (name, [fn, points]) => {
  test('first order', () => checkFirstOrder(fn, points, name));
  if (name !== firstOnly) test('second order', () => checkSecondOrder(fn, points, name));
});

test('a determinant that vanishes in all minors has gradient zero', () => {
  const a = zeros([2, 2]).requiresGrad_();
  expect(grad([linalg.det(a)], [a])[0]?.toArray()).toEqual([
    [0, 0],
    [0, 0],
  ]);
});

describe('what has no derivative says so', () => {
  const a = (): Tensor =>
    tensor(
      [
        [1, 2],
        [3, 4],
        [5, 7],
      ],
      { dtype: 'float64' },
    ).requiresGrad_();

  test("qr with mode 'r' and of tall matrices with mode 'complete'", () => {
    const x = a();
    const triangular = linalg.qr(x, { mode: 'r' }).R.sum();
    expect(() => grad([triangular], [x])).toThrow(
      expect.objectContaining({ code: 'ERR_AUTOGRAD' }),
    );
    const complete = linalg.qr(x, { mode: 'complete' }).Q.sum();
    expect(() => grad([complete], [x])).toThrow(expect.objectContaining({ code: 'ERR_AUTOGRAD' }));
  });

  test('ranks', () => expect(linalg.matrixRank(a()).requiresGrad).toBe(false));
});
