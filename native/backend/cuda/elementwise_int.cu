// Element-wise rows computed in the wider integers.
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

void add_int_rows(const CudaHost& host) {
  add_all_rows<int32_t>(host);
  add_all_rows<int64_t>(host);
}

}  // namespace ampgrad::cuda
