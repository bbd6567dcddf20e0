// Derivatives of Cholesky and LU factorizations, linear systems, determinants and the matrix
// exponential. g: gradient of the output; M' stands for the transpose of M.
#include "autograd/derivative.h"
#include "autograd/grad_mode.h"

namespace ampgrad::derivatives {

namespace {

Tensor mt(const Tensor& x) { return ops::transpose(x, int64_t{-2}, int64_t{-1}); }

Tensor solve_lower(const Tensor& a, const Tensor& b, bool left, bool unit = false) {
  return ops::linalgSolveTriangular(a, b, false, left, unit);
}

Tensor solve_upper(const Tensor& a, const Tensor& b, bool left, bool unit = false) {
  return ops::linalgSolveTriangular(a, b, true, left, unit);
}

Tensor strict_tril(const Tensor& x) { return ops::tril(x, int64_t{-1}); }

Tensor diagonal_of(const Tensor& x) {
  return ops::diagonal(x, int64_t{0}, int64_t{-2}, int64_t{-1});
}

// One multiple of the identity a matrix.
Tensor scaled_identity(const Tensor& scale, int64_t n) {
  Dims sizes = scale.sizes();
  sizes.push_back(n);
  return ops::diagEmbed(ops::expand(ops::unsqueeze(scale, int64_t{-1}), sizes));
}

// A = L L'. With S the symmetric matrix of half of tril(L' g): gA = inv(L)' S inv(L).
void cholesky_backward(Backward& b) {
  b.set(0, [&] {
    const bool upper = b.attr<bool>(1);
    const Tensor factor = b.output(0);
    const Tensor l = upper ? mt(factor) : factor;
    const Tensor g = upper ? mt(b.grad()) : b.grad();
    const Tensor phi = ops::matmul(mt(l), g);
    const Tensor s = ops::add(ops::tril(phi), mt(strict_tril(phi)));
    const Tensor left = solve_upper(mt(l), ops::mul(s, Operand(0.5)), true);
    return solve_lower(l, left, false);
  });
}

// X = inv(L L') B: gB = inv(L L') g, and with S = gB X' + X gB', gL = -S L. As in PyTorch, L counts
// as a whole: what stands beside the triangle that is read has a gradient too.
void cholesky_solve_backward(Backward& b) {
  if (!b.needs(0) && !b.needs(1)) return;
  const bool upper = b.attr<bool>(2);
  const Tensor l = b.input(1);
  const Tensor gb = ops::choleskySolve(b.grad(), l, upper);
  b.set(0, [&] { return gb; });
  b.set(1, [&] {
    const Tensor product = ops::matmul(gb, mt(b.output(0)));
    const Tensor s = ops::neg(ops::add(product, mt(product)));
    return upper ? ops::matmul(l, s) : ops::matmul(s, l);
  });
}

void inverse_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = mt(b.output(0));
    return ops::neg(ops::matmul(x, ops::matmul(b.grad(), x)));
  });
}

// A X = B: gB = inv(A)' g, gA = -gB X'. The factors of the forward pass serve unless the
// gradient itself is to be differentiated.
void solve_backward(Backward& b) {
  if (!b.needs(0) && !b.needs(1)) return;
  Tensor gb;
  if (GradMode::enabled()) {
    gb = std::get<0>(ops::linalgSolveForward(mt(b.input(0)), b.grad()));
  } else {
    gb = ops::linalgLuSolve(b.output(1), b.output(2), b.grad(), true, true);
  }
  b.set(0, [&] { return ops::neg(ops::matmul(gb, mt(b.output(0)))); });
  b.set(1, [&] { return gb; });
}

void triangular_backward(Backward& b) {
  if (!b.needs(0) && !b.needs(1)) return;
  const bool upper = b.attr<bool>(2);
  const bool unit = b.attr<bool>(3);
  const Tensor gb = ops::linalgSolveTriangular(mt(b.input(0)), b.grad(), !upper, true, unit);
  b.set(0, [&] {
    const Tensor ga = ops::neg(ops::matmul(gb, mt(b.output(0))));
    const int64_t off = unit ? 1 : 0;
    return upper ? ops::triu(ga, off) : ops::tril(ga, -off);
  });
  b.set(1, [&] { return gb; });
}

