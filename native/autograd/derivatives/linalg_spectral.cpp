// Derivatives of orthogonal factorizations: QR, symmetric eigenvalues, singular values, and the
// least squares made of them. g: gradient of an output; M' stands for the transpose of M.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Tensor mt(const Tensor& x) { return ops::transpose(x, int64_t{-2}, int64_t{-1}); }
Tensor as_row(const Tensor& x) { return ops::unsqueeze(x, int64_t{-2}); }
Tensor as_column(const Tensor& x) { return ops::unsqueeze(x, int64_t{-1}); }

Tensor columns(const Tensor& x, int64_t from, int64_t size) {
  return ops::narrow(x, int64_t{-1}, from, size);
}

Tensor sum_defined(const Tensor& a, const Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? ops::add(a, b) : a;
}

// values_j - values_i, with ones on the diagonal.
Tensor differences(const Tensor& values) {
  const Tensor d = ops::sub(as_row(values), as_column(values));
  const Tensor unit = ops::eye(values.size(-1), std::optional<int64_t>(), d.dtype(), d.device());
  return ops::add(d, unit);
}

// A = V diag(w) V': gA = V (diag(gw) + skew(V' gV) / 2 / (w_j - w_i)) V', which is symmetric.
void eigh_backward(Backward& b) {
  b.set(0, [&] {
    const bool has_vectors = b.attr<bool>(2);
    Tensor v = b.output(1);
    if (!has_vectors) {
      v = std::get<1>(ops::linalgEighForward(b.input(0), b.attr<std::string>(1), true));
    }
    if (!has_vectors || !b.has_grad(1)) {
      return ops::matmul(ops::mul(v, as_row(b.grad(0))), mt(v));
    }
    const Tensor turn = ops::matmul(mt(v), b.grad(1));
    const Tensor unit = ops::eye(v.size(-1), std::optional<int64_t>(), DType::Bool, v.device());
    const Tensor skew = ops::mul(ops::sub(turn, mt(turn)), Operand(0.5));
    Tensor core = ops::div(skew, differences(b.output(0)));
    core = ops::where(unit, b.has_grad(0) ? as_row(b.grad(0)) : ops::zerosLike(core), core);
    return ops::matmul(v, ops::matmul(core, mt(v)));
  });
}

struct Svd {
  Tensor u, s, vh, gu, gs, gvh;
};

// The part inside the singular spaces: U core V' with
// core = (skew(U' gU) / E) S + S (skew(V' gV) / E) + diag(gs), E_ij = s_j^2 - s_i^2.
Tensor svd_core(const Svd& x) {
  const auto skew = [](const Tensor& m) { return ops::sub(m, mt(m)); };
  Tensor core;
  if (x.gu.defined() || x.gvh.defined()) {
    const Tensor e = differences(ops::square(x.s));
    if (x.gu.defined()) {
      const Tensor turn = ops::div(skew(ops::matmul(mt(x.u), x.gu)), e);
      core = ops::mul(turn, as_row(x.s));
    }
    if (x.gvh.defined()) {
      const Tensor turn = ops::div(skew(ops::matmul(x.vh, mt(x.gvh))), e);
      core = sum_defined(core, ops::mul(as_column(x.s), turn));
    }
  }
  if (!x.gs.defined()) return core;
  return sum_defined(core, ops::diagEmbed(x.gs));
}

Tensor svd_gradient(const Svd& x) {
  const int64_t m = x.u.size(-2);
  const int64_t n = x.vh.size(-1);
  const int64_t k = x.s.size(-1);
  if (!x.gu.defined() && !x.gvh.defined()) {
    return ops::matmul(ops::mul(x.u, as_row(x.gs)), x.vh);
  }
  Tensor inside = ops::matmul(svd_core(x), x.vh);
  if (n > k && x.gvh.defined()) {
    // What of gV is outside of the space that V spans.
    const Tensor scaled = ops::div(x.gvh, as_column(x.s));
    const Tensor within = ops::matmul(ops::matmul(scaled, mt(x.vh)), x.vh);
    inside = ops::add(inside, ops::sub(scaled, within));
  }
  Tensor ga = ops::matmul(x.u, inside);
  if (m > k && x.gu.defined()) {
    const Tensor scaled = ops::div(x.gu, as_row(x.s));
    const Tensor within = ops::matmul(x.u, ops::matmul(mt(x.u), scaled));
    ga = ops::add(ga, ops::matmul(ops::sub(scaled, within), x.vh));
  }
  return ga;
}

