// Strided copy with conversion: the kernel of copy_, contiguous() and to().
#pragma once

#include "ops/params.h"

namespace ampgrad::cpu {

// out[i] = in[0][i] over the common shape, for any two dtypes. A KernelFn<ElementwiseParams>.
void copy_strided(const ElementwiseParams& params, const void*);

}  // namespace ampgrad::cpu
