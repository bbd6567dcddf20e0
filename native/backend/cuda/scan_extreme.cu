// Running extremes with their positions.
#include "backend/cuda/families.h"
#include "backend/cuda/scan_launch.cuh"

namespace ampgrad::cuda {

void register_scan_extreme(const CudaHost& host) {
#define AG_SET(name, S, text)                                                                    \
  set_kernel<ScanParams>(host, OpId::cummax, DType::name, run_scan<S, RunningExtreme<S, true>>,  \
                         "cummax");                                                              \
  set_kernel<ScanParams>(host, OpId::cummin, DType::name, run_scan<S, RunningExtreme<S, false>>, \
                         "cummin");
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
