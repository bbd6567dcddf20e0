// The pooling functions of PyTorch's vocabulary, by number of spatial dimensions, made of the rows
// in pool.cpp.
#include "ops/launch.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

void check_input(const char* op, const Tensor& input, size_t n) {
  AG_CHECK(input.ndim() == n + 1 || input.ndim() == n + 2, Shape, op, ": Expected ",
           static_cast<int64_t>(n) + 1, "D or ", static_cast<int64_t>(n) + 2,
           "D (batch mode) tensor for input, but got: ", input.sizes());
  for (size_t d = input.ndim() - n - 1; d < input.ndim(); ++d) {
    AG_CHECK(input.sizes()[d] > 0, Shape, op,
             ": Expected input to have non-zero size for non-batch dimensions, but input has "
             "sizes ",
             input.sizes());
  }
}

Dims expand_list(const char* op, const char* name, DimsView list, size_t n) {
  AG_CHECK(list.size() == 1 || list.size() == n, Shape, op, ": ", name,
           " must either be a single int, or a tuple of ", static_cast<int64_t>(n), " ints, got ",
           list);
  Dims out;
  for (size_t i = 0; i < n; ++i) out.push_back(list.size() == 1 ? list[0] : list[i]);
  return out;
}

Dims stride_or(const std::optional<Dims>& stride, const Dims& kernel) {
  return stride.has_value() && !stride->empty() ? *stride : kernel;
}

std::tuple<Tensor, Tensor> max_pool(const char* op, size_t n, const Tensor& input, DimsView kernel,
                                    const std::optional<Dims>& stride, DimsView padding,
                                    DimsView dilation, bool ceil_mode) {
  check_input(op, input, n);
  const Dims k = expand_list(op, "kernel_size", kernel, n);
  return ops::maxPoolForward(input, k, stride_or(stride, k), padding, dilation, ceil_mode);
}

Tensor avg_pool(const char* op, size_t n, const Tensor& input, DimsView kernel,
                const std::optional<Dims>& stride, DimsView padding, bool ceil_mode,
                bool count_include_pad, std::optional<int64_t> divisor) {
  check_input(op, input, n);
  const Dims k = expand_list(op, "kernel_size", kernel, n);
  return ops::avgPoolForward(input, k, stride_or(stride, k), padding, ceil_mode, count_include_pad,
                             divisor);
}

// A user's positions are checked wherever they live; what a pooling has returned is not, so that
// its backward does not wait for the device.
Tensor scatter_checked(const char* op, const Tensor& input, const Tensor& indices,
                       const Dims& out) {
  const int64_t size = element_count(out);
  if (!indices.device().is_cpu() && indices.dtype() == DType::Int64 && indices.numel() > 0) {
    for (const Tensor& bound : {ops::amin(indices), ops::amax(indices)}) {
      const int64_t at = first_value<int64_t>(bound);
      AG_CHECK(at >= 0 && at < size, Range, op, ": found an invalid max index: ", at,
               " (output volumes are of size ", size, ")");
    }
  }
  return ops::poolScatter(input, indices, out, false);
}

Tensor max_unpool(const char* op, size_t n, const Tensor& input, const Tensor& indices,
                  DimsView kernel, const std::optional<Dims>& stride, DimsView padding,
                  const std::optional<Dims>& output_size) {
  AG_CHECK(input.ndim() == n + 1 || input.ndim() == n + 2, Shape, op, ": Input to ", op,
           " should be a ", static_cast<int64_t>(n) + 1, "d or ", static_cast<int64_t>(n) + 2,
           "d Tensor, but got shape ", input.sizes());
  const Dims k = expand_list(op, "kernel_size", kernel, n);
  const Dims s = expand_list(op, "stride", stride_or(stride, k), n);
  const Dims p = expand_list(op, "padding", padding, n);
  Dims natural;
  for (size_t i = 0; i < n; ++i) {
    const int64_t size = input.sizes()[input.ndim() - n + i];
    natural.push_back((size - 1) * s[i] - 2 * p[i] + k[i]);
  }
  if (!output_size.has_value()) return scatter_checked(op, input, indices, natural);
  Dims out = *output_size;
  if (out.size() == n + 2) out = Dims(DimsView(*output_size).slice(2, n));
  AG_CHECK(out.size() == n, Shape, op, ": output_size should be a sequence containing ",
           static_cast<int64_t>(n), " or ", static_cast<int64_t>(n) + 2, " elements, got ",
           *output_size);
  for (size_t i = 0; i < n; ++i) {
    AG_CHECK(out[i] > natural[i] - s[i] && out[i] < natural[i] + s[i], Value, op,
             ": invalid output_size \"", out, "\" (dim ", static_cast<int64_t>(i),
             " must be between ", natural[i] - s[i], " and ", natural[i] + s[i], ")");
  }
  return scatter_checked(op, input, indices, out);
}

