// Pooling on windows: maxima with their positions, averages and the averages' gradient. A thread
// for each output, or a warp where windows are large; the gradient gathers, so that every sum has
// one order.
#include <cuda_runtime.h>

#include <algorithm>
#include <limits>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/families.h"
#include "math/pool.h"
#include "ops/pool_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int64_t kWarpFrom = 64;  // elements of a window that are worth a warp

// Planes of outputs [out] -> [in], or the reverse: axis[] tells the sizes.
template <class I>
struct PoolArgs {
  math::PoolAxis<I> axis[3];
  int64_t in_plane = 1, out_plane = 1;
  int64_t total = 0;  // results
  double divisor = 0;
};

template <class I>
struct Position {
  int64_t plane;
  I at[3];
};

// Element i of planes of `sizes`.
template <class I>
AG_HD AG_INLINE Position<I> position_of(int64_t i, I d1, I d2, int64_t plane_size) {
  Position<I> p;
  using U = std::make_unsigned_t<I>;
  const U index = static_cast<U>(i);
  const U plane = index / static_cast<U>(plane_size);
  U rest = index - plane * static_cast<U>(plane_size);
  p.plane = static_cast<int64_t>(plane);
  p.at[2] = static_cast<I>(rest % static_cast<U>(d2));
  rest /= static_cast<U>(d2);
  p.at[1] = static_cast<I>(rest % static_cast<U>(d1));
  p.at[0] = static_cast<I>(rest / static_cast<U>(d1));
  return p;
}

template <class I>
AG_HD AG_INLINE I window_length(const math::PoolWindow<I>& w, I dilation) {
  return w.begin < w.end ? (w.end - w.begin - 1) / dilation + 1 : 0;
}

// A value and its position. PyTorch's scan: the first of equal values wins, and the last NaN.
template <class V>
struct Best {
  V value;
  int64_t index;  // -1: nothing yet

  AG_HD AG_INLINE void merge(V v, int64_t i) {
    const bool nan = v != v;
    const bool own_nan = value != value;
    const bool later =
        nan ? !own_nan || i > index : !own_nan && (v > value || (v == value && i < index));
    const bool take = i >= 0 && (index < 0 || later);
    value = take ? v : value;
    index = take ? i : index;
  }
};

// What windows are folded in: halves as float, integers as they are (in 64 bits between lanes).
template <class S>
using Lane = std::conditional_t<std::is_integral_v<S>, int64_t, OpMath<S>>;

template <class S, class I, int kLanes>
__global__ void __launch_bounds__(kThreads)
    max_kernel(const PoolArgs<I> a, const S* in, S* out, int64_t* indices) {
  using V = Lane<S>;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kLanes);
  for (int64_t o = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kLanes; o < a.total;
       o += step) {
    const Position<I> p = position_of<I>(o, a.axis[1].out, a.axis[2].out, a.out_plane);
    math::PoolWindow<I> w[3];
    I n[3];
    AG_UNROLL
    for (int d = 0; d < 3; ++d) {
      w[d] = math::pool_window(a.axis[d], p.at[d]);
      n[d] = window_length(w[d], a.axis[d].dilation);
    }
    const S* x = in + p.plane * a.in_plane;
    Best<V> best{V{0}, -1};
    const I count = n[0] * n[1] * n[2];
    for (I e = lane; e < count; e += kLanes) {
      const I rest = e / n[2];
      const I z = w[2].begin + (e - rest * n[2]) * a.axis[2].dilation;
      const I y = w[1].begin + rest % n[1] * a.axis[1].dilation;
      const I v = w[0].begin + rest / n[1] * a.axis[0].dilation;
      const int64_t at = (int64_t{v} * a.axis[1].in + y) * a.axis[2].in + z;
      best.merge(static_cast<V>(cast<OpMath<S>>(x[at])), at);
    }
    if constexpr (kLanes > 1) {
      AG_UNROLL
      for (int half = kLanes / 2; half > 0; half /= 2) {
        const V value = __shfl_xor_sync(kAllLanes, best.value, half);
        const int64_t index = __shfl_xor_sync(kAllLanes, best.index, half);
        best.merge(value, index);
      }
    }
    if (lane != 0) continue;
    if (best.index >= 0) {
      out[o] = cast<S>(static_cast<OpMath<S>>(best.value));
      indices[o] = best.index;
      continue;
    }
    // A dilated window may fall between the elements.
    using T = OpMath<S>;
    if constexpr (std::is_floating_point_v<T>) {
      out[o] = cast<S>(-std::numeric_limits<T>::infinity());
    } else {
      out[o] = std::numeric_limits<T>::lowest();
    }
    const bool rows = n[0] > 0 && n[1] > 0;
    const int64_t row = rows ? int64_t{w[0].begin} * a.axis[1].in + w[1].begin : 0;
    indices[o] = row * a.axis[2].in + math::pool_min<I>(w[2].begin, a.axis[2].in - 1);
  }
}

