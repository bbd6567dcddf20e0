// Sampling at grid points: a thread for a point and a few channels. The input's gradient first
// writes down every point's elements and weights ("taps"), then adds them up stretch by stretch
// (device/scatter.cuh), in the order of the CPU.
#include <cuda_runtime.h>

#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/scatter.cuh"
#include "backend/cuda/device/unroll.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "math/grid.h"
#include "ops/grid_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;
constexpr int64_t kChannels = 8;                  // of a thread
constexpr int64_t kTapBytes = int64_t{64} << 20;  // written down at a time, about

AG_HD AG_INLINE int64_t plane_of(const GridParams& p) {
  return p.in_size[0] * p.in_size[1] * p.in_size[2];
}

// The elements of a point in up to three dimensions, those that are not there with one of weight 1.
template <class T, int kPer, int kDims>
struct PointTaps {
  static constexpr int kCount = kDims == 3 ? kPer * kPer * kPer : kPer * kPer;
  math::GridAxis<T> axes[kDims];

  __device__ PointTaps(const GridParams& p, const T* at) {
    AG_UNROLL
    for (int d = 0; d < kDims; ++d) {
      axes[d] = math::grid_axis<kPer>(at[kDims - 1 - d], p.in_size[d],
                                      static_cast<math::GridPadding>(p.padding), p.align_corners);
    }
  }

  // f(tap, element or -1, weight, slopes by dimension) for every tap, in order.
  template <class F>
  __device__ AG_INLINE void each(const GridParams& p, const F& f) const {
    AG_UNROLL
    for (int tap = 0; tap < kCount; ++tap) {
      const int digit[3] = {tap / (kDims == 3 ? kPer * kPer : kPer),
                            kDims == 3 ? tap / kPer % kPer : tap % kPer, tap % kPer};
      int64_t element = 0;
      T weight{1};
      AG_UNROLL
      for (int d = 0; d < kDims; ++d) {
        const int64_t index = axes[d].index[digit[d]];
        element = element < 0 || index < 0 ? -1 : element * p.in_size[d] + index;
        weight *= axes[d].weight[digit[d]];
      }
      T slope[kDims];
      AG_UNROLL
      for (int d = 0; d < kDims; ++d) {
        slope[d] = axes[d].slope[digit[d]];
        AG_UNROLL
        for (int e = 0; e < kDims; ++e) {
          if (e != d) slope[d] *= axes[e].weight[digit[e]];
        }
      }
      f(tap, element, weight, slope);
    }
  }
};

template <class T, int kPer, int kDims>
__global__ void __launch_bounds__(kThreads) grid_forward_kernel(const GridParams p) {
  const int64_t parts = (p.channels + kChannels - 1) / kChannels;
  const int64_t total = p.batch * parts * p.points;
  const int64_t plane = plane_of(p);
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    const int64_t point = i % p.points;
    const int64_t item = i / p.points / parts;
    const int64_t first = i / p.points % parts * kChannels;
    const int64_t end = first + kChannels < p.channels ? first + kChannels : p.channels;
    const PointTaps<T, kPer, kDims> taps(
        p, static_cast<const T*>(p.grid) + (item * p.points + point) * kDims);
    AG_UNROLL_BY(1)
    for (int64_t c = item * p.channels + first; c < item * p.channels + end; ++c) {
      const T* in = static_cast<const T*>(p.in) + c * plane;
      T sum{0};
      taps.each(p, [&](int, int64_t element, T weight, const T*) {
        sum += (element < 0 ? T{0} : in[element]) * weight;
      });
      static_cast<T*>(p.out)[c * p.points + point] = sum;
    }
  }
}

template <class T, int kPer, int kDims>
__global__ void __launch_bounds__(kThreads) grid_slopes_kernel(const GridParams p) {
  const int64_t total = p.batch * p.points;
  const int64_t plane = plane_of(p);
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    const int64_t item = i / p.points;
    const int64_t point = i - item * p.points;
    const PointTaps<T, kPer, kDims> taps(p, static_cast<const T*>(p.grid) + i * kDims);
    T sums[kDims] = {};
    const T* in = static_cast<const T*>(p.in) + item * p.channels * plane;
    const T* grad = static_cast<const T*>(p.grad) + item * p.channels * p.points + point;
    taps.each(p, [&](int, int64_t element, T, const T* slope) {
      if (element < 0) return;
      T dot{0};
      for (int64_t c = 0; c < p.channels; ++c) dot += in[c * plane + element] * grad[c * p.points];
      AG_UNROLL
      for (int d = 0; d < kDims; ++d) sums[d] += slope[d] * dot;
    });
    AG_UNROLL
    for (int d = 0; d < kDims; ++d) {
      static_cast<T*>(p.grad_grid)[i * kDims + kDims - 1 - d] = sums[d];
    }
  }
}

