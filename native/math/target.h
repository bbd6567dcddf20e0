// Where the functors of native/math live. A unit compiled once per instruction set defines
// AG_MATH_SIMD before it includes an -inl.h header: the functors then stand in that target's own
// namespace and also accept vectors. Everywhere else (nvcc, plain host code) they stand in
// ampgrad::math and take scalars. The -inl.h headers carry a guard that follows
// HWY_TARGET_TOGGLE, so that each target gets its own copy.
#pragma once

#include "core/macros.h"

#ifdef AG_MATH_SIMD
#define AG_MATH_BEGIN     \
  HWY_BEFORE_NAMESPACE(); \
  namespace ampgrad::math::HWY_NAMESPACE {
#define AG_MATH_END \
  }                 \
  HWY_AFTER_NAMESPACE();
#else
#define AG_MATH_BEGIN namespace ampgrad::math {
#define AG_MATH_END }
#endif

// Every function of native/math: host, device, always inlined.
#define AG_MATH AG_HD AG_INLINE
