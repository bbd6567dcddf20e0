// Derivatives of the activations, and of their fused first derivatives (which are ops, so that the
// backward pass is one kernel and can still be differentiated).
#include <cmath>

#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

constexpr double kInverseRootTwoPi = 0.39894228040143267794;
constexpr double kGeluScale = 1.59576912160573071176;  // 2 sqrt(2 / pi)
constexpr double kGeluCube = 0.044715;

Tensor one_minus(const Tensor& x) { return ops::rsub(x, Operand(1)); }
Tensor where_or_zero(const Tensor& condition, const Tensor& x) {
  return ops::where(condition, x, Operand(0.0));
}

// --- First derivatives.

void relu_backward(Backward& b) {
  b.set(0, [&] { return ops::thresholdBackward(b.grad(), b.output(), 0.0); });
}
void threshold_backward(Backward& b) {
  b.set(0, [&] { return ops::thresholdBackward(b.grad(), b.input(0), b.attr<double>(1)); });
}
void hardtanh_backward(Backward& b) {
  b.set(0, [&] {
    return ops::hardtanhBackward(b.grad(), b.input(0), b.attr<double>(1), b.attr<double>(2));
  });
}
void leaky_relu_backward(Backward& b) {
  b.set(0, [&] { return ops::leakyReluBackward(b.grad(), b.input(0), b.attr<double>(1)); });
}
void elu_backward(Backward& b) {
  b.set(0, [&] {
    return ops::eluBackward(b.grad(), b.input(0), b.attr<double>(1), b.attr<double>(2),
                            b.attr<double>(3));
  });
}
void gelu_backward(Backward& b) {
  b.set(0, [&] {
    return b.attr<std::string>(1) == "tanh" ? ops::geluTanhBackward(b.grad(), b.input(0))
                                            : ops::geluBackward(b.grad(), b.input(0));
  });
}
void softplus_backward(Backward& b) {
  b.set(0, [&] {
    return ops::softplusBackward(b.grad(), b.input(0), b.attr<double>(1), b.attr<double>(2));
  });
}
void shrink_backward(Backward& b) {
  b.set(0, [&] { return ops::shrinkBackward(b.grad(), b.input(0), b.attr<double>(1)); });
}
void softsign_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor x = b.input(0);
    const Tensor d = ops::add(ops::abs(x), Operand(1));
    // At infinity the value is NaN, and so is the slope.
    return ops::where(ops::isinf(x), Operand(NAN), ops::div(b.grad(), ops::mul(d, d)));
  });
}
void tanhshrink_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor t = ops::tanh(b.input(0));
    return ops::mul(b.grad(), ops::mul(t, t));
  });
}

template <auto& kOp>
void unary_backward(Backward& b) {
  b.set(0, [&] { return kOp(b.grad(), b.input(0)); });
}

// --- Second derivatives: of out = grad * f'(x) with respect to grad and x.

// The gradient of `grad` is the same op applied to the incoming gradient; x has slope 0 almost
// everywhere.
template <class Again>
void piecewise_linear(Backward& b, const Again& again) {
  b.set(0, [&] { return again(b.grad(), b.input(1)); });
  b.set(1, [&] { return ops::zerosLike(b.grad()); });
}

// With f'' given as a function of x.
template <class Again, class Second>
void smooth(Backward& b, const Again& again, const Second& second) {
  b.set(0, [&] { return again(b.grad(), b.input(1)); });
  b.set(1, [&] { return ops::mul(ops::mul(b.grad(), b.input(0)), second(b.input(1))); });
}

void threshold_backward_backward(Backward& b) {
  piecewise_linear(b, [&](const Tensor& g, const Tensor& x) {
    return ops::thresholdBackward(g, x, b.attr<double>(2));
  });
}
void hardtanh_backward_backward(Backward& b) {
  piecewise_linear(b, [&](const Tensor& g, const Tensor& x) {
    return ops::hardtanhBackward(g, x, b.attr<double>(2), b.attr<double>(3));
  });
}
void leaky_relu_backward_backward(Backward& b) {
  piecewise_linear(b, [&](const Tensor& g, const Tensor& x) {
    return ops::leakyReluBackward(g, x, b.attr<double>(2));
  });
}
void shrink_backward_backward(Backward& b) {
  piecewise_linear(b, [&](const Tensor& g, const Tensor& x) {
    return ops::shrinkBackward(g, x, b.attr<double>(2));
  });
}
void hardsigmoid_backward_backward(Backward& b) {
  piecewise_linear(b,
                   [](const Tensor& g, const Tensor& x) { return ops::hardsigmoidBackward(g, x); });
}
void hardswish_backward_backward(Backward& b) {
  smooth(
      b, [](const Tensor& g, const Tensor& x) { return ops::hardswishBackward(g, x); },
      [](const Tensor& x) {
        const Tensor inside = ops::lt(ops::abs(x), Operand(3));
        return where_or_zero(inside, ops::fullLike(x, Scalar(1.0 / 3)));
      });
}

