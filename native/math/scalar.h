// Functions that have no vector form: the C library's, under one name for float and double, and our
// own for what C lacks (digamma, erfinv, Python's modulo and integer helpers). Host and device.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/macros.h"

namespace ampgrad::math::scalar {

#define AG_SCALAR_1(name)                                      \
  AG_HD AG_INLINE float name(float x) { return ::name##f(x); } \
  AG_HD AG_INLINE double name(double x) { return ::name(x); }
#define AG_SCALAR_2(name)                                                  \
  AG_HD AG_INLINE float name(float x, float y) { return ::name##f(x, y); } \
  AG_HD AG_INLINE double name(double x, double y) { return ::name(x, y); }
AG_SCALAR_1(log10)
AG_SCALAR_1(sin)
AG_SCALAR_1(cos)
AG_SCALAR_1(tan)
AG_SCALAR_1(asin)
AG_SCALAR_1(acos)
AG_SCALAR_1(atan)
AG_SCALAR_1(sinh)
AG_SCALAR_1(cosh)
AG_SCALAR_1(asinh)
AG_SCALAR_1(acosh)
AG_SCALAR_1(atanh)
AG_SCALAR_1(erfc)
AG_SCALAR_2(pow)
AG_SCALAR_2(atan2)
AG_SCALAR_2(hypot)
AG_SCALAR_2(nextafter)
AG_SCALAR_2(fmod)
#undef AG_SCALAR_1
#undef AG_SCALAR_2

// The C library's lgamma writes a global; the reentrant form does not.
AG_HD AG_INLINE double lgamma(double x) {
#if defined(__CUDA_ARCH__) || !defined(__GLIBC__)
  return ::lgamma(x);
#else
  int sign = 0;
  return ::lgamma_r(x, &sign);
#endif
}
AG_HD AG_INLINE float lgamma(float x) { return static_cast<float>(lgamma(static_cast<double>(x))); }

// Reflection below 1/2, recurrence up to 10, then the asymptotic series; about 1e-15 relative away
// from the zeros. Poles: -0 -> inf, +0 -> -inf, negative integers -> NaN.
AG_HD AG_INLINE double digamma(double x) {
  if (x == 0) return ::copysign(std::numeric_limits<double>::infinity(), -x);
  double result = 0;
  if (x < 0) {
    const double fraction = x - ::floor(x);
    if (fraction == 0) return std::numeric_limits<double>::quiet_NaN();
    constexpr double kPi = 3.14159265358979323846;
    result = -kPi / ::tan(kPi * fraction);
    x = 1 - x;
  }
  while (x < 10) {
    result -= 1 / x;
    x += 1;
  }
  const double y = 1 / (x * x);
  const double series =
      y * (1.0 / 12 - y * (1.0 / 120 -
                           y * (1.0 / 252 -
                                y * (1.0 / 240 - y * (1.0 / 132 - y * (691.0 / 32760 - y / 12))))));
  return result + ::log(x) - 0.5 / x - series;
}
AG_HD AG_INLINE float digamma(float x) {
  return static_cast<float>(digamma(static_cast<double>(x)));
}

// A rational start (Acklam-style, central and tail pieces), then two Newton steps on erf; about
// 1e-15. +-1 -> +-inf, beyond -> NaN.
AG_HD AG_INLINE double erfinv(double y) {
  const double magnitude = ::fabs(y);
  if (!(magnitude <= 1)) return std::numeric_limits<double>::quiet_NaN();
  if (magnitude == 1) return ::copysign(std::numeric_limits<double>::infinity(), y);
  double x;
  if (magnitude <= 0.7) {
    const double z = y * y;
    const double p = ((-0.140543331 * z + 0.914624893) * z - 1.645349621) * z + 0.886226899;
    const double q =
        (((0.012229801 * z - 0.329097515) * z + 1.442710462) * z - 2.118377725) * z + 1;
    x = y * p / q;
  } else {
    const double z = ::sqrt(-::log((1 - magnitude) / 2));
    const double p = ((1.641345311 * z + 3.429567803) * z - 1.624906493) * z - 1.970840454;
    const double q = (1.637067800 * z + 3.543889200) * z + 1;
    x = ::copysign(p / q, y);
  }
  constexpr double kTwoOverRootPi = 1.12837916709551257390;
  const double sign = y < 0 ? -1 : 1;
  for (int i = 0; i < 2; ++i) {
    // Near +-1 erf has lost the digits that erfc keeps.
    const double error =
        magnitude <= 0.7 ? ::erf(x) - y : sign * ((1 - magnitude) - ::erfc(::fabs(x)));
    x -= error / (kTwoOverRootPi * ::exp(-x * x));
  }
  return x;
}
AG_HD AG_INLINE float erfinv(float y) { return static_cast<float>(erfinv(static_cast<double>(y))); }

// Python's modulo: the sign of the divisor.
template <class T>
AG_HD AG_INLINE T floor_mod(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return 0;  // the op layer has raised
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;  // the most negative number over -1 traps
    }
    const T rest = static_cast<T>(a % b);
    return static_cast<T>(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
  } else {
    const T rest = fmod(a, b);
    return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;
  }
}

// Python's floor division, from the exact remainder, so that rounding cannot cross an integer.
template <class T>
AG_HD AG_INLINE T floor_divide(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return static_cast<T>(uint64_t{0} - static_cast<uint64_t>(a));
    }
    const T quotient = static_cast<T>(a / b);
    return static_cast<T>(a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient);
  } else {
    if (b == 0) return a / b;
    const T rest = fmod(a, b);
    T quotient = (a - rest) / b;
    if (rest != 0 && (b < 0) != (rest < 0)) quotient -= T{1};
    if (quotient == 0) return std::copysign(T{0}, a / b);
    const T whole = std::floor(quotient);
    return quotient - whole > T{0.5} ? whole + T{1} : whole;
  }
}

