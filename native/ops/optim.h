// The common part of the optimizer steps: from lists of tensors, as the rows of table/optim.def
// take them, to OptimTensors that a kernel can trust.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"
#include "ops/op.h"
#include "ops/params.h"

namespace ampgrad {

struct OptimLists {
  const TensorList& params;
  const TensorList& grads;    // empty: the parameters' accumulated gradients
  const TensorList& scalars;  // num_scalars lists of one float a parameter
  const TensorList& states;   // num_states lists of one tensor a parameter
  const TensorList& masters;  // empty, or one a parameter
};

// What an optimizer keeps per parameter, and what missing entries start from.
struct OptimSpec {
  int num_scalars = 0;
  double scalar_init[3] = {0, 0, 0};
  int num_states = 0;
  int slots[3] = {0, 1, 2};  // of OptimTensor::states
  double state_init[3] = {0, 0, 0};
  // States are those of Adafactor: rows' and columns' mean squares of matrices, or mean squares.
  bool factored = false;
};

// Checks, creates what is missing, runs the kernels (one per dtype and device among the
// parameters), bumps versions. Returns what was created: see table/optim.def.
TensorList run_optim_step(OpId op, const OptimLists& lists, const OptimSpec& spec,
                          OptimParams& params, const Tensor& grad_scale, const Tensor& found_inf);

}  // namespace ampgrad
