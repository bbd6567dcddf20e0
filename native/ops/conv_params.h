// Parameters of the convolution kernels, see ops/params.h for the rules.
#pragma once

#include "ops/params.h"

namespace ampgrad {

// The three bilinear maps of a convolution y = x * w share one description; which of the tensors is
// written depends on the op. All are contiguous: x is [batch, groups * x_channels, x_size...],
// y [batch, groups * y_channels, y_size...], w [groups * y_channels, x_channels, kernel...].
// Missing leading spatial dimensions have size and kernel 1.
struct ConvParams {
  DType dtype = DType::Float32;
  // The weight gradient is float32, of operands of half type (CPU only); see GemmParams::widened.
  bool widened = false;
  void* x = nullptr;
  void* y = nullptr;
  void* w = nullptr;
  const void* bias = nullptr;  // per channel of the result, same dtype; nullptr for none
  int64_t batch = 0, groups = 1;
  int64_t x_channels = 0, y_channels = 0;  // of one group
  int64_t x_size[3] = {1, 1, 1};
  int64_t y_size[3] = {1, 1, 1};
  int64_t kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1};
  int64_t padding[3] = {0, 0, 0};
  int64_t dilation[3] = {1, 1, 1};
};

}  // namespace ampgrad
