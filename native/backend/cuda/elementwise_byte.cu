// Element-wise rows computed in bool and uint8.
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

void add_byte_rows(const CudaHost& host) {
  add_all_rows<bool>(host);
  add_all_rows<uint8_t>(host);
}

}  // namespace ampgrad::cuda
