// Element-wise kernels around a functor of native/math: packs of 16 bytes where every operand is a
// dense run of one storage type (or a number), any strides and dtypes otherwise. Arithmetic is done
// in T; float16 and bfloat16 are read as float and rounded once.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/geometry.cuh"
#include "core/attrs.h"

namespace ampgrad::cuda {

inline constexpr int kElementwiseThreads = 256;

template <class F, class V, class... More>
AG_HD AG_INLINE auto apply_functor(const Attrs& attrs, V first, More... more) {
  if constexpr (requires { F::apply(first, more..., attrs); }) {
    return F::apply(first, more..., attrs);
  } else {
    return F::apply(first, more...);
  }
}

template <class F, class T, size_t... I>
AG_HD AG_INLINE auto apply_values(const Attrs& attrs, const T* v, std::index_sequence<I...>) {
  return apply_functor<F>(attrs, v[I]...);
}

template <class F, class T, int N>
using ResultOf = decltype(apply_values<F, T>(std::declval<const Attrs&>(), std::declval<const T*>(),
                                             std::make_index_sequence<N>()));

// Operand 0 is the output.
template <class T, int N>
struct ElementwiseArgs {
  Geometry<N + 1> geometry;
  int64_t numel = 0;
  void* data[N + 1] = {};
  DType dtype[N + 1] = {};
  bool rounds[N] = {};  // read first as `compute`, as if it were a tensor of that dtype
  DType compute = DType::Float32;
  uint32_t numbers = 0;  // bit j: input j is value[j]
  T value[N] = {};
  Attrs attrs;
};

template <class T>
AG_HD AG_INLINE T rounded_to(DType dtype, T value) {
  if constexpr (std::is_same_v<T, float>) {
    if (dtype == DType::Float16) return to_float(to_half(value));
    if (dtype == DType::BFloat16) return to_float(to_bfloat16(value));
  }
  return value;
}

template <class F, class T, int N>
__global__ void __launch_bounds__(kElementwiseThreads)
    strided_kernel(const ElementwiseArgs<T, N> a) {
  using R = ResultOf<F, T, N>;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.numel; i += step) {
    int64_t at[N + 1];
    locate(a.geometry, i, at);
    T v[N];
    AG_UNROLL
    for (int j = 0; j < N; ++j) {
      if ((a.numbers >> j & 1u) != 0) {
        v[j] = a.value[j];
      } else if (a.dtype[j + 1] == dtype_of<T>) {
        v[j] = static_cast<const T*>(a.data[j + 1])[at[j + 1]];
      } else {
        v[j] = load_as<T>(a.data[j + 1], a.dtype[j + 1], at[j + 1]);
      }
      if (a.rounds[j]) v[j] = rounded_to(a.compute, v[j]);
    }
    const R r = apply_values<F, T>(a.attrs, v, std::make_index_sequence<N>());
    if (a.dtype[0] == dtype_of<R>) {
      static_cast<R*>(a.data[0])[at[0]] = r;
    } else {
      store_as<R>(a.data[0], a.dtype[0], at[0], r);
    }
  }
}

template <class S>
struct alignas(16) PackOf {
  static constexpr int kSize = 16 / sizeof(S);
  S v[kSize];
};

template <class T, int N>
struct DenseArgs {
  int64_t numel = 0;
  void* data[N + 1] = {};
  uint32_t numbers = 0;
  T value[N] = {};
  Attrs attrs;
};

template <class F, class T, class S, int N>
__global__ void __launch_bounds__(kElementwiseThreads) dense_kernel(const DenseArgs<T, N> a) {
  using Pack = PackOf<S>;
  const int64_t packs = a.numel / Pack::kSize;
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = first; i < packs; i += step) {
    Pack in[N] = {};
    AG_UNROLL
    for (int j = 0; j < N; ++j) {
      if ((a.numbers >> j & 1u) == 0) in[j] = static_cast<const Pack*>(a.data[j + 1])[i];
    }
    Pack out;
    AG_UNROLL
    for (int k = 0; k < Pack::kSize; ++k) {
      T v[N];
      AG_UNROLL
      for (int j = 0; j < N; ++j) {
        v[j] = (a.numbers >> j & 1u) != 0 ? a.value[j] : cast<T>(in[j].v[k]);
      }
      out.v[k] = cast<S>(apply_values<F, T>(a.attrs, v, std::make_index_sequence<N>()));
    }
    static_cast<Pack*>(a.data[0])[i] = out;
  }
  const int64_t i = packs * Pack::kSize + first;
  if (i >= a.numel) return;
  T v[N];
  AG_UNROLL
  for (int j = 0; j < N; ++j) {
    v[j] =
        (a.numbers >> j & 1u) != 0 ? a.value[j] : cast<T>(static_cast<const S*>(a.data[j + 1])[i]);
  }
  static_cast<S*>(a.data[0])[i] =
      cast<S>(apply_values<F, T>(a.attrs, v, std::make_index_sequence<N>()));
}

}  // namespace ampgrad::cuda
