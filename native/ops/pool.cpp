// Pooling: PyTorch's size rules, windows (plain, dilated, adaptive), and the launches. The public
// ops take unbatched inputs too: everything before the spatial dimensions is a plane.
#include <algorithm>

#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/pool_params.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr int64_t kLargest = int64_t{1} << 31;

Dims expand_list(const char* op, const char* name, DimsView list, size_t n, int64_t least) {
  AG_CHECK(list.size() == 1 || list.size() == n, Shape, op, ": ", name,
           " must either be a single int, or a tuple of ", static_cast<int64_t>(n), " ints, got ",
           list);
  Dims out;
  for (size_t i = 0; i < n; ++i) {
    const int64_t v = list.size() == 1 ? list[0] : list[i];
    AG_CHECK(v >= least && v < kLargest, Value, op, ": ", name, " should be at least ", least, " (",
             name, " should be greater than or equal to ", least, "), but got ", list);
    out.push_back(v);
  }
  return out;
}

Dims spatial(const Tensor& t, size_t n) { return Dims(DimsView(t.sizes()).slice(t.ndim() - n, n)); }

void check_planes(const char* op, const Tensor& input, size_t n) {
  AG_CHECK(n >= 1 && n <= 3 && input.ndim() >= n && input.ndim() <= n + 2, Shape, op, ": Expected ",
           static_cast<int64_t>(n) + 1, "D or ", static_cast<int64_t>(n) + 2, "D input for ",
           static_cast<int64_t>(n), " spatial dimensions, got shape ", input.sizes());
}

Dims with_spatial(const Tensor& like, DimsView sizes) {
  Dims out(DimsView(like.sizes()).slice(0, like.ndim() - sizes.size()));
  for (int64_t s : sizes) out.push_back(s);
  return out;
}

struct Geometry {
  Dims kernel, stride, padding, dilation;
  bool ceil_mode = false;
};

Geometry geometry(const char* op, size_t n, DimsView kernel, DimsView stride, DimsView padding,
                  DimsView dilation, bool ceil_mode) {
  Geometry g{expand_list(op, "kernel_size", kernel, n, 1),
             expand_list(op, "stride", stride.empty() ? kernel : stride, n, 1),
             expand_list(op, "padding", padding, n, 0), expand_list(op, "dilation", dilation, n, 1),
             ceil_mode};
  for (size_t i = 0; i < n; ++i) {
    AG_CHECK(g.padding[i] <= ((g.kernel[i] - 1) * g.dilation[i] + 1) / 2, Value, op,
             ": pad should be at most half of effective kernel size, but got pad=", g.padding[i],
             ", kernel_size=", g.kernel[i], " and dilation=", g.dilation[i]);
  }
  return g;
}

int64_t output_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation,
                    bool ceil_mode) {
  const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
  const int64_t numerator = room + (ceil_mode ? stride - 1 : 0);
  int64_t out = (numerator >= 0 ? numerator / stride : -((-numerator + stride - 1) / stride)) + 1;
  // The last window must begin inside the input or the padding before it.
  if (ceil_mode && (out - 1) * stride >= in + padding) --out;
  return out;
}

Dims output_sizes(const char* op, DimsView in, const Geometry& g) {
  Dims out;
  for (size_t i = 0; i < in.size(); ++i) {
    out.push_back(
        output_size(in[i], g.kernel[i], g.stride[i], g.padding[i], g.dilation[i], g.ceil_mode));
    AG_CHECK(out.back() > 0, Shape, op, ": Given input size: ", in,
             ". Calculated output size: ", out, ". Output size is too small");
  }
  return out;
}

PoolAxis plain_axis(const Geometry& g, size_t i, bool count_padding) {
  PoolAxis a;
  a.kernel = g.kernel[i];
  a.stride = g.stride[i];
  a.padding = g.padding[i];
  a.dilation = g.dilation[i];
  a.count_padding = count_padding;
  return a;
}

PoolAxis adaptive_axis(size_t) {
  PoolAxis a;
  a.adaptive = true;
  return a;
}

// Sizes of a pooling from `in` to `out`; make(i) describes the windows.
template <class F>
PoolParams pool_params(const Tensor& x, DimsView in, DimsView out, const F& make) {
  PoolParams p;
  p.dtype = x.dtype();
  p.planes = element_count(DimsView(x.sizes()).slice(0, x.ndim() - in.size()));
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t to = 3 - in.size() + i;
    p.in_size[to] = in[i];
    p.out_size[to] = out[i];
    p.axis[to] = make(i);
    p.axis[to].in = in[i];
    p.axis[to].out = out[i];
  }
  return p;
}