// P' A = L U in one matrix. In the square case
//   gA = P inv(L)' (tril(L' gL, -1) + triu(gU U')) inv(U)';
// the rest of a wide U or a tall L depends on the square part linearly.
Tensor lu_backward(const Tensor& lu, const Tensor& pivots, const Tensor& g) {
  const int64_t m = lu.size(-2);
  const int64_t n = lu.size(-1);
  const int64_t k = std::min(m, n);
  const auto rows = [](const Tensor& x, int64_t from, int64_t size) {
    return ops::narrow(x, int64_t{-2}, from, size);
  };
  const auto columns = [](const Tensor& x, int64_t from, int64_t size) {
    return ops::narrow(x, int64_t{-1}, from, size);
  };
  const Tensor core = columns(rows(lu, 0, k), 0, k);
  const Tensor g_core = columns(rows(g, 0, k), 0, k);
  const Tensor lower = strict_tril(core);
  const Tensor gl = strict_tril(g_core);
  // L' gL with the unit diagonal of L.
  Tensor below = ops::add(ops::matmul(mt(lower), gl), gl);
  Tensor above = ops::matmul(ops::triu(g_core), mt(ops::triu(core)));
  Tensor rest;
  if (n > k) {
    const Tensor gu2 = columns(g, k, n - k);
    below = ops::sub(below, ops::matmul(gu2, mt(columns(lu, k, n - k))));
    rest = solve_upper(mt(core), gu2, true, true);
  } else if (m > k) {
    const Tensor gl2 = rows(g, k, m - k);
    above = ops::sub(above, ops::matmul(mt(rows(lu, k, m - k)), gl2));
    rest = solve_lower(mt(core), gl2, false);
  }
  const Tensor phi = ops::add(strict_tril(below), ops::triu(above));
  const Tensor right = solve_lower(mt(core), phi, false);
  Tensor ga = solve_upper(mt(core), right, true, true);
  if (rest.defined()) ga = ops::cat(TensorList{ga, rest}, int64_t{n > k ? -1 : -2});
  const Tensor p = std::get<0>(ops::luUnpack(lu, pivots, false, true));
  return ops::matmul(p, ga);
}

// X from A = P L U: Z = U X, L Z = P' B; and for the adjoint W = P' X, V = L' W, U' V = B.
void lu_solve_backward(Backward& b) {
  if (!b.needs(0) && !b.needs(2)) return;
  const bool adjoint = b.attr<bool>(3);
  const Tensor lu = b.input(0);
  const Tensor pivots = b.input(1);
  const Tensor& g = b.grad();
  const Tensor gb = ops::luSolveForward(lu, pivots, g, !adjoint);
  b.set(2, [&] { return gb; });
  b.set(0, [&] {
    const Tensor x = b.output(0);
    const Tensor lower = strict_tril(lu);
    if (!adjoint) {
      const Tensor z = ops::matmul(ops::triu(lu), x);
      const Tensor gz = solve_lower(mt(lu), g, true);
      const Tensor gu = ops::triu(ops::matmul(gz, mt(x)));
      const Tensor gl = ops::matmul(solve_upper(mt(lu), gz, true, true), mt(z));
      return ops::neg(ops::add(gu, strict_tril(gl)));
    }
    const Tensor turn = mt(std::get<0>(ops::luUnpack(lu, pivots, false, true)));
    const Tensor w = ops::matmul(turn, x);
    const Tensor v = ops::add(ops::matmul(mt(lower), w), w);
    const Tensor gv = solve_lower(lu, ops::matmul(turn, g), true, true);
    const Tensor gu = ops::triu(ops::matmul(v, mt(gb)));
    return ops::neg(ops::add(gu, strict_tril(ops::matmul(w, mt(gv)))));
  });
}

// det(A) inv(A)' from the singular values, which stays finite where A is singular:
// det(U) det(V) U diag(products of the other singular values) V'.
Tensor cofactors_by_svd(const Tensor& a, const Tensor& g) {
  const auto [u, s, vh] = ops::linalgSvdForward(a, false, true);
  const int64_t n = a.size(-1);
  // Orthogonal matrices keep their determinant under small changes.
  const Tensor sign =
      ops::sign(ops::mul(ops::linalgDet(ops::detach(u)), ops::linalgDet(ops::detach(vh))));
  Dims sizes = s.sizes();
  sizes.push_back(n);
  const Tensor rows = ops::expand(ops::unsqueeze(s, int64_t{-2}), sizes);
  const Tensor unit = ops::eye(n, std::optional<int64_t>(), DType::Bool, a.device());
  const Tensor others = ops::prod(ops::where(unit, Operand(1.0), rows), std::optional<int64_t>(-1));
  const Tensor scale = ops::mul(others, ops::unsqueeze(ops::mul(sign, g), int64_t{-1}));
  return ops::matmul(ops::mul(u, ops::unsqueeze(scale, int64_t{-2})), vh);
}

