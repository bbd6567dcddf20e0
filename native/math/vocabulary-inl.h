// The words functors are written in: m::fma, m::select, m::floor, m::k<V>(c) ... for scalars
// (floats, integers, bool) and, in SIMD units, for Pack<T>, a vector of float or double. Only
// operations that are exact or correctly rounded are here; approximations are in elementary-inl.h.
#include "math/target.h"

#if defined(AG_MATH_VOCABULARY_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_VOCABULARY_INL_H
#undef AG_MATH_VOCABULARY_INL_H
#else
#define AG_MATH_VOCABULARY_INL_H
#endif

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/attrs.h"
#ifdef AG_MATH_SIMD
#include "hwy/highway.h"
#endif

AG_MATH_BEGIN

#ifdef AG_MATH_SIMD
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
struct PackMask {
  hn::Mask<hn::ScalableTag<T>> v;
};

template <class T>
struct Pack {
  using Tag = hn::ScalableTag<T>;
  hn::Vec<Tag> v;
};
#endif

// Scalar type behind a value type, and the type of its comparisons.
template <class V>
struct ValueTraits {
  using Scalar = V;
  using Mask = bool;
};
#ifdef AG_MATH_SIMD
template <class T>
struct ValueTraits<Pack<T>> {
  using Scalar = T;
  using Mask = PackMask<T>;
};
#endif
template <class V>
using ScalarOf = typename ValueTraits<V>::Scalar;
template <class V>
using MaskOf = typename ValueTraits<V>::Mask;
template <class V>
inline constexpr bool kIsFloat = std::is_floating_point_v<ScalarOf<V>>;
template <class V>
inline constexpr bool kIsScalar = std::is_same_v<V, ScalarOf<V>>;
// float and double, the types that approximations are written for.
template <class V>
concept FloatValue = kIsFloat<V>;
template <class V>
concept IntegerValue = std::is_integral_v<V>;

#ifdef AG_MATH_SIMD
template <class T>
AG_MATH Pack<T> operator+(Pack<T> a, Pack<T> b) {
  return {hn::Add(a.v, b.v)};
}
template <class T>
AG_MATH Pack<T> operator-(Pack<T> a, Pack<T> b) {
  return {hn::Sub(a.v, b.v)};
}
template <class T>
AG_MATH Pack<T> operator*(Pack<T> a, Pack<T> b) {
  return {hn::Mul(a.v, b.v)};
}
template <class T>
AG_MATH Pack<T> operator/(Pack<T> a, Pack<T> b) {
  return {hn::Div(a.v, b.v)};
}
template <class T>
AG_MATH Pack<T> operator-(Pack<T> a) {
  return {hn::Neg(a.v)};
}
template <class T>
AG_MATH PackMask<T> operator<(Pack<T> a, Pack<T> b) {
  return {hn::Lt(a.v, b.v)};
}
template <class T>
AG_MATH PackMask<T> operator<=(Pack<T> a, Pack<T> b) {
  return {hn::Le(a.v, b.v)};
}
template <class T>
AG_MATH PackMask<T> operator>(Pack<T> a, Pack<T> b) {
  return {hn::Gt(a.v, b.v)};
}
template <class T>
AG_MATH PackMask<T> operator>=(Pack<T> a, Pack<T> b) {
  return {hn::Ge(a.v, b.v)};
}
template <class T>
AG_MATH PackMask<T> operator==(Pack<T> a, Pack<T> b) {
  return {hn::Eq(a.v, b.v)};
}
template <class T>
AG_MATH PackMask<T> operator!=(Pack<T> a, Pack<T> b) {
  return {hn::Not(hn::Eq(a.v, b.v))};  // Ne is false for NaN on some targets
}
template <class T>
AG_MATH PackMask<T> operator&(PackMask<T> a, PackMask<T> b) {
  return {hn::And(a.v, b.v)};
}
template <class T>
AG_MATH PackMask<T> operator|(PackMask<T> a, PackMask<T> b) {
  return {hn::Or(a.v, b.v)};
}
template <class T>
AG_MATH PackMask<T> operator!(PackMask<T> a) {
  return {hn::Not(a.v)};
}
#endif

