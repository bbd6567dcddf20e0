// Shortest ways into the element-wise launch, for implementations expanded from the table.
#pragma once

#include "ops/elementwise.h"

namespace ampgrad {

Tensor launch_unary(OpId op, ElementwiseRule rule, const Tensor& input, const Attrs& attrs = {});
Tensor launch_binary(OpId op, ElementwiseRule rule, const Operand& a, const Operand& b,
                     const Attrs& attrs = {});

}  // namespace ampgrad
