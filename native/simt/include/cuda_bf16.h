// Stands in for the toolkit's header: bfloat16 as storage, with conversions of one rounding. This
// repository does no arithmetic in it. As there, a number that becomes bfloat16 knows one NaN.
#pragma once

#include <cuda_runtime.h>

#include "core/half.h"

struct alignas(2) __nv_bfloat16 {
  uint16_t bits;
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline float __bfloat162float(__nv_bfloat16 b) {
  return ampgrad::to_float(ampgrad::BFloat16{b.bits});
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  return {x == x ? ampgrad::to_bfloat16(x).bits : uint16_t{0x7fff}};
}
inline __nv_bfloat16 __float2bfloat16(float x) { return __float2bfloat16_rn(x); }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 low, __nv_bfloat16 high) {
  return {low, high};
}
inline __nv_bfloat162 __floats2bfloat162_rn(float low, float high) {
  return {__float2bfloat16_rn(low), __float2bfloat16_rn(high)};
}
inline float __low2float(__nv_bfloat162 v) { return __bfloat162float(v.x); }
inline float __high2float(__nv_bfloat162 v) { return __bfloat162float(v.y); }
inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 b) { return b.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t bits) { return {bits}; }