// Elements and weights [item][tap][point] of some items.
template <class T>
struct TapTable {
  int64_t* element = nullptr;
  T* weight = nullptr;
  Reach* reach = nullptr;  // [item][part of the points]
  int64_t first = 0, items = 0;
  int64_t parts = 0;  // of the points
  int64_t tiles = 0;  // of a plane
  int taps = 1;
};

template <class T, int kPer, int kDims>
__global__ void __launch_bounds__(kThreads)
    grid_taps_kernel(const GridParams p, const TapTable<T> t) {
  const int64_t total = t.items * p.points;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    const int64_t item = i / p.points;
    const int64_t point = i - item * p.points;
    const PointTaps<T, kPer, kDims> taps(
        p, static_cast<const T*>(p.grid) + (t.first * p.points + i) * kDims);
    taps.each(p, [&](int tap, int64_t element, T weight, const T*) {
      const int64_t at = (item * t.taps + tap) * p.points + point;
      t.element[at] = element;
      t.weight[at] = weight;
    });
  }
}

// A warp for each part of the points.
template <class T>
__global__ void __launch_bounds__(kThreads)
    grid_reach_kernel(const GridParams p, const TapTable<T> t) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t total = t.items * t.parts;
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t k = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; k < total; k += step) {
    const int64_t begin = k % t.parts * kScatterPart;
    const int64_t end = begin + kScatterPart < p.points ? begin + kScatterPart : p.points;
    Reach r{INT64_MAX, -1};
    for (int tap = 0; tap < t.taps; ++tap) {
      const int64_t* from = t.element + (k / t.parts * t.taps + tap) * p.points;
      for (int64_t i = begin + lane; i < end; i += kWarp) {
        if (from[i] < 0) continue;
        r.low = from[i] < r.low ? from[i] : r.low;
        r.high = from[i] > r.high ? from[i] : r.high;
      }
    }
    AG_UNROLL
    for (int half = kWarp / 2; half > 0; half /= 2) {
      const int64_t low = __shfl_xor_sync(0xffffffffu, r.low, half);
      const int64_t high = __shfl_xor_sync(0xffffffffu, r.high, half);
      r.low = low < r.low ? low : r.low;
      r.high = high > r.high ? high : r.high;
    }
    if (lane == 0) t.reach[k] = r;
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    grid_input_kernel(const GridParams p, const TapTable<T> t) {
  constexpr int kTile = kScatterTile<T>;
  AG_SHARED_ARRAY(T, tiles, kWarps * kTile);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  T* tile = tiles + threadIdx.x / kWarp * kTile;
  const int64_t plane = plane_of(p);
  const int64_t total = t.items * p.channels * t.tiles;
  const int64_t step = int64_t{gridDim.x} * kWarps;
  for (int64_t k = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; k < total; k += step) {
    const int64_t channel = k / t.tiles;  // of those of the items
    const int64_t item = channel / p.channels;
    const int64_t first = k % t.tiles * kTile;
    const int size = static_cast<int>(plane - first < kTile ? plane - first : kTile);
    const T* grad = static_cast<const T*>(p.grad) + (t.first * p.channels + channel) * p.points;
    for (int i = lane; i < size; i += kWarp) tile[i] = T{0};
    __syncwarp();
    for (int64_t part = 0; part < t.parts; ++part) {
      const Reach r = t.reach[item * t.parts + part];
      if (r.high < first || r.low >= first + size) continue;
      const int64_t begin = part * kScatterPart;
      const int64_t end = begin + kScatterPart < p.points ? begin + kScatterPart : p.points;
      for (int tap = 0; tap < t.taps; ++tap) {
        const int64_t row = (item * t.taps + tap) * p.points;
        for (int64_t base = begin; base < end; base += kWarp) {
          const int64_t i = base + lane;
          const int64_t at = i < end ? t.element[row + i] - first : -1;
          const bool here = i < end && at >= 0 && at < size;
          const T value = here ? grad[i] * t.weight[row + i] : T{0};
          scatter_put(tile, here ? static_cast<int>(at) : -1, value, true, lane);
        }
      }
    }
    T* to = static_cast<T*>(p.grad_in) + (t.first * p.channels + channel) * plane + first;
    for (int i = lane; i < size; i += kWarp) to[i] = tile[i];
    __syncwarp();
  }
}

template <class T, int kPer, int kDims>
void input_gradient(const GridParams& p) {
  TapTable<T> t;
  t.taps = PointTaps<T, kPer, kDims>::kCount;
  t.parts = (p.points + kScatterPart - 1) / kScatterPart;
  t.tiles = (plane_of(p) + kScatterTile<T> - 1) / kScatterTile<T>;
  const int64_t of_item = t.taps * p.points;
  const auto bytes = static_cast<int64_t>(sizeof(int64_t) + sizeof(T));
  const int64_t most =
      std::clamp<int64_t>(kTapBytes / std::max<int64_t>(of_item * bytes, 1), 1, p.batch);
  const Scratch elements(static_cast<size_t>(most * of_item) * sizeof(int64_t));
  const Scratch weights(static_cast<size_t>(most * of_item) * sizeof(T));
  const Scratch reaches(static_cast<size_t>(most * t.parts) * sizeof(Reach));
  t.element = elements.as<int64_t>();
  t.weight = weights.as<T>();
  t.reach = reaches.as<Reach>();
  constexpr const char* kName = "gridSampleBackward";
  for (t.first = 0; t.first < p.batch; t.first += most) {
    t.items = std::min(most, p.batch - t.first);
    if (p.points > 0) {
      launch(kName, {grid_for(t.items * p.points, kThreads), kThreads},
             grid_taps_kernel<T, kPer, kDims>, p, t);
      launch(kName, {grid_for(t.items * t.parts * kWarp, kThreads), kThreads}, grid_reach_kernel<T>,
             p, t);
    }
    launch(kName, {grid_for(t.items * p.channels * t.tiles * kWarp, kThreads), kThreads},
           grid_input_kernel<T>, p, t);
  }
}

// f.run<elements per dimension, dimensions>()
template <class F>
void with_taps(const GridParams& p, const F& f) {
  if (p.mode == GridMode::Nearest) {
    p.dims == 3 ? f.template run<1, 3>() : f.template run<1, 2>();
  } else if (p.mode == GridMode::Linear) {
    p.dims == 3 ? f.template run<2, 3>() : f.template run<2, 2>();
  } else {
    f.template run<4, 2>();
  }
}

template <class T>
struct Forward {
  const GridParams& p;
  template <int kPer, int kDims>
  void run() const {
    const int64_t total = p.batch * ((p.channels + kChannels - 1) / kChannels) * p.points;
    launch("gridSample", {grid_for(total, kThreads), kThreads}, grid_forward_kernel<T, kPer, kDims>,
           p);
  }
};

template <class T>
struct Backward {
  const GridParams& p;
  template <int kPer, int kDims>
  void run() const {
    if (p.grad_in != nullptr) input_gradient<T, kPer, kDims>(p);
    if (p.grad_grid == nullptr) return;
    launch("gridSampleBackward", {grid_for(p.batch * p.points, kThreads), kThreads},
           grid_slopes_kernel<T, kPer, kDims>, p);
  }
};

template <class T>
void forward(const GridParams& p, const void*) {
  with_taps(p, Forward<T>{p});
}

template <class T>
void backward(const GridParams& p, const void*) {
  with_taps(p, Backward<T>{p});
}

template <class T>
void set(const CudaHost& host) {
  set_kernel<GridParams>(host, OpId::gridSample, dtype_of<T>, forward<T>);
  set_kernel<GridParams>(host, OpId::gridSampleBackward, dtype_of<T>, backward<T>);
}

}  // namespace

void register_grid(const CudaHost& host) {
  set<float>(host);
  set<double>(host);
}

}  // namespace ampgrad::cuda
