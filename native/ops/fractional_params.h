// Parameters of fractional max pooling.
#pragma once

#include <cstdint>

namespace ampgrad {

// Planes [in_size...] -> [out_size...], contiguous, float32 or float64; missing leading dimensions
// have size 1. `samples` holds `dims` numbers for each plane: of the last dimension first in two
// dimensions, of the first dimension first in three.
struct FractionalPoolParams {
  const void* in = nullptr;
  const void* samples = nullptr;
  void* out = nullptr;
  int64_t* indices = nullptr;  // position of the largest element in its plane
  int dims = 2;
  int64_t planes = 0;
  int64_t in_size[3] = {1, 1, 1};
  int64_t out_size[3] = {1, 1, 1};
  int64_t kernel[3] = {1, 1, 1};
};

}  // namespace ampgrad
