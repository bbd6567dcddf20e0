// Functors of arithmetic, one struct an op. Exact or correctly rounded unless a comment says
// otherwise; integers wrap around.
#include "math/target.h"

#if defined(AG_MATH_ARITHMETIC_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_ARITHMETIC_INL_H
#undef AG_MATH_ARITHMETIC_INL_H
#else
#define AG_MATH_ARITHMETIC_INL_H
#endif

#include "math/elementary-inl.h"

AG_MATH_BEGIN

// x + alpha y, fused.
struct Add {
  template <class V>
  AG_MATH static V apply(V x, V y, const Attrs& a) {
    if constexpr (kIsFloat<V>) {
      return m::fma(m::attr<V>(a, 0), y, x);
    } else {
      return m::add(x, m::mul(m::attr<V>(a, 0), y));
    }
  }
};

struct Sub {
  template <class V>
  AG_MATH static V apply(V x, V y, const Attrs& a) {
    if constexpr (kIsFloat<V>) {
      return m::fma(-m::attr<V>(a, 0), y, x);
    } else {
      return m::sub(x, m::mul(m::attr<V>(a, 0), y));
    }
  }
};

struct Mul {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return m::mul(x, y);
  }
};

struct Div {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return x / y;
  }
};

struct TruncDivide {
  static constexpr int kCost = 2;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    if constexpr (kIsFloat<V>) {
      return m::trunc(x / y);
    } else {
      return scalar::trunc_divide(x, y);
    }
  }
};

// Python's floor division.
struct FloorDivide {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    if constexpr (kIsFloat<V>) {
      return m::floor_divide(x, y);
    } else {
      return scalar::floor_divide(x, y);
    }
  }
};

// Python's modulo: exact, the sign of the divisor.
struct Remainder {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    if constexpr (kIsFloat<V>) {
      return m::remainder(x, y);
    } else {
      return scalar::floor_mod(x, y);
    }
  }
};

// C's fmod: exact, the sign of the dividend.
struct Fmod {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    if constexpr (kIsFloat<V>) {
      return m::fmod(x, y);
    } else {
      return scalar::trunc_mod(x, y);
    }
  }
};

struct Neg {
  template <class V>
  AG_MATH static V apply(V x) {
    return m::neg(x);
  }
};

struct Positive {
  template <class V>
  AG_MATH static V apply(V x) {
    return x;
  }
};

struct Abs {
  template <class V>
  AG_MATH static V apply(V x) {
    if constexpr (kIsFloat<V>) {
      return m::abs(x);
    } else {
      return m::select(x < m::k<V>(0), m::neg(x), x);
    }
  }
};

// -1, 0 or 1; 0 for NaN.
struct Sign {
  template <class V>
  AG_MATH static V apply(V x) {
    if constexpr (std::is_same_v<V, bool>) {
      return x;
    } else {
      const V sign = m::select(x < m::k<V>(0), m::k<V>(-1), m::k<V>(0));
      return m::select(x > m::k<V>(0), m::k<V>(1), sign);
    }
  }
};

struct Square {
  template <class V>
  AG_MATH static V apply(V x) {
    return m::mul(x, x);
  }
};

struct Reciprocal {
  template <class V>
  AG_MATH static V apply(V x) {
    return m::k<V>(1) / x;
  }
};

struct Sqrt {
  static constexpr int kCost = 2;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::sqrt(x);
  }
};

// 1.5 ulp.
struct Rsqrt {
  static constexpr int kCost = 2;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::k<V>(1) / m::sqrt(x);
  }
};

struct Floor {
  template <class V>
  AG_MATH static V apply(V x) {
    if constexpr (kIsFloat<V>) {
      return m::floor(x);
    } else {
      return x;
    }
  }
};

struct Ceil {
  template <class V>
  AG_MATH static V apply(V x) {
    if constexpr (kIsFloat<V>) {
      return m::ceil(x);
    } else {
      return x;
    }
  }
};

struct Trunc {
  template <class V>
  AG_MATH static V apply(V x) {
    if constexpr (kIsFloat<V>) {
      return m::trunc(x);
    } else {
      return x;
    }
  }
};

// Halves to even, after scaling by d[0] / d[1], one of which is 1.
struct Round {
  static constexpr int kCost = 2;
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    if constexpr (kIsFloat<V>) {
      const V up = m::attr<V>(a, 0);
      const V down = m::attr<V>(a, 1);
      return m::rint(x * up / down) * down / up;
    } else {
      return x;
    }
  }
};

struct Frac {
  template <class V>
  AG_MATH static V apply(V x) {
    return x - m::trunc(x);
  }
};

// NaN if either is NaN.
struct Maximum {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return m::max(x, y);
  }
};

struct Minimum {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return m::min(x, y);
  }
};

// The number if one is NaN.
struct Fmax {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    if constexpr (kIsFloat<V>) {
      return m::select(m::is_nan(y) | (x > y), x, y);
    } else {
      return m::max(x, y);
    }
  }
};

struct Fmin {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    if constexpr (kIsFloat<V>) {
      return m::select(m::is_nan(y) | (x < y), x, y);
    } else {
      return m::min(x, y);
    }
  }
};

// NaN if any is NaN; the upper bound wins.
struct Clamp {
  template <class V>
  AG_MATH static V apply(V x, V low, V high) {
    return m::min(m::max(x, low), high);
  }
};

struct Where {
  template <class V>
  AG_MATH static V apply(V condition, V x, V y) {
    return m::select(condition != m::k<V>(0), x, y);
  }
};

// From the nearer end, so that both ends are met exactly.
struct Lerp {
  template <class V>
  AG_MATH static V apply(V x, V y, V weight) {
    const V difference = y - x;
    const V one = m::k<V>(1);
    return m::select(m::abs(weight) < m::k<V>(0.5), m::fma(weight, difference, x),
                     y - difference * (one - weight));
  }
};

// x + value y z.
struct Addcmul {
  template <class V>
  AG_MATH static V apply(V x, V y, V z, const Attrs& a) {
    if constexpr (kIsFloat<V>) {
      return m::fma(m::attr<V>(a, 0) * y, z, x);
    } else {
      return m::add(x, m::mul(m::mul(m::attr<V>(a, 0), y), z));
    }
  }
};

// x + value y / z.
struct Addcdiv {
  template <class V>
  AG_MATH static V apply(V x, V y, V z, const Attrs& a) {
    return x + m::attr<V>(a, 0) * (y / z);
  }
};

struct Copysign {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return m::copysign(x, y);
  }
};

struct Nextafter {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return m::nextafter(x, y);
  }
};

struct Heaviside {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    const V step = m::select(x > m::k<V>(0), m::k<V>(1), m::k<V>(0));
    return m::select(x == m::k<V>(0), y, step);
  }
};

struct Deg2rad {
  template <class V>
  AG_MATH static V apply(V x) {
    return x * m::k<V>(0.017453292519943295769);
  }
};

struct Rad2deg {
  template <class V>
  AG_MATH static V apply(V x) {
    return x * m::k<V>(57.295779513082320877);
  }
};

// Replacements for NaN, inf and -inf in d[0], d[1], d[2].
struct NanToNum {
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    if constexpr (kIsFloat<V>) {
      const V inf = m::k<V>(std::numeric_limits<ScalarOf<V>>::infinity());
      const V finite =
          m::select(x == inf, m::attr<V>(a, 1), m::select(x == -inf, m::attr<V>(a, 2), x));
      return m::select(m::is_nan(x), m::attr<V>(a, 0), finite);
    } else {
      return x;
    }
  }
};

AG_MATH_END
#endif
