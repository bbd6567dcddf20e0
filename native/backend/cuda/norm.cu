// Row normalisations (layer, RMS, group, instance): a warp or a block for each row, which it reads
// once for the mean, once for the squares and once for the result; all but the first from a cache.
#include "backend/cuda/norm.cuh"
#include "ops/norm_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int64_t kWarpRow = 1024;  // longer rows get a block

// V neighbours of one channel.
template <class S, int V>
__device__ AG_INLINE void finish_channel(const RowNormParams& p, int64_t c, OpMath<S> mean,
                                         OpMath<S> rstd, OpMath<S>* x) {
  using T = OpMath<S>;
  const bool wide = is_wide<S>(p.param_dtype);
  const T scale = p.weight == nullptr ? rstd : rstd * param_at<S>(p.weight, wide, c);
  const T shift = p.bias == nullptr ? T{0} : param_at<S>(p.bias, wide, c);
  AG_UNROLL
  for (int j = 0; j < V; ++j) x[j] = math::affine(x[j], mean, scale, shift);
}

// V neighbouring channels, from c.
template <class S, int V>
__device__ AG_INLINE void finish_channels(const RowNormParams& p, int64_t c, OpMath<S> mean,
                                          OpMath<S> rstd, OpMath<S>* x) {
  using T = OpMath<S>;
  const bool wide = is_wide<S>(p.param_dtype);
  T w[V];
  T b[V];
  AG_UNROLL
  for (int j = 0; j < V; ++j) {
    w[j] = T{1};
    b[j] = T{0};
  }
  if (p.weight != nullptr) load_params<S, V>(p.weight, wide, c, w);
  if (p.bias != nullptr) load_params<S, V>(p.bias, wide, c, b);
  AG_UNROLL
  for (int j = 0; j < V; ++j) x[j] = math::affine(x[j], mean, rstd, T{0}) * w[j] + b[j];
}

// The result of a row. Divisions are of 32 bits: a row too long for them goes channel by channel.
template <class S, int kTeam, int V, bool kSpatial>
__device__ AG_INLINE void finish_row(const RowNormParams& p, const S* in, S* out, int64_t first,
                                     OpMath<S> mean, OpMath<S> rstd) {
  using T = OpMath<S>;
  const int64_t size = p.channels * p.spatial;
  const int64_t start = int64_t{Team<kTeam>::rank()} * V;
  constexpr int kStep = kTeam * V;
  T x[V];
  if constexpr (kSpatial) {
    if (size > UINT32_MAX) {
      for (int64_t c = 0; c < p.channels; ++c) {
        AG_KEEP_ROLLED
        for (int64_t at = c * p.spatial + start; at < (c + 1) * p.spatial; at += kStep) {
          load_neighbours<V>(in + at, x);
          finish_channel<S, V>(p, first + c, mean, rstd, x);
          store_neighbours<V>(x, out + at);
        }
      }
      return;
    }
  }
  AG_KEEP_ROLLED
  for (int64_t at = start; at < size; at += kStep) {
    load_neighbours<V>(in + at, x);
    if constexpr (kSpatial) {
      const uint32_t c = static_cast<uint32_t>(at) / static_cast<uint32_t>(p.spatial);
      finish_channel<S, V>(p, first + c, mean, rstd, x);
    } else {
      finish_channels<S, V>(p, first + at, mean, rstd, x);
    }
    store_neighbours<V>(x, out + at);
  }
}

template <class S, int kTeam, int V, bool kSpatial>
__global__ void __launch_bounds__(kRowThreads) norm_kernel(const RowNormParams p) {
  using T = OpMath<S>;
  using Rows = Team<kTeam>;
  AG_SHARED_ARRAY(T, room, kRowWarps);
  const int64_t size = p.channels * p.spatial;
  const int64_t start = int64_t{Rows::rank()} * V;
  constexpr int kStep = kTeam * V;
  for (int64_t row = Rows::first_row(); row < p.rows; row += Rows::row_step()) {
    const S* in = static_cast<const S*>(p.in) + row * size;
    S* out = static_cast<S*>(p.out) + row * size;
    T x[V];
    T mean{0};
    if (p.mean != nullptr) {
      for (int64_t at = start; at < size; at += kStep) {
        load_neighbours<V>(in + at, x);
        AG_UNROLL
        for (int j = 0; j < V; ++j) mean += x[j];
      }
      mean = Rows::fold(mean, Add(), room) / static_cast<T>(size);
    }
    T squares{0};
    for (int64_t at = start; at < size; at += kStep) {
      load_neighbours<V>(in + at, x);
      AG_UNROLL
      for (int j = 0; j < V; ++j) squares += (x[j] - mean) * (x[j] - mean);
    }
    squares = Rows::fold(squares, Add(), room);
    const T rstd = T{1} / std::sqrt(squares / static_cast<T>(size) + static_cast<T>(p.eps));
    if (Rows::rank() == 0) {
      if (p.mean != nullptr) static_cast<T*>(p.mean)[row] = mean;
      static_cast<T*>(p.rstd)[row] = rstd;
    }
    const int64_t first = p.groups == 1 ? 0 : remainder(row, p.groups) * p.channels;
    finish_row<S, kTeam, V, kSpatial>(p, in, out, first, mean, rstd);
  }
}

template <class S, int kTeam, bool kSpatial>
void run_teams(const char* name, const RowNormParams& p, bool packs) {
  const LaunchShape shape{grid_of_teams(p.rows, Team<kTeam>::kTeams), kRowThreads};
  if (packs) {
    launch(name, shape, norm_kernel<S, kTeam, kWidest<S>, kSpatial>, p);
  } else {
    launch(name, shape, norm_kernel<S, kTeam, 1, kSpatial>, p);
  }
}

template <class S, bool kSpatial>
void run(const char* name, const RowNormParams& p, bool packs) {
  if (p.channels * p.spatial <= kWarpRow) {
    run_teams<S, kLanes, kSpatial>(name, p, packs);
  } else {
    run_teams<S, kRowThreads, kSpatial>(name, p, packs);
  }
}

template <class S>
void forward(const RowNormParams& p, const void* name_of_row) {
  if (p.rows == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  if (p.spatial == 1) {
    run<S, false>(name, p, rows_align(p.channels, sizeof(S), {p.in, p.out, p.weight, p.bias}));
  } else {
    run<S, true>(name, p, rows_align(p.spatial, sizeof(S), {p.in, p.out}));
  }
}

}  // namespace

void register_norm(const CudaHost& host) {
  const auto set = [&](OpId op, const char* name) {
    set_kernel<RowNormParams>(host, op, DType::Float16, forward<Half>, name);
    set_kernel<RowNormParams>(host, op, DType::BFloat16, forward<BFloat16>, name);
    set_kernel<RowNormParams>(host, op, DType::Float32, forward<float>, name);
    set_kernel<RowNormParams>(host, op, DType::Float64, forward<double>, name);
  };
  set(OpId::nativeLayerNorm, "nativeLayerNorm");
  set(OpId::nativeRmsNorm, "nativeRmsNorm");
  set(OpId::nativeGroupNorm, "nativeGroupNorm");
}

}  // namespace ampgrad::cuda
