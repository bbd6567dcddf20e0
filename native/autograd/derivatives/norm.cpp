// Derivatives of the normalisations. The first is a fused op; the second is one formula for all of
// them, over a view of the input in which some dimensions are reduced and others share parameters.
//
// With P(t) = rstd (t - mean t - xhat mean(t xhat)), the first derivative is dx = P(g w),
// dw = sum g xhat, db = sum g. For cotangents u, v, s of these, L = <u, dx> + <v, dw> + <s, db> has
//   dL/dg = w P(u) + v xhat + s,    dL/dw = sum g P(u),
//   dL/dx = P(g v - rstd (u mean(gw xhat) + gw mean(u xhat)))
//           - rstd^2 xhat (mean(u gw) - mean u mean gw - mean(u xhat) mean(gw xhat)).
// RMS norm leaves out the terms of the mean; fixed statistics leave out everything but rstd.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

struct NormView {
  Dims view;    // of input and gradients
  Dims reduce;  // dimensions of `view` that share statistics
  Dims params;  // of weight and bias, broadcastable to `view`
  Dims sum;     // dimensions of `view` that share parameters
  bool centered = true;
  bool fixed = false;  // the statistics do not depend on the input
};

int64_t product(DimsView sizes, size_t from, size_t to) {
  int64_t n = 1;
  for (size_t i = from; i < to; ++i) n *= sizes[i];
  return n;
}

NormView trailing_view(DimsView sizes, DimsView shape) {
  const int64_t columns = product(shape, 0, shape.size());
  const int64_t rows = product(sizes, 0, sizes.size() - shape.size());
  return {{rows, columns}, {1}, {1, columns}, {0}};
}

NormView group_view(DimsView sizes, int64_t groups) {
  const int64_t channels = groups == 0 ? 0 : sizes[1] / groups;
  const int64_t spatial = product(sizes, 2, sizes.size());
  return {{sizes[0], groups, channels, spatial}, {2, 3}, {1, groups, channels, 1}, {0, 3}};
}

NormView channel_view(DimsView sizes, bool training) {
  NormView v{
      {sizes[0], sizes[1], product(sizes, 2, sizes.size())}, {0, 2}, {1, sizes[1], 1}, {0, 2}};
  v.fixed = !training;
  return v;
}

class SecondDerivative {
 public:
  SecondDerivative(const NormView& view, const Tensor& x, DType dtype, double eps)
      : view_(view), dtype_(dtype) {
    Tensor xc = shaped(x);
    if (view.centered) xc = ops::sub(xc, mean(xc));
    rstd_ = ops::rsqrt(ops::add(mean(ops::mul(xc, xc)), eps));
    xhat_ = ops::mul(xc, rstd_);
  }
  SecondDerivative(const NormView& view, const Tensor& x, DType dtype, const Tensor& center,
                   const Tensor& rstd)
      : view_(view), dtype_(dtype) {
    rstd_ = as_param(rstd);
    xhat_ = ops::mul(ops::sub(shaped(x), as_param(center)), rstd_);
  }

  Tensor shaped(const Tensor& t) const {
    return ops::reshape(ops::to(t, std::optional<DType>(dtype_)), view_.view);
  }
  Tensor as_param(const Tensor& t) const {
    return ops::reshape(ops::to(t, std::optional<DType>(dtype_)), view_.params);
  }
  Tensor mean(const Tensor& t) const { return ops::mean(t, view_.reduce, true); }
  const Tensor& xhat() const { return xhat_; }

  Tensor project(const Tensor& t) const {
    if (view_.fixed) return ops::mul(rstd_, t);
    Tensor inner = ops::sub(t, ops::mul(xhat_, mean(ops::mul(t, xhat_))));
    if (view_.centered) inner = ops::sub(inner, mean(t));
    return ops::mul(rstd_, inner);
  }

  // The part of dL/dx that comes from P's own dependence on x.
  Tensor through_statistics(const Tensor& u, const Tensor& gw) const {
    const Tensor u_hat = mean(ops::mul(u, xhat_));
    const Tensor g_hat = mean(ops::mul(gw, xhat_));
    const Tensor cross = ops::add(ops::mul(u, g_hat), ops::mul(gw, u_hat));
    const Tensor first = ops::neg(project(ops::mul(rstd_, cross)));
    Tensor scale = ops::sub(mean(ops::mul(u, gw)), ops::mul(u_hat, g_hat));
    if (view_.centered) scale = ops::sub(scale, ops::mul(mean(u), mean(gw)));
    return ops::sub(first, ops::mul(ops::mul(ops::mul(rstd_, rstd_), xhat_), scale));
  }

 private:
  const NormView& view_;
  DType dtype_;
  Tensor rstd_;
  Tensor xhat_;
};

Tensor add_up(const Tensor& a, const Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? ops::add(a, b) : a;
}

