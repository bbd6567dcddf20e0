// Kernels of indexed reads and writes (ops/indexing_params.h). Reads take one thread an element,
// of up to 16 bytes. Writes first work out where each point goes; then points that may meet are
// folded in the order of the iteration space, either by one thread for each line of them, or after
// a sort by target. No atomics: the same input gives the same bits as on the CPU.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/fault.cuh"
#include "backend/cuda/device/geometry.cuh"
#include "ops/indexing_params.h"

namespace ampgrad::cuda {

inline constexpr int kIndexThreads = 256;
inline constexpr int kRunTile = 64;  // sorted points that one thread folds

struct IndexSide {
  const int64_t* data = nullptr;
  int64_t size = 0;
  int64_t stride = 0;
  int dim = 0;
};

// Operand 0 of the geometry is data, 1 the other operand, the rest are the indices.
template <int K>
struct IndexedArgs {
  Geometry<2 + K> geometry;
  int64_t numel = 0;
  void* data = nullptr;
  void* other = nullptr;
  IndexSide index[K];
  int count = 0;
  bool negative = false;
  IndexFault* fault = nullptr;
  const char* op = nullptr;
};

// The offset that the indices add at a point, or false when one is out of range.
template <int K>
__device__ AG_INLINE bool index_offset(const IndexedArgs<K>& a, const int64_t (&at)[2 + K],
                                       int64_t* offset) {
  bool inside = true;
  AG_UNROLL
  for (int k = 0; k < K; ++k) {
    if (k >= a.count) continue;
    const IndexSide& side = a.index[k];
    const int64_t value = side.data[at[2 + k]];
    const int64_t i = value < 0 && a.negative ? value + side.size : value;
    if (static_cast<uint64_t>(i) >= static_cast<uint64_t>(side.size)) {
      report_index(a.fault, a.op, value, side.dim, side.size);
      inside = false;
    } else {
      *offset += i * side.stride;
    }
  }
  return inside;
}

template <class E, int K>
__global__ void __launch_bounds__(kIndexThreads) index_read_kernel(const IndexedArgs<K> a) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.numel; i += step) {
    int64_t at[2 + K];
    locate(a.geometry, i, at);
    int64_t from = at[0];
    const bool inside = index_offset<K>(a, at, &from);
    static_cast<E*>(a.other)[at[1]] = inside ? static_cast<const E*>(a.data)[from] : E{};
  }
}

// Where each point of the geometry goes; `outside` where an index is out of range.
template <int K>
__global__ void __launch_bounds__(kIndexThreads)
    index_targets_kernel(const IndexedArgs<K> a, int64_t outside, int64_t* targets) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.numel; i += step) {
    int64_t at[2 + K];
    locate(a.geometry, i, at);
    int64_t to = at[0];
    targets[i] = index_offset<K>(a, at, &to) ? to : outside;
  }
}

template <class T>
AG_HD AG_INLINE T combine_values(IndexMode mode, T a, T b) {
  if (mode == IndexMode::Assign) return b;
  if constexpr (kIsHalf<T>) {
    return cast<T>(combine_values<float>(mode, to_float(a), to_float(b)));
  } else {
    if (mode == IndexMode::Amin || mode == IndexMode::Amax) {
      if constexpr (std::is_floating_point_v<T>) {
        if (a != a) return a;
        if (b != b) return b;
      }
      return mode == IndexMode::Amin ? (b < a ? b : a) : (a < b ? b : a);
    }
    const bool add = mode == IndexMode::Add;
    if constexpr (std::is_same_v<T, bool>) {
      return add ? a || b : a && b;
    } else if constexpr (std::is_integral_v<T>) {
      const auto x = static_cast<uint64_t>(a);
      const auto y = static_cast<uint64_t>(b);
      return static_cast<T>(add ? x + y : x * y);
    } else {
      return add ? a + b : a * b;
    }
  }
}

