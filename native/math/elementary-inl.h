// Elementary functions m::exp, m::log, m::tanh, m::erf ... for float and double, scalars and
// vectors: branch-free approximations where a vector form pays, the C library lane by lane
// elsewhere (the list at the end). Errors are in units of the last place (ulp) against the exact
// value and are checked by native/tests/math_test.cpp.
#include "math/target.h"

#if defined(AG_MATH_ELEMENTARY_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_ELEMENTARY_INL_H
#undef AG_MATH_ELEMENTARY_INL_H
#else
#define AG_MATH_ELEMENTARY_INL_H
#endif

#include "math/scalar.h"
#include "math/vocabulary-inl.h"

AG_MATH_BEGIN

namespace m {

template <class V>
inline constexpr bool kIsSingle = sizeof(ScalarOf<V>) == 4;

// ln 2 in two parts; the first has trailing zeros, so that k * high is exact.
template <class V>
inline constexpr double kLn2High = kIsSingle<V> ? 0.693359375 : 6.93147180369123816490e-01;
template <class V>
inline constexpr double kLn2Low =
    kIsSingle<V> ? -2.12194440054690583e-4 : 1.90821492927058770002e-10;
inline constexpr double kLog2E = 1.44269504088896340736;

// e^r - 1 for |r| <= ln(2) / 2. The Taylor series in double; in float a minimax polynomial.
template <FloatValue V>
AG_MATH V expm1_reduced(V r) {
  if constexpr (kIsSingle<V>) {
    constexpr double c[] = {5.0000000000e-01, 1.6666665459e-01, 4.1665795894e-02,
                            8.3334519073e-03, 1.3981999507e-03, 1.9875691500e-04};
    return fma(poly(r, c), r * r, r);
  } else {
    constexpr double c[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                            1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                            1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    return fma(poly(r, c), r * r, r);
  }
}

// e^x for x in [-104, 89] by a table of 2^(i / 16 + d), 0.8 ulp. d is the number for which the 16
// entries happen to lie within 0.21 ulp of floats.
template <FloatValue V>
AG_MATH V exp_by_table(V x) {
  alignas(64) static constexpr float powers[16] = {
      1.001695395e+00f, 1.046044230e+00f, 1.092356563e+00f, 1.140719295e+00f,
      1.191223264e+00f, 1.243963242e+00f, 1.299038172e+00f, 1.356551528e+00f,
      1.416611195e+00f, 1.479329944e+00f, 1.544825435e+00f, 1.613220692e+00f,
      1.684644103e+00f, 1.759229660e+00f, 1.837117434e+00f, 1.918453574e+00f};
  constexpr double kShift = 1.693938606549e-03;  // d ln 2
  constexpr double kMagic = 786432;              // 1.5 * 2^19: a sum with it ends in sixteenths
  const V near = fma(x, k<V>(kLog2E), k<V>(kMagic));
  const V n = near - k<V>(kMagic);
  const V exact = fma(n, k<V>(-kLn2High<V>), x);
  const V r = exact - fma(n, k<V>(kLn2Low<V>), k<V>(kShift));
  const V beyond_one = fma(fma(r, k<V>(1.6667122972e-01), k<V>(5.0001888909e-01)), r * r, r);
  const V power = look_up(powers, near);
  return scale_by_pow2(fma(power, beyond_one, power), n);
}

// e^x for x from where it is 0 to where it is infinite: exp without the bounds. 1 ulp.
template <FloatValue V>
AG_MATH V exp_bounded(V x) {
  if constexpr (kLooksUp<V>) {
    return exp_by_table(x);
  } else {
    const V n = fma(x, k<V>(kLog2E), k<V>(kExponentMagic<V>)) - k<V>(kExponentMagic<V>);
    const V r = fma(n, k<V>(-kLn2Low<V>), fma(n, k<V>(-kLn2High<V>), x));
    return scale_by_pow2(expm1_reduced(r) + k<V>(1), n);
  }
}

// e^x where the power of two in it is a normal number; sum: its exponent n + kExponentMagic.
template <FloatValue V>
AG_MATH V exp_by_sum(V x, V sum, V n) {
  const V r = fma(n, k<V>(-kLn2Low<V>), fma(n, k<V>(-kLn2High<V>), x));
  return (expm1_reduced(r) + k<V>(1)) * pow2_of_sum(sum);
}

// exp_bounded of x moved into [low, high]. Vectors of floats whose powers are all normal numbers
// need no bounds, and one factor where there is no instruction for the scaling.
template <FloatValue V>
AG_MATH V exp_within(V x, double low, double high) {
  if constexpr (kIsSingle<V> && !kIsScalar<V> && !kLooksUp<V>) {
    const V sum = fma(x, k<V>(kLog2E), k<V>(kExponentMagic<V>));
    const V n = sum - k<V>(kExponentMagic<V>);
    if (!any(abs(n) > k<V>(125))) return exp_by_sum(x, sum, n);
  }
  return exp_bounded(clamp_keep_nan(x, low, high));
}

// 1 ulp, everywhere.
template <FloatValue V>
AG_MATH V exp(V x) {
  return kIsSingle<V> ? exp_within(x, -104.0, 89.0) : exp_within(x, -746.0, 710.0);
}

// 1.5 ulp, everywhere.
template <FloatValue V>
AG_MATH V exp2(V x) {
  x = kIsSingle<V> ? clamp_keep_nan(x, -151.0, 129.0) : clamp_keep_nan(x, -1076.0, 1025.0);
  const V n = rint(x);
  const V r = (x - n) * k<V>(0.693147180559945309417);
  return scale_by_pow2(expm1_reduced(r) + k<V>(1), n);
}

// 2 ulp, everywhere. Halved powers keep 2^n finite up to the largest argument.
template <FloatValue V>
AG_MATH V expm1(V x) {
  const V y = kIsSingle<V> ? clamp_keep_nan(x, -20.0, 89.0) : clamp_keep_nan(x, -42.0, 710.0);
  const V n = rint(y * k<V>(kLog2E));
  const V r = fma(n, k<V>(-kLn2Low<V>), fma(n, k<V>(-kLn2High<V>), y));
  const V half_scale = pow2_whole(n - k<V>(1));
  const V value = fma(half_scale, expm1_reduced(r), half_scale - k<V>(0.5)) * k<V>(2);
  return select(x == k<V>(0), x, value);  // keeps -0
}

// log(1 + f) - f + f^2 / 2 pieces of fdlibm's e_log.c: s = f / (2 + f), R = even polynomial in s.
template <FloatValue V>
AG_MATH V log_series(V f, V exponent, V correction) {
  const V s = f / (k<V>(2) + f);
  const V z = s * s;
  V r;
  if constexpr (kIsSingle<V>) {
    constexpr double c[] = {0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841};
    r = z * poly(z, c);
  } else {
    constexpr double c[] = {6.666666666666735130e-01, 3.999999999940941908e-01,
                            2.857142874366239149e-01, 2.222219843214978396e-01,
                            1.818357216161805012e-01, 1.531383769920937332e-01,
                            1.479819860511658591e-01};
    r = z * poly(z, c);
  }
  const V half_square = k<V>(0.5) * f * f;
  const V low = fma(exponent, k<V>(kLn2Low<V>), correction);
  return fma(s, half_square + r, low) - half_square + f + exponent * k<V>(kLn2High<V>);
}

// What every logarithm answers outside (0, inf).
template <FloatValue V>
AG_MATH V log_edges(V x, V value) {
  using T = ScalarOf<V>;
  const V inf = k<V>(std::numeric_limits<T>::infinity());
  value = select(x < inf, value, x);  // +inf and NaN
  value = select(x == k<V>(0), -inf, value);
  return select(x < k<V>(0), k<V>(std::numeric_limits<T>::quiet_NaN()), value);
}

// Subnormal arguments are scaled into the normal range first.
template <FloatValue V>
AG_MATH void log_split(V x, V* f, V* exponent) {
  using T = ScalarOf<V>;
  const auto tiny = x < k<V>(std::numeric_limits<T>::min());
  const V scale = k<V>(kIsSingle<V> ? 33554432.0 : 18014398509481984.0);  // 2^25, 2^54
  V mantissa;
  split_exponent(select(tiny, x * scale, x), &mantissa, exponent);
  *exponent = *exponent - select(tiny, k<V>(kIsSingle<V> ? 25 : 54), k<V>(0));
  *f = mantissa - k<V>(1);
}

// 1 ulp on (0, inf]; -inf at 0, NaN below.
template <FloatValue V>
AG_MATH V log(V x) {
  V f, e;
  log_split(x, &f, &e);
  return log_edges(x, log_series(f, e, k<V>(0)));
}

// 2 ulp. Near 0 the argument itself is f, so nothing is lost; elsewhere 1 + x is split and what
// its rounding lost comes back as a first-order correction.
template <FloatValue V>
AG_MATH V log1p(V x) {
  const V one = k<V>(1);
  const V u = one + x;
  V f, e;
  log_split(u, &f, &e);
  const V lost = select(x > one, one - (u - x), x - (u - one)) / u;
  const auto near = (x > k<V>(-0.29)) & (x < k<V>(0.41));
  f = select(near, x, f);
  e = select(near, k<V>(0), e);
  const V value = log_series(f, e, select(near, k<V>(0), lost));
  return select(x == k<V>(0), x, log_edges(u, value));
}

// 1 / (1 - tanh a) = (e^2a + 1) / 2 for floats: start + d w(d) with d = a - 1 >= 0. It grows like
// two squarings, so that u of degree 6 in w = (u^2 + f)^2 + g serves until tanh is 1. Fitted on [0,
// 8.1] by Gauss-Newton steps, then by linear programs over the coefficients, for the least error of
// tanh together with the roundings measured there: 1.1e-8 up to d = 1, 3.2e-8 beyond.
template <FloatValue V>
AG_MATH V add_growth_beyond_one(V start, V d) {
  constexpr double c[] = {1.63271105,    0.431074858,  0.11482656,   2.13549659e-2,
                          1.69465388e-3, 5.6065328e-5, 4.73452201e-5};
  constexpr double f = -4.10611928e-2;
  constexpr double g = 0.500078559;
  const V u = poly(d, c);
  const V v = fma(u, u, k<V>(f));
  return fma(fma(v, v, k<V>(g)), d, start);
}

// 1.1 ulp (float; 1.2 without fused steps), 2.5 ulp (double), everywhere. Float: c - c^3 / q with c
// = min(|x|, 1). Up to 1, q = c^3 / (c - tanh c) is almost a line in c^2: 3 and a least-squares
// fit, weighted again and again towards the largest relative error of tanh, 3.8e-9. Beyond 1 q
// grows, so that the result goes to 1 and cannot pass it. No power of e, no choice between two
// formulas, and a division whose error counts for a third. Double: by expm1.
template <FloatValue V>
AG_MATH V tanh(V x) {
  const V a = abs(x);
  if constexpr (kIsSingle<V>) {
    const V c = at_most(a, 1);
    const V z = c * c;
    constexpr double near[] = {3, 1.19999683, -5.69863105e-3, 2.29899539e-4};
    const V q = add_growth_beyond_one(poly(z, near), a - c);
    return copysign(fma(-c, z / q, c), x);
  } else {
    const V t = expm1(k<V>(-2) * a);
    return copysign(-t / (t + k<V>(2)), x);
  }
}

// Float: 1.5 ulp, an odd polynomial below 0.93 and 1 - e^-p(|x|) above. Double: the C library.
template <FloatValue V>
AG_MATH V erf(V x) {
  if constexpr (kIsSingle<V>) {
    const V a = abs(x);
    const V s = x * x;
    constexpr double tail[] = {-1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2,
                               -3.88396438e-3, 3.83197126e-4,  -1.72853470e-5};
    const V capped = select(a > k<V>(4), k<V>(4), a);
    const V exponent = fma(poly(capped, tail), capped, -capped);
    const V large = k<V>(1) - exp(exponent);
    constexpr double core[] = {1.28379166e-1,  -3.76125336e-1, 1.12819925e-1,
                               -2.67681349e-2, 4.99119423e-3,  -5.96761703e-4};
    const V small = fma(poly(s, core), x, x);
    return select(a > k<V>(0.927734375), copysign(large, x), small);
  } else {
    return lanewise([](double v) { return ::erf(v); }, x);
  }
}

// e^x / (1 + e^x): 2.5 ulp, everywhere. From the upper bound on the quotient is 1.
template <FloatValue V>
AG_MATH V sigmoid(V x) {
  const V e = kIsSingle<V> ? exp_within(x, -104.0, 88.0) : exp_within(x, -746.0, 709.0);
  return e / (k<V>(1) + e);
}

// 2 ulp on (0, inf]; exact at powers of two.
template <FloatValue V>
AG_MATH V log2(V x) {
  V f, e;
  log_split(x, &f, &e);
  return log_edges(x, fma(log_series(f, k<V>(0), k<V>(0)), k<V>(kLog2E), e));
}

// The C library's functions lane by lane: 1 to 2 ulp (glibc), edge cases of C.
#define AG_MATH_LIBRARY_1(name, fn)                                  \
  template <FloatValue V>                                            \
  AG_MATH V name(V x) {                                              \
    return lanewise([](ScalarOf<V> v) { return scalar::fn(v); }, x); \
  }
#define AG_MATH_LIBRARY_2(name, fn)                                                       \
  template <FloatValue V>                                                                 \
  AG_MATH V name(V x, V y) {                                                              \
    return lanewise([](ScalarOf<V> v, ScalarOf<V> w) { return scalar::fn(v, w); }, x, y); \
  }
AG_MATH_LIBRARY_1(log10, log10)
AG_MATH_LIBRARY_1(tan, tan)
AG_MATH_LIBRARY_1(asin, asin)
AG_MATH_LIBRARY_1(acos, acos)
AG_MATH_LIBRARY_1(atan, atan)
AG_MATH_LIBRARY_1(sinh, sinh)
AG_MATH_LIBRARY_1(cosh, cosh)
AG_MATH_LIBRARY_1(asinh, asinh)
AG_MATH_LIBRARY_1(acosh, acosh)
AG_MATH_LIBRARY_1(atanh, atanh)
AG_MATH_LIBRARY_1(erfc, erfc)
AG_MATH_LIBRARY_1(erfinv, erfinv)
AG_MATH_LIBRARY_1(lgamma, lgamma)
AG_MATH_LIBRARY_1(digamma, digamma)
AG_MATH_LIBRARY_2(pow, pow)
AG_MATH_LIBRARY_2(atan2, atan2)
AG_MATH_LIBRARY_2(hypot, hypot)
AG_MATH_LIBRARY_2(nextafter, nextafter)
AG_MATH_LIBRARY_2(fmod, fmod)
AG_MATH_LIBRARY_2(remainder, floor_mod)
AG_MATH_LIBRARY_2(floor_divide, floor_divide)

// Sine (shift 0) or cosine (shift 1) of |x| up to kTrigLimit: x = n pi / 2 + r + low, the quarter
// turn n + shift chooses between the series of fdlibm's k_sinf.c and k_cosf.c.
inline constexpr double kTrigLimit = 30000;
template <FloatValue V>
AG_MATH V sine_by_quarters(V x, double shift) {
  // pi / 2 in three parts; n times the first, subtracted in one step, is exact.
  constexpr double kFirst = 1.57079637050628662109375;
  constexpr double kSecond = -4.37113900018624283e-8;
  constexpr double kThird = -1.71512449e-15;
  const V n = rint(x * k<V>(0.63661977236758134308));
  const V exact = fma(n, k<V>(-kFirst), x);
  const V part = n * k<V>(kSecond);
  const V part_low = fma(n, k<V>(kSecond), -part);
  const V r = exact - part;
  const V back = r - exact;
  const V lost = (exact - (r - back)) - (part + back);
  const V low = fma(n, k<V>(-kThird), lost - part_low);
  const V z = r * r;
  constexpr double sine[] = {-1.6666667163e-01, 8.3333337680e-03, -1.9841270114e-04,
                             2.7557314297e-06};
  constexpr double cosine[] = {4.1666667908e-02, -1.3888889225e-03, 2.4801587642e-05,
                               -2.7557314297e-07};
  const V s = r + fma(r * z, poly(z, sine), low);
  const V half = z * k<V>(0.5);
  const V w = k<V>(1) - half;
  const V c = w + (((k<V>(1) - w) - half) + fma(z * z, poly(z, cosine), -(r * low)));
  const V turn = n + k<V>(shift);
  const V quarter = fma(floor(turn * k<V>(0.25)), k<V>(-4), turn);
  const V value = select((quarter == k<V>(1)) | (quarter == k<V>(3)), c, s);
  return select(quarter >= k<V>(2), -value, value);
}

// 1 ulp, everywhere. Float: above; large arguments, double and processors without fused steps: the
// C library.
template <FloatValue V>
AG_MATH V sin(V x) {
  if constexpr (kIsSingle<V> && kFusedSteps<V>) {
    if (!any(!(abs(x) <= k<V>(kTrigLimit)))) {
      return select(x == k<V>(0), x, sine_by_quarters(x, 0));
    }
  }
  return lanewise([](ScalarOf<V> v) { return scalar::sin(v); }, x);
}
template <FloatValue V>
AG_MATH V cos(V x) {
  if constexpr (kIsSingle<V> && kFusedSteps<V>) {
    if (!any(!(abs(x) <= k<V>(kTrigLimit)))) return sine_by_quarters(x, 1);
  }
  return lanewise([](ScalarOf<V> v) { return scalar::cos(v); }, x);
}
#undef AG_MATH_LIBRARY_1
#undef AG_MATH_LIBRARY_2

}  // namespace m

AG_MATH_END
#endif
