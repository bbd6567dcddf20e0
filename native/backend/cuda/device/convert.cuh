// Conversions between all dtypes in kernels, the same as those of the CPU: one rounding, floats
// saturate to integers, NaN becomes 0, narrower integers keep the low bits.
#pragma once

#include <limits>
#include <type_traits>

#include "core/dtype.h"

namespace ampgrad::cuda {

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class S>
using OpMath = std::conditional_t<kIsHalf<S>, float, S>;

template <class T, class S>
AG_HD AG_INLINE T float_to_integer(S v) {
  using Wide = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  constexpr S kLow = static_cast<S>(std::numeric_limits<Wide>::min());
  constexpr S kEnd = -kLow;  // 2^31 or 2^63, exact
  if (!(v == v)) return T{0};
  if (v >= kEnd) return static_cast<T>(std::numeric_limits<Wide>::max());
  return static_cast<T>(static_cast<Wide>(v > kLow ? v : kLow));
}

template <class T, class S>
AG_HD AG_INLINE T cast(S v) {
  if constexpr (std::is_same_v<T, S>) {
    return v;
  } else if constexpr (kIsHalf<S>) {
    return cast<T>(to_float(v));
  } else if constexpr (std::is_same_v<T, Half>) {
    if constexpr (std::is_same_v<S, double>) {
      return to_half(v);
    } else {
      return to_half(static_cast<float>(v));
    }
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    if constexpr (std::is_same_v<S, double>) {
      return to_bfloat16(v);
    } else {
      return to_bfloat16(static_cast<float>(v));
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
