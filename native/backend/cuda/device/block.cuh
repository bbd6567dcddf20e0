// Scans of one value a thread over a block of kBlockThreads threads, by warp shuffles.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/device/shared.cuh"
#include "core/macros.h"

namespace ampgrad::cuda {

inline constexpr int kBlockThreads = 256;
inline constexpr int kBlockWarps = kBlockThreads / 32;
inline constexpr unsigned kFullMask = 0xffffffffu;

// The sum over the threads before this one; *total: over all. `shared` holds kBlockWarps values and
// may be used again after a barrier. Every thread of the block calls it.
template <class T>
__device__ AG_INLINE T block_exclusive_sum(T value, T* shared, T* total) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  T sum = value;
  AG_UNROLL
  for (unsigned d = 1; d < 32; d *= 2) {
    const T before = __shfl_up_sync(kFullMask, sum, d);
    if (lane >= d) sum += before;
  }
  if (lane == 31) shared[warp] = sum;
  __syncthreads();
  T offset = 0;
  T all = 0;
  AG_UNROLL
  for (unsigned w = 0; w < kBlockWarps; ++w) {
    if (w == warp) offset = all;
    all += shared[w];
  }
  *total = all;
  return offset + sum - value;
}

}  // namespace ampgrad::cuda
