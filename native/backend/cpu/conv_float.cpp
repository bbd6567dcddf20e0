// Convolutions that accumulate in float: the types differ in how images are read and results
// stored.
#include "backend/cpu/conv_kernels.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/conv_float.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "backend/cpu/conv_tile-inl.h"
#include "backend/cpu/conv_weight-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

ConvKernels conv_f32() { return make_conv_kernels<float>(); }
ConvKernels conv_f16() { return make_conv_kernels<Half>(); }
ConvKernels conv_bf16() { return make_conv_kernels<BFloat16>(); }

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(conv_f32);
HWY_EXPORT(conv_f16);
HWY_EXPORT(conv_bf16);

ConvKernels conv_kernels_f32() { return HWY_DYNAMIC_DISPATCH(conv_f32)(); }
ConvKernels conv_kernels_f16() { return HWY_DYNAMIC_DISPATCH(conv_f16)(); }
ConvKernels conv_kernels_bf16() { return HWY_DYNAMIC_DISPATCH(conv_bf16)(); }

}  // namespace ampgrad::cpu
#endif
