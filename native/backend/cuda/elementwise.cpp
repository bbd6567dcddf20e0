#include "backend/cuda/elementwise_units.h"
#include "backend/cuda/families.h"

namespace ampgrad::cuda {

void register_elementwise(const CudaHost& host) {
  add_float_rows(host);
  add_double_rows(host);
  add_int_rows(host);
}

}  // namespace ampgrad::cuda
