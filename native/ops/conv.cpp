// Convolutions: PyTorch's argument rules ('same' and 'valid' padding, unbatched inputs, output
// padding), size arithmetic, and the launch of the three bilinear maps they are made of.
#include "ops/conv.h"
#include "ops/conv_params.h"
#include "ops/kernels.h"
#include "ops/launch.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr int64_t kLargest = int64_t{1} << 31;

// One number stands for all dimensions.
Dims expand_list(const char* op, const char* name, DimsView list, size_t n, int64_t least) {
  AG_CHECK(list.size() == 1 || list.size() == n, Shape, op, ": expected ", name,
           " to be a single integer value or a list of ", static_cast<int64_t>(n),
           " values to match the convolution dimensions, but got ", name, "=", list);
  Dims out;
  for (size_t i = 0; i < n; ++i) {
    const int64_t v = list.size() == 1 ? list[0] : list[i];
    AG_CHECK(v >= least, Value, op, ": ", least > 0 ? "non-positive " : "negative ", name,
             " is not supported, got ", list);
    AG_CHECK(v < kLargest, Value, op, ": argument '", name, "' is too large, got ", list);
    out.push_back(v);
  }
  return out;
}

Dims spatial(const Tensor& t) { return Dims(DimsView(t.sizes()).slice(2, t.ndim() - 2)); }

void check_operands(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  AG_CHECK(is_floating(input.dtype()) || input.dtype() == DType::Int64, DType, op,
           ": not implemented for ", dtype_name(input.dtype()));
  for (const Tensor* t : {&weight, &bias}) {
    if (!t->defined()) continue;
    const char* name = t == &weight ? "weight" : "bias";
    AG_CHECK(t->dtype() == input.dtype(), DType, op, ": Input type (", dtype_name(input.dtype()),
             ") and ", name, " type (", dtype_name(t->dtype()), ") should be the same");
    AG_CHECK(t->device() == input.device(), Device, op,
             ": expected all tensors on the same device, got ", to_string(input.device()), " and ",
             to_string(t->device()));
  }
}

ConvGeometry expanded(const char* op, size_t n, const ConvGeometry& g) {
  AG_CHECK(n >= 1 && n <= 3, Shape, op, ": expected 1 to 3 spatial dimensions, got ",
           static_cast<int64_t>(n));
  AG_CHECK(g.groups > 0, Value, op, ": non-positive groups is not supported, got ", g.groups);
  return {expand_list(op, "stride", g.stride, n, 1), expand_list(op, "padding", g.padding, n, 0),
          expand_list(op, "dilation", g.dilation, n, 1), g.groups};
}

// Sizes of x [N, C, ...], y [N, K, ...] and w [K, C / groups, ...] that belong together.
ConvParams params_for(const char* op, const Dims& x, const Dims& y, const Dims& w,
                      const ConvGeometry& g, DType dtype) {
  const size_t n = w.size() - 2;
  AG_CHECK(x.size() == n + 2 && y.size() == n + 2, Shape, op,
           ": the operands must have as many spatial dimensions as the weight, got shapes ", x,
           ", ", y, " and ", w);
  AG_CHECK(x[1] == w[1] * g.groups && y[1] == w[0] && w[0] % g.groups == 0 && x[0] == y[0], Shape,
           op, ": shapes ", x, ", ", y, " and a weight of ", w, " do not fit ", g.groups,
           " groups");
  ConvParams p;
  p.dtype = dtype;
  p.batch = x[0];
  p.groups = g.groups;
  p.x_channels = w[1];
  p.y_channels = w[0] / g.groups;
  for (size_t i = 0; i < n; ++i) {
    const size_t to = 3 - n + i;
    p.x_size[to] = x[i + 2];
    p.y_size[to] = y[i + 2];
    p.kernel[to] = w[i + 2];
    p.stride[to] = g.stride[i];
    p.padding[to] = g.padding[i];
    p.dilation[to] = g.dilation[i];
    AG_CHECK(w[i + 2] < kLargest && x[i + 2] < kLargest && y[i + 2] < kLargest, Shape, op,
             ": sizes are too large: ", x, ", ", y, ", ", w);
    // Padding may be uneven by one ('same'); nothing may look further than that.
    const int64_t reach = (y[i + 2] - 1) * g.stride[i] + (w[i + 2] - 1) * g.dilation[i] + 1;
    AG_CHECK(y[i + 2] == 0 || w[i + 2] == 0 || reach <= x[i + 2] + 2 * g.padding[i] + 1, Shape, op,
             ": an output of size ", y[i + 2], " does not fit an input of size ", x[i + 2]);
  }
  return p;
}

