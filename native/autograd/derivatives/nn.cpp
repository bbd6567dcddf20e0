// Derivatives of network operations with kernels of their own.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Tensor sum_along(const Tensor& t, int64_t dim) {
  return t.ndim() == 0 ? t : ops::sum(t, Dims{dim}, true);
}

// y (g - sum(g y)), as a function of g and y.
void softmax_backward_backward(Backward& b) {
  const int64_t dim = b.attr<int64_t>(2);
  const Tensor y = b.input(1);
  const Tensor u = b.grad();
  b.set(0, [&] { return ops::softmaxBackward(u, y, dim); });
  b.set(1, [&] {
    const Tensor g = b.input(0);
    const Tensor dot = sum_along(ops::mul(g, y), dim);
    const Tensor weight = sum_along(ops::mul(u, y), dim);
    return ops::sub(ops::mul(u, ops::sub(g, dot)), ops::mul(g, weight));
  });
}

// g - e^y sum(g), as a function of g and y.
void log_softmax_backward_backward(Backward& b) {
  const int64_t dim = b.attr<int64_t>(2);
  const Tensor u = b.grad();
  const Tensor p = ops::exp(b.input(1));
  b.set(0, [&] { return ops::sub(u, sum_along(ops::mul(u, p), dim)); });
  b.set(1, [&] { return ops::neg(ops::mul(ops::mul(u, p), sum_along(b.input(0), dim))); });
}

}  // namespace

std::vector<Derivative> nn() {
  return {
      {OpId::softmax,
       {out()},
       [](Backward& b) {
         b.set(0, [&] { return ops::softmaxBackward(b.grad(), b.output(), b.attr<int64_t>(1)); });
       }},
      {OpId::logSoftmax,
       {out()},
       [](Backward& b) {
         b.set(0,
               [&] { return ops::logSoftmaxBackward(b.grad(), b.output(), b.attr<int64_t>(1)); });
       }},
      {OpId::softmaxBackward, {in(0).when(1), in(1)}, softmax_backward_backward},
      {OpId::logSoftmaxBackward, {in(0).when(1), in(1)}, log_softmax_backward_backward},
  };
}

}  // namespace ampgrad::derivatives
