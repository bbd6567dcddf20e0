// Derivatives of the reductions.
#include "ops/reduce.h"
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

// Schema positions shared by the family.
constexpr int kInput = 0;
constexpr int kDim = 1;
constexpr int kKeepdim = 2;

uint64_t mask_of(Backward& b, const char* op) {
  const std::optional<Dims> dim = b.opt_attr<Dims>(kDim);
  return dim_mask(op, dim.has_value() ? DimsView(*dim) : DimsView(), b.meta(kInput).sizes.size(),
                  true);
}

// A result (or its gradient) with size 1 in the reduced dimensions.
Tensor restore(const Tensor& t, DimsView input_sizes, uint64_t mask) {
  return ops::reshape(t, keepdim_sizes(input_sizes, mask));
}

double reduced_count(DimsView sizes, uint64_t mask) {
  double count = 1;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if ((mask >> d & 1u) != 0) count *= static_cast<double>(sizes[d]);
  }
  return count;
}

void sum_backward(Backward& b) {
  b.set(kInput, [&] {
    const Dims& sizes = b.meta(kInput).sizes;
    return ops::expand(restore(b.grad(), sizes, mask_of(b, "sum")), sizes);
  });
}

void mean_backward(Backward& b) {
  b.set(kInput, [&] {
    const Dims& sizes = b.meta(kInput).sizes;
    const uint64_t mask = mask_of(b, "mean");
    const Tensor grad = ops::div(b.grad(), reduced_count(sizes, mask));
    return ops::expand(restore(grad, sizes, mask), sizes);
  });
}

// Ties share the gradient evenly.
void extreme_backward(Backward& b) {
  b.set(kInput, [&] {
    const Dims& sizes = b.meta(kInput).sizes;
    const uint64_t mask = mask_of(b, "amax");
    const Tensor hit = ops::eq(b.input(kInput), restore(b.output(), sizes, mask));
    Dims dims;
    for (size_t d = 0; d < sizes.size(); ++d) {
      if ((mask >> d & 1u) != 0) dims.push_back(static_cast<int64_t>(d));
    }
    const Tensor count = dims.empty() ? hit : ops::sum(hit, dims, true);
    return ops::div(ops::mul(restore(b.grad(), sizes, mask), hit), count);
  });
}

// The gradient goes to the element the index names.
void indexed_backward(Backward& b) {
  b.set(kInput, [&] {
    const Dims& sizes = b.meta(kInput).sizes;
    if (sizes.empty()) return b.grad();
    const int64_t dim = wrap_dim("maxDim", b.attr<int64_t>(kDim), sizes.size());
    const bool keepdim = b.attr<bool>(kKeepdim);
    Dims line(sizes.size(), 1);
    line[static_cast<size_t>(dim)] = sizes[static_cast<size_t>(dim)];
    const Tensor positions =
        ops::reshape(ops::arange(Scalar(sizes[static_cast<size_t>(dim)]), std::nullopt, Scalar(1),
                                 DType::Int64, b.meta(kInput).device),
                     line);
    const auto kept = [&](const Tensor& t) { return keepdim ? t : ops::unsqueeze(t, dim); };
    return ops::mul(kept(b.grad()), ops::eq(positions, kept(b.output(1))));
  });
}

}  // namespace

std::vector<Derivative> reduce() {
  return {
      {OpId::sum, {}, sum_backward},
      {OpId::mean, {}, mean_backward},
      {OpId::amax, {in(0), out()}, extreme_backward},
      {OpId::amin, {in(0), out()}, extreme_backward},
      {OpId::maxDim, {out(1)}, indexed_backward},
      {OpId::minDim, {out(1)}, indexed_backward},
  };
}

}  // namespace ampgrad::derivatives
