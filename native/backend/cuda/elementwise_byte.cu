// Element-wise rows computed in bool and uint8.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {

void add_byte_rows(const CudaHost& host) {
  add_all_rows<bool>(host);
  add_all_rows<uint8_t>(host);
}

}  // namespace ampgrad::cuda
