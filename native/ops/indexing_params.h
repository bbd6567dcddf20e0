// Parameters of indexed reads and writes, the one kernel behind gather, scatter, indexSelect,
// index, indexPut, embedding and their kin, and of nonzero.
#pragma once

#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace ampgrad {

enum class IndexMode : uint8_t { Read, Assign, Add, Multiply, Amin, Amax };

// One tensor of positions along a dimension of the indexed operand.
struct IndexArg {
  const int64_t* data = nullptr;
  Dims strides;        // over the iteration space
  int64_t size = 0;    // of the dimension: positions lie in [0, size)
  int64_t stride = 0;  // of the dimension, in elements
  int64_t dim = 0;     // its number, for messages
};

// At every point of `sizes`: Read copies data[...] to other[...], the others combine other[...]
// into data[...], where data's position is that of its strides plus index * stride of every index.
// The indexed dimensions have stride 0 in `data_strides`; two points that differ in another
// dimension address different elements. Positions are checked by the kernel, before anything is
// written.
struct IndexedParams {
  const char* op = nullptr;
  DType dtype = DType::Float32;
  IndexMode mode = IndexMode::Read;
  bool negative = false;  // do negative positions count from the end?
  // Add, of floating point numbers on the CPU: `data` holds nothing yet and gets sums, and zeros
  // where no position leads. The space is [positions, slice], `other` and each slice of `data`
  // contiguous.
  bool fresh = false;
  Dims sizes;  // at least one dimension, no empty one
  void* data = nullptr;
  Dims data_strides;
  void* other = nullptr;
  Dims other_strides;
  std::vector<IndexArg> indices;
};

// Coordinates of the elements that are not zero, row by row, of a contiguous input. Without `out`
// they are only counted.
struct NonzeroParams {
  const void* in = nullptr;
  DType dtype = DType::Float32;
  Dims sizes;
  int64_t numel = 0;
  int64_t* out = nullptr;
  int64_t* count = nullptr;
};

}  // namespace ampgrad
