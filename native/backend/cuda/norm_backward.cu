// Gradients of row normalisations. Without spatial dimensions a row's two sums and its gradient are
// one launch, the parameters' gradients another, over columns. With them the sums of each plane
// (one channel of one row) come first; rows and parameters are made of these.
#include "backend/cuda/norm.cuh"
#include "backend/cuda/scratch.h"
#include "ops/norm_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int64_t kWarpRow = 1024;
constexpr int64_t kPartRows = 64;  // at least, of a part of the parameters' sums

template <class T>
__device__ AG_INLINE T row_mean(const RowNormParams& p, int64_t row) {
  return p.mean == nullptr ? T{0} : static_cast<const T*>(p.mean)[row];
}

// b and c of math::norm_grad, from the row's sums of g w (x - mean) rstd and g w.
template <class T>
__device__ AG_INLINE Pair<T> row_factors(const RowNormParams& p, const Pair<T>& sums, T rstd) {
  const T n = static_cast<T>(p.channels * p.spatial);
  return {-rstd * rstd * sums.first / n, p.mean == nullptr ? T{0} : -rstd * sums.second / n};
}

template <class S, int V>
__device__ AG_INLINE void load_weights(const RowNormParams& p, int64_t at, OpMath<S>* w) {
  using T = OpMath<S>;
  AG_UNROLL
  for (int j = 0; j < V; ++j) w[j] = T{1};
  if (p.weight != nullptr) load_params<S, V>(p.weight, is_wide<S>(p.param_dtype), at, w);
}

// Rows without spatial dimensions.
template <class S, int kTeam, int V>
__global__ void __launch_bounds__(kRowThreads) norm_row_grad_kernel(const RowNormParams p) {
  using T = OpMath<S>;
  using Rows = Team<kTeam>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowWarps);
  const int64_t size = p.channels;
  const int64_t start = int64_t{Rows::rank()} * V;
  constexpr int kStep = kTeam * V;
  for (int64_t row = Rows::first_row(); row < p.rows; row += Rows::row_step()) {
    const S* in = static_cast<const S*>(p.in) + row * size;
    const S* grad = static_cast<const S*>(p.grad) + row * size;
    S* out = static_cast<S*>(p.out) + row * size;
    const T mean = row_mean<T>(p, row);
    const T rstd = static_cast<const T*>(p.rstd)[row];
    const int64_t first = remainder(row, p.groups) * p.channels;
    T x[V];
    T g[V];
    T w[V];
    Pair<T> sums{T{0}, T{0}};
    for (int64_t at = start; at < size; at += kStep) {
      load_neighbours<V>(in + at, x);
      load_neighbours<V>(grad + at, g);
      load_weights<S, V>(p, first + at, w);
      AG_UNROLL
      for (int j = 0; j < V; ++j) {
        sums.first += g[j] * w[j] * (x[j] - mean);
        sums.second += g[j] * w[j];
      }
    }
    sums = Rows::fold(sums, Add(), room);
    sums.first *= rstd;
    const Pair<T> f = row_factors(p, sums, rstd);
    for (int64_t at = start; at < size; at += kStep) {
      load_neighbours<V>(in + at, x);
      load_neighbours<V>(grad + at, g);
      load_weights<S, V>(p, first + at, w);
      AG_UNROLL
      for (int j = 0; j < V; ++j) {
        g[j] = math::norm_grad(g[j] * w[j], x[j], mean, rstd, f.first, f.second);
      }
      store_neighbours<V>(g, out + at);
    }
  }
}

