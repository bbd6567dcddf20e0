// Sums at positions that come with the elements, in one order and without atomics: a warp owns a
// stretch of the destination, in shared memory, and reads all elements in order, 32 at a time; it
// passes over parts whose positions all lie elsewhere.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/device/shared.cuh"
#include "core/macros.h"

namespace ampgrad::cuda {

// Elements of a warp's stretch: 8 KiB.
template <class T>
inline constexpr int kScatterTile = 8192 / static_cast<int>(sizeof(T));
inline constexpr int kScatterPart = 256;  // elements whose positions' range is known

// The positions of a part reach from `low` to `high`.
struct Reach {
  int64_t low, high;
};

// 32 elements go into the warp's stretch, those that share a place one after another.
template <class T>
__device__ AG_INLINE void scatter_put(T* tile, int place, T value, bool accumulate, int lane) {
  const unsigned same = __match_any_sync(0xffffffffu, place);
  const int rank = __popc(same & ((1u << lane) - 1u));
  for (int turn = 0; __any_sync(0xffffffffu, place >= 0 && rank >= turn) != 0; ++turn) {
    if (place >= 0 && rank == turn) {
      tile[place] = accumulate ? static_cast<T>(tile[place] + value) : value;
    }
    __syncwarp();
  }
}

}  // namespace ampgrad::cuda
