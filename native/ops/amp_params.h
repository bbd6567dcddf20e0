// Parameters of the kernels of gradient scaling (see params.h for what kernels may assume).
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace ampgrad {

struct UnscaleTensor {
  void* data = nullptr;  // contiguous
  int64_t numel = 0;
};

// Gradients of one dtype, that of the table cell.
struct UnscaleParams {
  const UnscaleTensor* tensors = nullptr;
  int64_t num_tensors = 0;
  const float* inv_scale = nullptr;
  float* found_inf = nullptr;
};

struct UpdateScaleParams {
  float* scale = nullptr;
  int32_t* growth_tracker = nullptr;
  const float* found_inf = nullptr;
  double growth_factor = 2;
  double backoff_factor = 0.5;
  int64_t growth_interval = 2000;
  double min_scale = 0;
};

}  // namespace ampgrad
