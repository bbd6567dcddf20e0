// Parameters of resampling and dropout kernels, see ops/params.h for the rules.
#pragma once

#include <vector>

#include "ops/params.h"

namespace ampgrad {

// One dimension times a sparse matrix: row o of the matrix has the entries [start[o], start[o + 1])
// of index and weight. Data is [outer, in_size, inner] -> [outer, out_size, inner]; transposed, it
// goes the other way and entries add up.
struct ResampleParams {
  DType dtype = DType::Float32;
  const void* in = nullptr;
  void* out = nullptr;
  int64_t outer = 1, in_size = 0, out_size = 0, inner = 1;
  std::vector<int64_t> start;
  std::vector<int64_t> index;
  std::vector<double> weight;
  bool transposed = false;
};

// out = keep ? in * scale : 0 with keep of probability 1 - p, remembered in mask. Without a state
// (backward) mask is read.
struct DropoutParams {
  DType dtype = DType::Float32;
  const void* in = nullptr;
  void* out = nullptr;
  bool* mask = nullptr;
  int64_t numel = 0;
  PhiloxState state;
  double keep = 1;
  double scale = 1;
};

}  // namespace ampgrad
