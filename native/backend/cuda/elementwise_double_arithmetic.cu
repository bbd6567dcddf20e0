// Element-wise rows computed in double: part Arithmetic of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_double_rows_Arithmetic(const CudaHost& host) {
  add_rows<double, RowPart::Arithmetic>(host);
}
}  // namespace ampgrad::cuda
