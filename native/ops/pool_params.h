// Parameters of the pooling kernels, see ops/params.h for the rules.
#pragma once

#include <vector>

#include "ops/params.h"

namespace ampgrad {

// The windows of one dimension: output o covers begin[o], begin[o] + dilation, ... below end[o],
// all inside the input. `count` is what an average divides by in this dimension.
struct PoolWindows {
  std::vector<int64_t> begin, end, count;
  int64_t dilation = 1;
};

// Planes [in_size...] -> [out_size...], contiguous; missing leading dimensions have size 1. A
// backward reads `in` in the shape of the output and writes `out` in the shape of the input.
struct PoolParams {
  DType dtype = DType::Float32;
  const void* in = nullptr;
  void* out = nullptr;
  int64_t* indices = nullptr;  // position of the largest element in its plane
  int64_t planes = 0;
  int64_t in_size[3] = {1, 1, 1};
  int64_t out_size[3] = {1, 1, 1};
  PoolWindows windows[3];
  double divisor = 0;  // of averages; 0: the product of the counts
};

// out[plane][indices[plane][i]] (+)= in[plane][i], or the reverse: out[plane][i] =
// in[plane][indices[plane][i]]. `small` counts the elements of a plane of indices, `large` of the
// other side.
struct PlaneIndexParams {
  DType dtype = DType::Float32;
  const void* in = nullptr;
  void* out = nullptr;
  const int64_t* indices = nullptr;
  int64_t planes = 0, small = 0, large = 0;
  bool accumulate = true;
};

}  // namespace ampgrad
