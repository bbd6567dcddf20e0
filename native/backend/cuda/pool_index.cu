// Pooling by positions: what max pooling's gradient, unpooling and their gradients are made of, and
// fractional max pooling. The scatter gives every warp a stretch of the destination in shared
// memory and lets it read the whole plane of positions in order: sums have one order without
// atomics, and the last of several writers wins.
#include <cuda_runtime.h>

#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/fault.cuh"
#include "backend/cuda/device/scatter.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "math/pool.h"
#include "ops/fractional_params.h"
#include "ops/pool_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;
constexpr unsigned kAllLanes = 0xffffffffu;
struct ScatterArgs {
  const int64_t* indices = nullptr;
  const Reach* reaches = nullptr;
  IndexFault* fault = nullptr;
  const char* op = "poolScatter";
  int64_t planes = 0, small = 0, large = 0;
  int64_t parts = 0;  // of a plane of positions
  int64_t tiles = 0;  // of a plane of the destination
  bool accumulate = true;
};

__global__ void __launch_bounds__(kThreads) reach_kernel(const ScatterArgs a, Reach* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t total = a.planes * a.parts;
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t k = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; k < total; k += step) {
    const int64_t part = k % a.parts;
    const int64_t* from = a.indices + k / a.parts * a.small;
    const int64_t end = math::pool_min((part + 1) * kScatterPart, a.small);
    Reach r{INT64_MAX, -1};
    for (int64_t i = part * kScatterPart + lane; i < end; i += kWarp) {
      r.low = math::pool_min(r.low, from[i]);
      r.high = math::pool_max(r.high, from[i]);
    }
    AG_UNROLL
    for (int half = kWarp / 2; half > 0; half /= 2) {
      r.low = math::pool_min(r.low, __shfl_xor_sync(kAllLanes, r.low, half));
      r.high = math::pool_max(r.high, __shfl_xor_sync(kAllLanes, r.high, half));
    }
    if (lane != 0) continue;
    out[k] = r;
    if (r.low < 0) report_index(a.fault, a.op, r.low, 0, a.large);
    if (r.high >= a.large) report_index(a.fault, a.op, r.high, 0, a.large);
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads)
    scatter_kernel(const ScatterArgs a, const S* in, S* out) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(T, tiles, kWarps * kScatterTile<OpMath<S>>);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  T* tile = tiles + threadIdx.x / kWarp * kScatterTile<OpMath<S>>;
  const int64_t total = a.planes * a.tiles;
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t k = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; k < total; k += step) {
    const int64_t plane = k / a.tiles;
    const int64_t first = k % a.tiles * kScatterTile<OpMath<S>>;
    const int size =
        static_cast<int>(math::pool_min<int64_t>(a.large - first, kScatterTile<OpMath<S>>));
    for (int i = lane; i < size; i += kWarp) tile[i] = T{0};
    __syncwarp();
    for (int64_t part = 0; part < a.parts; ++part) {
      const Reach r = a.reaches[plane * a.parts + part];
      if (r.high < first || r.low >= first + size) continue;
      const int64_t end = math::pool_min((part + 1) * kScatterPart, a.small);
      for (int64_t base = part * kScatterPart; base < end; base += kWarp) {
        const int64_t i = base + lane;
        int64_t at = -1;
        T value{};
        if (i < end) {
          at = a.indices[plane * a.small + i] - first;
          if (at >= 0 && at < size) value = cast<T>(in[plane * a.small + i]);
        }
        scatter_put(tile, at >= 0 && at < size ? static_cast<int>(at) : -1, value, a.accumulate,
                    lane);
      }
    }
    S* to = out + plane * a.large + first;
    for (int i = lane; i < size; i += kWarp) to[i] = cast<S>(tile[i]);
    __syncwarp();
  }
}

// Positions outside of the plane read zero and are reported: the host does not wait to check them.
template <class S>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(const PlaneIndexParams p, const S* in, S* out, IndexFault* fault,
                  const char* op) {
  const int64_t total = p.planes * p.small;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    const int64_t at = p.indices[i];
    const bool inside = at >= 0 && at < p.large;
    out[i] = inside ? in[i / p.small * p.large + at] : S{};
    if (!inside) report_index(fault, op, at, 0, p.large);
  }
}

