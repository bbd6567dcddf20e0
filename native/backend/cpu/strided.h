// Iteration over a common shape with one stride list per operand: simplification of the geometry,
// and gathering or scattering of the elements [begin, begin + count) in iteration order. Shared by
// element-wise kernels and copies. No allocation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/shape.h"
#include "ops/params.h"

namespace ampgrad::cpu {

inline constexpr int kMaxStridedOperands = kMaxElementwiseInputs + 1;

// Operand 0 is the output. Dimensions run from the outermost to the innermost.
struct StridedSpace {
  int ndim;  // at least 1
  int num_operands;
  int64_t numel;
  int64_t sizes[kMaxDims];
  int64_t strides[kMaxStridedOperands][kMaxDims];

  int64_t inner_size() const { return sizes[ndim - 1]; }
  int64_t inner_stride(int operand) const { return strides[operand][ndim - 1]; }
  // One run in memory order / one element for all.
  bool is_linear(int operand) const { return ndim == 1 && strides[operand][0] == 1; }
  bool is_single(int operand) const;
};

// Drops dimensions of size 1, orders the rest by the strides of the output and merges neighbours
// that every operand walks through at one step.
void simplify(const ElementwiseParams& params, StridedSpace* space);

// Position of an element, and of the following ones by advance().
struct StridedCursor {
  StridedCursor(const StridedSpace& space, int operand, int64_t begin);
  // Elements left in the innermost dimension.
  int64_t run() const { return space.inner_size() - index[space.ndim - 1]; }
  void advance(int64_t count);  // count <= run()

  const StridedSpace& space;
  int operand;
  int64_t offset;  // in elements
  int64_t index[kMaxDims];
};

// Copies elements of `element_size` bytes between a strided operand and a contiguous buffer.
void gather(const StridedSpace& space, int operand, const void* base, size_t element_size,
            int64_t begin, int64_t count, void* buffer);
void scatter(const StridedSpace& space, int operand, void* base, size_t element_size, int64_t begin,
             int64_t count, const void* buffer);

}  // namespace ampgrad::cpu
