// Convolutions by tiles on Tensor Cores: four warps of 32 x 32 results each, sums in float, one
// rounding. Shared rows are padded by 16 bytes against bank conflicts.
#include "backend/cuda/check.h"
#include "backend/cuda/conv_tiles.cuh"
#include "backend/cuda/conv_units.h"
#include "backend/cuda/device/matrix.cuh"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kDepth = 32;
constexpr int kRowLd = kDepth + 8;
constexpr int kColumnLd = kConvTile + 8;
constexpr int kSumLd = kConvTile + 4;

template <class S>
__device__ AG_INLINE void multiply_tiles(const S* rows, const S* columns, SumMatrix (&sums)[2][2]) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int m = warp / 2 * 32;
  const int n = warp % 2 * 32;
  AG_UNROLL
  for (int k = 0; k < kDepth; k += 16) {
    LeftMatrix<S, wmma::row_major> left[2];
    RightMatrix<S, wmma::row_major> right[2];
    AG_UNROLL
    for (int i = 0; i < 2; ++i) {
      wmma::load_matrix_sync(left[i], as_matrix(rows + (m + i * 16) * kRowLd + k), kRowLd);
      wmma::load_matrix_sync(right[i], as_matrix(columns + k * kColumnLd + n + i * 16), kColumnLd);
    }
    AG_UNROLL
    for (int i = 0; i < 2; ++i) {
      AG_UNROLL
      for (int j = 0; j < 2; ++j) wmma::mma_sync(sums[i][j], left[i], right[j], sums[i][j]);
    }
  }
}

template <ConvMap kMap, class S>
__global__ void __launch_bounds__(kThreads) conv_tensor_kernel(const ConvArgs a) {
  if constexpr (AG_HAS_MATRIX(S)) {
    AG_SHARED_TILE(S, rows, kConvTile * kRowLd);
    AG_SHARED_TILE(S, columns, kDepth * kColumnLd);
    AG_SHARED_TILE(float, results, kConvTile* kSumLd);
    const int n0 = static_cast<int>(blockIdx.x) * kConvTile;
    const int m0 = static_cast<int>(blockIdx.y) * kConvTile;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    for (int z = static_cast<int>(blockIdx.z); z < a.groups * a.num_parts;
         z += static_cast<int>(gridDim.z)) {
      const int group = z % a.groups;
      const int part = z / a.groups;
      const int begin = part * a.part_size;
      const int end = begin + a.part_size < a.k ? begin + a.part_size : a.k;
      ConvReader<kMap, S, kThreads, kDepth> reader(a, group, m0, n0);
      SumMatrix sums[2][2];
      AG_UNROLL
      for (int i = 0; i < 2; ++i) {
        AG_UNROLL
        for (int j = 0; j < 2; ++j) wmma::fill_fragment(sums[i][j], 0.0f);
      }
      reader.read(begin, end);
      for (int k0 = begin; k0 < end; k0 += kDepth) {
        reader.template write<false>(rows, kRowLd, columns, kColumnLd);
        __syncthreads();
        if (k0 + kDepth < end) reader.read(k0 + kDepth, end);
        multiply_tiles(rows, columns, sums);
        __syncthreads();
      }
      AG_UNROLL
      for (int i = 0; i < 2; ++i) {
        AG_UNROLL
        for (int j = 0; j < 2; ++j) {
          float* to = results + (warp / 2 * 32 + i * 16) * kSumLd + warp % 2 * 32 + j * 16;
          wmma::store_matrix_sync(to, sums[i][j], kSumLd, wmma::mem_row_major);
        }
      }
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < kConvTile * kConvTile; i += kThreads) {
        const int m = m0 + i / kConvTile;
        const int n = n0 + i % kConvTile;
        if (m < a.m && n < a.n) {
          conv_store<kMap, S>(a, group, part, m, n,
                              results[i / kConvTile * kSumLd + i % kConvTile]);
        }
      }
      __syncthreads();
    }
  }
}

template <class S>
void run(ConvMap map, const char* name, const ConvArgs& a) {
  const LaunchShape shape{conv_grid(a), kThreads};
  switch (map) {
    case ConvMap::Forward:
      return launch(name, shape, conv_tensor_kernel<ConvMap::Forward, S>, a);
    case ConvMap::Input:
      return launch(name, shape, conv_tensor_kernel<ConvMap::Input, S>, a);
    case ConvMap::Weight:
      return launch(name, shape, conv_tensor_kernel<ConvMap::Weight, S>, a);
  }
}

}  // namespace

void conv_tensor_half(ConvMap map, const char* name, const ConvArgs& args) {
  run<Half>(map, name, args);
}
void conv_tensor_bfloat16(ConvMap map, const char* name, const ConvArgs& args) {
  run<BFloat16>(map, name, args);
}

}  // namespace ampgrad::cuda
