// Division of indices by numbers that are known at launch: a multiplication and a shift (Granlund
// and Montgomery, "Division by invariant integers using multiplication", 1994).
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/macros.h"

namespace ampgrad::cuda {

// Divides 0 .. 2^31 - 1 by `divisor`, 1 .. 2^31 - 1.
struct Divider {
  uint32_t divisor = 1, factor = 1, shift = 0;

  Divider() = default;
  explicit Divider(int64_t by) : divisor(static_cast<uint32_t>(by)) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    factor = static_cast<uint32_t>(
        (uint64_t{1} << 32) * ((uint64_t{1} << shift) - divisor) / divisor + 1);
  }

  __device__ AG_INLINE int quotient(int n) const {
    const auto u = static_cast<uint32_t>(n);
    return static_cast<int>((__umulhi(u, factor) + u) >> shift);
  }
  // The quotient; *n keeps the rest.
  __device__ AG_INLINE int split(int* n) const {
    const int q = quotient(*n);
    *n -= q * static_cast<int>(divisor);
    return q;
  }
};

}  // namespace ampgrad::cuda
