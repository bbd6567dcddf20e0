// Derivatives of attention. With P = softmax(s q k^T + mask), dP = g v^T, D = rowsum(P dP) and
// dS = P (dP - D), the first derivative is dq = s dS k, dk = s dS^T q, dv = P^T g, dmask = dS. For
// cotangents a, b, c of dq, dk, dv let E = s (a k^T + q b^T); then
//   H = P (E - rowsum(E P))                       is the cotangent of dP,
//   Q = E (dP - D) - dP rowsum(E P) + g c^T       that of P,
//   R = P (Q - rowsum(P Q))                       that of the scores, and
//   g: H v + P c;  v: H^T g;  q: s (R k + dS b);  k: s (R^T q + dS^T a);  mask: R.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Tensor flip(const Tensor& t) { return ops::transpose(t, -2, -1); }
Tensor rowsum(const Tensor& t) { return ops::sum(t, Dims{-1}, true); }

// The probabilities, made again from their parts so that they carry derivatives of any order.
Tensor probabilities(const Tensor& q, const Tensor& k, const Tensor& mask, bool causal,
                     double scale) {
  Tensor scores = ops::mul(ops::matmul(q, flip(k)), scale);
  if (mask.defined()) scores = ops::add(scores, mask);
  const Scalar nothing(-__builtin_inf());
  if (causal) {
    const Tensor rows = ops::unsqueeze(ops::arange(Scalar(q.size(-2))), 1);
    const Tensor seen = ops::ge(rows, ops::arange(Scalar(k.size(-2))));
    scores = ops::where(seen, scores, nothing);
  }
  // Rows that see nothing have no probabilities.
  const Tensor blind = ops::eq(ops::amax(scores, Dims{-1}, true), nothing);
  return ops::where(blind, Scalar(0.0), ops::softmax(ops::where(blind, Scalar(0.0), scores), -1));
}

void attention(Backward& b) {
  const bool causal = b.attr<bool>(4);
  const double scale = b.attr<double>(5);
  const Tensor mask = b.is_tensor(3) ? b.input(3) : Tensor();
  if (b.needs(0) || b.needs(1) || b.needs(2)) {
    auto [dq, dk, dv] =
        ops::attentionBackward(b.grad(), b.input(0), b.input(1), b.input(2), mask,
                               ops::detach(b.output(0)), ops::detach(b.output(1)), causal, scale);
    b.set(0, dq);
    b.set(1, dk);
    b.set(2, dv);
  }
  if (!b.is_tensor(3)) return;
  b.set(3, [&] {
    const Tensor p = probabilities(b.input(0), b.input(1), mask, causal, scale);
    const Tensor dp = ops::matmul(b.grad(), flip(b.input(2)));
    return ops::mul(p, ops::sub(dp, rowsum(ops::mul(p, dp))));
  });
}

void attention_backward(Backward& ctx) {
  const double s = ctx.attr<double>(8);
  const Tensor g = ctx.input(0);
  const Tensor q = ctx.input(1);
  const Tensor k = ctx.input(2);
  const Tensor v = ctx.input(3);
  const Tensor p =
      probabilities(q, k, ctx.is_tensor(4) ? ctx.input(4) : Tensor(), ctx.attr<bool>(7), s);
  const Tensor a = ctx.grad(0);
  const Tensor b = ctx.grad(1);
  const Tensor c = ctx.grad(2);
  const Tensor dp = ops::matmul(g, flip(v));
  const Tensor centered = ops::sub(dp, rowsum(ops::mul(p, dp)));
  const Tensor ds = ops::mul(p, centered);
  const Tensor e = ops::mul(ops::add(ops::matmul(a, flip(k)), ops::matmul(q, flip(b))), s);
  const Tensor ep = rowsum(ops::mul(e, p));
  const Tensor h = ops::mul(p, ops::sub(e, ep));
  const Tensor cp =
      ops::add(ops::sub(ops::mul(e, centered), ops::mul(dp, ep)), ops::matmul(g, flip(c)));
  const Tensor r = ops::mul(p, ops::sub(cp, rowsum(ops::mul(p, cp))));
  ctx.set(0, [&] { return ops::add(ops::matmul(h, v), ops::matmul(p, c)); });
  ctx.set(1, [&] { return ops::mul(ops::add(ops::matmul(r, k), ops::matmul(ds, b)), s); });
  ctx.set(2,
          [&] { return ops::mul(ops::add(ops::matmul(flip(r), q), ops::matmul(flip(ds), a)), s); });
  ctx.set(3, [&] { return ops::matmul(flip(h), g); });
  if (ctx.is_tensor(4)) ctx.set(4, [&] { return r; });
}

}  // namespace

std::vector<Derivative> attention() {
  return {
      {OpId::nativeAttention, {in(0), in(1), in(2), in(3), out(0), out(1)}, attention},
      {OpId::attentionBackward, {in(0), in(1), in(2), in(3), in(4)}, attention_backward},
  };
}

}  // namespace ampgrad::derivatives