// C's integer division, without its traps.
template <class T>
AG_HD AG_INLINE T trunc_divide(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(uint64_t{0} - static_cast<uint64_t>(a));
  }
  return static_cast<T>(a / b);
}
template <class T>
AG_HD AG_INLINE T trunc_mod(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return static_cast<T>(a % b);
}

// By squaring, wrapping around. A negative exponent gives 0 except for bases 1 and -1.
template <class T>
AG_HD AG_INLINE T int_pow(T base, T exponent) {
  if constexpr (std::is_signed_v<T>) {
    if (exponent < 0) {
      if (base == 1) return 1;
      if (base == -1) return static_cast<T>((exponent & 1) != 0 ? -1 : 1);
      return 0;
    }
  }
  uint64_t result = 1;
  uint64_t power = static_cast<uint64_t>(base);
  for (uint64_t e = static_cast<uint64_t>(exponent); e != 0; e >>= 1) {
    if ((e & 1u) != 0) result *= power;
    power *= power;
  }
  return static_cast<T>(result);
}

template <class T>
AG_HD AG_INLINE uint64_t magnitude(T a) {
  return a < 0 ? uint64_t{0} - static_cast<uint64_t>(a) : static_cast<uint64_t>(a);
}

template <class T>
AG_HD AG_INLINE T gcd(T a, T b) {
  uint64_t x = magnitude(a);
  uint64_t y = magnitude(b);
  while (y != 0) {
    const uint64_t rest = x % y;
    x = y;
    y = rest;
  }
  return static_cast<T>(x);
}

template <class T>
AG_HD AG_INLINE T lcm(T a, T b) {
  const uint64_t divisor = magnitude(gcd(a, b));
  if (divisor == 0) return 0;
  const T result = static_cast<T>(magnitude(a) / divisor * magnitude(b));
  return result < 0 ? static_cast<T>(uint64_t{0} - static_cast<uint64_t>(result)) : result;
}

// Shifts by a negative count or by all bits and more: what shifting in zeros (or signs) for ever
// would give.
template <class T>
AG_HD AG_INLINE T shift_left(T a, T count) {
  constexpr int kBits = static_cast<int>(8 * sizeof(T));
  const bool valid = count >= 0 && static_cast<uint64_t>(count) < kBits;
  return valid ? static_cast<T>(static_cast<uint64_t>(a) << count) : T{0};
}
template <class T>
AG_HD AG_INLINE T shift_right(T a, T count) {
  constexpr int kBits = static_cast<int>(8 * sizeof(T));
  const bool valid = count >= 0 && static_cast<uint64_t>(count) < kBits;
  return static_cast<T>(valid ? a >> count : (a < 0 ? -1 : 0));
}

}  // namespace ampgrad::math::scalar
