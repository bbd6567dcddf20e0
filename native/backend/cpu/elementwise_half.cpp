// Element-wise block functions of cheap rows for float16 and bfloat16, one set per instruction set.
#include "backend/cpu/elementwise_blocks.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#define AG_MATH_SIMD
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise_half.cpp"
#include "hwy/foreach_target.h"

// After foreach_target.h, which includes this unit once a target.
#include "backend/cpu/elementwise_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {
void fill_half(BlockTable* table) {
  fill_rows<Half>(table);
  fill_rows<BFloat16>(table);
}
}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {
HWY_EXPORT(fill_half);
void fill_half_blocks(BlockTable* table) { HWY_DYNAMIC_DISPATCH(fill_half)(table); }
}  // namespace ampgrad::cpu
#endif
