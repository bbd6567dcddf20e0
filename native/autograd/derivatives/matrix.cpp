// Derivatives of products with an added term: beta * input + alpha * A B. The engine sums the
// gradient of an input that was broadcast.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

// Schema positions of the family.
constexpr int kInput = 0;
constexpr int kLeft = 1;
constexpr int kRight = 2;
constexpr int kBeta = 3;
constexpr int kAlpha = 4;

Tensor scaled(const Tensor& x, Scalar factor) {
  return factor == Scalar(1) ? x : ops::mul(x, factor);
}

Tensor input_gradient(Backward& b) { return scaled(b.grad(), b.attr<Scalar>(kBeta)); }

void addmm_backward(Backward& b) {
  const Scalar alpha = b.attr<Scalar>(kAlpha);
  b.set(kInput, [&] { return input_gradient(b); });
  b.set(kLeft, [&] { return scaled(ops::mm(b.grad(), ops::t(b.input(kRight))), alpha); });
  b.set(kRight, [&] { return scaled(ops::mm(ops::t(b.input(kLeft)), b.grad()), alpha); });
}

void addmv_backward(Backward& b) {
  const Scalar alpha = b.attr<Scalar>(kAlpha);
  b.set(kInput, [&] { return input_gradient(b); });
  b.set(kLeft, [&] { return scaled(ops::outer(b.grad(), b.input(kRight)), alpha); });
  b.set(kRight, [&] { return scaled(ops::mv(ops::t(b.input(kLeft)), b.grad()), alpha); });
}

void addr_backward(Backward& b) {
  const Scalar alpha = b.attr<Scalar>(kAlpha);
  const auto as_grad = [&](int arg) {
    return ops::to(b.input(arg), std::optional<DType>(b.grad().dtype()));
  };
  b.set(kInput, [&] { return input_gradient(b); });
  b.set(kLeft, [&] { return scaled(ops::mv(b.grad(), as_grad(kRight)), alpha); });
  b.set(kRight, [&] { return scaled(ops::mv(ops::t(b.grad()), as_grad(kLeft)), alpha); });
}

void baddbmm_backward(Backward& b) {
  const Scalar alpha = b.attr<Scalar>(kAlpha);
  const auto turned = [&](int arg) { return ops::transpose(b.input(arg), 1, 2); };
  b.set(kInput, [&] { return input_gradient(b); });
  b.set(kLeft, [&] { return scaled(ops::bmm(b.grad(), turned(kRight)), alpha); });
  b.set(kRight, [&] { return scaled(ops::bmm(turned(kLeft), b.grad()), alpha); });
}

}  // namespace

std::vector<Derivative> matrix() {
  const std::vector<Save> factors{in(kLeft).when(kRight), in(kRight).when(kLeft)};
  return {
      {OpId::mv,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         b.set(0, [&] { return ops::outer(b.grad(), b.input(1)); });
         b.set(1, [&] { return ops::mv(ops::t(b.input(0)), b.grad()); });
       }},
      {OpId::dot,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         b.set(0, [&] { return ops::mul(b.grad(), b.input(1)); });
         b.set(1, [&] { return ops::mul(b.grad(), b.input(0)); });
       }},
      {OpId::addmm, factors, addmm_backward},
      {OpId::addmv, factors, addmv_backward},
      {OpId::addr, factors, addr_backward},
      {OpId::baddbmm, factors, baddbmm_backward},
  };
}

}  // namespace ampgrad::derivatives
