// Per-element steps of softmax, log-softmax and cross entropy, host and device. The exponential is
// branch-free and free of library calls, so loops over it vectorise and every device agrees.
#include "math/target.h"

#if defined(AG_MATH_SOFTMAX_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_SOFTMAX_INL_H
#undef AG_MATH_SOFTMAX_INL_H
#else
#define AG_MATH_SOFTMAX_INL_H
#endif

#include <cmath>

#include "core/half.h"

AG_MATH_BEGIN

// e^x for x <= 0, within 1 ulp; 0 for x = -inf, NaN for NaN, gradual underflow. x = k ln 2 + r with
// |r| <= ln(2) / 2, a degree-6 polynomial in r (coefficients of Cephes expf), then two scalings by
// powers of two so that subnormal results need no special case.
AG_MATH float exp_nonpositive(float x) {
  const float clamped = x < -104.0f ? -104.0f : x;
  const float shifted = clamped * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: rounds
  const float k = shifted - 12582912.0f;
  float r = clamped - k * 0.693359375f;
  r = r - k * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const int32_t n = static_cast<int32_t>(float_bits(shifted) - 0x4b400000u);
  const int32_t half = n >> 1;
  const float first = bits_float(static_cast<uint32_t>(half + 127) << 23);
  const float second = bits_float(static_cast<uint32_t>(n - half + 127) << 23);
  return p * first * second;
}

AG_MATH double exp_nonpositive(double x) { return ::exp(x); }

// Gradient of softmax from its output y: y * (g - sum(g y)).
template <class T>
AG_MATH T softmax_grad(T grad, T output, T dot) {
  return output * (grad - dot);
}

// Gradient of log-softmax from its output: g - e^y * sum(g).
template <class T>
AG_MATH T log_softmax_grad(T grad, T output, T sum) {
  return grad - exp_nonpositive(output) * sum;
}

AG_MATH_END

#endif
