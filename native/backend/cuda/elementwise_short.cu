// Element-wise rows computed in the signed integers of one and two bytes.
#include "backend/cuda/elementwise_rows.cuh"

namespace ampgrad::cuda {

namespace {

template <class T>
void add_all_rows(const CudaHost& host) {
#define AG_ADD(part) add_rows<T, RowPart::part>(host);
  AG_FOR_EACH_ROW_PART(AG_ADD)
#undef AG_ADD
}

}  // namespace

void add_short_rows(const CudaHost& host) {
  add_all_rows<int8_t>(host);
  add_all_rows<int16_t>(host);
}

}  // namespace ampgrad::cuda
