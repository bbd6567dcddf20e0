// Matrix products that accumulate in float: float32, float16 and bfloat16 share the register
// tiles and differ in how operands are packed and results stored.
#include "backend/cpu/gemm_kernels.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#define AG_MATH_SIMD
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/gemm_float.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "backend/cpu/gemm_tile-inl.h"
#include "backend/cpu/gemv-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

template <class T>
GemmKernels make_kernels() {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<AccOf<T>>()));
  void (*widened)(const GemmParams&) = nullptr;
  if constexpr (!std::is_same_v<WidenedOf<T>, T>) widened = gemm_tile<T, WidenedOf<T>>;
  // Pairs of bfloat16 are packed from bfloat16.
  const bool rounds_b = !std::is_same_v<T, float> && Tile<T>::dot_table() == nullptr;
  return {gemm_tile<T>,        widened, gemv<T>, gemv_finish<T>, widen<T>, kMaxRows,
          kMaxVectors * lanes, rounds_b};
}

GemmKernels kernels_f32() { return make_kernels<float>(); }
GemmKernels kernels_f16() { return make_kernels<Half>(); }
GemmKernels kernels_bf16() { return make_kernels<BFloat16>(); }

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(kernels_f32);
HWY_EXPORT(kernels_f16);
HWY_EXPORT(kernels_bf16);

GemmKernels gemm_kernels_f32() { return HWY_DYNAMIC_DISPATCH(kernels_f32)(); }
GemmKernels gemm_kernels_f16() { return HWY_DYNAMIC_DISPATCH(kernels_f16)(); }
GemmKernels gemm_kernels_bf16() { return HWY_DYNAMIC_DISPATCH(kernels_bf16)(); }

}  // namespace ampgrad::cpu
#endif
