// From the operands of an element-wise call to the geometry that a kernel takes: dimensions in the
// order of the output's memory, neighbours joined where every operand allows it.
#pragma once

#include <cstdint>

#include "backend/cuda/device/geometry.cuh"
#include "ops/params.h"

namespace ampgrad::cuda {

inline constexpr int kMaxOperands = kMaxElementwiseInputs + 1;

struct AnyGeometry : Geometry<kMaxOperands> {
  int operands = 0;
  bool dense[kMaxOperands];   // one run in memory order
  bool single[kMaxOperands];  // one element for all
};

// Operand 0 is the output. Raises when more than kMaxKernelDims dimensions are left.
void simplify(const ElementwiseParams& params, AnyGeometry* out);

template <int N>
Geometry<N> narrow(const AnyGeometry& g) {
  Geometry<N> out;
  out.ndim = g.ndim;
  out.wide = g.wide;
  for (int d = 0; d < g.ndim; ++d) {
    out.sizes[d] = g.sizes[d];
    for (int j = 0; j < N; ++j) out.strides[j][d] = g.strides[j][d];
  }
  return out;
}

}  // namespace ampgrad::cuda