void elu_backward_backward(Backward& b) {
  const double alpha = b.attr<double>(2);
  const double scale = b.attr<double>(3);
  const double input_scale = b.attr<double>(4);
  smooth(
      b,
      [&](const Tensor& g, const Tensor& x) {
        return ops::eluBackward(g, x, alpha, scale, input_scale);
      },
      [&](const Tensor& x) {
        const Tensor e = ops::exp(ops::mul(x, Operand(input_scale)));
        const double factor = alpha * scale * input_scale * input_scale;
        return where_or_zero(ops::le(x, Operand(0)), ops::mul(e, Operand(factor)));
      });
}

// From the output y: y (1 - y) and 1 - y^2.
void sigmoid_backward_backward(Backward& b) {
  const Tensor u = b.grad();
  const Tensor y = b.input(1);
  b.set(0, [&] { return ops::sigmoidBackward(u, y); });
  b.set(1, [&] {
    const Tensor slope = one_minus(ops::mul(y, Operand(2)));
    return ops::mul(ops::mul(u, b.input(0)), slope);
  });
}
void tanh_backward_backward(Backward& b) {
  const Tensor u = b.grad();
  const Tensor y = b.input(1);
  b.set(0, [&] { return ops::tanhBackward(u, y); });
  b.set(1, [&] { return ops::mul(ops::mul(u, b.input(0)), ops::mul(y, Operand(-2))); });
}

// s = sigmoid(beta x); f' = s below the threshold, 1 above.
void softplus_backward_backward(Backward& b) {
  const double beta = b.attr<double>(2);
  const double threshold = b.attr<double>(3);
  smooth(
      b,
      [&](const Tensor& g, const Tensor& x) {
        return ops::softplusBackward(g, x, beta, threshold);
      },
      [&](const Tensor& x) {
        const Tensor scaled = ops::mul(x, Operand(beta));
        const Tensor s = ops::sigmoid(scaled);
        const Tensor curve = ops::mul(ops::mul(s, one_minus(s)), Operand(beta));
        return where_or_zero(ops::le(scaled, Operand(threshold)), curve);
      });
}

// f'' = density (2 - x^2).
void gelu_backward_backward(Backward& b) {
  smooth(
      b, [](const Tensor& g, const Tensor& x) { return ops::geluBackward(g, x); },
      [](const Tensor& x) {
        const Tensor x2 = ops::mul(x, x);
        const Tensor density =
            ops::mul(ops::exp(ops::mul(x2, Operand(-0.5))), Operand(kInverseRootTwoPi));
        return ops::mul(density, ops::rsub(x2, Operand(2)));
      });
}

// f = x s(u), u = c (x + k x^3): f'' = s' u' (2 + x u' (1 - 2 s)) + x s' u''.
void gelu_tanh_backward_backward(Backward& b) {
  smooth(
      b, [](const Tensor& g, const Tensor& x) { return ops::geluTanhBackward(g, x); },
      [](const Tensor& x) {
        const Tensor x2 = ops::mul(x, x);
        const Tensor inner = ops::mul(
            x,
            ops::mul(ops::add(ops::mul(x2, Operand(kGeluCube)), Operand(1)), Operand(kGeluScale)));
        const Tensor du = ops::mul(ops::add(ops::mul(x2, Operand(3 * kGeluCube)), Operand(1)),
                                   Operand(kGeluScale));
        const Tensor ddu = ops::mul(x, Operand(6 * kGeluCube * kGeluScale));
        const Tensor s = ops::sigmoid(inner);
        const Tensor ds = ops::mul(s, one_minus(s));
        const Tensor bend = ops::mul(ops::mul(x, du), one_minus(ops::mul(s, Operand(2))));
        return ops::mul(ds, ops::add(ops::mul(du, ops::add(bend, Operand(2))), ops::mul(x, ddu)));
      });
}

