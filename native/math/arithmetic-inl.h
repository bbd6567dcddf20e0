// Functors of arithmetic and comparison, one struct an op. Exact or correctly rounded unless a comment
// says otherwise; integers wrap around.
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

struct Neg {
  template <class V>
  AG_MATH static V apply(V x) {
    return m::neg(x);
  }
};

struct Eq {
  template <class V>
  AG_MATH static MaskOf<V> apply(V x, V y) {
    return x == y;
  }
};

AG_MATH_END
#endif
