// Derivatives of order: gradients go to the elements that were chosen.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Tensor zeros_of(const TensorMeta& m) { return ops::zeros(m.sizes, m.dtype, m.device); }

// `grad` and `index` have the dimension `dim`.
Tensor scatter_to_input(Backward& b, int64_t dim, const Tensor& index, const Tensor& grad) {
  return ops::scatterAdd(zeros_of(b.meta(0)), dim, index, grad);
}

template <int kDim>
void rows_backward(Backward& b) {
  b.set(0, [&] { return scatter_to_input(b, b.attr<int64_t>(kDim), b.output(1), b.grad()); });
}

template <int kDim, int kKeepdim>
void selection_backward(Backward& b) {
  b.set(0, [&] {
    const int64_t dim = b.attr<int64_t>(kDim);
    if (b.meta(0).sizes.empty()) return b.grad();
    if (b.attr<bool>(kKeepdim)) return scatter_to_input(b, dim, b.output(1), b.grad());
    const int64_t d = wrap_dim("selection", dim, b.meta(0).sizes.size());
    return scatter_to_input(b, d, ops::unsqueeze(b.output(1), d), ops::unsqueeze(b.grad(), d));
  });
}

// Equal elements share the gradient.
void median_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor y = b.output();
    const Tensor hit = ops::logicalOr(ops::eq(x, y), ops::logicalAnd(ops::isnan(x), ops::isnan(y)));
    return ops::mul(hit, ops::div(b.grad(), ops::sum(hit)));
  });
}

}  // namespace

std::vector<Derivative> sort() {
  return {
      {OpId::sort, {out(1)}, rows_backward<1>},
      {OpId::topk, {out(1)}, rows_backward<2>},
      {OpId::kthvalue, {out(1)}, selection_backward<2, 3>},
      {OpId::medianDim, {out(1)}, selection_backward<1, 2>},
      {OpId::nanmedianDim, {out(1)}, selection_backward<1, 2>},
      {OpId::mode, {out(1)}, selection_backward<1, 2>},
      {OpId::median, {in(0), out()}, median_backward},
      {OpId::nanmedian, {in(0), out()}, median_backward},
  };
}

}  // namespace ampgrad::derivatives
