// Dropout in PyTorch's variants: elements, whole channels, and the kind that keeps the mean and
// deviation of self-normalising networks.
#include <cmath>

#include "core/generators.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/resample_params.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

void check(const char* op, double p) {
  AG_CHECK(p >= 0 && p <= 1, Value, op, ": dropout probability has to be between 0 and 1, but got ",
           p);
}

// Only what draws needs a floating point input; the identity takes anything.
void check_draw(const char* op, const Tensor& input) {
  AG_CHECK(is_floating(input.dtype()), DType, op, ": not implemented for ",
           dtype_name(input.dtype()), "; argument 'input' must be floating point");
}

Tensor zero_like_input(const Tensor& input) { return ops::mul(input, Scalar(0.0)); }

// One value per channel of each sample.
Tensor feature_noise(const char* op, const Tensor& input) {
  AG_CHECK(input.ndim() >= 2, Shape, op,
           ": Feature dropout requires at least 2 dimensions in the input, got shape ",
           input.sizes());
  Dims sizes(input.ndim(), 1);
  sizes[0] = input.sizes()[0];
  sizes[1] = input.sizes()[1];
  return ops::empty(sizes, std::optional<DType>(input.dtype()),
                    std::optional<Device>(input.device()));
}

Tensor feature_dropout(const char* op, const Tensor& input, double p, bool training) {
  check(op, p);
  if (!training || p == 0 || input.numel() == 0) return input;
  if (p == 1) return zero_like_input(input);
  check_draw(op, input);
  const Tensor noise = feature_noise(op, input);
  impl::bernoulli_(noise, 1 - p);
  return ops::mul(input, ops::div(noise, 1 - p));
}

// Unbatched inputs lack the first dimension.
Tensor channels(const char* op, size_t n, const Tensor& input, double p, bool training) {
  check(op, p);
  AG_CHECK(input.ndim() >= 2, Shape, op, ": expected a channel dimension, got shape ",
           input.sizes());
  if (input.ndim() != n + 1 || n == 2) return feature_dropout(op, input, p, training);
  return ops::squeeze(feature_dropout(op, ops::unsqueeze(input, 0), p, training), Dims{0});
}

// Klambauer et al., "Self-Normalizing Neural Networks", 2017, section "New Dropout Technique".
Tensor alpha_dropout(const Tensor& input, const Tensor& noise, double p) {
  constexpr double kAlpha = 1.7580993408473766;  // scale * alpha of SELU
  impl::bernoulli_(noise, 1 - p);
  const double a = 1 / std::sqrt((kAlpha * kAlpha * p + 1) * (1 - p));
  const Tensor shift = ops::add(ops::mul(ops::sub(noise, Scalar(1)), kAlpha * a), kAlpha * a * p);
  return ops::add(ops::mul(input, ops::mul(noise, a)), shift);
}

DropoutParams params_for(const Tensor& x, const Tensor& out, const Tensor& mask, double scale) {
  DropoutParams p;
  p.dtype = x.dtype();
  p.in = x.data();
  p.out = out.data();
  p.mask = mask.data_as<bool>();
  p.numel = x.numel();
  p.scale = scale;
  return p;
}

}  // namespace

namespace impl {

std::tuple<Tensor, Tensor> nativeDropout(const Tensor& input, double p) {
  check("nativeDropout", p);
  check_draw("nativeDropout", input);
  const Tensor x = as_contiguous(input);
  const Tensor out = Tensor::empty(x.sizes(), x.dtype(), x.device());
  const Tensor mask = Tensor::empty(x.sizes(), DType::Bool, x.device());
  if (x.numel() == 0) return {out, mask};
  DropoutParams params = params_for(x, out, mask, p == 1 ? 0 : 1 / (1 - p));
  params.keep = 1 - p;
  params.state = default_generator(x.device()).reserve(static_cast<uint64_t>((x.numel() + 3) / 4));
  KernelTable::run(OpId::nativeDropout, x.device(), x.dtype(), params);
  return {out, mask};
}

Tensor dropoutBackward(const Tensor& grad, const Tensor& mask, double scale) {
  AG_CHECK(mask.dtype() == DType::Bool && mask.sizes() == grad.sizes(), Shape,
           "dropoutBackward: argument 'mask' must be bool of shape ", grad.sizes(), ", got ",
           describe(mask));
  const Tensor g = as_contiguous(grad);
  const Tensor m = as_contiguous(mask);
  const Tensor out = Tensor::empty(g.sizes(), g.dtype(), g.device());
  if (g.numel() == 0) return out;
  KernelTable::run(OpId::dropoutBackward, g.device(), g.dtype(), params_for(g, out, m, scale));
  return out;
}

Tensor dropout(const Tensor& input, double p, bool training) {
  check("dropout", p);
  if (!training || p == 0 || input.numel() == 0) return input;
  if (p == 1) return zero_like_input(input);
  return std::get<0>(ops::nativeDropout(input, p));
}

Tensor featureDropout(const Tensor& input, double p, bool training) {
  return feature_dropout("featureDropout", input, p, training);
}
Tensor dropout1d(const Tensor& input, double p, bool training) {
  return channels("dropout1d", 1, input, p, training);
}
Tensor dropout2d(const Tensor& input, double p, bool training) {
  return channels("dropout2d", 2, input, p, training);
}
Tensor dropout3d(const Tensor& input, double p, bool training) {
  return channels("dropout3d", 3, input, p, training);
}

Tensor alphaDropout(const Tensor& input, double p, bool training) {
  check("alphaDropout", p);
  if (!training || p == 0 || input.numel() == 0) return input;
  if (p == 1) return zero_like_input(input);
  check_draw("alphaDropout", input);
  return alpha_dropout(input, ops::emptyLike(ops::detach(input)), p);
}

Tensor featureAlphaDropout(const Tensor& input, double p, bool training) {
  check("featureAlphaDropout", p);
  if (!training || p == 0 || input.numel() == 0) return input;
  if (p == 1) return zero_like_input(input);
  check_draw("featureAlphaDropout", input);
  return alpha_dropout(input, feature_noise("featureAlphaDropout", input), p);
}

}  // namespace impl

}  // namespace ampgrad