Dims with_batch(int64_t batch, int64_t channels, DimsView sizes) {
  Dims out{batch, channels};
  for (int64_t s : sizes) out.push_back(s);
  return out;
}

void check_bias(const char* op, const Tensor& bias, int64_t channels) {
  AG_CHECK(!bias.defined() || (bias.ndim() == 1 && bias.numel() == channels), Shape, op,
           ": expected bias to be 1-dimensional with ", channels,
           " elements, but got bias of size ", bias.defined() ? to_string(bias.sizes()) : "none");
}

// The result of a sum without terms.
void fill_bias(const Tensor& out, const Tensor& bias) {
  Dims shape(out.ndim(), 1);
  shape[1] = out.sizes()[1];
  impl::zero_(out);
  if (bias.defined()) {
    const Tensor flat = as_contiguous(bias);
    copy_into(out, flat.alias(shape, contiguous_strides(shape), flat.offset()));
  }
}

void check_ranks(const char* op, const Tensor& a, const Tensor& weight) {
  AG_CHECK(weight.ndim() >= 3 && weight.ndim() <= 5 && a.ndim() == weight.ndim(), Shape, op,
           ": expected a batched input and a weight of 3 to 5 dimensions each, got shapes ",
           a.sizes(), " and ", weight.sizes());
}

Tensor weight_gradient(const Tensor& grad, const Tensor& input, DimsView kernel_size,
                       const ConvGeometry& given, DType result) {
  constexpr const char* kName = "convWeightGrad";
  check_operands(kName, input, grad, Tensor());
  check_ranks(kName, grad, input);
  const ConvGeometry g = expanded(kName, input.ndim() - 2, given);
  AG_CHECK(input.sizes()[1] % g.groups == 0, Shape, kName, ": ", input.sizes()[1],
           " channels cannot be divided into ", g.groups, " groups");
  const Dims sizes = with_batch(grad.sizes()[1], input.sizes()[1] / g.groups, kernel_size);
  check_sizes(kName, sizes, static_cast<int64_t>(dtype_size(result)));
  AG_CHECK(sizes.size() == input.ndim(), Shape, kName, ": argument 'kernelSize' must have ",
           static_cast<int64_t>(input.ndim()) - 2, " entries, got ", kernel_size);
  ConvParams p = params_for(kName, input.sizes(), grad.sizes(), sizes, g, grad.dtype());
  p.widened = result != grad.dtype();
  const Tensor out = Tensor::empty(sizes, result, grad.device());
  if (out.numel() == 0) return out;
  if (grad.numel() == 0 || input.numel() == 0) {
    impl::zero_(out);
    return out;
  }
  const Tensor x = as_contiguous(input);
  const Tensor y = as_contiguous(grad);
  p.x = x.data();
  p.w = out.data();
  p.y = y.data();
  KernelTable::run(OpId::convWeightGrad, out.device(), grad.dtype(), p);
  return out;
}

}  // namespace

namespace impl {

Tensor convForward(const Tensor& input, const Tensor& weight, const Tensor& bias,
                   DimsView output_size, DimsView stride, DimsView padding, DimsView dilation,
                   int64_t groups) {
  constexpr const char* kName = "convForward";
  check_operands(kName, input, weight, bias);
  check_ranks(kName, input, weight);
  const ConvGeometry g = expanded(kName, weight.ndim() - 2, {stride, padding, dilation, groups});
  check_bias(kName, bias, weight.sizes()[0]);
  const Dims sizes = with_batch(input.sizes()[0], weight.sizes()[0], output_size);
  check_sizes(kName, sizes, input.element_size());
  ConvParams p = params_for(kName, input.sizes(), sizes, weight.sizes(), g, input.dtype());
  const Tensor out = Tensor::empty(sizes, input.dtype(), input.device());
  if (out.numel() == 0) return out;
  if (input.numel() == 0 || weight.numel() == 0) {
    fill_bias(out, bias);
    return out;
  }
  const Tensor x = as_contiguous(input);
  const Tensor w = as_contiguous(weight);
  const Tensor b = bias.defined() ? as_contiguous(bias) : bias;
  p.x = x.data();
  p.w = w.data();
  p.y = out.data();
  p.bias = b.defined() ? b.data() : nullptr;
  KernelTable::run(OpId::convForward, out.device(), out.dtype(), p);
  return out;
}

Tensor convInputGrad(const Tensor& grad, const Tensor& weight, const Tensor& bias,
                     DimsView input_size, DimsView stride, DimsView padding, DimsView dilation,
                     int64_t groups) {
  constexpr const char* kName = "convInputGrad";
  check_operands(kName, grad, weight, bias);
  check_ranks(kName, grad, weight);
  const ConvGeometry g = expanded(kName, weight.ndim() - 2, {stride, padding, dilation, groups});
  const int64_t channels = weight.sizes()[1] * groups;
  check_bias(kName, bias, channels);
  const Dims sizes = with_batch(grad.sizes()[0], channels, input_size);
  check_sizes(kName, sizes, grad.element_size());
  ConvParams p = params_for(kName, sizes, grad.sizes(), weight.sizes(), g, grad.dtype());
  const Tensor out = Tensor::empty(sizes, grad.dtype(), grad.device());
  if (out.numel() == 0) return out;
  if (grad.numel() == 0 || weight.numel() == 0) {
    fill_bias(out, bias);
    return out;
  }
  const Tensor y = as_contiguous(grad);
  const Tensor w = as_contiguous(weight);
  const Tensor b = bias.defined() ? as_contiguous(bias) : bias;
  p.x = out.data();
  p.w = w.data();
  p.y = y.data();
  p.bias = b.defined() ? b.data() : nullptr;
  KernelTable::run(OpId::convInputGrad, out.device(), out.dtype(), p);
  return out;
}

Tensor convWeightGrad(const Tensor& grad, const Tensor& input, DimsView kernel_size,
                      DimsView stride, DimsView padding, DimsView dilation, int64_t groups) {
  return weight_gradient(grad, input, kernel_size, {stride, padding, dilation, groups},
                         grad.dtype());
}

}  // namespace impl

