// Element-wise rows computed in double: part Special of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_double_rows_Special(const CudaHost& host) { add_rows<double, RowPart::Special>(host); }
}  // namespace ampgrad::cuda
