// The storage types of float16 and bfloat16 as warp matrix fragments know them, and shared tiles
// that such fragments can be read from.
#pragma once

#include <mma.h>

#include "backend/cuda/device/shared.cuh"
#include "core/half.h"

#if defined(AMPGRAD_SIMT)
#define AG_SHARED_TILE(T, name, count) AG_SHARED_ARRAY(T, name, count)
#else
#define AG_SHARED_TILE(T, name, count) __shared__ __align__(32) T name[count]
#endif

// Whether the architecture being compiled for multiplies S. bfloat16 came with sm_80.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define AG_HAS_MATRIX(S) true
#else
#define AG_HAS_MATRIX(S) (sizeof(S) != 0 && !std::is_same_v<S, ::ampgrad::BFloat16>)
#endif

namespace ampgrad::cuda {

namespace wmma = nvcuda::wmma;

template <class S>
struct MatrixTypeOf {
  using type = __half;
};
template <>
struct MatrixTypeOf<BFloat16> {
  using type = __nv_bfloat16;
};
template <class S>
using MatrixType = typename MatrixTypeOf<S>::type;

template <class S>
__device__ AG_INLINE const MatrixType<S>* as_matrix(const S* data) {
  return reinterpret_cast<const MatrixType<S>*>(data);
}

template <class S, class Layout>
using LeftMatrix = wmma::fragment<wmma::matrix_a, 16, 16, 16, MatrixType<S>, Layout>;
template <class S, class Layout>
using RightMatrix = wmma::fragment<wmma::matrix_b, 16, 16, 16, MatrixType<S>, Layout>;
using SumMatrix = wmma::fragment<wmma::accumulator, 16, 16, 16, float>;

}  // namespace ampgrad::cuda
