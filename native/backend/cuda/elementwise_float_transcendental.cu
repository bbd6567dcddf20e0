// Element-wise rows computed in float (float16, bfloat16 and float32): part Transcendental of the
// table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_float_rows_Transcendental(const CudaHost& host) {
  add_rows<float, RowPart::Transcendental>(host);
}
}  // namespace ampgrad::cuda