Tensor conv_weight_grad_widened(const Tensor& grad, const Tensor& input, DimsView kernel_size,
                                const ConvGeometry& g) {
  if (grad.device().is_cpu()) {
    return weight_gradient(grad, input, kernel_size, g, DType::Float32);
  }
  return ops::to(
      ops::convWeightGrad(grad, input, kernel_size, g.stride, g.padding, g.dilation, g.groups),
      DType::Float32);
}

namespace {

void check_input(const char* op, const Tensor& input, const Tensor& weight, bool transposed,
                 int64_t groups) {
  const int64_t expected = transposed ? weight.sizes()[0] : weight.sizes()[1] * groups;
  AG_CHECK(weight.sizes()[0] >= groups && weight.sizes()[0] % groups == 0, Shape, op,
           ": Given groups=", groups, ", expected weight to be at least ", groups,
           " at dimension 0 and divisible by it, but got weight of size ", weight.sizes(),
           " instead");
  AG_CHECK(input.sizes()[1] == expected, Shape, op, ": Given ",
           transposed ? "transposed=1" : "groups=" + std::to_string(groups), ", weight of size ",
           weight.sizes(), ", expected input", input.sizes(), " to have ", expected,
           " channels, but got ", input.sizes()[1], " channels instead");
}

Tensor plain(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias,
             const ConvGeometry& g, const Dims& after) {
  const size_t n = weight.ndim() - 2;
  Dims out;
  Dims padded;
  bool fits = true;
  for (size_t i = 0; i < n; ++i) {
    const int64_t total = input.sizes()[i + 2] + g.padding[i] + after[i];
    const int64_t reach = g.dilation[i] * (weight.sizes()[i + 2] - 1) + 1;
    padded.push_back(total);
    fits = fits && total >= reach;
    out.push_back(fits ? (total - reach) / g.stride[i] + 1 : 0);
  }
  AG_CHECK(fits, Shape, op, ": Calculated padded input size per channel: ", padded,
           ". Kernel size: ", spatial(weight),
           ". Kernel size can't be greater than actual input "
           "size");
  return ops::convForward(input, weight, bias, out, g.stride, g.padding, g.dilation, g.groups);
}

Tensor transposed(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                  const ConvGeometry& g, const Dims& output_padding) {
  const size_t n = weight.ndim() - 2;
  Dims out;
  for (size_t i = 0; i < n; ++i) {
    AG_CHECK(output_padding[i] < std::max(g.stride[i], g.dilation[i]), Value, op,
             ": output padding must be smaller than either stride or dilation, but got ",
             "output_padding: ", output_padding, " stride: ", g.stride, " dilation: ", g.dilation);
    const int64_t size = (input.sizes()[i + 2] - 1) * g.stride[i] - 2 * g.padding[i] +
                         g.dilation[i] * (weight.sizes()[i + 2] - 1) + output_padding[i] + 1;
    AG_CHECK(size > 0, Shape, op, ": the calculated output size ", size,
             " is too small for an input of size ", input.sizes());
    out.push_back(size);
  }
  return ops::convInputGrad(input, weight, bias, out, g.stride, g.padding, g.dilation, g.groups);
}

// Adds the batch dimension that an unbatched input lacks, and takes it away from the result.
template <class F>
Tensor batched(const char* op, size_t n, const Tensor& input, const Tensor& weight,
               const Tensor& bias, bool is_transposed, const F& run) {
  check_operands(op, input, weight, bias);
  AG_CHECK(weight.ndim() == n + 2, Shape, op, ": expected ", static_cast<int64_t>(n) + 2,
           "-dimensional weight, but got weight of size ", weight.sizes());
  AG_CHECK(input.ndim() == n + 1 || input.ndim() == n + 2, Shape, op, ": Expected ",
           static_cast<int64_t>(n) + 1, "D (unbatched) or ", static_cast<int64_t>(n) + 2,
           "D (batched) input to ", op, ", but got input of size: ", input.sizes());
  if (!is_transposed) check_bias(op, bias, weight.sizes()[0]);
  if (input.ndim() == n + 2) return run(input);
  return ops::squeeze(run(ops::unsqueeze(input, 0)), Dims{0});
}

Tensor conv_nd(const char* op, size_t n, const Tensor& input, const Tensor& weight,
               const Tensor& bias, DimsView stride, const Value& padding, DimsView dilation,
               int64_t groups) {
  return batched(op, n, input, weight, bias, false, [&](const Tensor& x) {
    if (!padding.is<std::string>()) {
      const ConvGeometry g = expanded(op, n, {stride, padding.get<Dims>(), dilation, groups});
      check_input(op, x, weight, false, groups);
      return plain(op, x, weight, bias, g, g.padding);
    }
    const std::string& mode = padding.get<std::string>();
    AG_CHECK(mode == "same" || mode == "valid", Value, op, ": Invalid padding string: '", mode,
             "'; expected 'same' or 'valid'");
    ConvGeometry g = expanded(op, n, {stride, Dims{0}, dilation, groups});
    check_input(op, x, weight, false, groups);
    Dims after(n, 0);
    for (size_t i = 0; mode == "same" && i < n; ++i) {
      AG_CHECK(g.stride[i] == 1, Value, op,
               ": padding='same' is not supported for strided convolutions");
      const int64_t total = g.dilation[i] * (weight.sizes()[i + 2] - 1);
      g.padding[i] = total / 2;
      after[i] = total - total / 2;
    }
    return plain(op, x, weight, bias, g, after);
  });
}

Tensor conv_transpose_nd(const char* op, size_t n, const Tensor& input, const Tensor& weight,
                         const Tensor& bias, DimsView stride, DimsView padding,
                         DimsView output_padding, int64_t groups, DimsView dilation) {
  return batched(op, n, input, weight, Tensor(), true, [&](const Tensor& x) {
    const ConvGeometry g = expanded(op, n, {stride, padding, dilation, groups});
    check_input(op, x, weight, true, groups);
    check_operands(op, input, weight, bias);
    check_bias(op, bias, weight.sizes()[1] * groups);
    return transposed(op, x, weight, bias, g,
                      expand_list(op, "output_padding", output_padding, n, 0));
  });
}

}  // namespace

