// Binary search in ascending rows: a thread for each value.
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/families.h"
#include "ops/order_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;

// First position whose element is not below (right: is above) the value; NaN goes to the end.
template <class S>
__global__ void __launch_bounds__(kThreads) search_kernel(const SearchParams p) {
  using V = OpMath<S>;
  const S* sorted = static_cast<const S*>(p.sorted);
  const S* values = static_cast<const S*>(p.values);
  const int64_t count = p.rows * p.num_values;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const int64_t row = p.shared_row ? 0 : i / p.num_values * p.size;
    const V value = cast<V>(values[i]);
    int64_t low = 0;
    int64_t high = p.size;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      const int64_t at = p.sorter == nullptr ? middle : p.sorter[row + middle];
      const V element = cast<V>(sorted[row + at]);
      if (p.right ? !(element > value) : !(element >= value)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    p.out[i] = low;
  }
}

template <class S>
void search(const SearchParams& p, const void*) {
  const int64_t count = p.rows * p.num_values;
  if (count == 0) return;
  launch("searchsorted", {grid_for(count, kThreads), kThreads}, search_kernel<S>, p);
}

}  // namespace

void register_search(const CudaHost& host) {
#define AG_SET(name, type, text)                                                   \
  if constexpr (DType::name != DType::Bool) {                                      \
    set_kernel<SearchParams>(host, OpId::searchsorted, DType::name, search<type>); \
  }
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