// The two halves of the iteration space of a write: lines (points that cannot meet) and the points
// of a line. Operands: data, other, targets.
struct WriteArgs {
  Geometry<3> lines;
  Geometry<3> points;
  int64_t num_lines = 1;
  int64_t num_points = 1;
  IndexMode mode = IndexMode::Assign;
  void* data = nullptr;
  const void* other = nullptr;
  const int64_t* targets = nullptr;
  int64_t outside = 0;
};

// A thread for each line walks its points in order.
template <class T>
__global__ void __launch_bounds__(kIndexThreads) write_lines_kernel(const WriteArgs a) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t l = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; l < a.num_lines; l += step) {
    int64_t base[3];
    locate(a.lines, l, base);
    for (int64_t i = 0; i < a.num_points; ++i) {
      int64_t at[3];
      locate(a.points, i, at);
      const int64_t target = a.targets[base[2] + at[2]];
      if (target == a.outside) continue;
      T* to = static_cast<T*>(a.data) + base[0] + target;
      *to = combine_values<T>(a.mode, *to, static_cast<const T*>(a.other)[base[1] + at[1]]);
    }
  }
}

// The points of a line, sorted by target (the same for all lines).
struct SortedPoints {
  const uint64_t* keys = nullptr;
  const uint32_t* order = nullptr;
  void* runs = nullptr;  // what pieces of a tile with one target come to, at their first point
};

// A value of the other operand, the j-th in sorted order.
template <class T>
AG_HD AG_INLINE T sorted_value(const WriteArgs& a, const SortedPoints& s, int64_t line_offset,
                               int64_t j) {
  int64_t at[3];
  locate(a.points, s.order[j], at);
  return static_cast<const T*>(a.other)[line_offset + at[1]];
}

// Folds the points of each tile that have one target. Neighbouring threads take neighbouring lines.
template <class T>
__global__ void __launch_bounds__(kIndexThreads)
    write_runs_kernel(const WriteArgs a, const SortedPoints s) {
  const int64_t tiles = (a.num_points + kRunTile - 1) / kRunTile;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  T* runs = static_cast<T*>(s.runs);
  for (int64_t t = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; t < tiles * a.num_lines;
       t += step) {
    const int64_t tile = t / a.num_lines;
    const int64_t line = t - tile * a.num_lines;
    int64_t base[3];
    locate(a.lines, line, base);
    const int64_t begin = tile * kRunTile;
    const int64_t end = begin + kRunTile < a.num_points ? begin + kRunTile : a.num_points;
    int64_t start = begin;
    T acc = sorted_value<T>(a, s, base[1], begin);
    for (int64_t j = begin + 1; j < end; ++j) {
      const T v = sorted_value<T>(a, s, base[1], j);
      if (s.keys[j] == s.keys[j - 1]) {
        acc = combine_values<T>(a.mode, acc, v);
        continue;
      }
      runs[start * a.num_lines + line] = acc;
      start = j;
      acc = v;
    }
    runs[start * a.num_lines + line] = acc;
  }
}

// A thread for each point and line; the first point of each target folds all of them. With runs it
// takes a tile's at a time.
template <class T>
__global__ void __launch_bounds__(kIndexThreads)
    write_sorted_kernel(const WriteArgs a, const SortedPoints s) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  const T* runs = static_cast<const T*>(s.runs);
  for (int64_t t = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; t < a.num_points * a.num_lines;
       t += step) {
    int64_t j = t / a.num_lines;
    const int64_t line = t - j * a.num_lines;
    const uint64_t key = s.keys[j];
    if (key == static_cast<uint64_t>(a.outside) || (j > 0 && s.keys[j - 1] == key)) continue;
    int64_t base[3];
    locate(a.lines, line, base);
    T* to = static_cast<T*>(a.data) + base[0] + static_cast<int64_t>(key);
    T acc = *to;
    while (j < a.num_points && s.keys[j] == key) {
      const T v =
          runs != nullptr ? runs[j * a.num_lines + line] : sorted_value<T>(a, s, base[1], j);
      acc = combine_values<T>(a.mode, acc, v);
      j = runs != nullptr ? (j / kRunTile + 1) * kRunTile : j + 1;
    }
    *to = acc;
  }
}

}  // namespace ampgrad::cuda