Tensor cofactors_by_solve(const Tensor& a, const Tensor& det, const Tensor& g) {
  const Tensor unit = scaled_identity(ops::mul(g, det), a.size(-1));
  return std::get<0>(ops::linalgSolveEx(mt(a), unit));
}

// Regular matrices through a solve, singular ones through the singular values.
void det_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor input = b.input(0);
    const int64_t n = input.size(-1);
    if (input.numel() == 0) return ops::zerosLike(input);
    const Tensor a = ops::reshape(input, Dims{-1, n, n});
    const Tensor g = ops::reshape(b.grad(), Dims{-1});
    const Tensor det = ops::reshape(b.output(0), Dims{-1});
    const Tensor u = ops::abs(diagonal_of(ops::reshape(ops::detach(b.output(1)), Dims{-1, n, n})));
    const double eps = a.dtype() == DType::Float64 ? 0x1p-52 : 0x1p-23;
    const std::optional<Dims> last(Dims{-1});
    const Tensor limit = ops::mul(ops::amax(u, last, false), Operand(10.0 * eps * n));
    const Tensor singular = ops::le(ops::amin(u, last, false), limit);
    const Tensor at = ops::squeeze(ops::nonzero(singular), Dims{-1});
    if (at.numel() == 0) return ops::reshape(cofactors_by_solve(a, det, g), input.sizes());
    if (at.numel() == a.size(0)) return ops::reshape(cofactors_by_svd(a, g), input.sizes());
    const Tensor rest = ops::squeeze(ops::nonzero(ops::logicalNot(singular)), Dims{-1});
    const auto pick = [](const Tensor& x, const Tensor& index) {
      return ops::indexSelect(x, int64_t{0}, index);
    };
    const Tensor parts =
        ops::cat(TensorList{cofactors_by_svd(pick(a, at), pick(g, at)),
                            cofactors_by_solve(pick(a, rest), pick(det, rest), pick(g, rest))},
                 int64_t{0});
    const Tensor order = ops::argsort(ops::cat(TensorList{at, rest}, int64_t{0}));
    return ops::reshape(pick(parts, order), input.sizes());
  });
}

void slogdet_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor a = b.input(0);
    const Tensor unit = scaled_identity(b.grad(1), a.size(-1));
    if (GradMode::enabled()) return std::get<0>(ops::linalgSolveEx(mt(a), unit));
    return ops::luSolveForward(b.output(2), b.output(3), unit, true);
  });
}

// The upper right block of exp([[A', g], [0, A']]).
void exp_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor a = mt(b.input(0));
    const int64_t n = a.size(-1);
    const Tensor top = ops::cat(TensorList{a, b.grad()}, int64_t{-1});
    const Tensor bottom = ops::cat(TensorList{ops::zerosLike(a), a}, int64_t{-1});
    const Tensor e = ops::linalgMatrixExp(ops::cat(TensorList{top, bottom}, int64_t{-2}));
    return ops::narrow(ops::narrow(e, int64_t{-2}, int64_t{0}, n), int64_t{-1}, n, n);
  });
}

}  // namespace

std::vector<Derivative> linalg_dense() {
  return {
      {OpId::linalgCholeskyEx, {out(0)}, cholesky_backward},
      {OpId::choleskySolve, {in(1), out(0).when(1)}, cholesky_solve_backward},
      {OpId::linalgInvEx, {out(0)}, inverse_backward},
      {OpId::linalgSolveForward, {in(0), out(0), out(1), out(2)}, solve_backward},
      {OpId::linalgSolveTriangularForward, {in(0), out(0).when(0)}, triangular_backward},
      {OpId::linalgLuFactorEx,
       {out(0), out(1)},
       [](Backward& b) {
         b.set(0, [&] { return lu_backward(b.output(0), b.output(1), b.grad()); });
       }},
      {OpId::luSolveForward, {in(0), in(1), out(0).when(0)}, lu_solve_backward},
      {OpId::linalgDetForward, {in(0), out(0), out(1)}, det_backward},
      {OpId::linalgSlogdetForward, {in(0), out(2), out(3)}, slogdet_backward},
      {OpId::linalgMatrixExp, {in(0)}, exp_backward},
  };
}

}  // namespace ampgrad::derivatives
