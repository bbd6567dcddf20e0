// Convolutions by cuBLASLt: kernels of one tap as they are, others through the matrix of columns
// (every tap of every place side by side), some items at a time. Bias is what the products are
// added to, so that it takes no rounding of its own.
#include <algorithm>
#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/conv_units.h"
#include "backend/cuda/gemm.h"
#include "backend/cuda/scratch.h"
#include "core/error.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int64_t kColumnBytes = int64_t{128} << 20;  // of columns at a time, about
constexpr int64_t kMostColumns = int64_t{1} << 30;

// columns[item][k][place] of `items` items; a.columns is their x.
template <class S>
__global__ void __launch_bounds__(kThreads)
    columns_kernel(const ConvArgs a, const Divider by_k, int total, S* columns) {
  const S* x = static_cast<const S*>(a.columns);
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    int place = static_cast<int>(i);
    int k = a.by_y_plane.split(&place);
    const int item = by_k.split(&k);
    ConvPlace inner;
    conv_inner<ConvMap::Forward>(a, k, &inner);
    const ConvPlace column = conv_column<ConvMap::Forward>(a, 0, item * a.y_plane + place);
    const int64_t at = conv_column_at<ConvMap::Forward>(a, column, inner);
    columns[i] = at >= 0 ? x[at] : S{};
  }
}

// The other way: every element of x sums its taps, in order.
template <class S>
__global__ void __launch_bounds__(kThreads)
    sum_columns_kernel(const ConvArgs a, const Divider by_channels, int total, const S* columns) {
  using T = ConvMath<S>;
  const S* bias = static_cast<const S*>(a.bias);
  S* x = static_cast<S*>(a.out);
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    int place = static_cast<int>(i);
    int channel = a.by_x_plane.split(&place);
    const int item = by_channels.split(&channel);
    ConvPlace column = conv_column<ConvMap::Input>(a, 0, place);
    column.offset = (wide(item, a.x_channels) + channel) * a.taps * a.y_plane;
    T sum = bias == nullptr ? T{0} : cast<T>(bias[channel]);
    for (int tap = 0; tap < a.taps; ++tap) {
      ConvPlace inner;
      conv_inner<ConvMap::Input>(a, tap, &inner);
      inner.offset = wide(tap, a.y_plane);
      const int64_t at = conv_column_at<ConvMap::Input>(a, column, inner);
      if (at >= 0) sum += cast<T>(columns[at]);
    }
    x[i] = cast<S>(sum);
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads)
    bias_kernel(const S* bias, int64_t total, int64_t channels, int64_t plane, S* out) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    out[i] = bias[i / plane % channels];
  }
}

// out[item] (+)= w in[item] for row-major [m][k] (or, transposed, [k][m]) w and [k][n] items.
struct Batch {
  DType dtype;
  int64_t m, n, k;
  const void* w;
  bool transposed;
  const void* in;
  void* out;
  int64_t items;
  bool add;
};

void multiply_items(const Batch& b) {
  std::vector<int64_t> zeros(static_cast<size_t>(b.items), 0);
  std::vector<int64_t> in;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < b.items; ++i) {
    in.push_back(i * b.k * b.n);
    out.push_back(i * b.m * b.n);
  }
  GemmParams p;
  p.dtype = b.dtype;
  p.m = b.m;
  p.n = b.n;
  p.k = b.k;
  p.a = b.w;
  p.a_row = b.transposed ? 1 : b.k;
  p.a_col = b.transposed ? b.m : 1;
  p.b = b.in;
  p.b_row = b.n;
  p.b_col = 1;
  p.c = b.out;
  p.c_row = b.n;
  p.batch = b.items;
  p.a_offsets = zeros.data();
  p.b_offsets = in.data();
  p.c_offsets = out.data();
  p.beta = b.add ? 1 : 0;
  multiply(p);
}

template <class S>
void start_with_bias(const char* name, const ConvArgs& a, int64_t items, int64_t plane, void* out) {
  if (a.bias == nullptr) return;
  const int64_t total = items * a.m * plane;
  launch(name, {grid_for(total, kThreads), kThreads}, bias_kernel<S>, static_cast<const S*>(a.bias),
         total, int64_t{a.m}, plane, static_cast<S*>(out));
}

