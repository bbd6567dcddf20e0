// Special functions in double, host and device: Hurwitz zeta and polygamma, modified Bessel
// functions, the scaled complementary error function and the normal distribution. float callers
// widen, which makes their results correctly rounded but for ties.
#pragma once

#include "math/scalar.h"

namespace ampgrad::math::scalar {

// Sum over k >= 0 of (q + k)^-s for q > 0, s > 1: nine terms or more, then Euler-Maclaurin with
// B_2j / (2j)!; 2e-15 relative.
AG_HD AG_INLINE double zeta_positive(double s, double q) {
  double term = ::pow(q, -s);
  double sum = term;
  double a = q;
  for (int i = 0; i < 9 || a <= 9; ++i) {
    a += 1;
    term = ::pow(a, -s);
    sum += term;
    if (!(term > sum * 1e-17)) return sum;
  }
  sum += term * a / (s - 1) - 0.5 * term;
  constexpr double kBernoulli[] = {1.0 / 12,           -1.0 / 720,     1.0 / 30240,
                                   -1.0 / 1209600,     1.0 / 47900160, -691.0 / 1307674368000.0,
                                   1.0 / 74724249600.0};
  double factor = term * s / a;
  for (int j = 0; j < 7; ++j) {
    sum += kBernoulli[j] * factor;
    factor *= (s + 2 * j + 1) * (s + 2 * j + 2) / (a * a);
  }
  return sum;
}

// Hurwitz zeta. Poles at q = 0, -1, ...; below 0 only whole s have real values: there the terms on
// either side of the sign change are two positive sums.
AG_HD AG_INLINE double zeta(double s, double q) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  if (s == 1) return kInf;
  if (!(s > 1) || q != q) return kNaN;
  if (q > 0) return zeta_positive(s, q);
  if (q == ::floor(q)) return kInf;
  if (s != ::floor(s)) return kNaN;
  const double rest = q - ::floor(q);
  const double below = zeta_positive(s, 1 - rest) - zeta_positive(s, 1 - q);
  return zeta_positive(s, rest) + (::fmod(s, 2.0) == 0 ? below : -below);
}

// n-th derivative of digamma.
AG_HD AG_INLINE double polygamma(int64_t n, double x) {
  if (n == 0) return digamma(x);
  if (n == 1 && x == -std::numeric_limits<double>::infinity()) return x - x;  // there is no limit
  const double order = static_cast<double>(n);
  const double magnitude = ::tgamma(order + 1) * zeta(order + 1, x);
  return n % 2 != 0 ? magnitude : -magnitude;
}

// e^-|x| I_nu(|x|), nu = 0 or 1: the power series (all terms positive), or the asymptotic one;
// 1e-15 relative.
AG_HD AG_INLINE double bessel_i_scaled(int nu, double magnitude) {
  if (magnitude < 24) {
    const double q = magnitude * magnitude / 4;
    double term = nu == 0 ? 1 : magnitude / 2;
    double sum = term;
    for (int k = 1; k < 100 && term > sum * 1e-17; ++k) {
      term *= q / (k * (k + nu));
      sum += term;
    }
    return sum * ::exp(-magnitude);
  }
  double term = 1;
  double sum = 1;
  for (int k = 1; k <= 30; ++k) {
    const double odd = 2 * k - 1;
    term *= (odd * odd - 4 * nu) / (8 * k * magnitude);
    sum += term;
  }
  return sum / ::sqrt(2 * 3.14159265358979323846 * magnitude);
}

AG_HD AG_INLINE double bessel_i0e(double x) { return bessel_i_scaled(0, ::fabs(x)); }
AG_HD AG_INLINE double bessel_i1e(double x) {
  return ::copysign(1.0, x) * bessel_i_scaled(1, ::fabs(x));
}
// The factor e^|x| in halves: it overflows before the product does.
AG_HD AG_INLINE double unscale_bessel(double scaled, double x) {
  const double half = ::exp(::fabs(x) / 2);
  return scaled * half * half;
}
// At infinity PyTorch's product of e^x and a vanishing series is NaN.
AG_HD AG_INLINE double bessel_i0(double x) {
  return ::fabs(x) == std::numeric_limits<double>::infinity()
             ? std::numeric_limits<double>::quiet_NaN()
             : unscale_bessel(bessel_i0e(x), x);
}
AG_HD AG_INLINE double bessel_i1(double x) {
  return ::fabs(x) == std::numeric_limits<double>::infinity()
             ? std::numeric_limits<double>::quiet_NaN()
             : unscale_bessel(bessel_i1e(x), x);
}

