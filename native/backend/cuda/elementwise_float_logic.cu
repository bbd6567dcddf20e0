// Element-wise rows computed in float (float16, bfloat16 and float32): part Logic of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_float_rows_Logic(const CudaHost& host) { add_rows<float, RowPart::Logic>(host); }
}  // namespace ampgrad::cuda