void svd_backward(Backward& b) {
  b.set(0, [&] {
    const bool full = b.attr<bool>(1);
    Svd x{b.output(0), b.output(1), b.output(2), {}, {}, {}};
    if (b.has_grad(1)) x.gs = b.grad(1);
    if (!b.attr<bool>(2)) {
      std::tie(x.u, x.s, x.vh) = ops::linalgSvdForward(b.input(0), false, true);
      return svd_gradient(x);
    }
    const int64_t k = x.s.size(-1);
    const auto rows = [&](const Tensor& t) { return ops::narrow(t, int64_t{-2}, int64_t{0}, k); };
    if (b.has_grad(0)) x.gu = full ? columns(b.grad(0), 0, k) : b.grad(0);
    if (b.has_grad(2)) x.gvh = full ? rows(b.grad(2)) : b.grad(2);
    if (full) {
      x.u = columns(x.u, 0, k);
      x.vh = rows(x.vh);
    }
    return svd_gradient(x);
  });
}

// Q R of a matrix that is not wide: with M = R gR' - gQ' Q,
// gA = (gQ + Q (tril(M) + tril(M, -1)')) inv(R)'.
Tensor tall_qr(const Tensor& q, const Tensor& r, const Tensor& gq, const Tensor& gr) {
  Tensor m;
  if (gr.defined()) m = ops::matmul(r, mt(gr));
  if (gq.defined()) m = sum_defined(m, ops::neg(ops::matmul(mt(gq), q)));
  const Tensor symmetric = ops::add(ops::tril(m), mt(ops::tril(m, int64_t{-1})));
  const Tensor inner = sum_defined(gq, ops::matmul(q, symmetric));
  return ops::linalgSolveTriangular(mt(r), inner, false, false);
}

void qr_backward(Backward& b) {
  const std::string& mode = b.attr<std::string>(1);
  AG_CHECK(mode != "r", Autograd,
           "linalg.qr: The derivative of linalg.qr depends on Q, which is not computed when "
           "mode='r'. Please use linalg.qr(A, 'reduced') if you are going to need gradients.");
  b.set(0, [&] {
    const Tensor q = b.output(0);
    const Tensor r = b.output(1);
    const int64_t m = q.size(-2);
    const int64_t n = r.size(-1);
    AG_CHECK(mode != "complete" || m <= n, Autograd,
             "linalg.qr: The QR decomposition is not differentiable when mode='complete' and nrows "
             "> ncols, got ",
             m, " and ", n);
    Tensor gq = b.has_grad(0) ? b.grad(0) : Tensor();
    Tensor gr = b.has_grad(1) ? b.grad(1) : Tensor();
    if (m >= n) return tall_qr(q, r, gq, gr);
    // A = Q [R1 R2]: the right part is Q' times A's.
    Tensor right = ops::zerosLike(columns(r, m, n - m));
    if (gr.defined()) {
      const Tensor g2 = columns(gr, m, n - m);
      gq = sum_defined(gq, ops::matmul(ops::matmul(q, columns(r, m, n - m)), mt(g2)));
      right = ops::matmul(q, g2);
      gr = columns(gr, 0, m);
    }
    return ops::cat(TensorList{tall_qr(q, columns(r, 0, m), gq, gr), right}, int64_t{-1});
  });
}

// The reflector of column i: zero above, one at i.
Tensor reflector(const Tensor& input, int64_t i) {
  const int64_t m = input.size(-2);
  const Tensor column = columns(input, i, 1);
  const Tensor unit =
      columns(ops::eye(m, std::optional<int64_t>(), input.dtype(), input.device()), i, 1);
  return ops::add(ops::tril(column, -i - 1), unit);
}

// (I - tau v v') x
Tensor reflect(const Tensor& v, const Tensor& tau, const Tensor& x) {
  return ops::sub(x, ops::mul(tau, ops::matmul(v, ops::matmul(mt(v), x))));
}

