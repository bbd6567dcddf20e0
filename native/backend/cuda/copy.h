// The strided copy for other families of kernels.
#pragma once

#include "ops/params.h"

namespace ampgrad::cuda {

void copy_strided(const ElementwiseParams& params);

}  // namespace ampgrad::cuda
