// What all losses share: the reduction of the elements' losses.
#pragma once

#include <string>

#include "ops/params.h"
#include "ops/value.h"

namespace ampgrad {

// 'none', 'mean' or 'sum'; anything else is an error naming op.
Reduction parse_reduction(const char* op, const std::string& text);

// The loss of the elements, reduced.
Tensor reduce_loss(const char* op, const Tensor& loss, const std::string& reduction);

}  // namespace ampgrad
