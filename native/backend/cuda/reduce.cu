// Sums, means, extremes and truth values over dimensions.
#include "backend/cuda/families.h"
#include "backend/cuda/reduce_launch.cuh"

namespace ampgrad::cuda {

namespace {

template <template <class, bool> class P, bool kFlag>
void set_all(const CudaHost& host, OpId op, const char* name) {
  set_reduce(host, op, name, dtypes::kAll, reduce<P<float, kFlag>>, reduce<P<double, kFlag>>,
             reduce<P<int64_t, kFlag>>);
}

}  // namespace

void register_reduce(const CudaHost& host) {
  set_all<SumStep, false>(host, OpId::sum, "sum");
  set_reduce(host, OpId::mean, "mean", dtypes::kFloat, reduce<SumStep<float, true>>,
             reduce<SumStep<double, true>>, nullptr);
  set_all<ExtremeStep, true>(host, OpId::amax, "amax");
  set_all<ExtremeStep, false>(host, OpId::amin, "amin");
  set_all<ExtremeStep, true>(host, OpId::maxDim, "maxDim");
  set_all<ExtremeStep, true>(host, OpId::argmax, "argmax");
  set_all<ExtremeStep, false>(host, OpId::minDim, "minDim");
  set_all<ExtremeStep, false>(host, OpId::argmin, "argmin");
  const ReduceFn all = reduce<LogicalStep<true>>;
  const ReduceFn any = reduce<LogicalStep<false>>;
  set_reduce(host, OpId::all, "all", dtypes::kAll, all, all, all);
  set_reduce(host, OpId::any, "any", dtypes::kAll, any, any, any);
}

}  // namespace ampgrad::cuda
