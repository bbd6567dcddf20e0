// Element-wise block functions for float32 (also serves float16 and bfloat16), one set per
// instruction set.
#include "backend/cpu/elementwise_blocks.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#define AG_MATH_SIMD
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise_float.cpp"
#include "hwy/foreach_target.h"

// After foreach_target.h, which includes this unit once a target.
#include "backend/cpu/elementwise_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {
void fill_float(BlockTable* table) { fill_rows<float>(table); }
}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {
HWY_EXPORT(fill_float);
void fill_float_blocks(BlockTable* table) { HWY_DYNAMIC_DISPATCH(fill_float)(table); }
}  // namespace ampgrad::cpu
#endif
