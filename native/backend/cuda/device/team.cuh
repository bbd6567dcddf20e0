// Threads that work on one row together: a warp, or all of a block. What they add up comes out the
// same in each of them, bit by bit, and in the same order each time. Also the pack of neighbouring
// elements that a thread loads at once.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/shared.cuh"

namespace ampgrad::cuda {

// Before a loop whose copies would not pay: one with a division of 64 bits in it.
#if defined(__CUDACC__)
#define AG_KEEP_ROLLED _Pragma("unroll 1")
#else
#define AG_KEEP_ROLLED
#endif

inline constexpr unsigned kAllLanes = 0xffffffffu;
inline constexpr int kLanes = 32;
inline constexpr int kRowThreads = 256;  // of a block: one team, or one a warp
inline constexpr int kRowWarps = kRowThreads / kLanes;

template <class T>
struct Pair {
  T first, second;
};

template <class T>
__device__ AG_INLINE T from_lane(T v, int lane) {
  return __shfl_sync(kAllLanes, v, lane);
}
template <class T>
__device__ AG_INLINE Pair<T> from_lane(const Pair<T>& v, int lane) {
  return {from_lane(v.first, lane), from_lane(v.second, lane)};
}

template <class T>
__device__ AG_INLINE T exchanged(T v, int distance) {
  return __shfl_xor_sync(kAllLanes, v, distance);
}
template <class T>
__device__ AG_INLINE Pair<T> exchanged(const Pair<T>& v, int distance) {
  return {exchanged(v.first, distance), exchanged(v.second, distance)};
}

struct Add {
  template <class T>
  AG_HD AG_INLINE T operator()(T a, T b) const {
    return a + b;
  }
  template <class T>
  AG_HD AG_INLINE Pair<T> operator()(const Pair<T>& a, const Pair<T>& b) const {
    return {a.first + b.first, a.second + b.second};
  }
};

// Drops NaN, as the extreme of a row of which another pass finds the NaN.
struct Larger {
  template <class T>
  AG_HD AG_INLINE T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

// All lanes get lane 0's fold: with fused multiplications those of others may differ in a bit.
template <class A, class F>
__device__ AG_INLINE A fold_warp(A a, F merge) {
  AG_UNROLL
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    a = merge(a, exchanged(a, distance));
  }
  return from_lane(a, 0);
}

// `room` holds kRowWarps values of shared memory; it may be used again at once.
template <class A, class F>
__device__ AG_INLINE A fold_block(A a, F merge, A* room) {
  a = fold_warp(a, merge);
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  if (threadIdx.x % kLanes == 0) room[warp] = a;
  __syncthreads();
  A total = room[0];
  AG_UNROLL
  for (int w = 1; w < kRowWarps; ++w) total = merge(total, room[w]);
  __syncthreads();
  return total;
}

// kThreads is kLanes or kRowThreads.
template <int kThreads>
struct Team {
  static constexpr int kSize = kThreads;
  static constexpr bool kWarp = kSize == kLanes;
  static constexpr int kTeams = kRowThreads / kSize;  // in a block

  static __device__ AG_INLINE int rank() { return static_cast<int>(threadIdx.x) % kSize; }
  static __device__ AG_INLINE int64_t first_row() {
    return int64_t{blockIdx.x} * kTeams + static_cast<int>(threadIdx.x) / kSize;
  }
  static __device__ AG_INLINE int64_t row_step() { return int64_t{gridDim.x} * kTeams; }

  template <class A, class F>
  static __device__ AG_INLINE A fold(A a, F merge, A* room) {
    if constexpr (kWarp) {
      return fold_warp(a, merge);
    } else {
      return fold_block(a, merge, room);
    }
  }
};

// Neighbouring elements, read or written at once.
template <class S, int V>
struct alignas(sizeof(S) * V) Neighbours {
  S v[V];
};

template <class S>
inline constexpr int kWidest = static_cast<int>(16 / sizeof(S));

template <int V, class S, class T>
__device__ AG_INLINE void load_neighbours(const S* from, T* to) {
  const auto in = *reinterpret_cast<const Neighbours<S, V>*>(from);
  AG_UNROLL
  for (int j = 0; j < V; ++j) to[j] = cast<T>(in.v[j]);
}

template <int V, class S, class T>
__device__ AG_INLINE void store_neighbours(const T* from, S* to) {
  Neighbours<S, V> out;
  AG_UNROLL
  for (int j = 0; j < V; ++j) out.v[j] = cast<S>(from[j]);
  *reinterpret_cast<Neighbours<S, V>*>(to) = out;
}

}  // namespace ampgrad::cuda
