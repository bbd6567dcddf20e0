// Derivatives of distances between rows and of frexp.
#include <cmath>

#include "autograd/derivative.h"
#include "autograd/grad_mode.h"

namespace ampgrad::derivatives {

namespace {

// Zero where `distance` is: the norm has no derivative there, and 0 is PyTorch's choice.
Tensor zero_at_zero(const Tensor& value, const Tensor& distance) {
  return ops::maskedFill(value, ops::eq(distance, 0), Operand(0));
}

// d distance / d difference for every pair and column, in public ops: [batch, rows1, rows2, width].
Tensor slopes(const Tensor& difference, const Tensor& distance, double p) {
  const Tensor wide = ops::unsqueeze(distance, -1);
  const Tensor sign = ops::sign(difference);
  if (p == 0) return ops::zerosLike(difference);
  if (p == 1) return sign;
  if (p == INFINITY) return ops::mul(sign, ops::eq(ops::abs(difference), wide));
  const Tensor flat = ops::logicalOr(ops::eq(wide, 0), ops::eq(difference, 0));
  // Powers are taken of ones where they would be infinite.
  const Tensor size = ops::where(flat, Operand(1.0), ops::mul(difference, sign));
  const Tensor whole = ops::where(ops::eq(wide, 0), Operand(1.0), wide);
  const Tensor ratio = ops::div(ops::pow(size, p - 1), ops::pow(whole, p - 1));
  return ops::maskedFill(ops::mul(ratio, sign), flat, Operand(0));
}

// The gradient of x1 for which derivatives of a higher order are wanted: the differences of all
// pairs stand in memory, and the distances are computed from them again.
Tensor recorded_gradient(const Tensor& grad, const Tensor& x1, const Tensor& x2, double p,
                         const Tensor& distance) {
  const Tensor difference = ops::sub(ops::unsqueeze(x1, 2), ops::unsqueeze(x2, 1));
  return ops::sum(ops::mul(ops::unsqueeze(grad, -1), slopes(difference, distance, p)), Dims{2});
}

Tensor kernel_gradient(const Tensor& grad, const Tensor& x1, const Tensor& x2, double p,
                       const Tensor& distance) {
  return ops::cdistBackward(grad, x1, x2, p, distance);
}

void cdist_backward(Backward& b) {
  const auto p = b.attr<double>(2);
  const Tensor x1 = b.input(0);
  const Tensor x2 = b.input(1);
  const Tensor distance = b.output();
  const auto gradient = GradMode::enabled() ? &recorded_gradient : &kernel_gradient;
  b.set(0, [&] { return gradient(b.grad(), x1, x2, p, distance); });
  b.set(1, [&] {
    return gradient(ops::transpose(b.grad(), 1, 2), x2, x1, p, ops::transpose(distance, 1, 2));
  });
}

void euclidean_backward(Backward& b) {
  const Tensor x1 = b.input(0);
  const Tensor x2 = b.input(1);
  const Tensor safe = ops::maskedFill(b.output(), ops::eq(b.output(), 0), Operand(1));
  const Tensor ratio = zero_at_zero(ops::div(b.grad(), safe), b.output());
  b.set(0, [&] {
    return ops::sub(ops::mul(x1, ops::sum(ratio, Dims{-1}, true)), ops::matmul(ratio, x2));
  });
  b.set(1, [&] {
    const Tensor turned = ops::transpose(ratio, -2, -1);
    return ops::sub(ops::mul(x2, ops::sum(turned, Dims{-1}, true)), ops::matmul(turned, x1));
  });
}

}  // namespace

std::vector<Derivative> numeric() {
  return {
      {OpId::cdistForward, {in(0), in(1), out()}, cdist_backward},
      {OpId::euclideanDistance, {in(0), in(1), out()}, euclidean_backward},
      {OpId::frexp,
       {out(1)},
       [](Backward& b) {
         b.set(0, [&] {
           return ops::div(b.grad(), ops::exp2(ops::to(b.output(1), b.grad().dtype())));
         });
       }},
  };
}

}  // namespace ampgrad::derivatives
