// Convolutions of float64, a unit of its own so that the two sets of tiles compile in parallel.
#include "backend/cpu/conv_kernels.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/conv_double.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "backend/cpu/conv_tile-inl.h"
#include "backend/cpu/conv_weight-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

ConvKernels conv_f64() { return make_conv_kernels<double>(); }

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(conv_f64);

ConvKernels conv_kernels_f64() { return HWY_DYNAMIC_DISPATCH(conv_f64)(); }

}  // namespace ampgrad::cpu
#endif
