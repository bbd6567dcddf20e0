// Functors of the special functions, lane by lane in double (see math/special.h): half an ulp and a
// little more in float, 1e-15 to 1e-14 relative in double away from zeros.
#include "math/target.h"

#if defined(AG_MATH_SPECIAL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_SPECIAL_INL_H
#undef AG_MATH_SPECIAL_INL_H
#else
#define AG_MATH_SPECIAL_INL_H
#endif

#include "math/elementary-inl.h"
#include "math/special.h"

AG_MATH_BEGIN

#define AG_SPECIAL_FUNCTOR(Name, fn)                                      \
  struct Name {                                                           \
    static constexpr int kCost = 48;                                      \
    template <class V>                                                    \
    AG_MATH static V apply(V x) {                                         \
      return m::lanewise([](ScalarOf<V> v) { return scalar::fn(v); }, x); \
    }                                                                     \
  };
AG_SPECIAL_FUNCTOR(BesselI0, bessel_i0)
AG_SPECIAL_FUNCTOR(BesselI0e, bessel_i0e)
AG_SPECIAL_FUNCTOR(BesselI1, bessel_i1)
AG_SPECIAL_FUNCTOR(BesselI1e, bessel_i1e)
AG_SPECIAL_FUNCTOR(Erfcx, erfcx)
AG_SPECIAL_FUNCTOR(Ndtr, ndtr)
AG_SPECIAL_FUNCTOR(LogNdtr, log_ndtr)
AG_SPECIAL_FUNCTOR(Ndtri, ndtri)
#undef AG_SPECIAL_FUNCTOR

// Order in i[0].
struct Polygamma {
  static constexpr int kCost = 200;
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    const int64_t n = a.i[0];
    return m::lanewise(
        [n](ScalarOf<V> v) {
          return static_cast<ScalarOf<V>>(scalar::polygamma(n, static_cast<double>(v)));
        },
        x);
  }
};

// -x log(x); 0 at 0, -inf below.
struct Entr {
  static constexpr int kCost = 6;
  template <class V>
  AG_MATH static V apply(V x) {
    const V inf = m::k<V>(std::numeric_limits<ScalarOf<V>>::infinity());
    const V inside = m::select(x == m::k<V>(0), m::k<V>(0), -x * m::log(x));
    return m::select(x < m::k<V>(0), -inf, inside);
  }
};

// x log(1 + y), 0 where x is 0.
struct Xlog1py {
  static constexpr int kCost = 6;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    const V value = m::select(x == m::k<V>(0), m::k<V>(0), x * m::log1p(y));
    return m::select(m::is_nan(y), y, value);
  }
};

AG_MATH_END
#endif
