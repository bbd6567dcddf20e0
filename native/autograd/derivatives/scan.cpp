// Derivatives of running folds.
#include "autograd/derivative.h"
#include "ops/shape_ops.h"

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
    const bool has_zero = first_truth(ops::any(ops::eq(x, Operand(0))));
    if (!has_zero) {
      const Tensor weighted = ops::mul(b.grad(), b.output());
      return ops::div(ops::cumsum(weighted, dim, std::nullopt, !reverse), x);
    }
    if (!reverse) return cumprod_gradient_with_zeros(x, b.grad(), dim);
    return mirrored(cumprod_gradient_with_zeros(mirrored(x, dim), mirrored(b.grad(), dim), dim),
                    dim);
  });
}

// sum over i >= k of g_i e^(x_k - y_i), positive and negative gradients apart, in logarithms. Both
// parts are lifted by the same tiny amount, which cancels: every logarithm is then finite, and the
// formula has a derivative where a gradient is zero. Halves are folded again in float32.
void logcumsumexp_backward(Backward& b) {
  b.set(0, [&] {
    if (b.grad().ndim() == 0) return b.grad();
    const int64_t dim = b.attr<int64_t>(1);
    const bool reverse = b.attr<bool>(2);
    const DType dtype = b.grad().dtype();
    const bool half = dtype == DType::Float16 || dtype == DType::BFloat16;
    const Tensor g = half ? ops::to(b.grad(), DType::Float32) : b.grad();
    const Tensor x = half ? ops::to(b.input(0), DType::Float32) : b.input(0);
    const Tensor y = half ? ops::logcumsumexp(x, dim, reverse) : b.output();
    const Operand lift(dtype == DType::Float64 ? 1e-150 : 1e-19);
    const Tensor positive = ops::ge(g, Operand(0));
    const auto share = [&](const Tensor& part) {
      const Tensor logs = ops::sub(ops::log(ops::add(part, lift)), y);
      return ops::exp(ops::add(ops::logcumsumexp(logs, dim, !reverse), x));
    };
    const Tensor sum = ops::sub(share(ops::where(positive, g, Operand(0))),
                                share(ops::where(positive, Operand(0), ops::neg(g))));
    return half ? ops::to(sum, dtype) : sum;
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
