// Derivatives of running folds.
#include <limits>

#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

void cumsum_backward(Backward& b) {
  b.set(0,
        [&] { return ops::cumsum(b.grad(), b.attr<int64_t>(1), std::nullopt, !b.attr<bool>(3)); });
}

// Contribution of position k when the input holds zeros: the products from k on without x_k.
// Written with joins of slices, so that it can be differentiated like anything else.
Tensor cumprod_gradient_with_zeros(const Tensor& x, const Tensor& g, int64_t dim) {
  const int64_t n = x.size(dim);
  TensorList slices;
  Tensor before = ops::onesLike(ops::narrow(x, dim, 0, 1));
  for (int64_t k = 0; k < n; ++k) {
    Tensor others = before;
    if (k + 1 < n) {
      const Tensor after = ops::cumprod(ops::narrow(x, dim, k + 1, n - k - 1), dim);
      others = ops::cat(TensorList{before, ops::mul(before, after)}, dim);
    }
    const Tensor here = ops::mul(ops::narrow(g, dim, k, n - k), others);
    slices.push_back(ops::sum(here, std::optional<Dims>(Dims{dim}), true));
    before = ops::mul(before, ops::narrow(x, dim, k, 1));
  }
  return ops::cat(slices, dim);
}

// The same folded from the end is the forward form of the mirrored tensor.
Tensor mirrored(const Tensor& x, int64_t dim) {
  const int64_t n = x.size(dim);
  TensorList slices;
  for (int64_t k = n; k-- > 0;) slices.push_back(ops::narrow(x, dim, k, 1));
  return ops::cat(slices, dim);
}

void cumprod_backward(Backward& b) {
  b.set(0, [&] {
    const bool reverse = b.attr<bool>(3);
    Tensor x = b.input(0);
    if (x.dtype() != b.grad().dtype()) x = ops::to(x, b.grad().dtype());
    if (x.ndim() == 0 || x.numel() == 0) return b.grad();
    const int64_t dim = wrap_dim("cumprod", b.attr<int64_t>(1), x.ndim());
    const bool has_zero = *static_cast<const uint8_t*>(ops::any(ops::eq(x, Operand(0))).data());
    if (!has_zero) {
      const Tensor weighted = ops::mul(b.grad(), b.output());
      return ops::div(ops::cumsum(weighted, dim, std::nullopt, !reverse), x);
    }
    if (!reverse) return cumprod_gradient_with_zeros(x, b.grad(), dim);
    return mirrored(cumprod_gradient_with_zeros(mirrored(x, dim), mirrored(b.grad(), dim), dim),
                    dim);
  });
}

// sum over i >= k of g_i e^(x_k - y_i), positive and negative gradients apart, in logarithms.
void logcumsumexp_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor g = b.grad();
    if (g.ndim() == 0) return g;
    const Tensor x = b.input(0);
    const Tensor y = b.output();
    const int64_t dim = b.attr<int64_t>(1);
    const bool reverse = !b.attr<bool>(2);
    const Tensor log_size = ops::log(ops::abs(g));
    const Operand nothing(-std::numeric_limits<double>::infinity());
    const auto share = [&](const Tensor& taken) {
      const Tensor logs = ops::sub(ops::where(taken, log_size, nothing), y);
      return ops::exp(ops::add(ops::logcumsumexp(logs, dim, reverse), x));
    };
    return ops::sub(share(ops::gt(g, Operand(0))), share(ops::lt(g, Operand(0))));
  });
}

// Each gradient goes to the element that was chosen.
void cumulative_extreme_backward(Backward& b) {
  b.set(0, [&] {
    const TensorMeta& m = b.meta(0);
    if (m.sizes.empty()) return b.grad();
    const Tensor zeros = ops::zeros(m.sizes, m.dtype, m.device);
    return ops::scatterAdd(zeros, b.attr<int64_t>(1), b.output(1), b.grad());
  });
}

}  // namespace

std::vector<Derivative> scan() {
  return {
      {OpId::cumsum, {}, cumsum_backward},
      {OpId::cumprod, {in(0), out()}, cumprod_backward},
      {OpId::logcumsumexp, {in(0), out()}, logcumsumexp_backward},
      {OpId::cummax, {out(1)}, cumulative_extreme_backward},
      {OpId::cummin, {out(1)}, cumulative_extreme_backward},
  };
}

}  // namespace ampgrad::derivatives
