// What derivatives of convolutions want of the family beyond its ops.
#pragma once

#include "core/tensor.h"

namespace ampgrad {

struct ConvGeometry {
  Dims stride, padding, dilation;
  int64_t groups = 1;
};

// The gradient of a float32 weight that a half convolution read through a cast: convWeightGrad in
// float32, without a gradient of its own; see mm_widened.
Tensor conv_weight_grad_widened(const Tensor& grad, const Tensor& input, DimsView kernel_size,
                                const ConvGeometry& g);

}  // namespace ampgrad
