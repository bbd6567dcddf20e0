// Stands in for the toolkit's header: float16 as storage, with conversions of one rounding. This
// repository does no arithmetic in it. As there, a conversion knows one NaN, without a payload.
#pragma once

#include <cuda_runtime.h>

#include "core/half.h"

struct alignas(2) __half {
  uint16_t bits;
};
struct alignas(4) __half2 {
  __half x, y;
};
using half = __half;
using half2 = __half2;

inline float __half2float(__half h) {
  const float x = ampgrad::to_float(ampgrad::Half{h.bits});
  return x == x ? x : __uint_as_float(0x7fffffffu);
}
inline __half __float2half_rn(float x) {
  return {x == x ? ampgrad::to_half(x).bits : uint16_t{0x7fff}};
}
inline __half __float2half(float x) { return __float2half_rn(x); }
inline __half2 __halves2half2(__half low, __half high) { return {low, high}; }
inline __half __low2half(__half2 v) { return v.x; }
inline __half __high2half(__half2 v) { return v.y; }
inline __half2 __floats2half2_rn(float low, float high) {
  return {__float2half_rn(low), __float2half_rn(high)};
}
inline float __low2float(__half2 v) { return __half2float(v.x); }
inline float __high2float(__half2 v) { return __half2float(v.y); }
inline uint16_t __half_as_ushort(__half h) { return h.bits; }
inline __half __ushort_as_half(uint16_t bits) { return {bits}; }