// Terms of the parameters' gradients, over a part of the rows of the matrix [batch, width] for each
// blockIdx.y: parts [gridDim.y, width].
template <class S>
__global__ void __launch_bounds__(kRowThreads)
    norm_part_kernel(const RowNormParams p, Pair<OpMath<S>>* parts) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowThreads);
  const int64_t width = p.groups * p.channels;
  const int64_t batch = p.rows / p.groups;
  const int64_t share = (batch + gridDim.y - 1) / gridDim.y;
  const int64_t begin = int64_t{blockIdx.y} * share;
  const int64_t end = begin + share < batch ? begin + share : batch;
  for (int64_t first = int64_t{blockIdx.x} * kLanes; first < width;
       first += int64_t{gridDim.x} * kLanes) {
    const int64_t column = first + threadIdx.x % kLanes;
    Pair<T> sum{T{0}, T{0}};
    if (column < width) {
      const int64_t group = quotient(column, p.channels);
      for (int64_t b = begin + threadIdx.x / kLanes; b < end; b += kRowWarps) {
        const int64_t row = b * p.groups + group;
        const T rstd = static_cast<const T*>(p.rstd)[row];
        const T g = cast<T>(static_cast<const S*>(p.grad)[b * width + column]);
        const T x = cast<T>(static_cast<const S*>(p.in)[b * width + column]);
        sum.first += g * math::affine(x, row_mean<T>(p, row), rstd, T{0});
        sum.second += g;
      }
    }
    sum = fold_column(sum, Add(), room);
    if (column < width && threadIdx.x < kLanes) parts[blockIdx.y * width + column] = sum;
  }
}

// The same terms of each plane: sums of g (x - mean) rstd and g over `spatial` elements.
template <class S, int kTeam>
__global__ void __launch_bounds__(kRowThreads)
    norm_plane_kernel(const RowNormParams p, Pair<OpMath<S>>* parts) {
  using T = OpMath<S>;
  using Planes = Team<kTeam>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowWarps);
  const int64_t planes = p.rows * p.channels;
  for (int64_t plane = Planes::first_row(); plane < planes; plane += Planes::row_step()) {
    const S* in = static_cast<const S*>(p.in) + plane * p.spatial;
    const S* grad = static_cast<const S*>(p.grad) + plane * p.spatial;
    const int64_t row = quotient(plane, p.channels);
    const T mean = row_mean<T>(p, row);
    Pair<T> sum{T{0}, T{0}};
    for (int64_t at = Planes::rank(); at < p.spatial; at += kTeam) {
      const T g = cast<T>(grad[at]);
      sum.first += g * (cast<T>(in[at]) - mean);
      sum.second += g;
    }
    sum = Planes::fold(sum, Add(), room);
    sum.first *= static_cast<const T*>(p.rstd)[row];
    if (Planes::rank() == 0) parts[plane] = sum;
  }
}

// Rows of planes.
template <class S, int V>
__global__ void __launch_bounds__(kRowThreads)
    norm_spatial_grad_kernel(const RowNormParams p, const Pair<OpMath<S>>* parts) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowWarps);
  const bool wide = is_wide<S>(p.param_dtype);
  const int64_t size = p.channels * p.spatial;
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const S* in = static_cast<const S*>(p.in) + row * size;
    const S* grad = static_cast<const S*>(p.grad) + row * size;
    S* out = static_cast<S*>(p.out) + row * size;
    const T mean = row_mean<T>(p, row);
    const T rstd = static_cast<const T*>(p.rstd)[row];
    const int64_t first = remainder(row, p.groups) * p.channels;
    Pair<T> sums{T{0}, T{0}};
    for (int64_t c = threadIdx.x; c < p.channels; c += kRowThreads) {
      const T w = p.weight == nullptr ? T{1} : param_at<S>(p.weight, wide, first + c);
      const Pair<T> part = parts[row * p.channels + c];
      sums.first += w * part.first;
      sums.second += w * part.second;
    }
    const Pair<T> f = row_factors(p, fold_block(sums, Add(), room), rstd);
    T x[V];
    T g[V];
    for (int64_t at = int64_t{threadIdx.x} * V; at < size; at += kRowThreads * V) {
      const int64_t c = first + quotient(at, p.spatial);
      const T a = p.weight == nullptr ? rstd : rstd * param_at<S>(p.weight, wide, c);
      load_neighbours<V>(in + at, x);
      load_neighbours<V>(grad + at, g);
      AG_UNROLL
      for (int j = 0; j < V; ++j) g[j] = math::norm_grad(g[j], x[j], mean, a, f.first, f.second);
      store_neighbours<V>(g, out + at);
    }
  }
}

