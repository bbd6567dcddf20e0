// Element-wise rows computed in the wider integers.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {

void add_int_rows(const CudaHost& host) {
  add_all_rows<int32_t>(host);
  add_all_rows<int64_t>(host);
}

}  // namespace ampgrad::cuda
