// Derivatives of matrix products.
#include "autograd/derivative.h"
#include "autograd/grad_mode.h"
#include "ops/gemm_operands.h"

namespace ampgrad::derivatives {

namespace {

// x: [..., in], weight: [out, in]; leading dimensions are rows of one matrix product.
void linear_backward(Backward& b) {
  const Tensor& g = b.grad();
  b.set(0, [&] { return ops::matmul(g, b.input(1)); });
  if (!b.needs(1) && !b.needs(2)) return;
  const Tensor rows = ops::reshape(g, Dims{-1, b.meta(1).sizes[0]});
  if (b.needs(1)) {
    const Tensor x = ops::reshape(b.input(0), Dims{-1, b.meta(1).sizes[1]});
    // The gradient of a transposed view, such as GPT-2's weights, is laid out as the view is: then
    // that of the weight itself is contiguous.
    const bool turned =
        b.needs(0) && !b.input(1).is_contiguous() && ops::t(b.input(1)).is_contiguous();
    if (turned) {
      b.set(1, ops::t(ops::mm(ops::t(x), rows)));
    } else if (is_low_precision(g.dtype()) && b.gathered_dtype(1) == DType::Float32 &&
               !GradMode::enabled()) {
      b.set(1, mm_widened(ops::t(rows), x));
    } else {
      b.set(1, ops::mm(ops::t(rows), x));
    }
  }
  if (b.is_tensor(2)) b.set(2, [&] { return ops::sum(rows, Dims{0}); });
}

}  // namespace

std::vector<Derivative> linalg() {
  return {
      {OpId::mm,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         b.set(0, [&] { return ops::mm(b.grad(), ops::t(b.input(1))); });
         b.set(1, [&] { return ops::mm(ops::t(b.input(0)), b.grad()); });
       }},
      {OpId::bmm,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         b.set(0, [&] { return ops::bmm(b.grad(), ops::transpose(b.input(1), 1, 2)); });
         b.set(1, [&] { return ops::bmm(ops::transpose(b.input(0), 1, 2), b.grad()); });
       }},
      {OpId::linear, {in(0).when(1), in(1).when(0)}, linear_backward},
  };
}

}  // namespace ampgrad::derivatives
