// Running folds in kernels (ops/order_params.h): a thread for each line where there are many, else
// a block for each line or, for long lines, for each part of one; parts are folded by a launch
// before. Results do not depend on the schedule.
#pragma once

#include <cuda_runtime.h>

#include <limits>

#include "backend/cuda/device/block.cuh"
#include "backend/cuda/device/convert.cuh"
#include "ops/order_params.h"

namespace ampgrad::cuda {

// Elements that a thread takes of each tile; fewer where they fill more registers.
template <class Acc>
inline constexpr int kScanItems = sizeof(Acc) > 8 ? 2 : 4;

template <class S>
inline constexpr bool kFloatingStorage = std::is_floating_point_v<S> || kIsHalf<S>;
template <class S>
using FoldOf = std::conditional_t<kFloatingStorage<S>, double, uint64_t>;

// A step: Acc of one element, the identity, the join of an earlier and a later piece, the result.
template <class S>
struct RunningSum {
  using Acc = FoldOf<S>;
  static AG_HD Acc identity() { return 0; }
  static AG_HD Acc of(S v, int64_t) { return static_cast<Acc>(cast<OpMath<S>>(v)); }
  static AG_HD Acc join(Acc a, Acc b) { return a + b; }
  static __device__ Acc from_lane_below(Acc a, unsigned d) {
    return __shfl_up_sync(kFullMask, a, d);
  }
  static AG_HD void store(const ScanParams& p, const S*, int64_t, int64_t at, Acc v) {
    static_cast<S*>(p.out)[at] = cast<S>(v);
  }
};

template <class S>
struct RunningProduct : RunningSum<S> {
  using Acc = FoldOf<S>;
  static AG_HD Acc identity() { return 1; }
  static AG_HD Acc join(Acc a, Acc b) { return a * b; }
};

template <class S>
struct RunningLogSumExp : RunningSum<S> {
  using Acc = double;
  static AG_HD Acc identity() { return -std::numeric_limits<double>::infinity(); }
  static AG_HD Acc join(Acc a, Acc b) {
    if (a != a || b != b) return a + b;
    const double high = a > b ? a : b;
    const double low = a > b ? b : a;
    if (low == high && high - high != 0) return high;  // both infinite
    return high + ::log1p(::exp(low - high));
  }
};

// Shuffles take no type of less than 4 bytes.
template <class T>
__device__ AG_INLINE T shuffled(T v, unsigned d) {
  if constexpr (sizeof(T) < 4) {
    return static_cast<T>(__shfl_up_sync(kFullMask, static_cast<int>(v), d));
  } else {
    return __shfl_up_sync(kFullMask, v, d);
  }
}

// The position of the extreme so far: the latest of equals, and of NaNs.
template <class S, bool kMax>
struct RunningExtreme {
  struct Acc {
    OpMath<S> value;
    int64_t at;  // -1: nothing yet
  };
  static AG_HD Acc identity() { return {OpMath<S>{}, -1}; }
  static __device__ Acc from_lane_below(const Acc& a, unsigned d) {
    return {shuffled(a.value, d), __shfl_up_sync(kFullMask, a.at, d)};
  }
  static AG_HD Acc of(S v, int64_t i) { return {cast<OpMath<S>>(v), i}; }
  static AG_HD Acc join(const Acc& a, const Acc& b) {
    if (b.at < 0) return a;
    if (a.at < 0 || b.value != b.value) return b;
    if (a.value != a.value) return a;
    return (kMax ? b.value >= a.value : b.value <= a.value) ? b : a;
  }
  static AG_HD void store(const ScanParams& p, const S* in, int64_t line, int64_t at,
                          const Acc& v) {
    static_cast<S*>(p.out)[at] = in[line + v.at * p.inner];
    p.indices[at] = v.at;
  }
};

// The i-th element of a line, in the order of the fold.
AG_HD AG_INLINE int64_t place_of(const ScanParams& p, int64_t line, int64_t i) {
  return line + (p.reverse ? p.size - 1 - i : i) * p.inner;
}
AG_HD AG_INLINE int64_t line_start(const ScanParams& p, int64_t line) {
  const int64_t outer = line / p.inner;
  return outer * p.size * p.inner + (line - outer * p.inner);
}

template <class S, class Step>
__global__ void __launch_bounds__(kBlockThreads) scan_lines_kernel(const ScanParams p) {
  const S* in = static_cast<const S*>(p.in);
  const int64_t lines = p.outer * p.inner;
  const int64_t jump = int64_t{gridDim.x} * blockDim.x;
  for (int64_t l = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; l < lines; l += jump) {
    const int64_t line = line_start(p, l);
    typename Step::Acc acc = Step::identity();
    for (int64_t i = 0; i < p.size; ++i) {
      const int64_t at = place_of(p, line, i);
      acc = Step::join(acc, Step::of(in[at], i));
      Step::store(p, in, line, at, acc);
    }
  }
}

// An exclusive scan of one value a thread, in order; *total: over all. `shared` holds kBlockWarps
// values and may be used again after a barrier.
template <class Step>
__device__ AG_INLINE typename Step::Acc block_scan(typename Step::Acc* shared,
                                                   typename Step::Acc own,
                                                   typename Step::Acc* total) {
  using Acc = typename Step::Acc;
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  AG_UNROLL
  for (unsigned d = 1; d < 32; d *= 2) {
    const Acc before = Step::from_lane_below(own, d);
    if (lane >= d) own = Step::join(before, own);
  }
  if (lane == 31) shared[warp] = own;
  const Acc below = Step::from_lane_below(own, 1);
  __syncthreads();
  Acc offset = Step::identity();
  Acc all = Step::identity();
  AG_UNROLL
  for (unsigned w = 0; w < kBlockWarps; ++w) {
    if (w == warp) offset = all;
    all = Step::join(all, shared[w]);
  }
  *total = all;
  return lane == 0 ? offset : Step::join(offset, below);
}

// What a part of a line folds to. blockIdx.x counts lines, blockIdx.y parts.
template <class S, class Step>
__global__ void __launch_bounds__(kBlockThreads)
    scan_parts_kernel(const ScanParams p, int64_t part_size, typename Step::Acc* parts) {
  using Acc = typename Step::Acc;
  AG_SHARED_ARRAY(Acc, shared, kBlockWarps);
  const S* in = static_cast<const S*>(p.in);
  const int64_t line = line_start(p, blockIdx.x);
  const int64_t begin = blockIdx.y * part_size;
  const int64_t end = begin + part_size < p.size ? begin + part_size : p.size;
  // Each thread folds a run, so that the order is kept.
  const int64_t run = (end - begin + kBlockThreads - 1) / kBlockThreads;
  const int64_t first = begin + run * threadIdx.x;
  const int64_t last = first + run < end ? first + run : end;
  Acc acc = Step::identity();
  for (int64_t i = first; i < last; ++i) {
    acc = Step::join(acc, Step::of(in[place_of(p, line, i)], i));
  }
  Acc total;
  block_scan<Step>(shared, acc, &total);
  if (threadIdx.x == 0) parts[int64_t{blockIdx.x} * gridDim.y + blockIdx.y] = total;
}

template <class S, class Step>
__global__ void __launch_bounds__(kBlockThreads)
    scan_block_kernel(const ScanParams p, int64_t part_size, const typename Step::Acc* parts) {
  using Acc = typename Step::Acc;
  constexpr int kItems = kScanItems<Acc>;
  AG_SHARED_ARRAY(Acc, shared, kBlockWarps);
  const S* in = static_cast<const S*>(p.in);
  const int64_t line = line_start(p, blockIdx.x);
  const int64_t begin = blockIdx.y * part_size;
  const int64_t end = begin + part_size < p.size ? begin + part_size : p.size;
  Acc carry = Step::identity();
  for (unsigned q = 0; q < blockIdx.y; ++q) {
    carry = Step::join(carry, parts[int64_t{blockIdx.x} * gridDim.y + q]);
  }
  for (int64_t tile = begin; tile < end; tile += kBlockThreads * kItems) {
    const int64_t first = tile + int64_t{threadIdx.x} * kItems;
    Acc own[kItems];
    AG_UNROLL
    for (int i = 0; i < kItems; ++i) {
      own[i] = first + i < end ? Step::of(in[place_of(p, line, first + i)], first + i)
                               : Step::identity();
      if (i > 0) own[i] = Step::join(own[i - 1], own[i]);
    }
    Acc total;
    const Acc before = Step::join(carry, block_scan<Step>(shared, own[kItems - 1], &total));
    AG_UNROLL
    for (int i = 0; i < kItems; ++i) {
      if (first + i >= end) continue;
      Step::store(p, in, line, place_of(p, line, first + i), Step::join(before, own[i]));
    }
    carry = Step::join(carry, total);
    __syncthreads();  // before the array is used again
  }
}

}  // namespace ampgrad::cuda
