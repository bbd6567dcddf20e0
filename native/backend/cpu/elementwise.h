// The driver of element-wise kernels: brings operands of any dtype and geometry to block functions
// (elementwise_blocks.h) and their results to the output.
#pragma once

#include "backend/cpu/elementwise_blocks.h"
#include "ops/params.h"

namespace ampgrad::cpu {

// A KernelFn<ElementwiseParams>; `block` is a BlockEntry.
void elementwise(const ElementwiseParams& params, const void* block);

}  // namespace ampgrad::cpu
