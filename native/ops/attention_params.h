// Parameters of the attention kernels, see ops/params.h for the rules.
#pragma once

#include <vector>

#include "ops/params.h"

namespace ampgrad {

// softmax(scale q k^T + mask) v for `batch` pairs of matrices: q [rows, width], k [keys, width],
// v [keys, value_width], all contiguous. The mask has the type arithmetic is done in.
struct AttentionParams {
  DType dtype = DType::Float32;
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  const void* mask = nullptr;             // may be null
  const int64_t* mask_offsets = nullptr;  // per pair
  int64_t mask_row = 0, mask_col = 0;
  void* out = nullptr;  // backward: read
  void* lse = nullptr;  // log of the row's sum of exponentials, opmath dtype; backward: read
  const void* grad = nullptr;
  void* grad_q = nullptr;
  void* grad_k = nullptr;
  void* grad_v = nullptr;
  int64_t batch = 0, rows = 0, keys = 0, width = 0, value_width = 0;
  bool causal = false;
  double scale = 1;
};

}  // namespace ampgrad
