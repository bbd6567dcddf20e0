// Gradient scaling per element and per step: the test for values that are not finite, the
// multiplication by the inverse scale, and how the scale moves. Host and device.
#pragma once

#include <cstdint>

#include "core/half.h"

namespace ampgrad::math {

AG_HD AG_INLINE bool is_finite(float x) { return (float_bits(x) & 0x7f800000u) != 0x7f800000u; }
AG_HD AG_INLINE bool is_finite(double x) {
  uint64_t u;
  memcpy(&u, &x, sizeof(u));
  return (u & 0x7ff0000000000000u) != 0x7ff0000000000000u;
}
AG_HD AG_INLINE bool is_finite(Half x) { return (x.bits & 0x7c00u) != 0x7c00u; }
AG_HD AG_INLINE bool is_finite(BFloat16 x) { return (x.bits & 0x7f80u) != 0x7f80u; }

AG_HD AG_INLINE float unscale(float x, float inv_scale) { return x * inv_scale; }
AG_HD AG_INLINE double unscale(double x, float inv_scale) {
  return x * static_cast<double>(inv_scale);
}
AG_HD AG_INLINE Half unscale(Half x, float inv_scale) { return to_half(to_float(x) * inv_scale); }
AG_HD AG_INLINE BFloat16 unscale(BFloat16 x, float inv_scale) {
  return to_bfloat16(to_float(x) * inv_scale);
}

// One step of the scale: back off after an overflow, but not below `min_scale`; grow after
// `interval` steps without one, unless that would not be finite.
AG_HD AG_INLINE void update_scale(float* scale, int32_t* tracker, bool found_inf, double growth,
                                  double backoff, int64_t interval, double min_scale) {
  if (found_inf) {
    const float smaller = static_cast<float>(static_cast<double>(*scale) * backoff);
    const float least = static_cast<float>(min_scale);
    // A scale that the caller set below the minimum is not raised by an overflow.
    const float bound = least < *scale ? least : *scale;
    *scale = smaller < bound ? bound : smaller;
    *tracker = 0;
    return;
  }
  const int64_t successes = static_cast<int64_t>(*tracker) + 1;
  if (successes != interval) {
    *tracker = static_cast<int32_t>(successes);
    return;
  }
  const float larger = static_cast<float>(static_cast<double>(*scale) * growth);
  if (is_finite(larger)) *scale = larger;
  *tracker = 0;
}

}  // namespace ampgrad::math
