// Element-wise rows computed in float (float16, bfloat16 and float32).
#include "backend/cuda/elementwise_rows.cuh"
#include "backend/cuda/elementwise_units.h"

namespace ampgrad::cuda {
void add_float_rows(const CudaHost& host) { add_rows<float>(host); }
}  // namespace ampgrad::cuda
