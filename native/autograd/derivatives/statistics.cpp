// Derivatives of products, variances, norms and log-sum-exp.
#include <algorithm>
#include <cmath>

#include "autograd/derivative.h"
#include "ops/reduce.h"

namespace ampgrad::derivatives {

namespace {

uint64_t mask_of(Backward& b, int dim_arg) {
  const std::optional<Dims> dim = b.opt_attr<Dims>(dim_arg);
  return dim_mask("reduction", dim.has_value() ? DimsView(*dim) : DimsView(),
                  b.meta(0).sizes.size(), true);
}

Tensor restore(const Tensor& t, DimsView input_sizes, uint64_t mask) {
  return ops::reshape(t, keepdim_sizes(input_sizes, mask));
}

Dims dims_of(uint64_t mask, size_t ndim) {
  Dims dims;
  for (size_t d = 0; d < ndim; ++d) {
    if ((mask >> d & 1u) != 0) dims.push_back(static_cast<int64_t>(d));
  }
  return dims;
}

// Product of all others, from the running products on either side: no division, so zeros are
// nothing special.
Tensor product_of_others(const Tensor& x, int64_t dim) {
  const int64_t n = x.size(dim);
  if (n == 0) return x;
  Dims edge(x.sizes());
  edge[static_cast<size_t>(dim)] = 1;
  const Tensor one = ops::ones(edge, x.dtype(), x.device());
  const Tensor before = ops::cumprod(ops::cat(TensorList{one, ops::narrow(x, dim, 0, n - 1)}, dim),
                                     dim, std::nullopt, false);
  const Tensor after = ops::cumprod(ops::cat(TensorList{ops::narrow(x, dim, 1, n - 1), one}, dim),
                                    dim, std::nullopt, true);
  return ops::mul(before, after);
}

void prod_backward(Backward& b) {
  b.set(0, [&] {
    const Dims& sizes = b.meta(0).sizes;
    const std::optional<int64_t> dim = b.opt_attr<int64_t>(1);
    Tensor x = b.input(0);
    if (x.dtype() != b.grad().dtype()) x = ops::to(x, b.grad().dtype());
    if (sizes.empty()) return b.grad();
    if (!dim.has_value()) {
      const Tensor others = product_of_others(ops::reshape(x, Dims{-1}), 0);
      return ops::mul(b.grad(), ops::reshape(others, sizes));
    }
    const int64_t d = wrap_dim("prod", *dim, sizes.size());
    const Tensor g = restore(b.grad(), sizes, uint64_t{1} << d);
    return ops::mul(g, product_of_others(x, d));
  });
}

double correction_of(Backward& b) {
  if (const auto correction = b.opt_attr<Scalar>(4)) return correction->to_double();
  return b.opt_attr<bool>(2).value_or(true) ? 1.0 : 0.0;
}

// 2 (x - mean) / (n - correction).
Tensor variance_gradient(Backward& b, const Tensor& grad) {
  const Dims& sizes = b.meta(0).sizes;
  const uint64_t mask = mask_of(b, 1);
  const Tensor x = b.input(0);
  double count = 1;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if ((mask >> d & 1u) != 0) count *= static_cast<double>(sizes[d]);
  }
  const double factor = 2 / std::max(0.0, count - correction_of(b));
  const std::optional<Dims> dims{dims_of(mask, sizes.size())};
  const Tensor centred =
      sizes.empty() ? ops::sub(x, ops::mean(x)) : ops::sub(x, ops::mean(x, dims, true));
  return ops::mul(ops::mul(restore(grad, sizes, mask), Operand(factor)), centred);
}

void var_backward(Backward& b) {
  b.set(0, [&] { return variance_gradient(b, b.grad()); });
}

void std_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor s = b.output();
    const Tensor g = ops::div(b.grad(), ops::mul(s, Operand(2)));
    return variance_gradient(b, ops::where(ops::eq(s, Operand(0)), Operand(0.0), g));
  });
}

// Where the norm is 0 the gradient of the convex ones is taken to be 0.
Tensor euclidean_gradient(const Tensor& x, const Tensor& norm, const Tensor& g) {
  return ops::mul(x, ops::where(ops::eq(norm, Operand(0)), Operand(0.0), ops::div(g, norm)));
}

Tensor extreme_gradient(const Tensor& x, const Tensor& norm, const Tensor& g, const Dims& dims) {
  const Tensor magnitude = ops::abs(x);
  const Tensor hit = ops::logicalOr(ops::eq(magnitude, norm),
                                    ops::logicalAnd(ops::isnan(magnitude), ops::isnan(norm)));
  const Tensor count = dims.empty() ? hit : ops::sum(hit, std::optional<Dims>(dims), true);
  return ops::mul(ops::mul(ops::sign(x), ops::div(g, count)), hit);
}

Tensor power_gradient(const Tensor& x, const Tensor& norm, const Tensor& g, double ord) {
  const Tensor magnitude = ops::abs(x);
  if (ord < 2) {
    Tensor slope = ops::mul(ops::sign(x), ops::pow(magnitude, Operand(ord - 1)));
    if (ord < 1) slope = ops::where(ops::eq(x, Operand(0)), Operand(0.0), slope);
    Tensor scale = ops::mul(g, ops::pow(norm, Operand(1 - ord)));
    if (ord > 1) scale = ops::where(ops::eq(norm, Operand(0)), Operand(0.0), scale);
    return ops::mul(slope, scale);
  }
  const Tensor slope = ops::mul(x, ops::pow(magnitude, Operand(ord - 2)));
  const Tensor scale = ops::div(g, ops::pow(norm, Operand(ord - 1)));
  return ops::mul(slope, ops::where(ops::eq(norm, Operand(0)), Operand(0.0), scale));
}

void vector_norm_backward(Backward& b) {
  const double ord = b.attr<Scalar>(1).to_double();
  if (ord == 0) return;  // a count of elements: as in PyTorch, no gradient at all
  b.set(0, [&] {
    const Dims& sizes = b.meta(0).sizes;
    const uint64_t mask = mask_of(b, 2);
    Tensor x = b.input(0);
    if (x.dtype() != b.grad().dtype()) x = ops::to(x, b.grad().dtype());
    const Tensor norm = restore(b.output(), sizes, mask);
    const Tensor g = restore(b.grad(), sizes, mask);
    if (ord == 1) return ops::mul(ops::sign(x), g);
    if (ord == 2) return euclidean_gradient(x, norm, g);
    if (std::isinf(ord)) return extreme_gradient(x, norm, g, dims_of(mask, sizes.size()));
    return power_gradient(x, norm, g, ord);
  });
}

void logsumexp_backward(Backward& b) {
  b.set(0, [&] {
    const Dims& sizes = b.meta(0).sizes;
    const uint64_t mask = mask_of(b, 1);
    const Tensor share = ops::exp(ops::sub(b.input(0), restore(b.output(), sizes, mask)));
    return ops::mul(restore(b.grad(), sizes, mask), share);
  });
}

}  // namespace

std::vector<Derivative> statistics() {
  return {
      {OpId::prod, {in(0)}, prod_backward},
      {OpId::var, {in(0)}, var_backward},
      {OpId::std, {in(0), out()}, std_backward},
      {OpId::vectorNorm, {in(0), out()}, vector_norm_backward},
      {OpId::logsumexp, {in(0), out()}, logsumexp_backward},
  };
}

}  // namespace ampgrad::derivatives
