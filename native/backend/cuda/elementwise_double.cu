// Element-wise rows computed in double.
#include "backend/cuda/elementwise_rows.cuh"
#include "backend/cuda/elementwise_units.h"

namespace ampgrad::cuda {
void add_double_rows(const CudaHost& host) { add_rows<double>(host); }
}  // namespace ampgrad::cuda
