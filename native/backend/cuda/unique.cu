// Groups of equal rows: single elements are sorted by key, longer rows by merging.
#include "backend/cuda/context.h"
#include "backend/cuda/device/unique.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/prefix.h"
#include "backend/cuda/sorted_rows.cuh"
#include "ops/order_params.h"

namespace ampgrad::cuda {

namespace {

constexpr const char* kName = "uniqueGroups";

struct GroupArgs {
  int64_t rows = 0;
  const int64_t* order = nullptr;
  const int64_t* before = nullptr;  // borders before each row; one more: how many in all
  int64_t* first = nullptr;
  int64_t* group = nullptr;
  int64_t* starts = nullptr;
  int64_t* counts = nullptr;
};

__global__ void __launch_bounds__(kUniqueThreads) groups_kernel(const GroupArgs a) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.rows; i += step) {
    const int64_t own = a.order == nullptr ? i : a.order[i];
    const bool begins = a.before[i + 1] != a.before[i];
    const int64_t group = a.before[i + 1] - 1;
    a.group[own] = group;
    if (!begins) continue;
    a.first[group] = own;
    a.starts[group] = i;
  }
}

__global__ void __launch_bounds__(kUniqueThreads) group_sizes_kernel(const GroupArgs a) {
  const int64_t groups = a.before[a.rows];
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t g = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; g < groups; g += step) {
    a.counts[g] = (g + 1 < groups ? a.starts[g + 1] : a.rows) - a.starts[g];
  }
}

__global__ void __launch_bounds__(kUniqueThreads)
    widen_order_kernel(const uint32_t* order, int64_t n, int64_t* out) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    out[i] = order[i];
  }
}

LaunchShape over(int64_t n) { return {grid_for(n, kUniqueThreads), kUniqueThreads}; }

// Row numbers in sorted order, in one of the two buffers.
template <class S>
const int64_t* sorted_order(const UniqueParams& p, int64_t* order, int64_t* other) {
  const S* in = static_cast<const S*>(p.in);
  if (p.size == 1) {
    const SortedRows<S> sorted(kName, in, 1, p.rows, false);
    launch(kName, over(p.rows), widen_order_kernel, sorted.order(), p.rows, order);
    return order;
  }
  const int64_t* from = nullptr;
  for (int64_t width = 1; width < p.rows || from == nullptr; width *= 2) {
    launch(kName, over(p.rows), merge_runs_kernel<S>, in, p.rows, p.size, width, from, order);
    from = order;
    std::swap(order, other);
  }
  return from;
}

template <class S>
void unique(const UniqueParams& p, const void*) {
  *p.num_groups = 0;
  if (p.rows == 0) return;
  const auto n = static_cast<size_t>(p.rows);
  const Scratch scratch((4 * n + 1) * sizeof(int64_t));
  auto* borders = scratch.as<int64_t>();
  GroupArgs a;
  a.rows = p.rows;
  a.starts = borders + n + 1;
  if (!p.consecutive) a.order = sorted_order<S>(p, a.starts + n, a.starts + 2 * n);
  a.before = borders;
  a.first = p.first;
  a.group = p.group;
  a.counts = p.counts;
  launch(kName, over(p.rows), borders_kernel<S>, static_cast<const S*>(p.in), p.rows, p.size,
         a.order, borders);
  exclusive_prefix(kName, borders, p.rows, borders + n);
  launch(kName, over(p.rows), groups_kernel, a);
  launch(kName, over(p.rows), group_sizes_kernel, a);
  *p.num_groups = read_count(borders + n);
}

}  // namespace

void register_unique(const CudaHost& host) {
#define AG_SET(name, type, text) \
  set_kernel<UniqueParams>(host, OpId::uniqueGroups, DType::name, unique<type>);
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
