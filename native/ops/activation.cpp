// Activations and their fused derivatives: options become functor attributes here.
#include <cmath>

#include "ops/launch.h"
#include "ops/ops.h"

namespace ampgrad::impl {

namespace {

constexpr ElementwiseRule kSame = ElementwiseRule::Same;

// Integer inputs take whole bounds, as in PyTorch.
Attrs pair_attrs(double a, double b) {
  Attrs attrs;
  attrs.d[0] = a;
  attrs.d[1] = b;
  attrs.i[0] = Scalar::float_to_int(a);
  attrs.i[1] = Scalar::float_to_int(b);
  return attrs;
}

Attrs elu_attrs(double alpha, double scale, double input_scale) {
  Attrs attrs;
  attrs.d[0] = alpha * scale;
  attrs.d[1] = scale;
  attrs.d[2] = input_scale;
  return attrs;
}

// Klambauer et al., "Self-Normalizing Neural Networks", 2017.
constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;

}  // namespace

Tensor hardtanh(const Tensor& input, double min_val, double max_val) {
  AG_CHECK(min_val <= max_val, Value, "hardtanh: argument 'minVal' (", min_val,
           ") must not be greater than 'maxVal' (", max_val, ")");
  return launch_unary(OpId::hardtanh, kSame, input, pair_attrs(min_val, max_val));
}

Tensor relu6(const Tensor& input) { return ops::hardtanh(input, 0.0, 6.0); }

Tensor leakyRelu(const Tensor& input, double negative_slope) {
  return launch_unary(OpId::leakyRelu, kSame, input, pair_attrs(negative_slope, 0));
}

Tensor elu(const Tensor& input, double alpha, double scale, double input_scale) {
  return launch_unary(OpId::elu, kSame, input, elu_attrs(alpha, scale, input_scale));
}

Tensor selu(const Tensor& input) { return ops::elu(input, kSeluAlpha, kSeluScale, 1.0); }

Tensor celu(const Tensor& input, double alpha) {
  AG_CHECK(alpha != 0, Value, "celu: argument 'alpha' must not be 0");
  return ops::elu(input, alpha, 1.0, 1 / alpha);
}

Tensor gelu(const Tensor& input, const std::string& approximate) {
  AG_CHECK(approximate == "none" || approximate == "tanh", Value,
           "gelu: argument 'approximate' must be 'none' or 'tanh', got '", approximate, "'");
  return launch_unary(approximate == "tanh" ? OpId::geluTanh : OpId::gelu, kSame, input);
}

Tensor geluTanh(const Tensor& input) { return launch_unary(OpId::geluTanh, kSame, input); }

Tensor softplus(const Tensor& input, double beta, double threshold) {
  return launch_unary(OpId::softplus, kSame, input, pair_attrs(beta, threshold));
}

Tensor hardshrink(const Tensor& input, double lambd) {
  return launch_unary(OpId::hardshrink, kSame, input, pair_attrs(lambd, 0));
}

Tensor softshrink(const Tensor& input, double lambd) {
  AG_CHECK(lambd >= 0, Value, "softshrink: argument 'lambd' must be at least 0, got ", lambd);
  return launch_unary(OpId::softshrink, kSame, input, pair_attrs(lambd, 0));
}

Tensor threshold(const Tensor& input, double threshold, double value) {
  return launch_unary(OpId::threshold, kSame, input, pair_attrs(threshold, value));
}

Tensor prelu(const Tensor& input, const Tensor& weight) {
  constexpr const char* kName = "prelu";
  AG_CHECK(is_floating(input.dtype()), DType, kName, ": not implemented for ",
           dtype_name(input.dtype()));
  AG_CHECK(input.dtype() == weight.dtype(), DType, kName,
           ": arguments 'input' and 'weight' must have the same dtype, got ",
           dtype_name(input.dtype()), " and ", dtype_name(weight.dtype()));
  AG_CHECK(weight.ndim() <= 1, Shape, kName,
           ": argument 'weight' must be a scalar or 1-d tensor, got shape ", weight.sizes());
  const int64_t channels = input.ndim() > 1 ? input.size(1) : 1;
  AG_CHECK(weight.numel() == 1 || weight.numel() == channels, Shape, kName,
           ": argument 'weight' must have 1 element or one for each of ", channels,
           " channels, got ", weight.numel());
  Dims shape(input.ndim(), 1);
  if (weight.numel() != 1) shape[1] = channels;
  const Tensor slopes = ops::reshape(weight, shape);
  return ops::where(ops::gt(input, Operand(0)), input, ops::mul(input, slopes));
}

Tensor rrelu(const Tensor& input, double lower, double upper, bool training) {
  constexpr const char* kName = "rrelu";
  AG_CHECK(is_floating(input.dtype()), DType, kName, ": not implemented for ",
           dtype_name(input.dtype()));
  AG_CHECK(std::isfinite(lower) && std::isfinite(upper) && lower <= upper, Value, kName,
           ": arguments 'lower' and 'upper' must be finite and in order, got ", lower, " and ",
           upper);
  if (!training) return ops::leakyRelu(input, (lower + upper) / 2);
  const Tensor slopes = ops::emptyLike(ops::detach(input));
  impl::uniform_(slopes, lower, upper);
  return ops::mul(input, ops::where(ops::gt(input, Operand(0)), Operand(1), slopes));
}

Tensor thresholdBackward(const Tensor& grad, const Tensor& input, double threshold) {
  return launch_binary(OpId::thresholdBackward, kSame, grad, input, pair_attrs(threshold, 0));
}

Tensor hardtanhBackward(const Tensor& grad, const Tensor& input, double min_val, double max_val) {
  return launch_binary(OpId::hardtanhBackward, kSame, grad, input, pair_attrs(min_val, max_val));
}

Tensor leakyReluBackward(const Tensor& grad, const Tensor& input, double negative_slope) {
  return launch_binary(OpId::leakyReluBackward, kSame, grad, input, pair_attrs(negative_slope, 0));
}

Tensor eluBackward(const Tensor& grad, const Tensor& input, double alpha, double scale,
                   double input_scale) {
  return launch_binary(OpId::eluBackward, kSame, grad, input, elu_attrs(alpha, scale, input_scale));
}

Tensor shrinkBackward(const Tensor& grad, const Tensor& input, double lambd) {
  return launch_binary(OpId::shrinkBackward, kSame, grad, input, pair_attrs(lambd, 0));
}

Tensor softplusBackward(const Tensor& grad, const Tensor& input, double beta, double threshold) {
  return launch_binary(OpId::softplusBackward, kSame, grad, input, pair_attrs(beta, threshold));
}

}  // namespace ampgrad::impl
