// Kernels that group equal rows: a stable merge sort of row numbers, and the borders of the
// groups.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/device/convert.cuh"

namespace ampgrad::cuda {

inline constexpr int kUniqueThreads = 256;

template <class S>
AG_HD AG_INLINE bool row_below(const S* data, int64_t size, int64_t a, int64_t b) {
  for (int64_t i = 0; i < size; ++i) {
    const OpMath<S> x = cast<OpMath<S>>(data[a * size + i]);
    const OpMath<S> y = cast<OpMath<S>>(data[b * size + i]);
    if (x < y || (y != y && x == x)) return true;
    if (y < x || (x != x && y == y)) return false;
  }
  return false;
}

template <class S>
AG_HD AG_INLINE bool rows_equal(const S* data, int64_t size, int64_t a, int64_t b) {
  for (int64_t i = 0; i < size; ++i) {
    const OpMath<S> x = cast<OpMath<S>>(data[a * size + i]);
    const OpMath<S> y = cast<OpMath<S>>(data[b * size + i]);
    if (!(x == y)) return false;
  }
  return true;
}

// Joins neighbouring sorted runs of `width` row numbers: each finds its place by a search in the
// other run. order == nullptr: the numbers themselves, runs of one.
template <class S>
__global__ void __launch_bounds__(kUniqueThreads)
    merge_runs_kernel(const S* data, int64_t rows, int64_t size, int64_t width,
                      const int64_t* order, int64_t* merged) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < rows; i += step) {
    const int64_t pair = i / (2 * width) * (2 * width);
    const int64_t middle = pair + width < rows ? pair + width : rows;
    const int64_t end = pair + 2 * width < rows ? pair + 2 * width : rows;
    const bool left = i < middle;
    const int64_t own = order == nullptr ? i : order[i];
    int64_t low = left ? middle : pair;
    int64_t high = left ? end : middle;
    const int64_t start = low;
    while (low < high) {
      const int64_t m = low + (high - low) / 2;
      const int64_t other = order == nullptr ? m : order[m];
      // Of equals those of the left run come first.
      const bool before =
          left ? row_below(data, size, other, own) : !row_below(data, size, own, other);
      if (before) {
        low = m + 1;
      } else {
        high = m;
      }
    }
    const int64_t others = low - start;
    merged[left ? i + others : pair + (i - middle) + others] = own;
  }
}

// borders[i]: 1 where a group begins.
template <class S>
__global__ void __launch_bounds__(kUniqueThreads)
    borders_kernel(const S* data, int64_t rows, int64_t size, const int64_t* order,
                   int64_t* borders) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < rows; i += step) {
    const int64_t own = order == nullptr ? i : order[i];
    const int64_t last = i == 0 ? 0 : (order == nullptr ? i - 1 : order[i - 1]);
    borders[i] = i == 0 || !rows_equal(data, size, own, last) ? 1 : 0;
  }
}

}  // namespace ampgrad::cuda