namespace m {

// A constant of the value type.
template <class V>
AG_MATH V k(double c) {
  if constexpr (kIsScalar<V>) {
    return static_cast<V>(c);
  } else {
#ifdef AG_MATH_SIMD
    return V{hn::Set(typename V::Tag(), static_cast<ScalarOf<V>>(c))};
#endif
  }
}

// Number i of the attributes: the integer list for integer values, the other one for floats.
template <class V>
AG_MATH V attr(const Attrs& a, int i) {
  if constexpr (kIsFloat<V>) {
    return k<V>(a.d[i]);
  } else if constexpr (std::is_same_v<V, bool>) {
    return a.i[i] != 0;
  } else {
    return static_cast<V>(a.i[i]);
  }
}

// ---- scalars --------------------------------------------------------------------------------

template <class V>
requires kIsScalar<V> AG_MATH V select(bool c, V a, V b) { return c ? a : b; }
// Whether fma rounds once.
template <class V>
inline constexpr bool kFusedSteps = true;
AG_MATH float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
AG_MATH double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
AG_MATH float sqrt(float x) { return __builtin_sqrtf(x); }
AG_MATH double sqrt(double x) { return __builtin_sqrt(x); }
AG_MATH float abs(float x) { return __builtin_fabsf(x); }
AG_MATH double abs(double x) { return __builtin_fabs(x); }
AG_MATH float floor(float x) { return __builtin_floorf(x); }
AG_MATH double floor(double x) { return __builtin_floor(x); }
AG_MATH float ceil(float x) { return __builtin_ceilf(x); }
AG_MATH double ceil(double x) { return __builtin_ceil(x); }
AG_MATH float trunc(float x) { return __builtin_truncf(x); }
AG_MATH double trunc(double x) { return __builtin_trunc(x); }
// To the nearest integer, halves to even.
AG_MATH float rint(float x) { return __builtin_rintf(x); }
AG_MATH double rint(double x) { return __builtin_rint(x); }
AG_MATH float copysign(float x, float s) { return __builtin_copysignf(x, s); }
AG_MATH double copysign(double x, double s) { return __builtin_copysign(x, s); }
AG_MATH bool is_nan(float x) { return x != x; }
AG_MATH bool is_nan(double x) { return x != x; }

// Integers wrap around; in unsigned arithmetic because signed overflow is undefined.
template <IntegerValue V>
AG_MATH V add(V a, V b) {
  using U = std::conditional_t<std::is_same_v<V, bool>, uint8_t, V>;
  return static_cast<V>(static_cast<uint64_t>(static_cast<U>(a)) + static_cast<uint64_t>(b));
}
template <IntegerValue V>
AG_MATH V sub(V a, V b) {
  return static_cast<V>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
template <IntegerValue V>
AG_MATH V mul(V a, V b) {
  return static_cast<V>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
template <IntegerValue V>
AG_MATH V neg(V a) {
  return static_cast<V>(uint64_t{0} - static_cast<uint64_t>(a));
}
template <FloatValue V>
AG_MATH V add(V a, V b) {
  return a + b;
}
template <FloatValue V>
AG_MATH V sub(V a, V b) {
  return a - b;
}
template <FloatValue V>
AG_MATH V mul(V a, V b) {
  return a * b;
}
template <FloatValue V>
AG_MATH V neg(V a) {
  return -a;
}

// ---- vectors --------------------------------------------------------------------------------
#ifdef AG_MATH_SIMD
template <class T>
AG_MATH Pack<T> select(PackMask<T> c, Pack<T> a, Pack<T> b) {
  return {hn::IfThenElse(c.v, a.v, b.v)};
}
#if !HWY_NATIVE_FMA
template <class T>
inline constexpr bool kFusedSteps<Pack<T>> = false;
#endif
template <class T>
AG_MATH Pack<T> fma(Pack<T> a, Pack<T> b, Pack<T> c) {
  return {hn::MulAdd(a.v, b.v, c.v)};
}
template <class T>
AG_MATH Pack<T> sqrt(Pack<T> x) {
  return {hn::Sqrt(x.v)};
}
template <class T>
AG_MATH Pack<T> abs(Pack<T> x) {
  return {hn::Abs(x.v)};
}
template <class T>
AG_MATH Pack<T> floor(Pack<T> x) {
  return {hn::Floor(x.v)};
}
template <class T>
AG_MATH Pack<T> ceil(Pack<T> x) {
  return {hn::Ceil(x.v)};
}
template <class T>
AG_MATH Pack<T> trunc(Pack<T> x) {
  return {hn::Trunc(x.v)};
}
template <class T>
AG_MATH Pack<T> rint(Pack<T> x) {
  return {hn::Round(x.v)};
}
template <class T>
AG_MATH Pack<T> copysign(Pack<T> x, Pack<T> s) {
  return {hn::CopySign(x.v, s.v)};
}
template <class T>
AG_MATH PackMask<T> is_nan(Pack<T> x) {
  return {hn::IsNaN(x.v)};
}

// A function without a vector form, lane by lane.
template <class F, class T, class... P>
AG_MATH Pack<T> per_lane(F fn, Pack<T> first, P... rest) {
  const typename Pack<T>::Tag d;
  constexpr size_t kLanes = hn::MaxLanes(typename Pack<T>::Tag());
  HWY_ALIGN T lanes[1 + sizeof...(P)][kLanes];
  hn::Store(first.v, d, lanes[0]);
  int operand = 1;
  (hn::Store(rest.v, d, lanes[operand++]), ...);
  HWY_ALIGN T out[kLanes];
  for (size_t i = 0; i < kLanes; ++i) {
    if constexpr (sizeof...(P) == 0) {
      out[i] = fn(lanes[0][i]);
    } else {
      out[i] = fn(lanes[0][i], lanes[1][i]);
    }
  }
  return {hn::Load(d, out)};
}

template <class T>
AG_MATH bool any(PackMask<T> c) {
  return !hn::AllFalse(typename Pack<T>::Tag(), c.v);
}
#endif

AG_MATH bool any(bool c) { return c; }

// fn on scalars, per_lane on vectors.
template <FloatValue V, class F, class... P>
AG_MATH V lanewise(F fn, V first, P... rest) {
  if constexpr (kIsScalar<V>) {
    return fn(first, rest...);
  } else {
#ifdef AG_MATH_SIMD
    return per_lane(fn, first, rest...);
#endif
  }
}

// The larger and the smaller; NaN if either is NaN (PyTorch's maximum and minimum).
template <class V>
AG_MATH V max(V a, V b) {
  if constexpr (kIsFloat<V>) return select(is_nan(a) | (a > b), a, b);
  return select(a > b, a, b);
}
template <class V>
AG_MATH V min(V a, V b) {
  if constexpr (kIsFloat<V>) return select(is_nan(a) | (a < b), a, b);
  return select(a < b, a, b);
}

// A number added to this ends in a whole number (it is rounded to one), whose bits are the last of
// the mantissa, with the bias of exponents: 1.5 * 2^23 (2^52) and the bias.
template <class V>
inline constexpr double kExponentMagic = sizeof(ScalarOf<V>) == 4 ? 12582912.0 + 127
                                                                  : 6755399441055744.0 + 1023;

// 2^n of n + kExponentMagic, for n in the range of normal exponents; 0 for the exponent below it.
template <FloatValue V>
AG_MATH V pow2_of_sum(V biased) {
  using T = ScalarOf<V>;
  constexpr bool kSingle = sizeof(T) == 4;
  constexpr int kShift = kSingle ? 23 : 52;
  if constexpr (kIsScalar<V>) {
    using U = std::conditional_t<kSingle, uint32_t, uint64_t>;
    U u;
    memcpy(&u, &biased, sizeof(u));
    u <<= kShift;
    V out;
    memcpy(&out, &u, sizeof(u));
    return out;
  } else {
#ifdef AG_MATH_SIMD
    using U = std::conditional_t<kSingle, uint32_t, uint64_t>;
    const hn::ScalableTag<U> du;
    return V{hn::BitCast(typename V::Tag(), hn::ShiftLeft<kShift>(hn::BitCast(du, biased.v)))};
#endif
  }
}

// 2^n of a whole number n in the range of normal exponents.
template <FloatValue V>
AG_MATH V pow2_whole(V n) {
  return pow2_of_sum(n + k<V>(kExponentMagic<V>));
}

// p * 2^n, rounded once, for whole |n| up to twice the exponent range: results go gradually to
// subnormals and infinity. In two factors where there is no instruction for it.
template <FloatValue V>
AG_MATH V scale_by_pow2(V p, V n) {
#if defined(AG_MATH_SIMD) && HWY_TARGET == HWY_AVX3
  if constexpr (std::is_same_v<V, Pack<float>>) return {{_mm512_scalef_ps(p.v.raw, n.v.raw)}};
  if constexpr (std::is_same_v<V, Pack<double>>) return {{_mm512_scalef_pd(p.v.raw, n.v.raw)}};
#endif
  const V first = rint(n * k<V>(0.5));
  return p * pow2_whole(first) * pow2_whole(n - first);
}

// x, but no more (less) than a bound; NaN stays. x86 answers the second operand where one is NaN,
// ARM the NaN; Highway's emulation the number.
template <FloatValue V>
AG_MATH V at_most(V x, double high) {
#if defined(AG_MATH_SIMD) && (HWY_ARCH_X86 || HWY_ARCH_ARM) && HWY_TARGET < HWY_EMU128
  if constexpr (!kIsScalar<V>) return {hn::Min(k<V>(high).v, x.v)};
#endif
  return select(x > k<V>(high), k<V>(high), x);
}
template <FloatValue V>
AG_MATH V at_least(V x, double low) {
#if defined(AG_MATH_SIMD) && (HWY_ARCH_X86 || HWY_ARCH_ARM) && HWY_TARGET < HWY_EMU128
  if constexpr (!kIsScalar<V>) return {hn::Max(k<V>(low).v, x.v)};
#endif
  return select(x < k<V>(low), k<V>(low), x);
}

// x moved into [low, high]; NaN stays.
template <FloatValue V>
AG_MATH V clamp_keep_nan(V x, double low, double high) {
  return at_most(at_least(x, low), high);
}

// a where x is negative, b where it is positive, either of them for zeros and NaN.
template <FloatValue V>
AG_MATH V select_negative(V x, V a, V b) {
#ifdef AG_MATH_SIMD
  if constexpr (!kIsScalar<V>) return {hn::IfNegativeThenElse(x.v, a.v, b.v)};
#endif
  return select(x < k<V>(0), a, b);
}

// x = mantissa * 2^exponent with mantissa in [sqrt(1/2), sqrt(2)), for positive normal x.
template <FloatValue V>
AG_MATH void split_exponent(V x, V* mantissa, V* exponent) {
  using T = ScalarOf<V>;
  constexpr bool kSingle = sizeof(T) == 4;
  constexpr int kShift = kSingle ? 23 : 52;
  using U = std::conditional_t<kSingle, uint32_t, uint64_t>;
  using I = std::conditional_t<kSingle, int32_t, int64_t>;
  constexpr U kRoot = kSingle ? U{0x3f3504f3u} : static_cast<U>(0x3fe6a09e667f3bcdull);
  constexpr U kMantissa = (U{1} << kShift) - 1;
  [[maybe_unused]] constexpr U kMagic =
      kSingle ? U{0x4b400000u} : static_cast<U>(0x4338000000000000ull);
  if constexpr (kIsScalar<V>) {
    U u;
    memcpy(&u, &x, sizeof(u));
    const U offset = u - kRoot;
    *exponent = static_cast<T>(static_cast<I>(offset) >> kShift);
    const U bits = (offset & kMantissa) + kRoot;
    memcpy(mantissa, &bits, sizeof(bits));
  } else {
#ifdef AG_MATH_SIMD
    const hn::ScalableTag<U> du;
    const typename V::Tag d;
    const auto offset = hn::Sub(hn::BitCast(du, x.v), hn::Set(du, kRoot));
    // The biased exponent difference is made positive, put into the low bits of 1.5 * 2^23 (2^52)
    // and read back as a floating-point number: no vector conversion of 64-bit integers needed.
    constexpr int kBias = kSingle ? 128 : 1024;
    const auto shifted =
        hn::ShiftRight<kShift>(hn::Add(offset, hn::Set(du, static_cast<U>(U{kBias} << kShift))));
    const auto whole = hn::BitCast(d, hn::Add(shifted, hn::Set(du, kMagic)));
    const T magic =
        kSingle ? static_cast<T>(12582912.0 + kBias) : static_cast<T>(6755399441055744.0 + kBias);
    *exponent = V{hn::Sub(whole, hn::Set(d, magic))};
    const auto bits = hn::Add(hn::And(offset, hn::Set(du, kMantissa)), hn::Set(du, kRoot));
    *mantissa = V{hn::BitCast(d, bits)};
#endif
  }
}

// Does V have look_up?
template <class V>
inline constexpr bool kLooksUp = false;
#if defined(AG_MATH_SIMD) && HWY_TARGET == HWY_AVX3
template <>
inline constexpr bool kLooksUp<Pack<float>> = true;

// table[i], where the lowest bits of k's representation are i. The table stays in registers.
AG_MATH Pack<float> look_up(const float (&table)[16], Pack<float> k) {
  return {hn::Vec<hn::ScalableTag<float>>{
      _mm512_permutexvar_ps(_mm512_castps_si512(k.v.raw), _mm512_loadu_ps(table))}};
}
AG_MATH Pack<float> look_up(const float (&table)[32], Pack<float> k) {
  return {hn::Vec<hn::ScalableTag<float>>{_mm512_permutex2var_ps(
      _mm512_loadu_ps(table), _mm512_castps_si512(k.v.raw), _mm512_loadu_ps(table + 16))}};
}
#endif

// c[0] + x (c[1] + x (...)).
template <class V, size_t N>
AG_MATH V poly(V x, const double (&c)[N]) {
  V sum = k<V>(c[N - 1]);
  for (size_t i = N - 1; i-- > 0;) sum = fma(sum, x, k<V>(c[i]));
  return sum;
}

}  // namespace m

AG_MATH_END
#endif
