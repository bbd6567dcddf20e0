// Element-wise rows computed in float (float16, bfloat16 and float32): part Arithmetic of the
// table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_float_rows_Arithmetic(const CudaHost& host) { add_rows<float, RowPart::Arithmetic>(host); }
}  // namespace ampgrad::cuda
