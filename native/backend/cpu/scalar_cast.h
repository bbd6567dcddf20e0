// Conversion of one number (a Scalar, a double, an accumulator) to a storage type, for kernels that
// make values themselves. Runs of elements go through convert.h.
#pragma once

#include <type_traits>

#include "core/half.h"
#include "core/scalar.h"

namespace ampgrad::cpu {

template <class T>
AG_INLINE T from_double(double v) {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(v);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(v);
  } else if constexpr (std::is_same_v<T, bool>) {
    return v != 0;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(Scalar::float_to_int(v));
  } else {
    return static_cast<T>(v);
  }
}

template <class T>
AG_INLINE T scalar_to(Scalar s) {
  if constexpr (std::is_same_v<T, bool>) {
    return s.to_bool();
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(s.to_int());
  } else {
    return from_double<T>(s.to_double());
  }
}

}  // namespace ampgrad::cpu