// f = x s: f'' = s (1 - s) (2 + x (1 - 2 s)).
void silu_backward_backward(Backward& b) {
  smooth(
      b, [](const Tensor& g, const Tensor& x) { return ops::siluBackward(g, x); },
      [](const Tensor& x) {
        const Tensor s = ops::sigmoid(x);
        const Tensor bend = ops::mul(x, one_minus(ops::mul(s, Operand(2))));
        return ops::mul(ops::mul(s, one_minus(s)), ops::add(bend, Operand(2)));
      });
}

// f = x t(p), p = softplus, t = tanh: with s = sigmoid(x), q = 1 - t^2:
// f'' = 2 q s + x q (s (1 - s) - 2 t s^2).
void mish_backward_backward(Backward& b) {
  smooth(
      b, [](const Tensor& g, const Tensor& x) { return ops::mishBackward(g, x); },
      [](const Tensor& x) {
        const Tensor s = ops::sigmoid(x);
        const Tensor t = ops::tanh(ops::softplus(x));
        const Tensor q = one_minus(ops::mul(t, t));
        const Tensor s2 = ops::mul(s, s);
        const Tensor bend = ops::sub(ops::sub(s, s2), ops::mul(ops::mul(t, s2), Operand(2)));
        return ops::mul(q, ops::add(ops::mul(s, Operand(2)), ops::mul(x, bend)));
      });
}

// f' = sigmoid(-x): f'' = -s (1 - s).
void log_sigmoid_backward_backward(Backward& b) {
  smooth(
      b, [](const Tensor& g, const Tensor& x) { return ops::logSigmoidBackward(g, x); },
      [](const Tensor& x) {
        const Tensor s = ops::sigmoid(x);
        return ops::neg(ops::mul(s, one_minus(s)));
      });
}

}  // namespace

std::vector<Derivative> activation() {
  const std::vector<Save> x{in(0)};
  const std::vector<Save> grad_and_x{in(0).when(1), in(1)};
  return {
      {OpId::relu, {out()}, relu_backward},
      {OpId::threshold, x, threshold_backward},
      {OpId::hardtanh, x, hardtanh_backward},
      {OpId::leakyRelu, x, leaky_relu_backward},
      {OpId::elu, x, elu_backward},
      {OpId::gelu, x, gelu_backward},
      {OpId::geluTanh, x, unary_backward<ops::geluTanhBackward>},
      {OpId::silu, x, unary_backward<ops::siluBackward>},
      {OpId::mish, x, unary_backward<ops::mishBackward>},
      {OpId::softplus, x, softplus_backward},
      {OpId::softsign, x, softsign_backward},
      {OpId::tanhshrink, x, tanhshrink_backward},
      {OpId::hardshrink, x, shrink_backward},
      {OpId::softshrink, x, shrink_backward},
      {OpId::hardsigmoid, x, unary_backward<ops::hardsigmoidBackward>},
      {OpId::hardswish, x, unary_backward<ops::hardswishBackward>},
      {OpId::logSigmoid, x, unary_backward<ops::logSigmoidBackward>},
      {OpId::sigmoidBackward, grad_and_x, sigmoid_backward_backward},
      {OpId::tanhBackward, grad_and_x, tanh_backward_backward},
      {OpId::thresholdBackward, {in(1)}, threshold_backward_backward},
      {OpId::hardtanhBackward, {in(1)}, hardtanh_backward_backward},
      {OpId::leakyReluBackward, {in(1)}, leaky_relu_backward_backward},
      {OpId::eluBackward, grad_and_x, elu_backward_backward},
      {OpId::shrinkBackward, {in(1)}, shrink_backward_backward},
      {OpId::geluBackward, grad_and_x, gelu_backward_backward},
      {OpId::geluTanhBackward, grad_and_x, gelu_tanh_backward_backward},
      {OpId::siluBackward, grad_and_x, silu_backward_backward},
      {OpId::mishBackward, grad_and_x, mish_backward_backward},
      {OpId::softplusBackward, grad_and_x, softplus_backward_backward},
      {OpId::hardsigmoidBackward, {in(1)}, hardsigmoid_backward_backward},
      {OpId::hardswishBackward, grad_and_x, hardswish_backward_backward},
      {OpId::logSigmoidBackward, grad_and_x, log_sigmoid_backward_backward},
  };
}

}  // namespace ampgrad::derivatives
