// Batch normalisation: moments of parts of each channel, merged by a second launch that also moves
// the running statistics; then every element.
#include "backend/cuda/batch_norm.cuh"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

namespace {

// parts [gridDim.y, channels]: mean and sum of squared deviations of each part.
template <class S, class Reader>
__global__ void __launch_bounds__(kRowThreads)
    batch_moments_kernel(const BatchNormParams p, Pair<OpMath<S>>* parts) {
  using T = OpMath<S>;
  constexpr int V = Reader::kNeighbours;
  AG_SHARED_ARRAY(T, room, Reader::kRoom);
  const auto* in = static_cast<const S*>(p.in);
  for (int64_t unit = blockIdx.x; unit < Reader::units(p); unit += gridDim.x) {
    const Reader reader(p, unit);
    T sum{0};
    reader.each([&](int64_t at) {
      T x[V];
      load_neighbours<V>(in + at, x);
      AG_UNROLL
      for (int j = 0; j < V; ++j) sum += x[j];
    });
    const T mean = reader.fold(sum, room) / static_cast<T>(reader.count());
    T squares{0};
    reader.each([&](int64_t at) {
      T x[V];
      load_neighbours<V>(in + at, x);
      AG_UNROLL
      for (int j = 0; j < V; ++j) squares += (x[j] - mean) * (x[j] - mean);
    });
    squares = reader.fold(squares, room);
    if (reader.leads()) parts[blockIdx.y * p.channels + reader.channel] = {mean, squares};
  }
}

// running = (1 - momentum) running + momentum of the batch's
template <class S>
__device__ AG_INLINE void move_running(const BatchNormParams& p, void* running, int64_t c,
                                       double value) {
  using T = OpMath<S>;
  const bool wide = is_wide<S>(p.param_dtype);
  const double old = static_cast<double>(param_at<S>(running, wide, c));
  const double blend = p.momentum * value + (1 - p.momentum) * old;
  if (wide) {
    static_cast<T*>(running)[c] = cast<T>(blend);
  } else {
    static_cast<S*>(running)[c] = cast<S>(blend);
  }
}

// Statistics of each channel: from its parts in training, else the running ones. `unit` is the
// multiple that parts are cut in.
template <class S>
__global__ void __launch_bounds__(kRowThreads)
    batch_statistics_kernel(const BatchNormParams p, const Pair<OpMath<S>>* parts,
                            int64_t num_parts, int64_t unit) {
  using T = OpMath<S>;
  const bool wide = is_wide<S>(p.param_dtype);
  const int64_t c = int64_t{blockIdx.x} * kRowThreads + threadIdx.x;
  if (c >= p.channels) return;
  double mean = 0;
  double variance = 0;
  if (!p.training) {
    mean = static_cast<double>(param_at<S>(p.running_mean, wide, c));
    variance = static_cast<double>(param_at<S>(p.running_var, wide, c));
  } else {
    const int64_t count = p.batch * p.spatial;
    math::Moments all;
    for (int64_t i = 0; i < num_parts; ++i) {
      const BatchPart part = part_of(count, num_parts, i, unit);
      const Pair<T> found = parts[i * p.channels + c];
      math::merge_moments(
          &all, {static_cast<double>(part.end - part.begin), static_cast<double>(found.first),
                 static_cast<double>(found.second)});
    }
    const auto n = static_cast<double>(count);
    mean = all.count == 0 ? all.m2 / n : all.mean;
    variance = all.m2 / n;
    if (p.running_mean != nullptr) {
      move_running<S>(p, p.running_mean, c, static_cast<double>(static_cast<T>(mean)));
      move_running<S>(p, p.running_var, c, variance * n / (n - 1));
    }
  }
  static_cast<T*>(p.mean)[c] = static_cast<T>(mean);
  static_cast<T*>(p.rstd)[c] = static_cast<T>(1 / std::sqrt(variance + p.eps));
}

// V neighbours are of one channel, or of neighbouring channels without spatial dimensions.
template <class S, int V, bool kSpatial>
__global__ void __launch_bounds__(kRowThreads) batch_apply_kernel(const BatchNormParams p) {
  using T = OpMath<S>;
  const bool wide = is_wide<S>(p.param_dtype);
  const int64_t packs = p.batch * p.channels * p.spatial / V;
  const int64_t step = int64_t{gridDim.x} * kRowThreads;
  AG_KEEP_ROLLED
  for (int64_t i = int64_t{blockIdx.x} * kRowThreads + threadIdx.x; i < packs; i += step) {
    const int64_t at = i * V;
    const int64_t first = remainder(kSpatial ? quotient(at, p.spatial) : at, p.channels);
    T x[V];
    load_neighbours<V>(static_cast<const S*>(p.in) + at, x);
    T mean{0};
    T scale{0};
    T shift{0};
    AG_UNROLL
    for (int j = 0; j < V; ++j) {
      if (j == 0 || !kSpatial) {
        const int64_t c = first + j;
        mean = static_cast<const T*>(p.mean)[c];
        scale = static_cast<const T*>(p.rstd)[c];
        if (p.weight != nullptr) scale *= param_at<S>(p.weight, wide, c);
        shift = p.bias == nullptr ? T{0} : param_at<S>(p.bias, wide, c);
      }
      x[j] = math::affine(x[j], mean, scale, shift);
    }
    store_neighbours<V>(x, static_cast<S*>(p.out) + at);
  }
}

template <class S>
void forward(const BatchNormParams& p, const void*) {
  if (p.channels == 0) return;
  constexpr const char* kName = "nativeBatchNorm";
  constexpr int V = kWidest<S>;
  using Sums = Pair<OpMath<S>>;
  const BatchShape shape = BatchShape::of<S>(p, {p.in, p.out});
  const bool plane_packs = shape.packs && !shape.columns;
  const Scratch parts(p.training ? sizeof(Sums) * shape.grid.y * static_cast<size_t>(p.channels)
                                 : 0);
  const LaunchShape cut{shape.grid, kRowThreads};
  auto* sums = parts.as<Sums>();
  if (p.training) {
    if (shape.columns) {
      launch(kName, cut, batch_moments_kernel<S, ColumnReader<S>>, p, sums);
    } else if (plane_packs) {
      launch(kName, cut, batch_moments_kernel<S, PlaneReader<S, V>>, p, sums);
    } else {
      launch(kName, cut, batch_moments_kernel<S, PlaneReader<S, 1>>, p, sums);
    }
  }
  launch(kName, {grid_of_teams(p.channels, kRowThreads), kRowThreads}, batch_statistics_kernel<S>,
         p, sums, int64_t{shape.grid.y}, int64_t{plane_packs ? V : 1});
  const int64_t numel = p.batch * p.channels * p.spatial;
  if (numel == 0) return;
  const LaunchShape all{grid_for(numel / (shape.packs ? V : 1), kRowThreads), kRowThreads};
  if (shape.columns) {
    launch(kName, all,
           shape.packs ? batch_apply_kernel<S, V, false> : batch_apply_kernel<S, 1, false>, p);
  } else {
    launch(kName, all,
           shape.packs ? batch_apply_kernel<S, V, true> : batch_apply_kernel<S, 1, true>, p);
  }
}

}  // namespace

void register_batch_norm(const CudaHost& host) {
  const auto set = [&](DType dtype, KernelFn<BatchNormParams> fn) {
    set_kernel<BatchNormParams>(host, OpId::nativeBatchNorm, dtype, fn);
  };
  set(DType::Float16, forward<Half>);
  set(DType::BFloat16, forward<BFloat16>);
  set(DType::Float32, forward<float>);
  set(DType::Float64, forward<double>);
}

}  // namespace ampgrad::cuda