std::tuple<Tensor, Tensor> run_max(OpId op, const Tensor& x, DimsView out, PoolParams p) {
  const Tensor values = Tensor::empty(with_spatial(x, out), x.dtype(), x.device());
  const Tensor indices = Tensor::empty(values.sizes(), DType::Int64, x.device());
  if (values.numel() == 0) return {values, indices};
  p.in = x.data();
  p.out = values.data();
  p.indices = indices.data_as<int64_t>();
  KernelTable::run(op, x.device(), x.dtype(), p);
  return {values, indices};
}

Tensor run_average(OpId op, const Tensor& x, DimsView result, PoolParams p) {
  const Tensor out = Tensor::empty(with_spatial(x, result), x.dtype(), x.device());
  if (out.numel() == 0) return out;
  p.in = x.data();
  p.out = out.data();
  KernelTable::run(op, x.device(), x.dtype(), p);
  return out;
}

double divisor_of(const char* op, std::optional<int64_t> divisor) {
  AG_CHECK(divisor.value_or(1) != 0, Value, op, ": divisor must be not zero");
  return static_cast<double>(divisor.value_or(0));
}

void check_grad(const char* op, const Tensor& grad, DimsView expected) {
  AG_CHECK(DimsView(spatial(grad, expected.size())) == expected, Shape, op,
           ": the gradient has shape ", grad.sizes(), " but the output has spatial size ",
           expected);
}

void check_floating(const char* op, const Tensor& t) {
  AG_CHECK(is_floating(t.dtype()), DType, op, ": not implemented for ", dtype_name(t.dtype()),
           "; the input must be floating point");
}

void check_nonempty(const char* op, DimsView in) {
  for (int64_t s : in) {
    AG_CHECK(s > 0 && s < kLargest, Shape, op, ": spatial sizes must be positive, got ", in);
  }
}

}  // namespace

