// Element-wise rows computed in double: part Activation of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_double_rows_Activation(const CudaHost& host) {
  add_rows<double, RowPart::Activation>(host);
}
}  // namespace ampgrad::cuda
