// Element-wise rows computed in double: part Backward of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_double_rows_Backward(const CudaHost& host) { add_rows<double, RowPart::Backward>(host); }
}  // namespace ampgrad::cuda
