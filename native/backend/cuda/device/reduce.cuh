// Steps of reductions in kernels and the three ways to run them: a thread for each output (short
// reductions, or columns), a block for each output, and blocks that each fold a part of one output
// and leave it to a second launch. No atomics: the same input gives the same bits.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/geometry.cuh"
#include "backend/cuda/device/shared.cuh"
#include "math/reduce.h"

namespace ampgrad::cuda {

inline constexpr int kReduceThreads = 256;

struct ReduceArgs {
  const void* in = nullptr;
  DType in_dtype = DType::Float32;
  void* out = nullptr;
  DType out_dtype = DType::Float32;
  int64_t* indices = nullptr;
  Geometry<1> kept;
  Geometry<1> reduced;
  int64_t kept_numel = 1;
  int64_t reduced_numel = 1;
  double attr = 0;  // of the step: what a variance takes off the count
};

template <class T>
AG_HD AG_INLINE T load_input(const ReduceArgs& a, int64_t at) {
  if (a.in_dtype == dtype_of<T>) return static_cast<const T*>(a.in)[at];
  if constexpr (std::is_same_v<T, float>) {
    if (a.in_dtype == DType::Float16) return cast<T>(static_cast<const Half*>(a.in)[at]);
    if (a.in_dtype == DType::BFloat16) return cast<T>(static_cast<const BFloat16*>(a.in)[at]);
  }
  return load_as<T>(a.in, a.in_dtype, at);
}

template <class T, bool kMean>
struct SumStep {
  using Input = T;
  using Acc = T;
  static AG_HD Acc identity() { return 0; }
  static AG_HD void add(Acc* a, T v, int64_t) { merge(a, v); }
  static AG_HD void merge(Acc* a, Acc b) {
    if constexpr (std::is_integral_v<T>) {
      *a = static_cast<T>(static_cast<uint64_t>(*a) + static_cast<uint64_t>(b));  // wraps
    } else {
      *a += b;
    }
  }
  static AG_HD T value(Acc a, const ReduceArgs& r) {
    return kMean ? a / static_cast<T>(r.reduced_numel) : a;
  }
  static AG_HD int64_t index(Acc) { return 0; }
};

// An extreme and the position of its first occurrence.
template <class T, bool kMax>
struct ExtremeStep {
  using Input = T;
  struct Acc {
    T value;
    int64_t index;  // -1: nothing yet
  };
  static AG_HD Acc identity() { return {T{0}, -1}; }
  static AG_HD void add(Acc* a, T v, int64_t index) { merge(a, Acc{v, index}); }
  static AG_HD void merge(Acc* a, const Acc& b) {
    if (b.index < 0) return;
    const bool first = a->index < 0;
    const bool better = math::beats<kMax>(b.value, a->value);
    const bool equal = !better && !math::beats<kMax>(a->value, b.value);
    if (first || better || (equal && b.index < a->index)) *a = b;
  }
  static AG_HD T value(const Acc& a, const ReduceArgs&) { return a.value; }
  static AG_HD int64_t index(const Acc& a) { return a.index; }
};

template <bool kAll>
struct LogicalStep {
  using Input = bool;
  using Acc = bool;
  static AG_HD Acc identity() { return kAll; }
  static AG_HD void add(Acc* a, bool v, int64_t) { merge(a, v); }
  static AG_HD void merge(Acc* a, Acc b) { *a = kAll ? *a && b : *a || b; }
  static AG_HD bool value(Acc a, const ReduceArgs&) { return a; }
  static AG_HD int64_t index(Acc) { return 0; }
};

template <class P>
AG_HD AG_INLINE void store_result(const ReduceArgs& a, int64_t output, const typename P::Acc& acc) {
  using T = typename P::Input;
  const T v = P::value(acc, a);
  if (a.out != nullptr) {
    if (a.out_dtype == dtype_of<T>) {
      static_cast<T*>(a.out)[output] = v;
    } else {
      store_as<T>(a.out, a.out_dtype, output, v);
    }
  }
  if (a.indices != nullptr) a.indices[output] = P::index(acc);
}

// Folds every step-th element of [begin, end) into *acc. Numbers go by four accumulators: their
// loads do not wait for each other, and a sum loses no more digits than one of a quarter of the
// length. Larger accumulators would not fit into registers.
template <class P>
AG_HD AG_INLINE void fold(const ReduceArgs& a, int64_t base, int64_t begin, int64_t end,
                          int64_t step, typename P::Acc* acc) {
  using T = typename P::Input;
  using Acc = typename P::Acc;
  constexpr int kParts = std::is_arithmetic_v<Acc> ? 4 : 1;
  const int64_t stride = a.reduced.ndim == 1 ? a.reduced.strides[0][0] : 0;
  Acc parts[kParts];
  AG_UNROLL
  for (int j = 0; j < kParts; ++j) parts[j] = j == 0 ? *acc : P::identity();
  for (int64_t first = begin; first < end; first += kParts * step) {
    AG_UNROLL
    for (int j = 0; j < kParts; ++j) {
      const int64_t i = first + j * step;
      if (i >= end) continue;
      int64_t at[1] = {i * stride};
      if (a.reduced.ndim > 1) locate(a.reduced, i, at);
      P::add(&parts[j], load_input<T>(a, base + at[0]), i);
    }
  }
  if constexpr (kParts == 4) {
    P::merge(&parts[0], parts[1]);
    P::merge(&parts[2], parts[3]);
    P::merge(&parts[0], parts[2]);
  }
  *acc = parts[0];
}

template <class P>
__global__ void __launch_bounds__(kReduceThreads) reduce_thread_kernel(const ReduceArgs a) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t o = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; o < a.kept_numel; o += step) {
    int64_t base[1];
    locate(a.kept, o, base);
    typename P::Acc acc = P::identity();
    fold<P>(a, base[0], 0, a.reduced_numel, 1, &acc);
    store_result<P>(a, o, acc);
  }
}

