// Storage types float16 (IEEE binary16) and bfloat16 with bit-exact, round-to-nearest-even
// conversion from and to float, written in integer arithmetic so that host and device agree.
// Arithmetic is never done in these types: load -> float -> compute -> one rounding -> store.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/macros.h"

namespace ampgrad {

struct Half {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

AG_HD AG_INLINE uint32_t float_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof(u));
  return u;
}

AG_HD AG_INLINE float bits_float(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof(x));
  return x;
}

AG_HD AG_INLINE float to_float(Half h) {
  const uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000u) << 16;
  const uint32_t magnitude = h.bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return bits_float(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude >= 0x0400u) return bits_float(sign | ((magnitude << 13) + 0x38000000u));
  // Subnormal: magnitude * 2^-24 is exact in float.
  const float value = static_cast<float>(magnitude) * 5.9604644775390625e-08f;
  return bits_float(sign | float_bits(value));
}

AG_HD AG_INLINE Half to_half(float x) {
  const uint32_t u = float_bits(x);
  const uint16_t sign = static_cast<uint16_t>(u >> 16 & 0x8000u);
  const uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {  // NaN: keep the top payload bits, set the quiet bit
    return Half{static_cast<uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu))};
  }
  if (magnitude >= 0x477ff000u) return Half{static_cast<uint16_t>(sign | 0x7c00u)};  // >= 65520
  if (magnitude < 0x38800000u) {  // result is subnormal: let float addition do the rounding
    const float shifted = bits_float(magnitude) + 0.5f;  // 0.5f has ulp 2^-24
    return Half{static_cast<uint16_t>(sign | (float_bits(shifted) - 0x3f000000u))};
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return Half{static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

AG_HD AG_INLINE float to_float(BFloat16 b) {
  return bits_float(static_cast<uint32_t>(b.bits) << 16);
}

AG_HD AG_INLINE BFloat16 to_bfloat16(float x) {
  const uint32_t u = float_bits(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return BFloat16{static_cast<uint16_t>(u >> 16 | 0x40u)};
  return BFloat16{static_cast<uint16_t>((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}

// double -> half must round once: a double that lies just off the middle of two halves would be
// moved onto the middle by a rounding to float. Round-to-odd in float keeps that information.
AG_HD AG_INLINE float round_to_odd(double x) {
  const float nearest = static_cast<float>(x);
  if (!(static_cast<double>(nearest) != x) || nearest != nearest) return nearest;
  uint32_t u = float_bits(nearest);
  if ((u & 0x7fffffffu) >= 0x7f800000u) return nearest;
  const double back = static_cast<double>(nearest);
  const bool away = x >= 0 ? back > x : back < x;
  if (away) u -= 1;  // truncated towards zero
  return bits_float(u | 1u);
}

AG_HD AG_INLINE Half to_half(double x) { return to_half(round_to_odd(x)); }
AG_HD AG_INLINE BFloat16 to_bfloat16(double x) { return to_bfloat16(round_to_odd(x)); }

}  // namespace ampgrad
