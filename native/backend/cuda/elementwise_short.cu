// Element-wise rows computed in the signed integers of one and two bytes.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {

void add_short_rows(const CudaHost& host) {
  add_all_rows<int8_t>(host);
  add_all_rows<int16_t>(host);
}

}  // namespace ampgrad::cuda