template <class S>
void fold_params(const char* name, const RowNormParams& p, const Pair<OpMath<S>>* parts,
                 int64_t rows) {
  const int64_t width = p.groups * p.channels;
  launch(name, {grid_of_teams(width, kLanes), kRowThreads}, param_grad_kernel<S>, parts, rows,
         width, is_wide<S>(p.param_dtype), p.grad_weight, p.grad_bias);
}

template <class S>
void backward_plain(const char* name, const RowNormParams& p) {
  constexpr int V = kWidest<S>;
  if (p.out != nullptr && p.rows != 0) {
    const bool packs = rows_align(p.channels, sizeof(S), {p.in, p.grad, p.out, p.weight});
    if (p.channels <= kWarpRow) {
      launch(name, {grid_of_teams(p.rows, kRowWarps), kRowThreads},
             packs ? norm_row_grad_kernel<S, kLanes, V> : norm_row_grad_kernel<S, kLanes, 1>, p);
    } else {
      launch(
          name, {grid_of_teams(p.rows, 1), kRowThreads},
          packs ? norm_row_grad_kernel<S, kRowThreads, V> : norm_row_grad_kernel<S, kRowThreads, 1>,
          p);
    }
  }
  const int64_t width = p.groups * p.channels;
  if ((p.grad_weight == nullptr && p.grad_bias == nullptr) || width == 0) return;
  const dim3 columns = grid_of_teams(width, kLanes);
  const int64_t wanted = int64_t{current_context().properties.multiProcessorCount} * 4 / columns.x;
  const int64_t most = (p.rows / p.groups + kPartRows - 1) / kPartRows;
  const auto num_parts = static_cast<unsigned>(std::max<int64_t>(1, std::min(wanted, most)));
  const Scratch parts(num_parts * static_cast<size_t>(width) * sizeof(Pair<OpMath<S>>));
  launch(name, {dim3(columns.x, num_parts), kRowThreads}, norm_part_kernel<S>, p,
         parts.as<Pair<OpMath<S>>>());
  fold_params<S>(name, p, parts.as<Pair<OpMath<S>>>(), num_parts);
}

template <class S>
void backward_spatial(const char* name, const RowNormParams& p) {
  constexpr int V = kWidest<S>;
  using Sums = Pair<OpMath<S>>;
  const int64_t planes = p.rows * p.channels;
  const Scratch parts(static_cast<size_t>(planes) * sizeof(Sums));
  if (planes != 0) {
    const bool warps = p.spatial <= kWarpRow;
    launch(name, {grid_of_teams(planes, warps ? kRowWarps : 1), kRowThreads},
           warps ? norm_plane_kernel<S, kLanes> : norm_plane_kernel<S, kRowThreads>, p,
           parts.as<Sums>());
    if (p.out != nullptr) {
      const bool packs = rows_align(p.spatial, sizeof(S), {p.in, p.grad, p.out});
      launch(name, {grid_of_teams(p.rows, 1), kRowThreads},
             packs ? norm_spatial_grad_kernel<S, V> : norm_spatial_grad_kernel<S, 1>, p,
             parts.as<Sums>());
    }
  }
  if ((p.grad_weight == nullptr && p.grad_bias == nullptr) || p.channels == 0) return;
  fold_params<S>(name, p, parts.as<Sums>(), p.rows / p.groups);
}

template <class S>
void backward(const RowNormParams& p, const void* name_of_row) {
  const auto* name = static_cast<const char*>(name_of_row);
  if (p.spatial == 1) {
    backward_plain<S>(name, p);
  } else {
    backward_spatial<S>(name, p);
  }
}

}  // namespace

void register_norm_backward(const CudaHost& host) {
  const auto set = [&](OpId op, const char* name) {
    set_kernel<RowNormParams>(host, op, DType::Float16, backward<Half>, name);
    set_kernel<RowNormParams>(host, op, DType::BFloat16, backward<BFloat16>, name);
    set_kernel<RowNormParams>(host, op, DType::Float32, backward<float>, name);
    set_kernel<RowNormParams>(host, op, DType::Float64, backward<double>, name);
  };
  set(OpId::layerNormBackward, "layerNormBackward");
  set(OpId::rmsNormBackward, "rmsNormBackward");
  set(OpId::groupNormBackward, "groupNormBackward");
}

}  // namespace ampgrad::cuda
