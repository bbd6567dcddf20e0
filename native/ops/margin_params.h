// Parameters of the multilabel margin loss, forward and backward.
#pragma once

#include <cstdint>

namespace ampgrad {

// Rows of `classes` scores and, in `target`, of labels that end at the first negative one; all
// contiguous. Forward writes a loss for each row; with `grad` (one value a row) the kernel writes
// the gradient in the shape of the input instead.
struct MultilabelMarginParams {
  const void* in = nullptr;
  const int64_t* target = nullptr;
  const void* grad = nullptr;
  void* out = nullptr;
  int64_t rows = 0, classes = 0;
};

}  // namespace ampgrad
