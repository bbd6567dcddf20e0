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

// Every gradient of this form of three arguments is such a form of the other two, or their product.
void bilinear_backward(Backward& b) {
  constexpr int kFirst = 0;
  constexpr int kSecond = 1;
  constexpr int kWeight = 2;
  constexpr int kBias = 3;
  b.set(kFirst, [&] {
    return ops::bilinear(b.grad(), b.input(kSecond), ops::transpose(b.input(kWeight), 0, 1),
                         Tensor());
  });
  b.set(kSecond, [&] {
    return ops::bilinear(b.grad(), b.input(kFirst), ops::permute(b.input(kWeight), Dims{2, 0, 1}),
                         Tensor());
  });
  b.set(kWeight, [&] {
    const Dims sizes = b.input(kWeight).sizes();
    const DType dtype = b.grad().dtype();
    const auto rows = [&](const Tensor& x) {  // half types are rounded once
      const Tensor flat =
          ops::reshape(x, Dims{x.numel() / std::max<int64_t>(x.size(-1), 1), x.size(-1)});
      return is_low_precision(dtype) ? ops::to(flat, std::optional<DType>(DType::Float32)) : flat;
    };
    const Tensor pairs =
        ops::mul(ops::unsqueeze(rows(b.grad()), -1), ops::unsqueeze(rows(b.input(kFirst)), -2));
    const Tensor left = ops::reshape(pairs, Dims{pairs.size(0), sizes[0] * sizes[1]});
    const Tensor sum = ops::reshape(ops::mm(ops::t(left), rows(b.input(kSecond))), sizes);
    return is_low_precision(dtype) ? ops::to(sum, std::optional<DType>(dtype)) : sum;
  });
  b.set(kBias, [&] {
    Dims lead;
    for (int64_t d = 0; d + 1 < static_cast<int64_t>(b.grad().ndim()); ++d) lead.push_back(d);
    return lead.empty() ? b.grad() : ops::sum(b.grad(), lead, false);
  });
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
      {OpId::bilinear, {in(0), in(1), in(2)}, bilinear_backward},
      {OpId::addmv, factors, addmv_backward},
      {OpId::addr, factors, addr_backward},
      {OpId::baddbmm, factors, baddbmm_backward},
  };
}

}  // namespace ampgrad::derivatives
