// Element-wise rows computed in integers and bool.
#include "backend/cuda/elementwise_rows.cuh"
#include "backend/cuda/elementwise_units.h"

namespace ampgrad::cuda {
void add_int_rows(const CudaHost& host) {
  add_rows<bool>(host);
  add_rows<uint8_t>(host);
  add_rows<int8_t>(host);
  add_rows<int16_t>(host);
  add_rows<int32_t>(host);
  add_rows<int64_t>(host);
}
}  // namespace ampgrad::cuda
