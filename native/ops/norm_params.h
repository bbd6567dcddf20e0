// Parameters of the normalisation kernels, see ops/params.h for the rules.
#pragma once

#include "ops/params.h"

namespace ampgrad {

// Rows that are normalised one by one: layer, RMS, group and instance norm. A row is `channels` x
// `spatial` contiguous elements; row r belongs to group r % groups, and its channel c has the
// affine parameters at (r % groups) * channels + c. Layer norm has spatial 1 and one group.
struct RowNormParams {
  DType dtype = DType::Float32;        // of in, grad and out
  DType param_dtype = DType::Float32;  // of weight, bias and their gradients: dtype or opmath dtype
  const void* in = nullptr;
  const void* grad = nullptr;    // backward
  const void* weight = nullptr;  // may be null
  const void* bias = nullptr;    // may be null
  void* out = nullptr;           // result or gradient of the input; may be null in the backward
  void* grad_weight = nullptr;   // may be null
  void* grad_bias = nullptr;     // may be null
  void* mean = nullptr;          // one value a row, opmath dtype; null for RMS norm
  void* rstd = nullptr;
  int64_t rows = 0, groups = 1, channels = 1, spatial = 1;
  double eps = 0;
};

// Channels that are normalised over batch and space: in is [batch, channels, spatial], contiguous.
struct BatchNormParams {
  DType dtype = DType::Float32;
  DType param_dtype = DType::Float32;  // also of the running statistics
  const void* in = nullptr;
  const void* grad = nullptr;
  const void* weight = nullptr;
  const void* bias = nullptr;
  void* out = nullptr;
  void* grad_weight = nullptr;
  void* grad_bias = nullptr;
  void* mean = nullptr;  // one value a channel, opmath dtype
  void* rstd = nullptr;
  void* running_mean = nullptr;  // contiguous; both or none
  void* running_var = nullptr;
  int64_t batch = 0, channels = 0, spatial = 1;
  bool training = true;  // statistics of the input; otherwise the running ones
  double momentum = 0;
  double eps = 0;
};

}  // namespace ampgrad
