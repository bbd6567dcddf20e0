// Sort and what is picked from sorted rows: topk, kthvalue, medians, mode. Short rows are sorted in
// shared memory, others by radix.
#include <bit>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/families.h"
#include "backend/cuda/sorted_rows.cuh"
#include "ops/order_params.h"

namespace ampgrad::cuda {

namespace {

PickArgs pick_args(const SortParams& p) {
  PickArgs a;
  a.in = p.in;
  a.values = p.values;
  a.indices = p.indices;
  a.rows = p.rows;
  a.size = p.size;
  a.k = p.k;
  return a;
}

template <class S>
void take_first(const SortParams& p, const void* name_of_row) {
  if (p.rows == 0 || p.k == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  const SortedRows<S> sorted(name, static_cast<const S*>(p.in), p.rows, p.size, p.descending);
  using E = std::conditional_t<sizeof(S) == 1, int8_t,
                               std::conditional_t<sizeof(S) == 2, int16_t, KeyOf<S>>>;
  launch(name, {grid_for(p.rows * p.k, kOrderThreads), kOrderThreads}, pick_first_kernel<E>,
         pick_args(p), sorted.order());
}

template <class S, Pick kPick>
void take_rank(const SortParams& p, const void* name_of_row) {
  if (p.rows == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  const SortedRows<S> sorted(name, static_cast<const S*>(p.in), p.rows, p.size, false);
  launch(name, {grid_for(p.rows, kOrderThreads), kOrderThreads}, pick_rank_kernel<S>, pick_args(p),
         kPick, sorted.keys(), sorted.order());
}

template <class S>
void take_mode(const SortParams& p, const void*) {
  if (p.rows == 0) return;
  const SortedRows<S> sorted("mode", static_cast<const S*>(p.in), p.rows, p.size, false);
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(p.rows, 1 << 20));
  launch("mode", {dim3(blocks), kOrderThreads}, pick_mode_kernel<S>, pick_args(p), sorted.keys(),
         sorted.order());
}

}  // namespace

void register_sort(const CudaHost& host) {
#define AG_SET(name, S, text)                                                                     \
  set_kernel<SortParams>(host, OpId::sort, DType::name, take_first<S>, "sort");                   \
  set_kernel<SortParams>(host, OpId::topk, DType::name, take_first<S>, "topk");                   \
  set_kernel<SortParams>(host, OpId::kthvalue, DType::name, take_rank<S, Pick::Kth>, "kthvalue"); \
  set_kernel<SortParams>(host, OpId::medianDim, DType::name, take_rank<S, Pick::Median>,          \
                         "medianDim");                                                            \
  set_kernel<SortParams>(host, OpId::nanmedianDim, DType::name, take_rank<S, Pick::NanMedian>,    \
                         "nanmedianDim");                                                         \
  set_kernel<SortParams>(host, OpId::mode, DType::name, take_mode<S>, "mode");
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
