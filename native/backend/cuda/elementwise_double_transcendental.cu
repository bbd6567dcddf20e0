// Element-wise rows computed in double: part Transcendental of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_double_rows_Transcendental(const CudaHost& host) {
  add_rows<double, RowPart::Transcendental>(host);
}
}  // namespace ampgrad::cuda