namespace impl {

#define AG_CONV(name, n)                                                                        \
  Tensor conv##name(const Tensor& input, const Tensor& weight, const Tensor& bias,              \
                    DimsView stride, const Value& padding, DimsView dilation, int64_t groups) { \
    return conv_nd("conv" #name, n, input, weight, bias, stride, padding, dilation, groups);    \
  }                                                                                             \
  Tensor convTranspose##name(const Tensor& input, const Tensor& weight, const Tensor& bias,     \
                             DimsView stride, DimsView padding, DimsView output_padding,        \
                             int64_t groups, DimsView dilation) {                               \
    check_declared(OpId::convTranspose##name, input);                                           \
    return conv_transpose_nd("convTranspose" #name, n, input, weight, bias, stride, padding,    \
                             output_padding, groups, dilation);                                 \
  }
AG_CONV(1d, 1)
AG_CONV(2d, 2)
AG_CONV(3d, 3)
#undef AG_CONV

Tensor convolution(const Tensor& input, const Tensor& weight, const Tensor& bias, DimsView stride,
                   DimsView padding, DimsView dilation, bool is_transposed, DimsView output_padding,
                   int64_t groups) {
  AG_CHECK(weight.ndim() >= 3, Shape, "convolution: expected a weight of 3 to 5 dimensions, got ",
           weight.sizes());
  const size_t n = weight.ndim() - 2;
  if (!is_transposed) {
    return conv_nd("convolution", n, input, weight, bias, stride, Value(Dims(padding)), dilation,
                   groups);
  }
  return conv_transpose_nd("convolution", n, input, weight, bias, stride, padding, output_padding,
                           groups, dilation);
}

}  // namespace impl

}  // namespace ampgrad