template <class T, class I>
AG_HD AG_INLINE T divisor_of(const PoolArgs<I>& a, const math::PoolWindow<I> (&w)[3]) {
  const double by = a.divisor != 0 ? a.divisor
                                   : static_cast<double>(int64_t{w[0].count} * w[1].count) *
                                         static_cast<double>(w[2].count);
  return static_cast<T>(by);
}

template <class S, class I, int kLanes>
__global__ void __launch_bounds__(kThreads)
    average_kernel(const PoolArgs<I> a, const S* in, S* out) {
  using T = OpMath<S>;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / kLanes);
  for (int64_t o = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kLanes; o < a.total;
       o += step) {
    const Position<I> p = position_of<I>(o, a.axis[1].out, a.axis[2].out, a.out_plane);
    math::PoolWindow<I> w[3];
    I n[3];
    AG_UNROLL
    for (int d = 0; d < 3; ++d) {
      w[d] = math::pool_window(a.axis[d], p.at[d]);
      n[d] = window_length(w[d], I{1});
    }
    const S* x = in + p.plane * a.in_plane;
    T total{0};
    const I count = n[0] * n[1] * n[2];
    for (I e = lane; e < count; e += kLanes) {
      const I rest = e / n[2];
      const I z = w[2].begin + (e - rest * n[2]);
      const I y = w[1].begin + rest % n[1];
      const I v = w[0].begin + rest / n[1];
      total += cast<T>(x[(int64_t{v} * a.axis[1].in + y) * a.axis[2].in + z]);
    }
    if constexpr (kLanes > 1) {
      AG_UNROLL
      for (int half = kLanes / 2; half > 0; half /= 2) {
        total += __shfl_xor_sync(kAllLanes, total, half);
      }
    }
    if (lane == 0) out[o] = cast<S>(total / divisor_of<T>(a, w));
  }
}

// `grad` has the shape of the outputs.
template <class S, class I>
__global__ void __launch_bounds__(kThreads)
    average_backward_kernel(const PoolArgs<I> a, const S* grad, S* dx) {
  using T = OpMath<S>;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.total; i += step) {
    const Position<I> p = position_of<I>(i, a.axis[1].in, a.axis[2].in, a.in_plane);
    math::PoolWindow<I> from[3];
    AG_UNROLL
    for (int d = 0; d < 3; ++d) from[d] = math::pool_outputs(a.axis[d], p.at[d]);
    const S* g = grad + p.plane * a.out_plane;
    T total{0};
    math::PoolWindow<I> w[3];
    for (I d = from[0].begin; d < from[0].end; ++d) {
      w[0] = math::pool_window(a.axis[0], d);
      for (I h = from[1].begin; h < from[1].end; ++h) {
        w[1] = math::pool_window(a.axis[1], h);
        const S* row = g + (int64_t{d} * a.axis[1].out + h) * a.axis[2].out;
        for (I c = from[2].begin; c < from[2].end; ++c) {
          w[2] = math::pool_window(a.axis[2], c);
          total += cast<T>(row[c]) / divisor_of<T>(a, w);
        }
      }
    }
    dx[i] = cast<S>(total);
  }
}

template <class I>
PoolArgs<I> args_of(const PoolParams& p, bool backward) {
  PoolArgs<I> a;
  for (int d = 0; d < 3; ++d) {
    const PoolAxis& from = p.axis[d];
    a.axis[d] = {static_cast<I>(from.in),
                 static_cast<I>(from.out),
                 static_cast<I>(from.kernel),
                 static_cast<I>(from.stride),
                 static_cast<I>(from.padding),
                 static_cast<I>(from.dilation),
                 from.adaptive,
                 from.count_padding};
    a.in_plane *= from.in;
    a.out_plane *= from.out;
  }
  a.total = p.planes * (backward ? a.in_plane : a.out_plane);
  a.divisor = p.divisor;
  return a;
}