// Folds the block's accumulators; thread 0 gets the result.
template <class P>
__device__ void fold_block(typename P::Acc* shared, typename P::Acc* acc) {
  const int t = static_cast<int>(threadIdx.x);
  shared[t] = *acc;
  for (int half = kReduceThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) P::merge(&shared[t], shared[t + half]);
  }
  *acc = shared[t];
  __syncthreads();  // before the array is used again
}

// blockIdx.x counts outputs, blockIdx.y the parts of one; with more than one part, `parts` takes
// what each has found.
template <class P>
__global__ void __launch_bounds__(kReduceThreads)
    reduce_block_kernel(const ReduceArgs a, typename P::Acc* parts) {
  using Acc = typename P::Acc;
  AG_SHARED_ARRAY(Acc, shared, kReduceThreads);
  const int64_t share = (a.reduced_numel + gridDim.y - 1) / gridDim.y;
  const int64_t begin = int64_t{blockIdx.y} * share;
  const int64_t end = begin + share < a.reduced_numel ? begin + share : a.reduced_numel;
  for (int64_t o = blockIdx.x; o < a.kept_numel; o += gridDim.x) {
    int64_t base[1];
    locate(a.kept, o, base);
    Acc acc = P::identity();
    fold<P>(a, base[0], begin + threadIdx.x, end, kReduceThreads, &acc);
    fold_block<P>(shared, &acc);
    if (threadIdx.x != 0) continue;
    if (parts == nullptr) {
      store_result<P>(a, o, acc);
    } else {
      parts[o * gridDim.y + blockIdx.y] = acc;
    }
  }
}

// The second launch: a thread for each output folds its parts in order.
template <class P>
__global__ void __launch_bounds__(kReduceThreads)
    reduce_parts_kernel(const ReduceArgs a, const typename P::Acc* parts, int num_parts) {
  const int64_t o = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (o >= a.kept_numel) return;
  typename P::Acc acc = P::identity();
  for (int i = 0; i < num_parts; ++i) P::merge(&acc, parts[o * num_parts + i]);
  store_result<P>(a, o, acc);
}

}  // namespace ampgrad::cuda