// Arguments 0 and 1 of every backward row are the gradient and the input.
void second_derivative(Backward& b, const NormView& view, const SecondDerivative& d,
                       int weight_arg) {
  const Tensor u = b.has_grad(0) ? d.shaped(b.grad(0)) : Tensor();
  const Tensor v = b.has_grad(1) ? d.as_param(b.grad(1)) : Tensor();
  const bool has_bias = view.centered && b.has_grad(2);  // RMS norm has no bias
  const Tensor w = b.is_tensor(weight_arg) ? d.as_param(b.input(weight_arg)) : Tensor();
  const Dims& sizes = b.meta(1).sizes;
  b.set(0, [&] {
    Tensor out;
    if (u.defined()) {
      out = d.project(u);
      if (w.defined()) out = ops::mul(out, w);
    }
    if (v.defined()) out = add_up(out, ops::mul(v, d.xhat()));
    if (has_bias) out = add_up(out, ops::expand(d.as_param(b.grad(2)), view.view));
    return out.defined() ? ops::reshape(out, sizes) : out;
  });
  const Tensor g = d.shaped(b.input(0));
  b.set(1, [&] {
    Tensor out;
    if (v.defined()) out = d.project(ops::mul(g, v));
    if (u.defined() && !view.fixed) {
      const Tensor gw = w.defined() ? ops::mul(g, w) : g;
      out = add_up(out, d.through_statistics(u, gw));
    }
    return out.defined() ? ops::reshape(out, sizes) : out;
  });
  if (!w.defined() || !u.defined()) return;
  b.set(weight_arg, [&] {
    const Tensor product = ops::mul(g, d.project(u));
    return ops::reshape(ops::sum(product, view.sum, true), b.meta(weight_arg).sizes);
  });
}

Dims output_mask(const Backward& b, int weight, int bias) {
  const auto wanted = [&](int arg) -> int64_t { return b.is_tensor(arg) && b.needs(arg) ? 1 : 0; };
  Dims mask{b.needs(0) ? 1 : 0, wanted(weight)};
  if (bias >= 0) mask.push_back(wanted(bias));
  return mask;
}

void set_grads(Backward& b, const Dims& mask, const Tensor (&grads)[3], int weight, int bias) {
  if (mask[0] != 0) b.set(0, grads[0]);
  if (mask[1] != 0) b.set(weight, grads[1]);
  if (bias >= 0 && mask[2] != 0) b.set(bias, grads[2]);
}

void layer_norm(Backward& b) {
  const Dims mask = output_mask(b, 2, 3);
  auto [dx, dw, db] = ops::layerNormBackward(
      b.grad(), b.input(0), b.attr<Dims>(1), ops::detach(b.output(1)), ops::detach(b.output(2)),
      b.is_tensor(2) ? b.input(2) : Tensor(), b.attr<double>(4), mask);
  set_grads(b, mask, {dx, dw, db}, 2, 3);
}

void layer_norm_backward(Backward& b) {
  const NormView view = trailing_view(b.meta(1).sizes, b.attr<Dims>(2));
  const SecondDerivative d(view, b.input(1), b.meta(3).dtype, b.attr<double>(6));
  second_derivative(b, view, d, 5);
}

void rms_norm(Backward& b) {
  const Dims mask = output_mask(b, 2, -1);
  auto [dx, dw] =
      ops::rmsNormBackward(b.grad(), b.input(0), b.attr<Dims>(1), ops::detach(b.output(1)),
                           b.is_tensor(2) ? b.input(2) : Tensor(), b.attr<double>(3), mask);
  set_grads(b, mask, {dx, dw, Tensor()}, 2, -1);
}

void rms_norm_backward(Backward& b) {
  NormView view = trailing_view(b.meta(1).sizes, b.attr<Dims>(2));
  view.centered = false;
  const SecondDerivative d(view, b.input(1), b.meta(3).dtype, b.attr<double>(5));
  second_derivative(b, view, d, 4);
}

void group_norm(Backward& b) {
  const Dims mask = output_mask(b, 2, 3);
  auto [dx, dw, db] = ops::groupNormBackward(
      b.grad(), b.input(0), b.attr<int64_t>(1), ops::detach(b.output(1)), ops::detach(b.output(2)),
      b.is_tensor(2) ? b.input(2) : Tensor(), b.attr<double>(4), mask);
  set_grads(b, mask, {dx, dw, db}, 2, 3);
}

void group_norm_backward(Backward& b) {
  const NormView view = group_view(b.meta(1).sizes, b.attr<int64_t>(2));
  const SecondDerivative d(view, b.input(1), b.meta(3).dtype, b.attr<double>(6));
  second_derivative(b, view, d, 5);
}

void batch_norm(Backward& b) {
  const Dims mask = output_mask(b, 1, 2);
  auto [dx, dw, db] = ops::batchNormBackward(
      b.grad(), b.input(0), ops::detach(b.output(1)), ops::detach(b.output(2)),
      b.is_tensor(1) ? b.input(1) : Tensor(), b.attr<bool>(5), b.attr<double>(7), mask);
  set_grads(b, mask, {dx, dw, db}, 1, 2);
}

void batch_norm_backward(Backward& b) {
  const NormView view = channel_view(b.meta(1).sizes, b.attr<bool>(5));
  const DType dtype = b.meta(2).dtype;
  const SecondDerivative d = view.fixed
                                 ? SecondDerivative(view, b.input(1), dtype, b.input(2), b.input(3))
                                 : SecondDerivative(view, b.input(1), dtype, b.attr<double>(6));
  second_derivative(b, view, d, 4);
}

}  // namespace

std::vector<Derivative> norm() {
  return {
      {OpId::nativeLayerNorm, {in(0), in(2), out(1), out(2)}, layer_norm},
      {OpId::layerNormBackward, {in(0), in(1), in(5)}, layer_norm_backward},
      {OpId::nativeRmsNorm, {in(0), in(2), out(1)}, rms_norm},
      {OpId::rmsNormBackward, {in(0), in(1), in(4)}, rms_norm_backward},
      {OpId::nativeGroupNorm, {in(0), in(2), out(1), out(2)}, group_norm},
      {OpId::groupNormBackward, {in(0), in(1), in(5)}, group_norm_backward},
      {OpId::nativeBatchNorm, {in(0), in(1), out(1), out(2)}, batch_norm},
      {OpId::batchNormBackward, {in(0), in(1), in(2), in(3), in(4)}, batch_norm_backward},
  };
}

}  // namespace ampgrad::derivatives
