// Matrix products of float64. A unit of its own, so that the two sets of register tiles compile
// in parallel.
#include "backend/cpu/gemm_kernels.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#define AG_MATH_SIMD
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm_double.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "backend/cpu/gemm_tile-inl.h"
#include "backend/cpu/gemv-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

template <class T>
GemmKernels make_kernels() {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<AccOf<T>>()));
  return {gemm_tile<T>, nullptr, gemv<T>, gemv_finish<T>, widen<T>, kMaxRows, kMaxVectors * lanes};
}

GemmKernels kernels_f64() { return make_kernels<double>(); }

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(kernels_f64);

GemmKernels gemm_kernels_f64() { return HWY_DYNAMIC_DISPATCH(kernels_f64)(); }

}  // namespace ampgrad::cpu
#endif
