// Reductions over dimensions: which way each shape is run, and the registration of their steps.
#include "backend/cuda/device/reduce.cuh"

#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/families.h"
#include "backend/cuda/geometry.h"
#include "backend/cuda/scratch.h"
#include "ops/params.h"

namespace ampgrad::cuda {

namespace {

constexpr int64_t kShort = 64;         // a thread folds this much by itself
constexpr int64_t kSplitFrom = 16384;  // worth several blocks
constexpr int64_t kPartSize = 8192;
constexpr int64_t kMaxParts = 512;

// Row-major dimensions of one operand, joined.
Geometry<1> geometry_of(const Dims& sizes, const Dims& strides, int64_t numel) {
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

ReduceArgs args_of(const ReduceParams& p) {
  ReduceArgs a;
  a.in = p.in;
  a.in_dtype = p.in_dtype;
  a.out = p.out;
  a.out_dtype = p.out_dtype;
  a.indices = p.indices;
  a.kept = geometry_of(p.kept_sizes, p.kept_strides, p.kept_numel);
  a.reduced = geometry_of(p.reduced_sizes, p.reduced_strides, p.reduced_numel);
  a.kept_numel = p.kept_numel;
  a.reduced_numel = p.reduced_numel;
  return a;
}

// Neighbouring threads of the thread-per-output kernel read neighbouring elements.
bool reads_columns(const ReduceArgs& a) {
  return a.kept.ndim > 0 && a.kept.strides[0][0] == 1 && a.kept.sizes[0] >= 32;
}

template <class P>
void reduce(const ReduceParams& p, const void* name_of_row) {
  if (p.kept_numel == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  const ReduceArgs a = args_of(p);
  const int processors = current_context().properties.multiProcessorCount;
  const bool many = a.kept_numel >= int64_t{processors} * kReduceThreads;
  if (a.reduced_numel <= kShort || (many && reads_columns(a))) {
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

void set(const CudaHost& host, OpId op, const char* name, DTypeSet dtypes, ReduceFn single,
         ReduceFn wide, ReduceFn integer) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!dtypes.has(dtype)) continue;
    ReduceFn fn = integer;
    if (is_floating(dtype)) fn = dtype == DType::Float64 ? wide : single;
    set_kernel<ReduceParams>(host, op, dtype, fn, name);
  }
}

template <template <class, bool> class P, bool kFlag>
void set_all(const CudaHost& host, OpId op, const char* name) {
  set(host, op, name, dtypes::kAll, reduce<P<float, kFlag>>, reduce<P<double, kFlag>>,
      reduce<P<int64_t, kFlag>>);
}

}  // namespace

void register_reduce(const CudaHost& host) {
  set_all<SumStep, false>(host, OpId::sum, "sum");
  set(host, OpId::mean, "mean", dtypes::kFloat, reduce<SumStep<float, true>>,
      reduce<SumStep<double, true>>, nullptr);
  set_all<ExtremeStep, true>(host, OpId::amax, "amax");
  set_all<ExtremeStep, false>(host, OpId::amin, "amin");
  set_all<ExtremeStep, true>(host, OpId::maxDim, "maxDim");
  set_all<ExtremeStep, true>(host, OpId::argmax, "argmax");
  set_all<ExtremeStep, false>(host, OpId::minDim, "minDim");
  set_all<ExtremeStep, false>(host, OpId::argmin, "argmin");
  const ReduceFn all = reduce<LogicalStep<true>>;
  const ReduceFn any = reduce<LogicalStep<false>>;
  set(host, OpId::all, "all", dtypes::kAll, all, all, all);
  set(host, OpId::any, "any", dtypes::kAll, any, any, any);
}

}  // namespace ampgrad::cuda