// Everything that a kernel counts in I stays below 2^31.
bool fits_narrow(const PoolParams& p) {
  int64_t in = p.planes;
  int64_t out = p.planes;
  for (const PoolAxis& a : p.axis) {
    in *= a.in;
    out *= a.out;
    const int64_t window = (a.kernel - 1) * a.dilation + 1;
    if ((a.out - 1) * a.stride + window + a.padding >= INT32_MAX) return false;
  }
  return in < INT32_MAX && out < INT32_MAX;
}

// Elements of the largest window, about.
int64_t window_size(const PoolParams& p) {
  int64_t n = 1;
  for (const PoolAxis& a : p.axis) {
    n *= a.adaptive ? (a.in + a.out - 1) / a.out : std::min(a.kernel, a.in);
  }
  return n;
}

template <class F>
void with_index(const PoolParams& p, const F& f) {
  if (fits_narrow(p)) {
    f(int32_t{});
  } else {
    f(int64_t{});
  }
}

template <class S>
void run_max(const PoolParams& p, const void*) {
  with_index(p, [&](auto index) {
    using I = decltype(index);
    const PoolArgs<I> a = args_of<I>(p, false);
    const S* in = static_cast<const S*>(p.in);
    S* out = static_cast<S*>(p.out);
    if (window_size(p) >= kWarpFrom) {
      launch("maxPoolForward", {grid_for(a.total * kWarp, kThreads), kThreads},
             max_kernel<S, I, kWarp>, a, in, out, p.indices);
    } else {
      launch("maxPoolForward", {grid_for(a.total, kThreads), kThreads}, max_kernel<S, I, 1>, a, in,
             out, p.indices);
    }
  });
}

template <class S>
void run_average(const PoolParams& p, const void*) {
  with_index(p, [&](auto index) {
    using I = decltype(index);
    const PoolArgs<I> a = args_of<I>(p, false);
    const S* in = static_cast<const S*>(p.in);
    S* out = static_cast<S*>(p.out);
    if (window_size(p) >= kWarpFrom) {
      launch("avgPoolForward", {grid_for(a.total * kWarp, kThreads), kThreads},
             average_kernel<S, I, kWarp>, a, in, out);
    } else {
      launch("avgPoolForward", {grid_for(a.total, kThreads), kThreads}, average_kernel<S, I, 1>, a,
             in, out);
    }
  });
}

template <class S>
void run_average_backward(const PoolParams& p, const void*) {
  with_index(p, [&](auto index) {
    using I = decltype(index);
    const PoolArgs<I> a = args_of<I>(p, true);
    launch("avgPoolBackward", {grid_for(a.total, kThreads), kThreads},
           average_backward_kernel<S, I>, a, static_cast<const S*>(p.in), static_cast<S*>(p.out));
  });
}

template <class S>
void set_max(const CudaHost& host) {
  set_kernel<PoolParams>(host, OpId::maxPoolForward, dtype_of<S>, run_max<S>);
  set_kernel<PoolParams>(host, OpId::adaptiveMaxPoolForward, dtype_of<S>, run_max<S>);
}

template <class S>
void set_average(const CudaHost& host) {
  set_kernel<PoolParams>(host, OpId::avgPoolForward, dtype_of<S>, run_average<S>);
  set_kernel<PoolParams>(host, OpId::adaptiveAvgPoolForward, dtype_of<S>, run_average<S>);
  set_kernel<PoolParams>(host, OpId::avgPoolBackward, dtype_of<S>, run_average_backward<S>);
  set_kernel<PoolParams>(host, OpId::adaptiveAvgPoolBackward, dtype_of<S>, run_average_backward<S>);
}

}  // namespace

void register_pool(const CudaHost& host) {
  set_max<uint8_t>(host);
  set_max<int8_t>(host);
  set_max<int16_t>(host);
  set_max<int32_t>(host);
  set_max<int64_t>(host);
  set_max<Half>(host);
  set_max<BFloat16>(host);
  set_max<float>(host);
  set_max<double>(host);
  set_average<int64_t>(host);
  set_average<Half>(host);
  set_average<BFloat16>(host);
  set_average<float>(host);
  set_average<double>(host);
}

}  // namespace ampgrad::cuda