// (sum of x^p)^(1/p) of the window, for the part of the sum that is positive.
Tensor lp_pool(const char* op, size_t n, const Tensor& input, double p, DimsView kernel,
               const std::optional<Dims>& stride, bool ceil_mode) {
  check_input(op, input, n);
  const Dims k = expand_list(op, "kernel_size", kernel, n);
  double count = 1;
  for (int64_t size : k) count *= static_cast<double>(size);
  const Tensor mean = ops::avgPoolForward(ops::pow(input, p), k, stride_or(stride, k), Dims{0},
                                          ceil_mode, true, std::nullopt);
  const Tensor positive = ops::mul(ops::sign(mean), ops::relu(ops::abs(mean)));
  return ops::pow(ops::mul(positive, count), 1 / p);
}

}  // namespace

namespace impl {

#define AG_POOL(nd, n)                                                                           \
  Tensor maxPool##nd(const Tensor& input, DimsView kernel, std::optional<Dims> stride,           \
                     DimsView padding, DimsView dilation, bool ceil_mode) {                      \
    return std::get<0>(                                                                          \
        max_pool("maxPool" #nd, n, input, kernel, stride, padding, dilation, ceil_mode));        \
  }                                                                                              \
  std::tuple<Tensor, Tensor> maxPool##nd##WithIndices(                                           \
      const Tensor& input, DimsView kernel, std::optional<Dims> stride, DimsView padding,        \
      DimsView dilation, bool ceil_mode) {                                                       \
    return max_pool("maxPool" #nd, n, input, kernel, stride, padding, dilation, ceil_mode);      \
  }                                                                                              \
  Tensor adaptiveAvgPool##nd(const Tensor& input, DimsView output_size) {                        \
    check_input("adaptiveAvgPool" #nd, input, n);                                                \
    return ops::adaptiveAvgPoolForward(                                                          \
        input, expand_list("adaptiveAvgPool" #nd, "output_size", output_size, n));               \
  }                                                                                              \
  std::tuple<Tensor, Tensor> adaptiveMaxPool##nd##WithIndices(const Tensor& input,               \
                                                              DimsView output_size) {            \
    check_declared(OpId::adaptiveMaxPool##nd, input);                                            \
    check_input("adaptiveMaxPool" #nd, input, n);                                                \
    return ops::adaptiveMaxPoolForward(                                                          \
        input, expand_list("adaptiveMaxPool" #nd, "output_size", output_size, n));               \
  }                                                                                              \
  Tensor adaptiveMaxPool##nd(const Tensor& input, DimsView output_size) {                        \
    return std::get<0>(ops::adaptiveMaxPool##nd##WithIndices(input, output_size));               \
  }                                                                                              \
  Tensor maxUnpool##nd(const Tensor& input, const Tensor& indices, DimsView kernel,              \
                       std::optional<Dims> stride, DimsView padding,                             \
                       std::optional<Dims> output_size) {                                        \
    check_declared(OpId::maxUnpool##nd, input);                                                  \
    return max_unpool("maxUnpool" #nd, n, input, indices, kernel, stride, padding, output_size); \
  }                                                                                              \
  Tensor lpPool##nd(const Tensor& input, double p, DimsView kernel, std::optional<Dims> stride,  \
                    bool ceil_mode) {                                                            \
    return lp_pool("lpPool" #nd, n, input, p, kernel, stride, ceil_mode);                        \
  }
AG_POOL(1d, 1)
AG_POOL(2d, 2)
AG_POOL(3d, 3)
#undef AG_POOL

Tensor avgPool1d(const Tensor& input, DimsView kernel, std::optional<Dims> stride, DimsView padding,
                 bool ceil_mode, bool count_include_pad) {
  return avg_pool("avgPool1d", 1, input, kernel, stride, padding, ceil_mode, count_include_pad,
                  std::nullopt);
}

Tensor avgPool2d(const Tensor& input, DimsView kernel, std::optional<Dims> stride, DimsView padding,
                 bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor) {
  return avg_pool("avgPool2d", 2, input, kernel, stride, padding, ceil_mode, count_include_pad,
                  divisor);
}

Tensor avgPool3d(const Tensor& input, DimsView kernel, std::optional<Dims> stride, DimsView padding,
                 bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor) {
  return avg_pool("avgPool3d", 3, input, kernel, stride, padding, ceil_mode, count_include_pad,
                  divisor);
}

}  // namespace impl

}  // namespace ampgrad
