// Convolutions as gathered matrix products: blocks of 64 x 64 results. Tiles of both factors are
// read into registers while the last ones, in shared memory, are multiplied: by threads, each with
// 4 x 4 results (conv_tile_kernel), or on Tensor Cores (conv_tensor.cu).
#pragma once

#include "backend/cuda/device/conv.cuh"
#include "backend/cuda/device/shared.cuh"

namespace ampgrad::cuda {

inline constexpr int kConvTile = 64;

// Reads tiles of kDepth rows of k: rows along k; columns along k where the map's columns are taps,
// along n where they are places.
template <ConvMap kMap, class S, int kThreads, int kDepth>
class ConvReader {
 public:
  static constexpr int kEach = kConvTile * kDepth / kThreads;  // elements of a thread and tile
  static constexpr bool kAlongK = kMap == ConvMap::Weight;
  static constexpr int kRowStep = kThreads / kDepth;
  static constexpr int kColumnStep = kThreads / kConvTile;

  __device__ ConvReader(const ConvArgs& a, int group, int m0, int n0)
      : a_(a),
        group_(group),
        m_(m0 + static_cast<int>(threadIdx.x) / kDepth),
        n_(n0 + (kAlongK ? static_cast<int>(threadIdx.x) / kDepth
                         : static_cast<int>(threadIdx.x) % kConvTile)) {
    if constexpr (!kAlongK) column_ = conv_column<kMap>(a, group, n_ < a.n ? n_ : 0);
  }

  // Elements at k0 .. of [.., end) into registers.
  __device__ AG_INLINE void read(int k0, int end) {
    const int k = k0 + static_cast<int>(threadIdx.x) % kDepth;
    ConvPlace inner{};
    int64_t along = 0;
    if (k < end) along = conv_inner<kMap>(a_, k, &inner);
    const S* rows = static_cast<const S*>(a_.rows);
    AG_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int m = m_ + i * kRowStep;
      row_[i] = k < end && m < a_.m ? rows[conv_row<kMap>(a_, group_, m) + along] : S{};
    }
    const S* columns = static_cast<const S*>(a_.columns);
    AG_UNROLL
    for (int i = 0; i < kEach; ++i) {
      int64_t at = -1;
      if constexpr (kAlongK) {
        const int n = n_ + i * kRowStep;
        if (k < end && n < a_.n) {
          at = conv_column_at<kMap>(a_, conv_column<kMap>(a_, group_, n), inner);
        }
      } else {
        const int kk = k0 + static_cast<int>(threadIdx.x) / kConvTile + i * kColumnStep;
        if (kk < end && n_ < a_.n) {
          ConvPlace place;
          conv_inner<kMap>(a_, kk, &place);
          at = conv_column_at<kMap>(a_, column_, place);
        }
      }
      column_value_[i] = at >= 0 ? columns[at] : S{};
    }
  }

  // From registers to rows[m][k] or rows[k][m], and columns[k][n].
  template <bool kRowsByK, class T>
  __device__ AG_INLINE void write(T* rows, int row_ld, T* columns, int column_ld) const {
    const int k = static_cast<int>(threadIdx.x) % kDepth;
    const int m = static_cast<int>(threadIdx.x) / kDepth;
    AG_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int mm = m + i * kRowStep;
      rows[kRowsByK ? k * row_ld + mm : mm * row_ld + k] = cast<T>(row_[i]);
    }
    AG_UNROLL
    for (int i = 0; i < kEach; ++i) {
      if constexpr (kAlongK) {
        columns[k * column_ld + m + i * kRowStep] = cast<T>(column_value_[i]);
      } else {
        const int kk = static_cast<int>(threadIdx.x) / kConvTile + i * kColumnStep;
        columns[kk * column_ld + static_cast<int>(threadIdx.x) % kConvTile] =
            cast<T>(column_value_[i]);
      }
    }
  }

 private:
  const ConvArgs& a_;
  int group_, m_, n_;
  ConvPlace column_;
  S row_[kEach];
  S column_value_[kEach];
};

inline constexpr int kConvThreads = 256;
inline constexpr int kConvDepth = 16;

template <ConvMap kMap, class S>
__global__ void __launch_bounds__(kConvThreads, 1) conv_tile_kernel(const ConvArgs a) {
  using T = ConvMath<S>;
  constexpr int kLd = kConvTile + 4;
  AG_SHARED_ARRAY(T, rows, kConvDepth * kLd);
  AG_SHARED_ARRAY(T, columns, kConvDepth * kLd);
  const int n0 = static_cast<int>(blockIdx.x) * kConvTile;
  const int m0 = static_cast<int>(blockIdx.y) * kConvTile;
  const int tm = static_cast<int>(threadIdx.x) / 16;
  const int tn = static_cast<int>(threadIdx.x) % 16;
  for (int z = static_cast<int>(blockIdx.z); z < a.groups * a.num_parts;
       z += static_cast<int>(gridDim.z)) {
    const int group = z % a.groups;
    const int part = z / a.groups;
    const int begin = part * a.part_size;
    const int end = begin + a.part_size < a.k ? begin + a.part_size : a.k;
    ConvReader<kMap, S, kConvThreads, kConvDepth> reader(a, group, m0, n0);
    T sums[4][4] = {};
    reader.read(begin, end);
    for (int k0 = begin; k0 < end; k0 += kConvDepth) {
      reader.template write<true>(rows, kLd, columns, kLd);
      __syncthreads();
      if (k0 + kConvDepth < end) reader.read(k0 + kConvDepth, end);
      AG_UNROLL
      for (int k = 0; k < kConvDepth; ++k) {
        T left[4];
        T right[4];
        AG_UNROLL
        for (int i = 0; i < 4; ++i) {
          left[i] = rows[k * kLd + tm * 4 + i];
          right[i] = columns[k * kLd + tn + i * 16];
        }
        AG_UNROLL
        for (int i = 0; i < 4; ++i) {
          AG_UNROLL
          for (int j = 0; j < 4; ++j) sums[i][j] += left[i] * right[j];
        }
      }
      __syncthreads();
    }
    AG_UNROLL
    for (int i = 0; i < 4; ++i) {
      AG_UNROLL
      for (int j = 0; j < 4; ++j) {
        const int m = m0 + tm * 4 + i;
        const int n = n0 + tn + j * 16;
        if (m < a.m && n < a.n) conv_store<kMap, S>(a, group, part, m, n, sums[i][j]);
      }
    }
  }
}

}  // namespace ampgrad::cuda
