// How kernels over rows (softmax and its backward) are launched: which of their three forms a shape
// gets. Also the arguments they take and the columns that a block shares.
#pragma once

#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/team.cuh"
#include "backend/cuda/families.h"
#include "ops/params.h"

namespace ampgrad::cuda {

struct RowArgs {
  const void* in = nullptr;
  const void* in2 = nullptr;
  void* out = nullptr;
  int64_t rows = 0;   // with inner 1
  int64_t outer = 0;  // otherwise
  int64_t size = 0;
  int64_t inner = 1;

  AG_HD int64_t columns() const { return outer * inner; }
};

// The column of a thread: 32 a block, whose warps take every eighth of its elements each.
struct Column {
  int64_t base = 0;
  int64_t begin = 0, end = 0;  // nothing where there is no such column

  __device__ Column(const RowArgs& a, int64_t first) {
    const int64_t column = first + threadIdx.x % kLanes;
    if (column >= a.columns()) return;
    base = column / a.inner * a.size * a.inner + column % a.inner;
    begin = threadIdx.x / kLanes;
    end = a.size;
  }
};

// Over the threads that share a column. `room` holds kRowThreads values.
template <class A, class F>
__device__ AG_INLINE A fold_column(A acc, F merge, A* room) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  room[threadIdx.x] = acc;
  __syncthreads();
  A total = room[lane];
  AG_UNROLL
  for (int w = 1; w < kRowWarps; ++w) total = merge(total, room[w * kLanes + lane]);
  __syncthreads();
  return total;
}

// Whether packs of 16 bytes can be read from and written to rows of this size.
inline bool rows_align(int64_t size, size_t element, std::initializer_list<const void*> data) {
  if (size * static_cast<int64_t>(element) % 16 != 0) return false;
  return std::all_of(data.begin(), data.end(),
                     [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; });
}

inline dim3 grid_of_teams(int64_t teams, int teams_per_block) {
  constexpr int64_t kMost = 1 << 20;
  const int64_t blocks = (teams + teams_per_block - 1) / teams_per_block;
  return dim3(static_cast<unsigned>(std::max<int64_t>(1, std::min(blocks, kMost))));
}

template <class S, class Kernels>
void run_rows(const RowParams& p, const void* name_of_row) {
  if (p.outer == 0 || p.size == 0 || p.inner == 0) return;
  constexpr int kValues = 32;  // of a lane, in registers
  constexpr int V = kWidest<S>;
  const auto* name = static_cast<const char*>(name_of_row);
  const RowArgs a{p.in, p.in2, p.out, p.outer, p.outer, p.size, p.inner};
  if (p.inner > 1) {
    launch(name, {grid_of_teams(a.columns(), kLanes), kRowThreads}, Kernels::column(), a);
    return;
  }
  const bool packs = rows_align(p.size, sizeof(S), {p.in, p.in2, p.out});
  if (p.size > kValues * kLanes) {
    launch(name, {grid_of_teams(p.outer, 1), kRowThreads},
           packs ? Kernels::template block<V>() : Kernels::template block<1>(), a);
    return;
  }
  const LaunchShape shape{grid_of_teams(p.outer, kRowWarps), kRowThreads};
  if (packs) {
    launch(name, shape,
           p.size <= V * kLanes ? Kernels::template warp<V, 1>()
                                : Kernels::template warp<V, kValues / V>(),
           a);
  } else {
    launch(name, shape,
           p.size <= 4 * kLanes ? Kernels::template warp<1, 4>()
                                : Kernels::template warp<1, kValues>(),
           a);
  }
}

}  // namespace ampgrad::cuda
