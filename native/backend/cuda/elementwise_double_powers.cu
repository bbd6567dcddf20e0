// Element-wise rows computed in double: part Powers of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_double_rows_Powers(const CudaHost& host) { add_rows<double, RowPart::Powers>(host); }
}  // namespace ampgrad::cuda
