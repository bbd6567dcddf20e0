// Parameters of the kernels of distances between rows, and of frexp.
#pragma once

#include "core/dtype.h"

namespace ampgrad {

// out[b][i][j] = || x1[b][i] - x2[b][j] ||_p over `width` columns; everything is contiguous. With
// `grad` and `distance` set (both [batch, rows1, rows2]), out is [batch, rows1, width] and receives
// the gradient of x1.
struct DistanceParams {
  const void* x1 = nullptr;
  const void* x2 = nullptr;
  const void* grad = nullptr;
  const void* distance = nullptr;
  void* out = nullptr;
  int64_t batch = 1, rows1 = 0, rows2 = 0, width = 0;
  double p = 2;
};

// in[i] = mantissa[i] * 2^exponent[i], all contiguous.
struct FrexpParams {
  const void* in = nullptr;
  void* mantissa = nullptr;
  int32_t* exponent = nullptr;
  DType dtype = DType::Float32;
  int64_t numel = 0;
};

}  // namespace ampgrad
