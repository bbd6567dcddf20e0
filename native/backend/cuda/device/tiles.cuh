// Products of a tile of rows and a tile of columns that a block reads element by element from
// wherever they are, into a tile of sums: by threads, each with 4 x 4 sums, or on Tensor Cores with
// sums in float. `buffer` is kBufferBytes of shared memory. Every thread of the block calls; the
// tile of sums may be in shared or global memory, and is complete when the call returns.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/matrix.cuh"
#include "backend/cuda/device/unroll.cuh"

#if defined(AMPGRAD_SIMT)
#define AG_SHARED_DYNAMIC(T, name) \
  T* const name = static_cast<T*>(::simt::executor().shared().dynamic())
#else
#define AG_SHARED_DYNAMIC(T, name)                               \
  extern __shared__ __align__(128) unsigned char name##_bytes[]; \
  T* const name = reinterpret_cast<T*>(name##_bytes)
#endif

namespace ampgrad::cuda {

// f(row, k) or f(k, column); `kAlongK`: neighbours in k are neighbours in memory.
template <bool kAlong, class F>
struct TileFactor {
  static constexpr bool kAlongK = kAlong;
  F at;
};
template <class F>
__device__ AG_INLINE TileFactor<true, F> along_k(F f) {
  return {f};
}
template <class F>
__device__ AG_INLINE TileFactor<false, F> across_k(F f) {
  return {f};
}

// Place number i of a thread in a tile of kSize x kDepth.
template <bool kAlongK, int kSize, int kDepth, int kThreads>
__device__ AG_INLINE void tile_place(int i, int* other, int* k) {
  const int t = static_cast<int>(threadIdx.x) + i * kThreads;
  *k = kAlongK ? t % kDepth : t / kSize;
  *other = kAlongK ? t / kDepth : t % kSize;
}

// Products by threads. S is what the factors are stored in.
template <class S, int kTileSize>
struct ThreadTiles {
  using Storage = S;
  using T = OpMath<S>;
  static constexpr int kSize = kTileSize;
  static constexpr int kSide = kSize / 4;
  static constexpr int kThreads = kSide * kSide;
  static constexpr int kLd = kSize + 4;  // of tiles of sums
  static constexpr int kDepth = 16;
  static constexpr int kEach = kSize * kDepth / kThreads;
  static constexpr int kBufferBytes = 2 * kDepth * kLd * static_cast<int>(sizeof(T));

  // sums (+)= rows columns over `depth`.
  template <class Rows, class Columns>
  static __device__ void multiply(const Rows& a, const Columns& b, int depth, bool add, T* sums,
                                  void* buffer) {
    T* rows = static_cast<T*>(buffer);
    T* columns = rows + kDepth * kLd;
    const int tm = static_cast<int>(threadIdx.x) / kSide;
    const int tn = static_cast<int>(threadIdx.x) % kSide;
    T acc[4][4];
    AG_UNROLL
    for (int i = 0; i < 4; ++i) {
      AG_UNROLL
      for (int j = 0; j < 4; ++j) {
        acc[i][j] = add ? sums[(tm * 4 + i) * kLd + tn + j * kSide] : T{0};
      }
    }
    for (int k0 = 0; k0 < depth; k0 += kDepth) {
      AG_UNROLL
      for (int i = 0; i < kEach; ++i) {
        int m, n, k;
        tile_place<Rows::kAlongK, kSize, kDepth, kThreads>(i, &m, &k);
        rows[k * kLd + m] = k0 + k < depth ? cast<T>(a.at(m, k0 + k)) : T{0};
        tile_place<Columns::kAlongK, kSize, kDepth, kThreads>(i, &n, &k);
        columns[k * kLd + n] = k0 + k < depth ? cast<T>(b.at(k0 + k, n)) : T{0};
      }
      __syncthreads();
      AG_UNROLL
      for (int k = 0; k < kDepth; ++k) {
        T left[4];
        T right[4];
        AG_UNROLL
        for (int i = 0; i < 4; ++i) {
          left[i] = rows[k * kLd + tm * 4 + i];
          right[i] = columns[k * kLd + tn + i * kSide];
        }
        AG_UNROLL
        for (int i = 0; i < 4; ++i) {
          AG_UNROLL
          for (int j = 0; j < 4; ++j) acc[i][j] += left[i] * right[j];
        }
      }
      __syncthreads();
    }
    AG_UNROLL
    for (int i = 0; i < 4; ++i) {
      AG_UNROLL
      for (int j = 0; j < 4; ++j) sums[(tm * 4 + i) * kLd + tn + j * kSide] = acc[i][j];
    }
    __syncthreads();
  }
};

// Products on Tensor Cores: four warps of 32 x 32 sums.
template <class S>
struct MatrixTiles {
  using Storage = S;
  using T = float;
  static constexpr int kSize = 64;
  static constexpr int kThreads = 128;
  static constexpr int kLd = kSize + 4;
  static constexpr int kDepth = 32;
  static constexpr int kRowLd = kDepth + 8;
  static constexpr int kColumnLd = kSize + 8;
  static constexpr int kEach = kSize * kDepth / kThreads;
  static constexpr int kBufferBytes =
      (kSize * kRowLd + kDepth * kColumnLd) * static_cast<int>(sizeof(S));

  template <class Rows, class Columns>
  static __device__ void multiply(const Rows& a, const Columns& b, int depth, bool add, T* sums,
                                  void* buffer) {
    if constexpr (AG_HAS_MATRIX(S)) multiply_matrices(a, b, depth, add, sums, buffer);
  }

 private:
  template <class Rows, class Columns>
  static __device__ AG_INLINE void multiply_matrices(const Rows& a, const Columns& b, int depth,
                                                     bool add, T* sums, void* buffer) {
    S* rows = static_cast<S*>(buffer);
    S* columns = rows + kSize * kRowLd;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int m0 = warp / 2 * 32;
    const int n0 = warp % 2 * 32;
    SumMatrix acc[2][2];
    AG_UNROLL
    for (int i = 0; i < 4; ++i) {
      T* from = sums + (m0 + i / 2 * 16) * kLd + n0 + i % 2 * 16;
      if (add) {
        wmma::load_matrix_sync(acc[i / 2][i % 2], from, kLd, wmma::mem_row_major);
      } else {
        wmma::fill_fragment(acc[i / 2][i % 2], 0.0f);
      }
    }
    for (int k0 = 0; k0 < depth; k0 += kDepth) {
      AG_UNROLL_BY(8)
      for (int i = 0; i < kEach; ++i) {
        int m, n, k;
        tile_place<Rows::kAlongK, kSize, kDepth, kThreads>(i, &m, &k);
        rows[m * kRowLd + k] = k0 + k < depth ? cast<S>(a.at(m, k0 + k)) : S{};
        tile_place<Columns::kAlongK, kSize, kDepth, kThreads>(i, &n, &k);
        columns[k * kColumnLd + n] = k0 + k < depth ? cast<S>(b.at(k0 + k, n)) : S{};
      }
      __syncthreads();
      AG_UNROLL
      for (int k = 0; k < kDepth; k += 16) {
        LeftMatrix<S, wmma::row_major> left[2];
        RightMatrix<S, wmma::row_major> right[2];
        AG_UNROLL
        for (int i = 0; i < 2; ++i) {
          wmma::load_matrix_sync(left[i], as_matrix(rows + (m0 + i * 16) * kRowLd + k), kRowLd);
          wmma::load_matrix_sync(right[i], as_matrix(columns + k * kColumnLd + n0 + i * 16),
                                 kColumnLd);
        }
        AG_UNROLL
        for (int i = 0; i < 4; ++i) {
          wmma::mma_sync(acc[i / 2][i % 2], left[i / 2], right[i % 2], acc[i / 2][i % 2]);
        }
      }
      __syncthreads();
    }
    AG_UNROLL
    for (int i = 0; i < 4; ++i) {
      T* to = sums + (m0 + i / 2 * 16) * kLd + n0 + i % 2 * 16;
      wmma::store_matrix_sync(to, acc[i / 2][i % 2], kLd, wmma::mem_row_major);
    }
    __syncthreads();
  }
};

}  // namespace ampgrad::cuda
