// Parameters of the pooling kernels, see ops/params.h for the rules.
#pragma once

#include "ops/params.h"

namespace ampgrad {

// The windows of one dimension, as math::PoolAxis, which says what they cover.
struct PoolAxis {
  int64_t in = 1, out = 1;
  int64_t kernel = 1, stride = 1, padding = 0, dilation = 1;
  bool adaptive = false;
  bool count_padding = false;
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
  PoolAxis axis[3];
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
