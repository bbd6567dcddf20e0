// From random bits to random numbers, host and device. Everything for float is written with plain
// (never fused) multiplications and additions and without library calls, so that every instruction
// set and every device makes the same bits; float64 uses the library's log and cos. On a device a
// product that a sum follows has to be a product(): nvcc fuses the two otherwise.
//
// Numbers per Philox block of 128 bits: 4 for float32 and the halves, 2 for float64 and integers.
#pragma once

#include <cmath>

#include "core/half.h"
#include "core/philox.h"

namespace ampgrad::math {

AG_HD AG_INLINE float product(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
AG_HD AG_INLINE double product(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

// k of the 24 leading bits: uniform on {0, 2^-24, ..., 1 - 2^-24}.
AG_HD AG_INLINE float uniform_float(uint32_t word) {
  return static_cast<float>(static_cast<int32_t>(word >> 8)) * 5.9604644775390625e-08f;
}

// The 53 leading bits: uniform on [0, 1) in steps of 2^-53.
AG_HD AG_INLINE double uniform_double(uint64_t word) {
  return static_cast<double>(word >> 11) * 1.1102230246251565e-16;
}

// Uniform on (0, 1]: the argument of a logarithm. The smallest value is 2^-33, which lets a normal
// number reach 6.7 standard deviations.
AG_HD AG_INLINE float open_uniform_float(uint32_t word) {
  const float high =
      product(static_cast<float>(static_cast<int32_t>(word >> 16)), 1.52587890625e-05f);
  const float low = product(static_cast<float>(static_cast<int32_t>(word & 0xffffu)) + 0.5f,
                            2.3283064365386963e-10f);
  return high + low;
}

AG_HD AG_INLINE double open_uniform_double(uint64_t word) {
  return (static_cast<double>(word >> 11) + 0.5) * 1.1102230246251565e-16;
}

// Natural logarithm of a positive normal float: x = m * 2^e with m in [sqrt(1/2), sqrt(2)), then a
// polynomial in m - 1 (coefficients of Cephes logf). Within 1 ulp for x <= 1.
AG_HD AG_INLINE float log_positive(float x) {
  const int32_t bits = static_cast<int32_t>(float_bits(x));
  const int32_t offset = bits - 0x3f3504f3;  // sqrt(1/2)
  const int32_t exponent = offset >> 23;
  const float m = bits_float(static_cast<uint32_t>(bits - (exponent << 23)));
  const float f = m - 1.0f;
  const float z = f * f;
  float y = 7.0376836292e-2f;
  y = product(y, f) + -1.1514610310e-1f;
  y = product(y, f) + 1.1676998740e-1f;
  y = product(y, f) + -1.2420140846e-1f;
  y = product(y, f) + 1.4249322787e-1f;
  y = product(y, f) + -1.6668057665e-1f;
  y = product(y, f) + 2.0000714765e-1f;
  y = product(y, f) + -2.4999993993e-1f;
  y = product(y, f) + 3.3333331174e-1f;
  const float e = static_cast<float>(exponent);
  y = product(product(y, f), z) + product(e, -2.12194440e-4f) - product(0.5f, z);
  return f + y + product(e, 0.693359375f);
}

// cos and sin of 2 pi * word / 2^32, from the fraction of a turn: the reduction is exact.
AG_HD AG_INLINE void cos_sin_turn(uint32_t word, float* cosine, float* sine) {
  // Nearest quarter turn, and what is left: an angle in [-pi/4, pi/4).
  const uint32_t rounded = word + 0x20000000u;
  const uint32_t quadrant = rounded >> 30;
  const int32_t rest = static_cast<int32_t>(rounded & 0x3fffffffu) - 0x20000000;
  const float a = static_cast<float>(rest) * 1.4629180792671596e-09f;  // 2 pi / 2^32
  const float z = a * a;
  float s = -1.9515295891e-4f;
  s = product(s, z) + 8.3321608736e-3f;
  s = product(s, z) + -1.6666654611e-1f;
  s = product(product(s, z), a) + a;
  float c = 2.443315711809948e-5f;
  c = product(c, z) + -1.388731625493765e-3f;
  c = product(c, z) + 4.166664568298827e-2f;
  c = product(product(c, z), z) - product(0.5f, z) + 1.0f;
  const bool swap = (quadrant & 1u) != 0;
  const uint32_t sine_sign = (quadrant & 2u) << 30;
  const uint32_t cosine_sign = ((quadrant + 1u) & 2u) << 30;
  *cosine = bits_float(float_bits(swap ? s : c) ^ cosine_sign);
  *sine = bits_float(float_bits(swap ? c : s) ^ sine_sign);
}

// Box-Muller: two independent standard normal numbers from two words.
AG_HD AG_INLINE void normal_pair(uint32_t first, uint32_t second, float* a, float* b) {
  const float radius = sqrtf(-2.0f * log_positive(open_uniform_float(first)));
  float cosine;
  float sine;
  cos_sin_turn(second, &cosine, &sine);
  *a = radius * cosine;
  *b = radius * sine;
}

AG_HD AG_INLINE void normal_pair(uint64_t first, uint64_t second, double* a, double* b) {
  const double radius = ::sqrt(-2.0 * ::log(open_uniform_double(first)));
#if defined(__CUDA_ARCH__)
  double sine;
  double cosine;
  ::sincospi(2 * uniform_double(second), &sine, &cosine);
  *a = radius * cosine;
  *b = radius * sine;
#else
  const double angle = 6.283185307179586 * uniform_double(second);
  *a = radius * ::cos(angle);
  *b = radius * ::sin(angle);
#endif
}

// Uniform on {0, ..., range - 1}: the high word of a product, biased by less than range / 2^64.
// A range of 0 stands for 2^64.
AG_HD AG_INLINE uint64_t bounded(uint64_t word, uint64_t range) {
  if (range == 0) return word;
#if defined(__CUDA_ARCH__)
  return __umul64hi(word, range);
#else
  return static_cast<uint64_t>((static_cast<unsigned __int128>(word) * range) >> 64);
#endif
}

// Threshold t such that word < t has probability p (to 2^-32), with p = 0 and p = 1 exact.
AG_HD AG_INLINE uint64_t bernoulli_threshold(double p) {
  return static_cast<uint64_t>(p * 4294967296.0 + 0.5);
}

}  // namespace ampgrad::math
