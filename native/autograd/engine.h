// Runs the tape backwards. Nodes run newest first once all gradients they wait for have arrived.
#pragma once

#include "autograd/node.h"

namespace ampgrad {

struct BackwardOptions {
  bool retain_graph = false;
  bool create_graph = false;
  bool allow_unused = false;
};

// Accumulates into .grad of the leaves (or only of `inputs`, when given). grads[i] may be undefined
// for a scalar output (ones).
void backward(const TensorList& tensors, const TensorList& grads, const TensorList& inputs,
              const BackwardOptions& options);

// Returns gradients with respect to `inputs`; undefined where unused and allowed.
TensorList grad(const TensorList& outputs, const TensorList& grads, const TensorList& inputs,
                const BackwardOptions& options);

// Makes `gradient` fit: sums over broadcast dimensions, casts. Raises if that is impossible.
Tensor fit_gradient(Tensor gradient, const TensorMeta& meta, const Node& producer);

}  // namespace ampgrad
