// Two linear layers with an activation between, and their gradients: products whose kernels apply
// the activation, its slope and the sums of bias gradients as far as they can, and element-wise
// kernels for the rest. Below autograd: nothing here is recorded.
#pragma once

#include <array>
#include <string>

#include "core/tensor.h"
#include "ops/op.h"
#include "ops/params.h"

namespace ampgrad {

// By the name of the argument 'activation'; raises for others.
Activation feed_forward_activation(const std::string& name);

// The ops that an activation and its slope are on their own; thresholdBackward takes x or f(x).
struct ActivationInfo {
  const char* name;
  Activation value;
  OpId op, slope_op;
  Tensor (*apply)(const Tensor& x);
  Tensor (*apply_slope)(const Tensor& g, const Tensor& x);
};
const ActivationInfo& activation_info(Activation a);

struct FeedForwardArgs {
  const Tensor& input;
  const Tensor& weight1;
  const Tensor& bias1;
  const Tensor& weight2;
  const Tensor& bias2;
  Activation activation;
};

struct FeedForward {
  Tensor output;
  Tensor hidden;  // [rows, hidden], after the activation
  Tensor inner;   // before it; of no elements for relu, whose slope the sign of `hidden` gives
};

// `keep`: the result will be differentiated; `inner` is undefined otherwise.
FeedForward feed_forward(const FeedForwardArgs& args, bool keep);

// Gradients of the five tensors, in the order of the arguments; only of those in `needs`. Those of
// weights and biases in `widened` may come in float32 (mm_widened).
struct FeedForwardWanted {
  std::array<bool, 5> needs{};
  std::array<bool, 5> widened{};
};
std::array<Tensor, 5> feed_forward_gradients(const Tensor& grad, const FeedForwardArgs& args,
                                             const Tensor& hidden, const Tensor& inner,
                                             const FeedForwardWanted& wanted);

}  // namespace ampgrad
