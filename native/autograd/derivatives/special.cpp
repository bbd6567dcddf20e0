// Derivatives of the special functions.
#include <cmath>

#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

constexpr double kTwoOverRootPi = 1.12837916709551257390;
constexpr double kRootHalf = 0.70710678118654752440;
constexpr double kRootTwoOverPi = 0.79788456080286535588;
constexpr double kRootTwoPi = 2.50662827463100050242;

Tensor scaled(const Tensor& x, double factor) { return ops::mul(x, Operand(factor)); }

void digamma_backward(Backward& b) {
  b.set(0, [&] { return ops::mul(b.grad(), ops::polygamma(int64_t{1}, b.input(0))); });
}

void polygamma_backward(Backward& b) {
  b.set(1, [&] { return ops::mul(b.grad(), ops::polygamma(b.attr<int64_t>(0) + 1, b.input(1))); });
}

void i0_backward(Backward& b) {
  b.set(0, [&] { return ops::mul(b.grad(), ops::i1(b.input(0))); });
}

void i0e_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor slope = ops::sub(ops::i1e(x), ops::mul(ops::sign(x), b.output()));
    return ops::mul(b.grad(), slope);
  });
}

// I1(x) / x, which is 1/2 at 0.
Tensor over_argument(const Tensor& y, const Tensor& x) {
  return ops::where(ops::eq(x, Operand(0)), Operand(0.5), ops::div(y, x));
}

void i1_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    return ops::mul(b.grad(), ops::sub(ops::i0(x), over_argument(b.output(), x)));
  });
}

void i1e_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor y = b.output();
    const Tensor slope = ops::sub(ops::i0e(x), over_argument(y, x));
    return ops::mul(b.grad(), ops::sub(slope, ops::mul(ops::sign(x), y)));
  });
}

void erfcx_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor product = ops::mul(scaled(b.input(0), 2.0), b.output());
    return ops::mul(b.grad(), ops::sub(product, Operand(kTwoOverRootPi)));
  });
}

void entr_backward(Backward& b) {
  b.set(0,
        [&] { return ops::mul(b.grad(), ops::neg(ops::add(ops::log(b.input(0)), Operand(1)))); });
}

void ndtr_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor density = scaled(ops::exp(scaled(ops::mul(x, x), -0.5)), 1 / kRootTwoPi);
    return ops::mul(b.grad(), density);
  });
}

void log_ndtr_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor ratio = ops::erfcx(scaled(x, -kRootHalf));
    const Tensor slope = scaled(ops::div(b.grad(), ratio), kRootTwoOverPi);
    // From -inf there is no direction to go.
    return ops::where(ops::isneginf(x), Operand(NAN), slope);
  });
}

void ndtri_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor y = b.output();
    return ops::mul(b.grad(), scaled(ops::exp(scaled(ops::mul(y, y), 0.5)), kRootTwoPi));
  });
}

void xlog1py_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor y =
        b.is_tensor(1) ? b.input(1) : ops::full(Dims{}, Scalar(b.operand(1).scalar().to_double()));
    const Tensor flat = ops::logicalAnd(ops::eq(x, Operand(0)), ops::le(y, Operand(-1)));
    return ops::where(flat, Operand(0.0), ops::mul(b.grad(), ops::log1p(y)));
  });
  b.set(1, [&] {
    return ops::mul(b.grad(), ops::div(b.operand(0), ops::add(b.operand(1), Operand(1))));
  });
}

}  // namespace

std::vector<Derivative> special() {
  return {
      {OpId::digamma, {in(0)}, digamma_backward},
      {OpId::polygamma, {in(1)}, polygamma_backward},
      {OpId::i0, {in(0)}, i0_backward},
      {OpId::i0e, {in(0), out()}, i0e_backward},
      {OpId::i1, {in(0), out()}, i1_backward},
      {OpId::i1e, {in(0), out()}, i1e_backward},
      {OpId::erfcx, {in(0), out()}, erfcx_backward},
      {OpId::entr, {in(0)}, entr_backward},
      {OpId::ndtr, {in(0)}, ndtr_backward},
      {OpId::logNdtr, {in(0)}, log_ndtr_backward},
      {OpId::ndtri, {out()}, ndtri_backward},
      {OpId::xlog1py, {in(0), in(1)}, xlog1py_backward},
  };
}

}  // namespace ampgrad::derivatives
