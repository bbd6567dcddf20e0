// The kernels of conv_winograd.h for the dtypes that sum in float, per Highway target.
#include "backend/cpu/conv_winograd.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/conv_winograd_kernels.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "backend/cpu/conv_winograd-inl.h"
#include "backend/cpu/conv_winograd_weight-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

template <class T>
WinogradKernels make_winograd_kernels() {
  WinogradKernels k;
#if HWY_TARGET != HWY_SCALAR
  k.weights = winograd_weights<T>;
  k.tiles = winograd_tiles<T>;
  k.product = winograd_product<T>;
  k.source_panel = winograd_source_panel<T>;
  k.grad_panel = winograd_grad_panel<T>;
  k.sum = winograd_sum<AccOf<T>>;
  k.write = winograd_write<AccOf<T>, T>;
  if constexpr (!std::is_same_v<WidenedOf<T>, T>) {
    k.write_widened = winograd_write<AccOf<T>, WidenedOf<T>>;
  }
  k.rows = kMaxRows;
  k.cols = kMaxVectors * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<AccOf<T>>()));
#endif
  return k;
}

WinogradKernels winograd_f32() { return make_winograd_kernels<float>(); }
WinogradKernels winograd_f16() { return make_winograd_kernels<Half>(); }
WinogradKernels winograd_bf16() { return make_winograd_kernels<BFloat16>(); }

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(winograd_f32);
HWY_EXPORT(winograd_f16);
HWY_EXPORT(winograd_bf16);

WinogradKernels winograd_kernels(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return HWY_DYNAMIC_DISPATCH(winograd_f32)();
    case DType::Float16:
      return HWY_DYNAMIC_DISPATCH(winograd_f16)();
    case DType::BFloat16:
      return HWY_DYNAMIC_DISPATCH(winograd_bf16)();
    default:
      return {};
  }
}

}  // namespace ampgrad::cpu
#endif
