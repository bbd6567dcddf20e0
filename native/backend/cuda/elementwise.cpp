#include "backend/cuda/elementwise_units.h"
#include "backend/cuda/families.h"

namespace ampgrad::cuda {

void register_elementwise(const CudaHost& host) {
#define AG_ADD(part)           \
  add_float_rows_##part(host); \
  add_double_rows_##part(host);
  AG_FOR_EACH_ROW_PART(AG_ADD)
#undef AG_ADD
  add_int_rows(host);
  add_short_rows(host);
  add_byte_rows(host);
}

}  // namespace ampgrad::cuda
