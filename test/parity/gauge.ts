/**
 * Compares factorizations whose vectors are determined up to a sign or a rotation: the values that
 * are unique as they are, the vectors through what they must satisfy.
 */
import { linalg, Tensor } from '../../lib';
import { toNd } from '../ops/support/run';

export class GaugeMismatch extends Error {}

/** The tolerance of a product of matrices relative to its largest element. */
const slack: Readonly<Record<string, number>> = { float32: 2e-5, float64: 1e-12 };

function near(actual: Tensor, expected: Tensor, what: string): void {
  const [a, e] = [toNd(actual), toNd(expected)];
  if (a.shape.join() !== e.shape.join()) {
    throw new GaugeMismatch(`${what}: shape [${a.shape.join()}], expected [${e.shape.join()}]`);
  }
  const scale = Math.max(1, ...e.data.map(Math.abs));
  const limit = (slack[actual.dtype] ?? 0) * scale;
  a.data.forEach((v, i) => {
    const want = e.data[i] as number;
    if (Math.abs(v - want) <= limit) return;
    throw new GaugeMismatch(
      `${what}: element ${String(i)} is ${String(v)}, expected ${String(want)}`,
    );
  });
}

function sameKind(actual: unknown, expected: Tensor, what: string): asserts actual is Tensor {
  if (!(actual instanceof Tensor)) throw new GaugeMismatch(`${what}: not a Tensor`);
  const [got, want] = [actual, expected].map((t) => `${t.dtype}[${t.shape.join()}]`);
  if (got !== want) throw new GaugeMismatch(`${what}: ${String(got)}, expected ${String(want)}`);
}

function identityLike(gram: Tensor): Tensor {
  return linalg.matrixPower(gram, 0);
}

/** The columns of q are orthonormal. */
function orthonormal(q: Tensor, what: string): void {
  if (q.numel() === 0) return;
  const gram = q.mT.matmul(q);
  near(gram, identityLike(gram), `${what}' ${what}`);
}

function checkSvd(input: Tensor, [u, s, vh]: Tensor[]): void {
  if (u === undefined || s === undefined || vh === undefined) return;
  const k = s.size(-1);
  const [left, right] = [u.narrow(-1, 0, k), vh.narrow(-2, 0, k)];
  near(left.mul(s.unsqueeze(-2)).matmul(right), input, 'U diag(S) Vh');
  orthonormal(u, 'U');
  orthonormal(vh.mT, 'V');
}

/** The symmetric matrix that eigh reads from one triangle. */
function symmetric(a: Tensor, uplo: string): Tensor {
  const strict = uplo === 'U' ? a.triu(1) : a.tril(-1);
  return strict.add(strict.mT).add(a.diagonal(0, -2, -1).diagEmbed());
}

function checkEigh(input: Tensor, [w, v]: Tensor[]): void {
  if (w === undefined || v === undefined) return;
  near(v.mul(w.unsqueeze(-2)).matmul(v.mT), input, 'V diag(w) V');
  orthonormal(v, 'V');
}

function checkQr(input: Tensor, [q, r]: Tensor[], expected: readonly Tensor[]): void {
  if (q === undefined || r === undefined) return;
  near(r.triu(), r, 'R');
  near(r.abs(), (expected[1] as Tensor).abs(), '|R|');
  if (q.numel() === 0) return; // mode 'r' has no Q
  near(q.matmul(r), input, 'Q R');
  orthonormal(q, 'Q');
}

export type GaugeCheck = 'svd' | 'eigh' | 'qr';

/**
 * Throws GaugeMismatch unless the factors belong to the input and the expected factors have the
 * same shapes, dtypes and unique values (which `compareValues` checks).
 */
export function compareFactors(
  check: GaugeCheck,
  input: Tensor,
  actual: readonly unknown[],
  expected: readonly Tensor[],
  uplo: string,
  compareValues: (actual: Tensor, expected: Tensor) => void,
): void {
  if (actual.length !== expected.length) throw new GaugeMismatch('wrong number of factors');
  const factors = expected.map((e, i) => {
    sameKind(actual[i], e, `output[${String(i)}]`);
    return (actual[i] as Tensor).detach();
  });
  const a = input.detach();
  if (check === 'qr') return void checkQr(a, factors, expected);
  const values = check === 'svd' ? 1 : 0;
  compareValues(factors[values] as Tensor, expected[values] as Tensor);
  if (check === 'svd') checkSvd(a, factors);
  else checkEigh(symmetric(a, uplo), factors);
}