// Columns of `items` items of x, then products with the weights.
template <class S>
void forward_columns(const char* name, ConvArgs a, int64_t items, int64_t at_once) {
  const Scratch columns(static_cast<size_t>(at_once * a.k * a.y_plane) * sizeof(S));
  const auto* x = static_cast<const S*>(a.columns);
  S* y = static_cast<S*>(a.out);
  start_with_bias<S>(name, a, items, a.y_plane, a.out);
  for (int64_t first = 0; first < items; first += at_once) {
    const int64_t n = std::min(at_once, items - first);
    a.columns = x + first * a.x_channels * a.x_plane;
    const auto total = static_cast<int>(n * a.k * a.y_plane);
    launch(name, {grid_for(total, kThreads), kThreads}, columns_kernel<S>, a, Divider(a.k), total,
           columns.as<S>());
    multiply_items({dtype_of<S>, a.m, a.y_plane, a.k, a.rows, false, columns.as<void>(),
                    y + first * a.m * a.y_plane, n, a.bias != nullptr});
  }
}

template <class S>
void input_columns(const char* name, ConvArgs a, int64_t items, int64_t at_once) {
  const int64_t rows = wide(a.x_channels, a.taps);
  const Scratch columns(static_cast<size_t>(at_once * rows * a.y_plane) * sizeof(S));
  const auto* y = static_cast<const S*>(a.columns);
  S* x = static_cast<S*>(a.out);
  for (int64_t first = 0; first < items; first += at_once) {
    const int64_t n = std::min(at_once, items - first);
    multiply_items({dtype_of<S>, rows, a.y_plane, a.y_channels, a.rows, true,
                    y + first * a.y_channels * a.y_plane, columns.as<void>(), n, false});
    a.out = x + first * a.x_channels * a.x_plane;
    const auto total = static_cast<int>(n * a.x_channels * a.x_plane);
    launch(name, {grid_for(total, kThreads), kThreads}, sum_columns_kernel<S>, a,
           Divider(a.x_channels), total, columns.as<S>());
  }
}

template <class S>
void run_pointwise(ConvMap map, const char* name, const ConvArgs& a, int64_t items) {
  const bool forward = map == ConvMap::Forward;
  const int64_t plane = a.y_plane;
  start_with_bias<S>(name, a, items, plane, a.out);
  multiply_items(
      {dtype_of<S>, a.m, plane, a.k, a.rows, !forward, a.columns, a.out, items, a.bias != nullptr});
}

}  // namespace

int64_t conv_columns_items(DType dtype, const ConvArgs& a, int64_t items) {
  const int64_t of_item = wide(a.x_channels, a.taps) * a.y_plane;
  const int64_t most =
      std::min(kColumnBytes / static_cast<int64_t>(dtype_size(dtype)), kMostColumns);
  const int64_t most_x = kMostColumns / std::max<int64_t>(wide(a.x_channels, a.x_plane), 1);
  if (of_item > kMostColumns) return 0;
  return std::clamp<int64_t>(most / std::max<int64_t>(of_item, 1), 1,
                             std::min(items, std::max<int64_t>(most_x, 1)));
}

void conv_columns(DType dtype, ConvMap map, const char* name, const ConvArgs& a, int64_t items) {
  const int64_t at_once = conv_columns_items(dtype, a, items);
  const bool forward = map == ConvMap::Forward;
  if (dtype == DType::Float64) {
    return forward ? forward_columns<double>(name, a, items, at_once)
                   : input_columns<double>(name, a, items, at_once);
  }
  return forward ? forward_columns<float>(name, a, items, at_once)
                 : input_columns<float>(name, a, items, at_once);
}

void conv_pointwise(DType dtype, ConvMap map, const char* name, const ConvArgs& a, int64_t items) {
  switch (dtype) {
    case DType::Float16:
      return run_pointwise<Half>(map, name, a, items);
    case DType::BFloat16:
      return run_pointwise<BFloat16>(map, name, a, items);
    case DType::Float64:
      return run_pointwise<double>(map, name, a, items);
    default:
      return run_pointwise<float>(map, name, a, items);
  }
}

}  // namespace ampgrad::cuda