// Q = H_1 ... H_k E. With K_i = (H_1 ... H_(i-1))' g and R_i = H_(i+1) ... H_k E:
//   gtau = -v' K R' v,  gv = -tau (K R' v + R K' v).
void householder_backward(Backward& b) {
  if (!b.needs(0) && !b.needs(1)) return;
  const Tensor input = b.input(0);
  const Tensor scales = b.input(1);
  const int64_t k = scales.size(-1);
  if (k == 0) return;  // a constant
  const int64_t n = input.size(-1);
  const auto tau = [&](int64_t i) { return as_row(columns(scales, i, 1)); };
  const Tensor unit =
      ops::eye(input.size(-2), std::optional<int64_t>(n), input.dtype(), input.device());
  TensorList tails(static_cast<size_t>(k));
  Tensor tail = ops::expand(unit, input.sizes());
  for (int64_t i = k - 1; i >= 0; --i) {
    tails[static_cast<size_t>(i)] = tail;
    tail = reflect(reflector(input, i), tau(i), tail);
  }
  Tensor head = b.grad();
  TensorList gv;
  TensorList gtau;
  gv.reserve(static_cast<size_t>(k) + 1);
  gtau.reserve(static_cast<size_t>(k));
  for (int64_t i = 0; i < k; ++i) {
    const Tensor v = reflector(input, i);
    const Tensor& r = tails[static_cast<size_t>(i)];
    const Tensor a = ops::matmul(head, ops::matmul(mt(r), v));
    const Tensor c = ops::matmul(r, ops::matmul(mt(head), v));
    gtau.push_back(ops::squeeze(ops::neg(ops::matmul(mt(v), a)), Dims{-1}));
    gv.push_back(ops::tril(ops::neg(ops::mul(tau(i), ops::add(a, c))), -i - 1));
    head = reflect(v, tau(i), head);
  }
  b.set(0, [&] {
    if (n > k) gv.push_back(ops::zerosLike(columns(input, k, n - k)));
    return gv.empty() ? ops::zerosLike(input) : ops::cat(gv, int64_t{-1});
  });
  b.set(1, [&] { return gtau.empty() ? ops::zerosLike(scales) : ops::cat(gtau, int64_t{-1}); });
}

// P the pseudo-inverse of A (Golub and Pereyra):
//   gA = -P' g P' + (I - A P) g' P P' + P' P g' (I - P A).
Tensor pinv_gradient(const Tensor& a, const Tensor& p, const Tensor& g) {
  const Tensor pt = mt(p);
  const Tensor gt = mt(g);
  const Tensor first = ops::matmul(pt, ops::matmul(g, pt));
  const Tensor x = ops::matmul(gt, ops::matmul(p, pt));
  const Tensor second = ops::sub(x, ops::matmul(a, ops::matmul(p, x)));
  const Tensor y = ops::matmul(ops::matmul(pt, p), gt);
  const Tensor third = ops::sub(y, ops::matmul(ops::matmul(y, p), a));
  return ops::sub(ops::add(second, third), first);
}

// The solution is the pseudo-inverse times B; the residuals are |A X - B|^2 at its minimum; the
// singular values are A's.
void lstsq_backward(Backward& b) {
  if (!b.needs(0) && !b.needs(1)) return;
  const Tensor a = b.input(0);
  const bool vector = b.meta(1).sizes.size() < b.meta(0).sizes.size();
  const auto matrix = [&](const Tensor& x) { return vector ? as_column(x) : x; };
  const Tensor rhs = matrix(b.input(1));
  const Tensor x = matrix(b.output(0));
  Tensor ga;
  Tensor gb;
  if (b.has_grad(0)) {
    const Tensor p = ops::linalgPinv(a);
    const Tensor g = matrix(b.grad(0));
    if (b.needs(0)) ga = pinv_gradient(a, p, ops::matmul(g, mt(rhs)));
    gb = ops::matmul(mt(p), g);
  }
  if (b.has_grad(1) && b.output_meta(1).sizes != Dims{0}) {
    const Tensor g = as_row(b.grad(1));
    const Tensor rest = ops::mul(ops::sub(ops::matmul(a, x), rhs), ops::mul(g, Operand(2.0)));
    ga = sum_defined(ga, ops::matmul(rest, mt(x)));
    gb = sum_defined(gb, ops::neg(rest));
  }
  if (b.has_grad(3) && b.output_meta(3).sizes != Dims{0} && b.needs(0)) {
    const auto [u, s, vh] = ops::linalgSvdForward(a, false, true);
    ga = sum_defined(ga, ops::matmul(ops::mul(u, as_row(b.grad(3))), vh));
  }
  if (ga.defined()) b.set(0, [&] { return ga; });
  if (gb.defined()) {
    b.set(1, [&] { return vector ? ops::squeeze(gb, Dims{-1}) : gb; });
  }
}

}  // namespace

std::vector<Derivative> linalg_spectral() {
  return {
      {OpId::linalgEighForward, {in(0), out(0), out(1)}, eigh_backward},
      {OpId::linalgSvdForward, {in(0), out(0), out(1), out(2)}, svd_backward},
      {OpId::linalgQr, {out(0), out(1)}, qr_backward},
      {OpId::linalgHouseholderProduct, {in(0), in(1)}, householder_backward},
      {OpId::linalgPinvForward,
       {in(0), out(0)},
       [](Backward& b) {
         b.set(0, [&] { return pinv_gradient(b.input(0), b.output(0), b.grad()); });
       }},
      {OpId::linalgLstsq, {in(0), in(1), out(0)}, lstsq_backward},
  };
}

}  // namespace ampgrad::derivatives
