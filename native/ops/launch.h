// Shortest ways into the element-wise launch, for implementations expanded from the table.
#pragma once

#include "ops/elementwise.h"

namespace ampgrad {

Tensor launch_unary(OpId op, ElementwiseRule rule, const Tensor& input, const Attrs& attrs = {});
Tensor launch_binary(OpId op, ElementwiseRule rule, const Operand& a, const Operand& b,
                     const Attrs& attrs = {});

// ERR_DTYPE unless the row of op has the dtype of its main input: for composites, whose parts may
// take more.
void check_declared(OpId op, const Tensor& input);

}  // namespace ampgrad
