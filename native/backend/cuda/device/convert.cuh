// Conversions between all dtypes in kernels, the same as those of the CPU: one rounding, and
// core/integer_cast.h for what no integer holds.
#pragma once

#include <type_traits>

#include "core/dtype.h"
#include "core/integer_cast.h"

namespace ampgrad::cuda {

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class S>
using OpMath = std::conditional_t<kIsHalf<S>, float, S>;

// The conversions of core/half.h by the device's instructions: the same numbers, rounded the same
// way. Architectures before sm_80 have none to bfloat16.
AG_HD AG_INLINE float widen(Half h) {
#if defined(__CUDA_ARCH__)
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h.bits));
  return x;
#else
  return to_float(h);
#endif
}
AG_HD AG_INLINE float widen(BFloat16 b) { return to_float(b); }

AG_HD AG_INLINE Half narrow_half(float x) {
#if defined(__CUDA_ARCH__)
  Half h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(x));
  return h;
#else
  return to_half(x);
#endif
}
AG_HD AG_INLINE BFloat16 narrow_bfloat16(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  BFloat16 b;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(b.bits) : "f"(x));
  return b;
#else
  return to_bfloat16(x);
#endif
}

template <class T, class S>
AG_HD AG_INLINE T cast(S v) {
  if constexpr (std::is_same_v<T, S>) {
    return v;
  } else if constexpr (kIsHalf<S>) {
    return cast<T>(widen(v));
  } else if constexpr (std::is_same_v<T, Half>) {
    if constexpr (std::is_same_v<S, double>) {
      return to_half(v);
    } else {
      return narrow_half(static_cast<float>(v));
    }
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    if constexpr (std::is_same_v<S, double>) {
      return to_bfloat16(v);
    } else {
      return narrow_bfloat16(static_cast<float>(v));
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    return v != S{0};
  } else if constexpr (std::is_floating_point_v<S> && std::is_integral_v<T>) {
    return float_to_integer<T>(v);
  } else {
    return static_cast<T>(v);
  }
}

// Out of line: these switches stand once a type, not once a kernel.
template <class T>
AG_HD AG_NOINLINE T load_as(const void* base, DType dtype, int64_t at) {
  switch (dtype) {
#define AG_CASE(name, type, text) \
  case DType::name:               \
    return cast<T>(static_cast<const type*>(base)[at]);
    AG_FOR_EACH_DTYPE(AG_CASE)
#undef AG_CASE
  }
  return T{};
}

template <class T>
AG_HD AG_NOINLINE void store_as(void* base, DType dtype, int64_t at, T value) {
  switch (dtype) {
#define AG_CASE(name, type, text)                     \
  case DType::name:                                   \
    static_cast<type*>(base)[at] = cast<type>(value); \
    break;
    AG_FOR_EACH_DTYPE(AG_CASE)
#undef AG_CASE
  }
}

}  // namespace ampgrad::cuda
