// The common shape of an element-wise call as a kernel argument: few dimensions, innermost first, a
// stride per operand; and the way from an index to the operands' offsets.
#pragma once

#include <cstdint>

#include "backend/cuda/device/unroll.cuh"
#include "core/macros.h"

namespace ampgrad::cuda {

inline constexpr int kMaxKernelDims = 16;

template <int N>
struct Geometry {
  int ndim = 0;
  bool wide = false;  // indices or offsets beyond 32 bits
  int64_t sizes[kMaxKernelDims];
  int64_t strides[N][kMaxKernelDims];  // in elements
};

template <class Index, int N>
AG_HD AG_INLINE void locate_as(const Geometry<N>& g, int64_t index, int64_t (&offsets)[N]) {
  Index rest = static_cast<Index>(index);
  for (int j = 0; j < N; ++j) offsets[j] = 0;
  // Few dimensions, each waiting for the division before: unrolled, this loop would be half of the
  // code of kernels that call it, and of the time to compile them.
  AG_UNROLL_BY(1)
  for (int d = 0; d < g.ndim; ++d) {
    const Index size = static_cast<Index>(g.sizes[d]);
    const Index q = rest / size;
    const auto r = static_cast<int64_t>(rest - q * size);
    rest = q;
    for (int j = 0; j < N; ++j) offsets[j] += r * g.strides[j][d];
  }
}

template <int N>
AG_HD AG_INLINE void locate(const Geometry<N>& g, int64_t index, int64_t (&offsets)[N]) {
  if (g.wide) {
    locate_as<uint64_t>(g, index, offsets);
  } else {
    locate_as<uint32_t>(g, index, offsets);
  }
}

}  // namespace ampgrad::cuda
