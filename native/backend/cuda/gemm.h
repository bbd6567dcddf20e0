// The matrix product of cuBLASLt for other kernels of the backend.
#pragma once

#include "ops/params.h"

namespace ampgrad::cuda {

// On the current stream; float16, bfloat16, float32 or float64.
void multiply(const GemmParams& params);

}  // namespace ampgrad::cuda
