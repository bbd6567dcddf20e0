// feedForward asks whether it will be differentiated, so it stands above the other composites.
#include "ops/feed_forward.h"

#include <algorithm>

#include "autograd/grad_mode.h"
#include "autograd/node.h"
#include "ops/ops.h"

namespace ampgrad::impl {

Tensor feedForward(const Tensor& input, const Tensor& weight1, const Tensor& bias1,
                   const Tensor& weight2, const Tensor& bias2, const std::string& activation) {
  const Tensor* tensors[] = {&input, &weight1, &bias1, &weight2, &bias2};
  const bool recorded = GradMode::enabled() &&
                        std::any_of(std::begin(tensors), std::end(tensors), [](const Tensor* t) {
                          return t->defined() && requires_grad(*t);
                        });
  if (recorded) {
    return std::get<0>(ops::nativeFeedForward(input, weight1, bias1, weight2, bias2, activation));
  }
  return feed_forward({input, weight1, bias1, weight2, bias2, feed_forward_activation(activation)},
                      false)
      .output;
}

}  // namespace ampgrad::impl
