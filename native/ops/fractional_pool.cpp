// Fractional max pooling (Graham 2014): windows of one size whose starts follow a pseudo-random
// sequence with a fractional step, drawn for each plane and dimension.
#include <cmath>
#include <tuple>

#include "ops/creation.h"
#include "ops/fractional_params.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

Dims spatial_of(const char* op, const Tensor& input, size_t n) {
  AG_CHECK(input.ndim() == n + 1 || input.ndim() == n + 2, Shape, op, ": expected ",
           static_cast<int64_t>(n) + 1, "D or ", static_cast<int64_t>(n) + 2,
           "D (batch mode) input, got sizes ", input.sizes());
  for (size_t d = input.ndim() - n - 1; d < input.ndim(); ++d) {
    AG_CHECK(input.sizes()[d] > 0, Shape, op,
             ": expected input to have non-zero size for non-batch dimensions, got sizes ",
             input.sizes());
  }
  return Dims(DimsView(input.sizes()).slice(input.ndim() - n, n));
}

template <class List>
auto entry(const char* op, const char* name, const List& list, size_t i, size_t n) {
  AG_CHECK(list.size() == 1 || list.size() == n, Shape, op, ": argument '", name,
           "' must have 1 or ", static_cast<int64_t>(n), " entries, got ",
           static_cast<int64_t>(list.size()));
  return list.size() == 1 ? list[0] : list[i];
}

Dims output_of(const char* op, const Dims& in, const std::optional<Dims>& size,
               const std::optional<Doubles>& ratio) {
  AG_CHECK(size.has_value() || ratio.has_value(), Value, op,
           ": one of arguments 'outputSize' and 'outputRatio' must be given");
  Dims out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (size.has_value()) {
      out.push_back(entry(op, "outputSize", *size, i, in.size()));
      continue;
    }
    const double r = entry(op, "outputRatio", *ratio, i, in.size());
    AG_CHECK(r > 0 && r < 1, Value, op, ": argument 'outputRatio' must be between 0 and 1, got ",
             r);
    out.push_back(static_cast<int64_t>(static_cast<double>(in[i]) * r));
  }
  return out;
}

std::tuple<Tensor, Tensor> pool(const char* op, size_t n, const Tensor& input, DimsView kernel,
                                const std::optional<Dims>& size,
                                const std::optional<Doubles>& ratio, const Tensor& given) {
  const Dims in = spatial_of(op, input, n);
  const Dims out = output_of(op, in, size, ratio);
  Dims k;
  for (size_t i = 0; i < n; ++i) k.push_back(entry(op, "kernelSize", kernel, i, n));
  const bool batched = input.ndim() == n + 2;
  Tensor samples = given;
  if (!samples.defined()) {
    const Dims sizes{batched ? input.size(0) : 1, input.sizes()[batched ? 1 : 0],
                     static_cast<int64_t>(n)};
    samples = ops::rand(sizes, input.dtype(), input.device());
  }
  return ops::fractionalMaxPoolForward(input, k, out, samples);
}

}  // namespace

namespace impl {

std::tuple<Tensor, Tensor> fractionalMaxPoolForward(const Tensor& input, DimsView kernel,
                                                    DimsView output_size, const Tensor& samples) {
  const size_t n = kernel.size();
  AG_CHECK(n == 2 || n == 3, Value,
           "fractionalMaxPool: argument 'kernelSize' must have 2 or 3 entries, got ", kernel);
  const char* op = n == 2 ? "fractionalMaxPool2d" : "fractionalMaxPool3d";
  AG_CHECK(is_floating(input.dtype()), DType, op, ": not implemented for ",
           dtype_name(input.dtype()));
  const Dims in = spatial_of(op, input, n);
  AG_CHECK(output_size.size() == n, Shape, op, ": argument 'outputSize' must have ",
           static_cast<int64_t>(n), " entries, got ", output_size);
  FractionalPoolParams p;
  Dims sizes(DimsView(input.sizes()).slice(0, input.ndim() - n));
  for (size_t i = 0; i < n; ++i) {
    AG_CHECK(kernel[i] > 0 && output_size[i] > 0, Value, op,
             ": kernel and output sizes must be positive, got ", kernel, " and ", output_size);
    AG_CHECK(kernel[i] <= in[i] && output_size[i] <= in[i] - kernel[i] + 1, Shape, op,
             ": pool size ", kernel[i], " with output size ", output_size[i],
             " is too large relative to input size ", in[i]);
    const size_t at = 3 - n + i;
    p.in_size[at] = in[i];
    p.out_size[at] = output_size[i];
    p.kernel[at] = kernel[i];
    sizes.push_back(output_size[i]);
  }
  const bool batched = input.ndim() == n + 2;
  const int64_t batch = batched ? input.size(0) : 1;
  const int64_t channels = input.sizes()[batched ? 1 : 0];
  AG_CHECK(samples.dtype() == input.dtype(), DType, op,
           ": argument 'randomSamples' must have the dtype of the input, got ",
           dtype_name(samples.dtype()));
  AG_CHECK(samples.ndim() == 3 && samples.size(0) >= batch && samples.size(1) == channels &&
               samples.size(2) == static_cast<int64_t>(n),
           Shape, op, ": argument 'randomSamples' must have shape [", batch, ", ", channels, ", ",
           static_cast<int64_t>(n), "], got ", samples.sizes());
  const DType work = opmath_dtype(input.dtype());
  const Tensor x = as_contiguous(as_dtype(input, work));
  const Tensor draws = as_contiguous(as_dtype(samples, work));
  const Tensor out = new_tensor(op, sizes, work, input.device());
  const Tensor indices = new_tensor(op, sizes, DType::Int64, input.device());
  p.dims = static_cast<int>(n);
  p.planes = batch * channels;
  p.in = x.data();
  p.samples = draws.data();
  p.out = out.data();
  p.indices = indices.data_as<int64_t>();
  if (out.numel() != 0) {
    KernelTable::run(OpId::fractionalMaxPoolForward, input.device(), work, p);
  }
  return {as_dtype(out, input.dtype()), indices};
}

#define AG_FRACTIONAL(nd, n)                                                                   \
  std::tuple<Tensor, Tensor> fractionalMaxPool##nd##WithIndices(                               \
      const Tensor& input, DimsView kernel, std::optional<Dims> size,                          \
      std::optional<Doubles> ratio, const Tensor& samples) {                                   \
    return pool("fractionalMaxPool" #nd, n, input, kernel, size, ratio, samples);              \
  }                                                                                            \
  Tensor fractionalMaxPool##nd(const Tensor& input, DimsView kernel, std::optional<Dims> size, \
                               std::optional<Doubles> ratio, const Tensor& samples) {          \
    return std::get<0>(pool("fractionalMaxPool" #nd, n, input, kernel, size, ratio, samples)); \
  }
AG_FRACTIONAL(2d, 2)
AG_FRACTIONAL(3d, 3)
#undef AG_FRACTIONAL

}  // namespace impl

}  // namespace ampgrad
