/** QR factorisation by Householder reflections, as far as initialisation needs it. */
import { eye, matmul } from '../ops.gen';
import type { Tensor } from '../tensor';

/**
 * The factor Q [m, n] of a matrix [m, n], m >= n, with the signs that make the diagonal of R
 * positive: then Q of a normal matrix is uniformly distributed. Golub & Van Loan, algorithm 5.2.1.
 */
export function householderQ(a: Tensor): Tensor {
  const [m = 0, n = 0] = a.shape;
  const r = a.clone();
  const reflectors: Tensor[] = [];
  const signs: number[] = [];
  for (let k = 0; k < n; ++k) {
    const block = r.narrow(0, k, m - k).narrow(1, k, n - k);
    const v = block.narrow(1, 0, 1).clone();
    const head = v.get(0, 0).item();
    const norm = v.mul(v).sum().item() ** 0.5;
    const sign = head < 0 ? -1 : 1;
    signs.push(-sign);
    if (norm > 0) {
      v.get(0, 0).add_(sign * norm);
      v.div_(v.mul(v).sum().item() ** 0.5);
    }
    reflectors.push(v);
    reflect(block, v);
  }
  const q = eye(m, n, { dtype: a.dtype, device: a.device });
  for (let k = n - 1; k >= 0; --k) {
    reflect(q.narrow(0, k, m - k).narrow(1, k, n - k), reflectors[k] as Tensor);
  }
  signs.forEach((sign, k) => {
    if (sign < 0) q.select(1, k).neg_();
  });
  return q;
}

/** block -= 2 v (v^T block) */
function reflect(block: Tensor, v: Tensor): void {
  block.sub_(matmul(v, matmul(v.t(), block)), { alpha: 2 });
}
