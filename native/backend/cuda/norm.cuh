// What the kernels of normalisations share: reading their parameters, which are of the storage type
// or of the wider type that arithmetic is done in, and folding columns of sums.
#pragma once

#include "backend/cuda/rows.h"
#include "math/norm-inl.h"

namespace ampgrad::cuda {

// Of numbers that are not negative; 64-bit division is slow on a device.
AG_HD AG_INLINE int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}
AG_HD AG_INLINE int64_t remainder(int64_t a, int64_t b) { return a - quotient(a, b) * b; }

template <class S>
AG_HD AG_INLINE bool is_wide(DType param_dtype) {
  return param_dtype == dtype_of<OpMath<S>>;
}

template <class S, class T = OpMath<S>>
__device__ AG_INLINE T param_at(const void* base, bool wide, int64_t i) {
  return wide ? static_cast<const T*>(base)[i] : cast<T>(static_cast<const S*>(base)[i]);
}

template <class S, class T = OpMath<S>>
__device__ AG_INLINE void set_param(void* base, bool wide, int64_t i, T value) {
  if (wide) {
    static_cast<T*>(base)[i] = value;
  } else {
    static_cast<S*>(base)[i] = cast<S>(value);
  }
}

// V neighbours, in loads of at most 16 bytes.
template <class S, int V, class T = OpMath<S>>
__device__ AG_INLINE void load_params(const void* base, bool wide, int64_t at, T* to) {
  if (!wide) {
    load_neighbours<V>(static_cast<const S*>(base) + at, to);
    return;
  }
  constexpr int kStep = V < kWidest<T> ? V : kWidest<T>;
  AG_UNROLL
  for (int j = 0; j < V; j += kStep) {
    load_neighbours<kStep>(static_cast<const T*>(base) + at + j, to + j);
  }
}

// Gradients of the parameters: parts [rows, width] are folded into `weight` and `bias` (either may
// be null). A block takes 32 columns, its warps every eighth row each.
template <class S>
__global__ void __launch_bounds__(kRowThreads)
    param_grad_kernel(const Pair<OpMath<S>>* parts, int64_t rows, int64_t width, bool wide,
                      void* weight, void* bias) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowThreads);
  for (int64_t first = int64_t{blockIdx.x} * kLanes; first < width;
       first += int64_t{gridDim.x} * kLanes) {
    const int64_t column = first + threadIdx.x % kLanes;
    Pair<T> sum{T{0}, T{0}};
    if (column < width) {
      for (int64_t r = threadIdx.x / kLanes; r < rows; r += kRowWarps) {
        sum = Add()(sum, parts[r * width + column]);
      }
    }
    sum = fold_column(sum, Add(), room);
    if (column >= width || threadIdx.x >= kLanes) continue;
    if (weight != nullptr) set_param<S>(weight, wide, column, sum.first);
    if (bias != nullptr) set_param<S>(bias, wide, column, sum.second);
  }
}

}  // namespace ampgrad::cuda
