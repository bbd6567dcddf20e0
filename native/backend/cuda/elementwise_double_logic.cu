// Element-wise rows computed in double: part Logic of the table.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {
void add_double_rows_Logic(const CudaHost& host) { add_rows<double, RowPart::Logic>(host); }
}  // namespace ampgrad::cuda
