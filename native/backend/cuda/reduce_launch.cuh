// Which way a reduction is run, for a step of device/reduce.cuh, and its registration.
#pragma once

#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/reduce.cuh"
#include "backend/cuda/geometry.h"
#include "backend/cuda/scratch.h"
#include "ops/params.h"

namespace ampgrad::cuda {

inline constexpr int64_t kShortReduction = 64;  // a thread folds this much by itself
inline constexpr int64_t kSplitFrom = 16384;    // worth several blocks
inline constexpr int64_t kPartSize = 8192;
inline constexpr int64_t kMaxParts = 512;

// Row-major dimensions of one operand, joined.
inline Geometry<1> reduce_geometry(const Dims& sizes, const Dims& strides, int64_t numel) {
  Geometry<1> g;
  g.wide = numel > INT32_MAX;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 1) continue;
    const int last = g.ndim - 1;
    if (last >= 0 && g.strides[0][last] * g.sizes[last] == strides[i]) {
      g.sizes[last] *= sizes[i];
      continue;
    }
    AG_CHECK(g.ndim < kMaxKernelDims, Shape, "a reduction over a layout of more than ",
             kMaxKernelDims, " dimensions that cannot be joined; call contiguous() first");
    g.sizes[g.ndim] = sizes[i];
    g.strides[0][g.ndim] = strides[i];
    ++g.ndim;
  }
  return g;
}

inline ReduceArgs reduce_args(const ReduceParams& p) {
  ReduceArgs a;
  a.in = p.in;
  a.in_dtype = p.in_dtype;
  a.out = p.out;
  a.out_dtype = p.out_dtype;
  a.indices = p.indices;
  a.kept = reduce_geometry(p.kept_sizes, p.kept_strides, p.kept_numel);
  a.reduced = reduce_geometry(p.reduced_sizes, p.reduced_strides, p.reduced_numel);
  a.kept_numel = p.kept_numel;
  a.reduced_numel = p.reduced_numel;
  a.attr = p.attrs.d[0];
  return a;
}

// Neighbouring threads of the thread-per-output kernel read neighbouring elements.
inline bool reads_columns(const ReduceArgs& a) {
  return a.kept.ndim > 0 && a.kept.strides[0][0] == 1 && a.kept.sizes[0] >= 32;
}

template <class P>
void reduce(const ReduceParams& p, const void* name_of_row) {
  if (p.kept_numel == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  const ReduceArgs a = reduce_args(p);
  const int processors = current_context().properties.multiProcessorCount;
  const bool many = a.kept_numel >= int64_t{processors} * kReduceThreads;
  if (a.reduced_numel <= kShortReduction || (many && reads_columns(a))) {
    launch(name, {grid_for(a.kept_numel, kReduceThreads), kReduceThreads}, reduce_thread_kernel<P>,
           a);
    return;
  }
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(a.kept_numel, 1 << 20));
  if (a.reduced_numel < kSplitFrom || a.kept_numel >= processors) {
    launch(name, {dim3(blocks), kReduceThreads}, reduce_block_kernel<P>, a, nullptr);
    return;
  }
  const auto parts =
      static_cast<unsigned>(std::min(kMaxParts, (a.reduced_numel + kPartSize - 1) / kPartSize));
  using Acc = typename P::Acc;
  const Scratch scratch(static_cast<size_t>(a.kept_numel) * parts * sizeof(Acc));
  launch(name, {dim3(blocks, parts), kReduceThreads}, reduce_block_kernel<P>, a, scratch.as<Acc>());
  launch(name, {grid_for(a.kept_numel, kReduceThreads), kReduceThreads}, reduce_parts_kernel<P>, a,
         scratch.as<Acc>(), static_cast<int>(parts));
}

using ReduceFn = KernelFn<ReduceParams>;

inline void set_reduce(const CudaHost& host, OpId op, const char* name, DTypeSet dtypes,
                       ReduceFn single, ReduceFn wide, ReduceFn integer) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!dtypes.has(dtype)) continue;
    ReduceFn fn = integer;
    if (is_floating(dtype)) fn = dtype == DType::Float64 ? wide : single;
    set_kernel<ReduceParams>(host, op, dtype, fn, name);
  }
}

}  // namespace ampgrad::cuda
