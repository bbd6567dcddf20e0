// Functors of activations and exponentials. Each comment gives the largest error in ulp.
#include "math/target.h"

#if defined(AG_MATH_ACTIVATION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_ACTIVATION_INL_H
#undef AG_MATH_ACTIVATION_INL_H
#else
#define AG_MATH_ACTIVATION_INL_H
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

// max(x, 0): exact, NaN stays.
struct Relu {
  template <class V>
  AG_MATH static V apply(V x) {
    return m::select(x < m::k<V>(0), m::k<V>(0), x);
  }
};

// 2 ulp.
struct Sigmoid {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::sigmoid(x);
  }
};

AG_MATH_END
#endif
