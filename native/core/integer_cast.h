// Floating point numbers to integers, the same on every device. A plain cast of a value out of
// range would be undefined behaviour: as on x86, NaN and such values become the lowest int32 (int64
// for an int64 target), of which narrower integers keep the low bits.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/macros.h"

namespace ampgrad {

template <class T, class S>
AG_HD AG_INLINE T float_to_integer(S v) {
  using Wide = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
  constexpr S kLow = static_cast<S>(std::numeric_limits<Wide>::min());
  // The first values that do not fit; below kLow a fraction may still be cut off.
  constexpr S kBeyond = -kLow;
  constexpr S kBelow = sizeof(S) > sizeof(Wide) ? kLow - S{1} : kLow;
  const bool fits = v < kBeyond && (sizeof(S) > sizeof(Wide) ? v > kBelow : v >= kLow);
  return static_cast<T>(static_cast<Wide>(fits ? v : kLow));
}

}  // namespace ampgrad