template <class S>
void scatter(const PlaneIndexParams& p, const void*) {
  ScatterArgs a;
  a.indices = p.indices;
  a.planes = p.planes;
  a.small = p.small;
  a.large = p.large;
  a.accumulate = p.accumulate;
  a.fault = current_context().fault;
  a.parts = (p.small + kScatterPart - 1) / kScatterPart;
  a.tiles = (p.large + kScatterTile<OpMath<S>> - 1) / kScatterTile<OpMath<S>>;
  const Scratch reaches(static_cast<size_t>(a.planes * a.parts) * sizeof(Reach));
  if (a.parts > 0) {
    launch("poolScatter", {grid_for(a.planes * a.parts * kWarp, kThreads), kThreads}, reach_kernel,
           a, reaches.as<Reach>());
  }
  a.reaches = reaches.as<Reach>();
  launch("poolScatter", {grid_for(a.planes * a.tiles * kWarp, kThreads), kThreads},
         scatter_kernel<S>, a, static_cast<const S*>(p.in), static_cast<S*>(p.out));
}

template <class S>
void gather(const PlaneIndexParams& p, const void*) {
  const int64_t total = p.planes * p.small;
  if (total == 0) return;
  launch("poolGather", {grid_for(total, kThreads), kThreads}, gather_kernel<S>, p,
         static_cast<const S*>(p.in), static_cast<S*>(p.out), current_context().fault,
         "poolGather");
}

template <class T>
__global__ void __launch_bounds__(kThreads) fractional_kernel(const FractionalPoolParams p) {
  const int64_t out_plane = p.out_size[0] * p.out_size[1] * p.out_size[2];
  const int64_t in_plane = p.in_size[0] * p.in_size[1] * p.in_size[2];
  const int64_t total = p.planes * out_plane;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t o = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; o < total; o += step) {
    const int64_t plane = o / out_plane;
    const T* samples = static_cast<const T*>(p.samples) + plane * p.dims;
    const T* x = static_cast<const T*>(p.in) + plane * in_plane;
    int64_t rest = o - plane * out_plane;
    int64_t start[3];
    AG_UNROLL
    for (int d = 2; d >= 0; --d) {
      const int64_t at = rest % p.out_size[d];
      rest /= p.out_size[d];
      T sample{0};
      if (d >= 3 - p.dims) sample = samples[p.dims == 2 ? 2 - d : d];
      start[d] = math::fractional_start(sample, p.in_size[d], p.out_size[d], p.kernel[d], at);
    }
    int64_t best = (start[0] * p.in_size[1] + start[1]) * p.in_size[2] + start[2];
    T top = x[best];
    for (int64_t i = start[0]; i < start[0] + p.kernel[0]; ++i) {
      for (int64_t j = start[1]; j < start[1] + p.kernel[1]; ++j) {
        const int64_t row = (i * p.in_size[1] + j) * p.in_size[2];
        for (int64_t k = row + start[2]; k < row + start[2] + p.kernel[2]; ++k) {
          const T v = x[k];
          if (v > top || v != v) {
            top = v;
            best = k;
          }
        }
      }
    }
    static_cast<T*>(p.out)[o] = top;
    p.indices[o] = best;
  }
}

template <class T>
void fractional(const FractionalPoolParams& p, const void*) {
  const int64_t total = p.planes * p.out_size[0] * p.out_size[1] * p.out_size[2];
  if (total == 0) return;
  launch("fractionalMaxPoolForward", {grid_for(total, kThreads), kThreads}, fractional_kernel<T>,
         p);
}

}  // namespace

void register_pool_index(const CudaHost& host) {
#define AG_SET(name, type, text)                                                     \
  set_kernel<PlaneIndexParams>(host, OpId::poolScatter, DType::name, scatter<type>); \
  set_kernel<PlaneIndexParams>(host, OpId::poolGather, DType::name, gather<type>);
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
  set_kernel<FractionalPoolParams>(host, OpId::fractionalMaxPoolForward, DType::Float32,
                                   fractional<float>);
  set_kernel<FractionalPoolParams>(host, OpId::fractionalMaxPoolForward, DType::Float64,
                                   fractional<double>);
}

}  // namespace ampgrad::cuda
