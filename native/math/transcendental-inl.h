// Functors of exponentials, logarithms, trigonometry and special functions. Each comment gives the
// largest error; where the C library serves, it is glibc's.
#include "math/target.h"

#if defined(AG_MATH_TRANSCENDENTAL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_TRANSCENDENTAL_INL_H
#undef AG_MATH_TRANSCENDENTAL_INL_H
#else
#define AG_MATH_TRANSCENDENTAL_INL_H
#endif

#include "math/elementary-inl.h"

AG_MATH_BEGIN

// 1 ulp.
struct Exp {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::exp(x);
  }
};

// 1.5 ulp.
struct Exp2 {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::exp2(x);
  }
};

// 2 ulp.
struct Expm1 {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::expm1(x);
  }
};

// 1 ulp.
struct Log {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::log(x);
  }
};

// 2 ulp.
struct Log2 {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::log2(x);
  }
};

// 2 ulp.
struct Log10 {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::log10(x);
  }
};

// 2 ulp.
struct Log1p {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::log1p(x);
  }
};

// 1 ulp.
struct Sin {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::sin(x);
  }
};

// 1 ulp.
struct Cos {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::cos(x);
  }
};

// 1 ulp.
struct Tan {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::tan(x);
  }
};

// 1 ulp.
struct Asin {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::asin(x);
  }
};

// 1 ulp.
struct Acos {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::acos(x);
  }
};

// 1 ulp.
struct Atan {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::atan(x);
  }
};

// 2 ulp.
struct Sinh {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::sinh(x);
  }
};

// 2 ulp.
struct Cosh {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::cosh(x);
  }
};

// 1.1 ulp (float; 1.2 without fused steps), 2.5 ulp (double).
struct Tanh {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::tanh(x);
  }
};

// 2 ulp.
struct Asinh {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::asinh(x);
  }
};

// 2 ulp.
struct Acosh {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::acosh(x);
  }
};

// 2 ulp.
struct Atanh {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::atanh(x);
  }
};

// 1.5 ulp.
struct Erf {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::erf(x);
  }
};

// 3 ulp.
struct Erfc {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::erfc(x);
  }
};

// 1 ulp (float), 1e-14 relative (double).
struct Erfinv {
  static constexpr int kCost = 32;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::erfinv(x);
  }
};

// 1 ulp (float); the C library (double).
struct Lgamma {
  static constexpr int kCost = 32;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::lgamma(x);
  }
};

// 1e-7 (float), 1e-14 (double) of 1 + |value|.
struct Digamma {
  static constexpr int kCost = 32;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::digamma(x);
  }
};

// 2.5 ulp.
struct Sigmoid {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::sigmoid(x);
  }
};

// log(x / (1 - x)) of x moved into [d[0], d[1]].
struct Logit {
  static constexpr int kCost = 6;
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    const V p = m::select(x < m::attr<V>(a, 0), m::attr<V>(a, 0), x);
    const V q = m::select(p > m::attr<V>(a, 1), m::attr<V>(a, 1), p);
    return m::log(q / (m::k<V>(1) - q));
  }
};

// sin(pi x) / (pi x).
struct Sinc {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x) {
    const V angle = x * m::k<V>(3.14159265358979323846);
    return m::select(x == m::k<V>(0), m::k<V>(1), m::sin(angle) / angle);
  }
};

// 1 ulp.
struct Pow {
  static constexpr int kCost = 24;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    if constexpr (kIsFloat<V>) {
      return m::pow(x, y);
    } else {
      return scalar::int_pow(x, y);
    }
  }
};

// 1.5 ulp.
struct Atan2 {
  static constexpr int kCost = 24;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return m::atan2(x, y);
  }
};

// 1 ulp.
struct Hypot {
  static constexpr int kCost = 12;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return m::hypot(x, y);
  }
};

// log(e^x + e^y).
struct Logaddexp {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    const V inf = m::k<V>(std::numeric_limits<ScalarOf<V>>::infinity());
    const V top = m::max(x, y);
    const V value = top + m::log1p(m::exp(-m::abs(x - y)));
    return m::select((m::abs(x) == inf) & (x == y), x, value);
  }
};

// log2(2^x + 2^y).
struct Logaddexp2 {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    const V inf = m::k<V>(std::numeric_limits<ScalarOf<V>>::infinity());
    const V top = m::max(x, y);
    const V value = m::fma(m::log1p(m::exp2(-m::abs(x - y))), m::k<V>(m::kLog2E), top);
    return m::select((m::abs(x) == inf) & (x == y), x, value);
  }
};

// x log(y), 0 where x is 0.
struct Xlogy {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    const V value = m::select(x == m::k<V>(0), m::k<V>(0), x * m::log(y));
    return m::select(m::is_nan(y), y, value);
  }
};

// From the output.
struct SigmoidBackward {
  template <class V>
  AG_MATH static V apply(V grad, V y) {
    return grad * ((m::k<V>(1) - y) * y);
  }
};

// From the output.
struct TanhBackward {
  template <class V>
  AG_MATH static V apply(V grad, V y) {
    return grad * (m::k<V>(1) - y * y);
  }
};

AG_MATH_END
#endif
