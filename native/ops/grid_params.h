// Parameters of sampling at the points of a grid, forward and backward.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace ampgrad {

enum class GridMode : uint8_t { Nearest, Linear, Cubic };
// In the order of math::GridPadding.
enum class GridBorder : uint8_t { Zeros, Border, Reflection };

// Input [batch, channels, in_size...], grid [batch, points, dims] (last dimension first), output
// [batch, channels, points], all contiguous, float32 or float64. Backward reads `grad` (shape of
// the output) and writes those of grad_in and grad_grid that are not null.
struct GridParams {
  const void* in = nullptr;
  const void* grid = nullptr;
  void* out = nullptr;
  const void* grad = nullptr;
  void* grad_in = nullptr;
  void* grad_grid = nullptr;
  int64_t batch = 0, channels = 0, points = 0;
  int dims = 2;
  int64_t in_size[3] = {1, 1, 1};  // outermost first
  GridMode mode = GridMode::Linear;
  GridBorder padding = GridBorder::Zeros;
  bool align_corners = false;
};

}  // namespace ampgrad