// e^(x^2) erfc(x). The square is carried in two parts; beyond the range of erfc, its asymptotic
// series. 1e-15 relative.
AG_HD AG_INLINE double erfcx(double x) {
  if (x < 26) {
    const double square = x * x;
    const double low = ::fma(x, x, -square);
    const double scale = ::exp(square);
    if (scale == std::numeric_limits<double>::infinity()) return scale;
    return (scale + scale * low) * ::erfc(x);
  }
  const double u = 0.5 / x / x;
  double term = 1;
  double sum = 1;
  for (int k = 1; k <= 8; ++k) {
    term *= -(2 * k - 1) * u;
    sum += term;
  }
  return sum / x * 0.56418958354775628695;
}

// The normal distribution, its logarithm and its inverse.
AG_HD AG_INLINE double ndtr(double x) { return 0.5 * ::erfc(-x * 0.70710678118654752440); }

AG_HD AG_INLINE double log_ndtr(double x) {
  const double t = x * 0.70710678118654752440;
  if (x < -1) return ::log(0.5 * erfcx(-t)) - t * t;
  return ::log1p(-0.5 * ::erfc(t));
}

// Acklam's rational start and two Halley steps on the lower half.
AG_HD AG_INLINE double ndtri(double p) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  if (p == 0) return -kInf;
  if (p == 1) return kInf;
  if (!(p > 0 && p < 1)) return std::numeric_limits<double>::quiet_NaN();
  const bool upper = p > 0.5;
  if (upper) p = 1 - p;
  double x;
  if (p < 0.02425) {
    const double q = ::sqrt(-2 * ::log(p));
    const double top =
        ((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e+00) * q -
          2.549732539343734e+00) *
             q +
         4.374664141464968e+00) *
            q +
        2.938163982698783e+00;
    const double bottom =
        (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e+00) * q +
         3.754408661907416e+00) *
            q +
        1;
    x = top / bottom;
  } else {
    const double q = p - 0.5;
    const double r = q * q;
    const double top =
        (((((-3.969683028665376e+01 * r + 2.209460984245205e+02) * r - 2.759285104469687e+02) * r +
           1.383577518672690e+02) *
              r -
          3.066479806614716e+01) *
             r +
         2.506628277459239e+00) *
        q;
    const double bottom =
        ((((-5.447609879822406e+01 * r + 1.615858368580409e+02) * r - 1.556989798598866e+02) * r +
          6.680131188771972e+01) *
             r -
         1.328068155288572e+01) *
            r +
        1;
    x = top / bottom;
  }
  for (int i = 0; i < 2; ++i) {
    const double error = (ndtr(x) - p) * 2.50662827463100050242 * ::exp(0.5 * x * x);
    x -= error / (1 + 0.5 * x * error);
  }
  return upper ? -x : x;
}

#define AG_SCALAR_FROM_DOUBLE(name) \
  AG_HD AG_INLINE float name(float x) { return static_cast<float>(name(static_cast<double>(x))); }
AG_SCALAR_FROM_DOUBLE(bessel_i0)
AG_SCALAR_FROM_DOUBLE(bessel_i0e)
AG_SCALAR_FROM_DOUBLE(bessel_i1)
AG_SCALAR_FROM_DOUBLE(bessel_i1e)
AG_SCALAR_FROM_DOUBLE(erfcx)
AG_SCALAR_FROM_DOUBLE(ndtr)
AG_SCALAR_FROM_DOUBLE(log_ndtr)
AG_SCALAR_FROM_DOUBLE(ndtri)
#undef AG_SCALAR_FROM_DOUBLE

}  // namespace ampgrad::math::scalar
