// The gradients of batch normalisation: two sums of each channel, in parts; what an element needs
// of them, and the gradients of the parameters; then every element.
#include "backend/cuda/batch_norm.cuh"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

namespace {

// What math::norm_grad takes for a channel.
template <class T>
struct GradFactors {
  T center, a, b, c;
};

// parts [gridDim.y, channels]: sums of g (x - mean) and of g.
template <class S, class Reader>
__global__ void __launch_bounds__(kRowThreads)
    batch_sums_kernel(const BatchNormParams p, Pair<OpMath<S>>* parts) {
  using T = OpMath<S>;
  constexpr int V = Reader::kNeighbours;
  AG_SHARED_ARRAY(Pair<T>, room, Reader::kRoom);
  for (int64_t unit = blockIdx.x; unit < Reader::units(p); unit += gridDim.x) {
    const Reader reader(p, unit);
    const T mean = reader.is_valid() ? static_cast<const T*>(p.mean)[reader.channel] : T{0};
    Pair<T> sum{T{0}, T{0}};
    reader.each([&](int64_t at) {
      T x[V];
      T g[V];
      load_neighbours<V>(static_cast<const S*>(p.in) + at, x);
      load_neighbours<V>(static_cast<const S*>(p.grad) + at, g);
      AG_UNROLL
      for (int j = 0; j < V; ++j) {
        sum.first += g[j] * (x[j] - mean);
        sum.second += g[j];
      }
    });
    sum = reader.fold(sum, room);
    if (reader.leads()) parts[blockIdx.y * p.channels + reader.channel] = sum;
  }
}

template <class S>
__global__ void __launch_bounds__(kRowThreads)
    batch_factors_kernel(const BatchNormParams p, const Pair<OpMath<S>>* parts, int64_t num_parts,
                         GradFactors<OpMath<S>>* factors) {
  using T = OpMath<S>;
  const bool wide = is_wide<S>(p.param_dtype);
  const int64_t c = int64_t{blockIdx.x} * kRowThreads + threadIdx.x;
  if (c >= p.channels) return;
  double product = 0;
  double sum = 0;
  for (int64_t i = 0; i < num_parts; ++i) {
    product += static_cast<double>(parts[i * p.channels + c].first);
    sum += static_cast<double>(parts[i * p.channels + c].second);
  }
  const auto scale = static_cast<double>(static_cast<const T*>(p.rstd)[c]);
  if (p.grad_weight != nullptr) {
    set_param<S>(p.grad_weight, wide, c, static_cast<T>(product * scale));
  }
  if (p.grad_bias != nullptr) set_param<S>(p.grad_bias, wide, c, static_cast<T>(sum));
  const double weight =
      p.weight == nullptr ? 1 : static_cast<double>(param_at<S>(p.weight, wide, c));
  const double a = scale * weight;
  const auto n = static_cast<double>(p.batch * p.spatial);
  GradFactors<T> f{static_cast<const T*>(p.mean)[c], static_cast<T>(a), T{0}, T{0}};
  if (p.training) {
    f.b = static_cast<T>(-a * scale * scale * product / n);
    f.c = static_cast<T>(-a * sum / n);
  }
  factors[c] = f;
}

template <class S, int V, bool kSpatial>
__global__ void __launch_bounds__(kRowThreads)
    batch_grad_kernel(const BatchNormParams p, const GradFactors<OpMath<S>>* factors) {
  using T = OpMath<S>;
  const int64_t packs = p.batch * p.channels * p.spatial / V;
  const int64_t step = int64_t{gridDim.x} * kRowThreads;
  AG_KEEP_ROLLED
  for (int64_t i = int64_t{blockIdx.x} * kRowThreads + threadIdx.x; i < packs; i += step) {
    const int64_t at = i * V;
    const int64_t first = remainder(kSpatial ? quotient(at, p.spatial) : at, p.channels);
    T x[V];
    T g[V];
    load_neighbours<V>(static_cast<const S*>(p.in) + at, x);
    load_neighbours<V>(static_cast<const S*>(p.grad) + at, g);
    GradFactors<T> f = factors[first];
    AG_UNROLL
    for (int j = 0; j < V; ++j) {
      if (j != 0 && !kSpatial) f = factors[first + j];
      g[j] = math::norm_grad(g[j], x[j], f.center, f.a, f.b, f.c);
    }
    store_neighbours<V>(g, static_cast<S*>(p.out) + at);
  }
}

template <class S>
void backward(const BatchNormParams& p, const void*) {
  if (p.channels == 0) return;
  constexpr const char* kName = "batchNormBackward";
  constexpr int V = kWidest<S>;
  using Sums = Pair<OpMath<S>>;
  using Factors = GradFactors<OpMath<S>>;
  const BatchShape shape = BatchShape::of<S>(p, {p.in, p.grad, p.out});
  const auto channels = static_cast<size_t>(p.channels);
  const Scratch parts(sizeof(Sums) * shape.grid.y * channels);
  const Scratch factors(sizeof(Factors) * channels);
  const LaunchShape cut{shape.grid, kRowThreads};
  auto* sums = parts.as<Sums>();
  if (shape.columns) {
    launch(kName, cut, batch_sums_kernel<S, ColumnReader<S>>, p, sums);
  } else if (shape.packs) {
    launch(kName, cut, batch_sums_kernel<S, PlaneReader<S, V>>, p, sums);
  } else {
    launch(kName, cut, batch_sums_kernel<S, PlaneReader<S, 1>>, p, sums);
  }
  launch(kName, {grid_of_teams(p.channels, kRowThreads), kRowThreads}, batch_factors_kernel<S>, p,
         sums, int64_t{shape.grid.y}, factors.as<Factors>());
  const int64_t numel = p.batch * p.channels * p.spatial;
  if (p.out == nullptr || numel == 0) return;
  const LaunchShape all{grid_for(numel / (shape.packs ? V : 1), kRowThreads), kRowThreads};
  if (shape.columns) {
    launch(kName, all,
           shape.packs ? batch_grad_kernel<S, V, false> : batch_grad_kernel<S, 1, false>, p,
           factors.as<Factors>());
  } else {
    launch(kName, all, shape.packs ? batch_grad_kernel<S, V, true> : batch_grad_kernel<S, 1, true>,
           p, factors.as<Factors>());
  }
}

}  // namespace

void register_batch_norm_backward(const CudaHost& host) {
  const auto set = [&](DType dtype, KernelFn<BatchNormParams> fn) {
    set_kernel<BatchNormParams>(host, OpId::batchNormBackward, dtype, fn);
  };
  set(DType::Float16, backward<Half>);
  set(DType::BFloat16, backward<BFloat16>);
  set(DType::Float32, backward<float>);
  set(DType::Float64, backward<double>);
}

}  // namespace ampgrad::cuda