namespace impl {

std::tuple<Tensor, Tensor> maxPoolForward(const Tensor& input, DimsView kernel, DimsView stride,
                                          DimsView padding, DimsView dilation, bool ceil_mode) {
  constexpr const char* kName = "maxPoolForward";
  const size_t n = kernel.size();
  check_planes(kName, input, n);
  const Geometry g = geometry(kName, n, kernel, stride, padding, dilation, ceil_mode);
  const Dims in = spatial(input, n);
  check_nonempty(kName, in);
  const Dims out = output_sizes(kName, in, g);
  const Tensor x = as_contiguous(input);
  return run_max(OpId::maxPoolForward, x, out,
                 pool_params(x, in, out, [&](size_t i) { return plain_axis(g, i, false); }));
}

std::tuple<Tensor, Tensor> adaptiveMaxPoolForward(const Tensor& input, DimsView output_size) {
  constexpr const char* kName = "adaptiveMaxPoolForward";
  check_floating(kName, input);
  check_planes(kName, input, output_size.size());
  const Dims out = expand_list(kName, "output_size", output_size, output_size.size(), 0);
  const Dims in = spatial(input, out.size());
  check_nonempty(kName, in);
  const Tensor x = as_contiguous(input);
  return run_max(OpId::adaptiveMaxPoolForward, x, out, pool_params(x, in, out, adaptive_axis));
}

Tensor avgPoolForward(const Tensor& input, DimsView kernel, DimsView stride, DimsView padding,
                      bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor) {
  constexpr const char* kName = "avgPoolForward";
  const size_t n = kernel.size();
  check_planes(kName, input, n);
  const Geometry g = geometry(kName, n, kernel, stride, padding, Dims{1}, ceil_mode);
  const Dims in = spatial(input, n);
  check_nonempty(kName, in);
  const Dims out = output_sizes(kName, in, g);
  const Tensor x = as_contiguous(input);
  PoolParams p =
      pool_params(x, in, out, [&](size_t i) { return plain_axis(g, i, count_include_pad); });
  p.divisor = divisor_of(kName, divisor);
  return run_average(OpId::avgPoolForward, x, out, p);
}

Tensor avgPoolBackward(const Tensor& grad, DimsView input_size, DimsView kernel, DimsView stride,
                       DimsView padding, bool ceil_mode, bool count_include_pad,
                       std::optional<int64_t> divisor) {
  constexpr const char* kName = "avgPoolBackward";
  const size_t n = kernel.size();
  check_planes(kName, grad, n);
  const Geometry g = geometry(kName, n, kernel, stride, padding, Dims{1}, ceil_mode);
  const Dims in = expand_list(kName, "input_size", input_size, n, 1);
  const Dims out = output_sizes(kName, in, g);
  check_grad(kName, grad, out);
  const Tensor x = as_contiguous(grad);
  PoolParams p =
      pool_params(x, in, out, [&](size_t i) { return plain_axis(g, i, count_include_pad); });
  p.divisor = divisor_of(kName, divisor);
  return run_average(OpId::avgPoolBackward, x, in, p);
}

Tensor adaptiveAvgPoolForward(const Tensor& input, DimsView output_size) {
  constexpr const char* kName = "adaptiveAvgPoolForward";
  check_floating(kName, input);
  check_planes(kName, input, output_size.size());
  const Dims out = expand_list(kName, "output_size", output_size, output_size.size(), 0);
  const Dims in = spatial(input, out.size());
  check_nonempty(kName, in);
  const Tensor x = as_contiguous(input);
  return run_average(OpId::adaptiveAvgPoolForward, x, out, pool_params(x, in, out, adaptive_axis));
}

Tensor adaptiveAvgPoolBackward(const Tensor& grad, DimsView input_size) {
  constexpr const char* kName = "adaptiveAvgPoolBackward";
  check_floating(kName, grad);
  check_planes(kName, grad, input_size.size());
  const Dims in = expand_list(kName, "input_size", input_size, input_size.size(), 1);
  const Dims out = spatial(grad, in.size());
  const Tensor x = as_contiguous(grad);
  return run_average(OpId::adaptiveAvgPoolBackward, x, in, pool_params(x, in, out, adaptive_axis));
}

namespace {

PlaneIndexParams index_params(const char* op, const Tensor& x, const Tensor& indices, size_t n,
                              int64_t large) {
  AG_CHECK(indices.device() == x.device(), Device, op,
           ": expected all tensors on the same device, got ", to_string(x.device()), " and ",
           to_string(indices.device()));
  AG_CHECK(indices.dtype() == DType::Int64, DType, op,
           ": elements in indices should be type "
           "int64 but got: ",
           dtype_name(indices.dtype()));
  PlaneIndexParams p;
  p.dtype = x.dtype();
  p.indices = indices.data_as<int64_t>();
  p.planes = element_count(DimsView(indices.sizes()).slice(0, indices.ndim() - n));
  p.small = element_count(DimsView(indices.sizes()).slice(indices.ndim() - n, n));
  p.large = large;
  // Kernels of other devices pass over positions outside of the plane: no waiting to check them
  // here.
  for (int64_t i = 0; indices.device().is_cpu() && i < indices.numel(); ++i) {
    AG_CHECK(p.indices[i] >= 0 && p.indices[i] < large, Range, op,
             ": found an invalid max index: ", p.indices[i], " (output volumes are of size ", large,
             ")");
  }
  return p;
}

}  // namespace

Tensor poolScatter(const Tensor& input, const Tensor& indices, DimsView output_size,
                   bool accumulate) {
  constexpr const char* kName = "poolScatter";
  const size_t n = output_size.size();
  check_planes(kName, input, n);
  AG_CHECK(input.sizes() == indices.sizes(), Shape, kName,
           ": Expected shape of indices to be same as that of the input tensor (", input.sizes(),
           ") but got indices tensor with shape: ", indices.sizes());
  const Dims out_size = expand_list(kName, "output_size", output_size, n, 0);
  const Dims sizes = with_spatial(input, out_size);
  check_sizes(kName, sizes, input.element_size());
  const Tensor x = as_contiguous(input);
  const Tensor at = as_contiguous(indices);
  PlaneIndexParams p = index_params(kName, x, at, n, element_count(out_size));
  const Tensor out = Tensor::empty(sizes, x.dtype(), x.device());
  if (out.numel() == 0) return out;
  p.in = x.data();
  p.out = out.data();
  p.accumulate = accumulate;
  KernelTable::run(OpId::poolScatter, x.device(), x.dtype(), p);
  return out;
}

Tensor poolGather(const Tensor& input, const Tensor& indices, int64_t dims) {
  constexpr const char* kName = "poolGather";
  AG_CHECK(dims >= 1 && dims <= 3, Value, kName, ": argument 'dims' must be 1 to 3, got ", dims);
  const auto n = static_cast<size_t>(dims);
  check_planes(kName, input, n);
  const size_t first = input.ndim() - n;
  const DimsView sizes = input.sizes();
  const DimsView index_sizes = indices.sizes();
  AG_CHECK(
      index_sizes.size() == sizes.size() && index_sizes.slice(0, first) == sizes.slice(0, first),
      Shape, kName, ": the input of shape ", sizes, " and the indices of shape ", index_sizes,
      " must share all but the last ", dims, " dimensions");
  const Tensor x = as_contiguous(input);
  const Tensor at = as_contiguous(indices);
  PlaneIndexParams p =
      index_params(kName, x, at, n, element_count(DimsView(x.sizes()).slice(first, n)));
  const Tensor out = Tensor::empty(at.sizes(), x.dtype(), x.device());
  if (out.numel() == 0) return out;
  p.in = x.data();
  p.out = out.data();
  KernelTable::run(OpId::poolGather, x.device(), x.dtype(), p);
  return out;
}

}  // namespace impl
}  // namespace ampgrad
