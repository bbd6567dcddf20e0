// Parameters of connectionist temporal classification, forward and backward.
#pragma once

#include "core/dtype.h"
#include "core/shape.h"

namespace ampgrad {

// Log-probabilities [time, batch, classes] by strides; the targets of item n start at
// targets[target_offsets[n]]. Forward fills `losses`; with `grad` (one value an item) the kernel
// writes the contiguous gradient `out` [time, batch, classes] instead.
struct CtcParams {
  DType dtype = DType::Float32;
  const void* log_probs = nullptr;
  int64_t time_stride = 0, batch_stride = 0, class_stride = 0;
  int64_t time = 0, batch = 0, classes = 0;
  const int64_t* targets = nullptr;
  Dims target_offsets;
  Dims input_lengths;
  Dims target_lengths;
  int64_t blank = 0;
  bool zero_infinity = false;
  void* losses = nullptr;
  const void* grad = nullptr;
  void* out = nullptr;
};

}  // namespace ampgrad
