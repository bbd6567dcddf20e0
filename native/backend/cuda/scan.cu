// Running sums, products and log-sum-exps.
#include "backend/cuda/families.h"
#include "backend/cuda/scan_launch.cuh"

namespace ampgrad::cuda {

void register_scan(const CudaHost& host) {
#define AG_SET(name, S, text)                                                                    \
  set_kernel<ScanParams>(host, OpId::cumsum, DType::name, run_scan<S, RunningSum<S>>, "cumsum"); \
  set_kernel<ScanParams>(host, OpId::cumprod, DType::name, run_scan<S, RunningProduct<S>>,       \
                         "cumprod");                                                             \
  if constexpr (kFloatingStorage<S>) {                                                           \
    set_kernel<ScanParams>(host, OpId::logcumsumexp, DType::name,                                \
                           run_scan<S, RunningLogSumExp<S>>, "logcumsumexp");                    \
  }
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
