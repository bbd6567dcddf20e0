// Element-wise rows computed in float (float16, bfloat16 and float32): part Backward of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_float_rows_Backward(const CudaHost& host) { add_rows<float, RowPart::Backward>(host); }
}  // namespace ampgrad::cuda
