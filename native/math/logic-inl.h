// Functors of comparison, tests, logic and bits. Those with a bool result are for scalars: loops
// over them are left to the compiler, which packs the results.
#include "math/target.h"

#if defined(AG_MATH_LOGIC_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_LOGIC_INL_H
#undef AG_MATH_LOGIC_INL_H
#else
#define AG_MATH_LOGIC_INL_H
#endif

#include "math/elementary-inl.h"

AG_MATH_BEGIN

struct Eq {
  template <class V>
  AG_MATH static MaskOf<V> apply(V x, V y) {
    return x == y;
  }
};

struct Ne {
  template <class V>
  AG_MATH static MaskOf<V> apply(V x, V y) {
    return x != y;
  }
};

struct Lt {
  template <class V>
  AG_MATH static MaskOf<V> apply(V x, V y) {
    return x < y;
  }
};

struct Le {
  template <class V>
  AG_MATH static MaskOf<V> apply(V x, V y) {
    return x <= y;
  }
};

struct Gt {
  template <class V>
  AG_MATH static MaskOf<V> apply(V x, V y) {
    return x > y;
  }
};

struct Ge {
  template <class V>
  AG_MATH static MaskOf<V> apply(V x, V y) {
    return x >= y;
  }
};

// |x - y| <= atol + rtol |y|; rtol in d[0], atol in d[1], equalNan in i[0]. Scalars only.
struct Isclose {
  static constexpr int kCost = 2;
  template <class V>
  AG_MATH static bool apply(V x, V y, const Attrs& a) {
    if constexpr (kIsFloat<V>) {
      const V allowed = m::attr<V>(a, 1) + m::abs(m::attr<V>(a, 0) * y);
      const V difference = m::abs(x - y);
      const bool finite = difference < m::k<V>(std::numeric_limits<V>::infinity());
      const bool both_nan = (a.i[0] != 0) & m::is_nan(x) & m::is_nan(y);
      return (x == y) | both_nan | (finite & (difference <= allowed));
    } else {
      const double dx = static_cast<double>(x);
      const double dy = static_cast<double>(y);
      return (x == y) | (m::abs(dx - dy) <= a.d[1] + m::abs(a.d[0] * dy));
    }
  }
};

struct Isnan {
  template <class V>
  AG_MATH static bool apply(V x) {
    if constexpr (kIsFloat<V>) {
      return x != x;
    } else {
      return x != x;
    }
  }
};

struct Isinf {
  template <class V>
  AG_MATH static bool apply(V x) {
    if constexpr (kIsFloat<V>) {
      return m::abs(x) == m::k<V>(std::numeric_limits<V>::infinity());
    } else {
      return x != x;
    }
  }
};

struct Isfinite {
  template <class V>
  AG_MATH static bool apply(V x) {
    if constexpr (kIsFloat<V>) {
      return m::abs(x) < m::k<V>(std::numeric_limits<V>::infinity());
    } else {
      return true;
    }
  }
};

struct Isposinf {
  template <class V>
  AG_MATH static bool apply(V x) {
    if constexpr (kIsFloat<V>) {
      return x == m::k<V>(std::numeric_limits<V>::infinity());
    } else {
      return x != x;
    }
  }
};

struct Isneginf {
  template <class V>
  AG_MATH static bool apply(V x) {
    if constexpr (kIsFloat<V>) {
      return x == m::k<V>(-std::numeric_limits<V>::infinity());
    } else {
      return x != x;
    }
  }
};

struct Signbit {
  template <class V>
  AG_MATH static bool apply(V x) {
    if constexpr (kIsFloat<V>) {
      return __builtin_signbit(x) != 0;
    } else {
      return x < V{0};
    }
  }
};

struct LogicalNot {
  template <class V>
  AG_MATH static bool apply(V x) {
    return !x;
  }
};

struct LogicalAnd {
  template <class V>
  AG_MATH static bool apply(V x, V y) {
    return x & y;
  }
};

struct LogicalOr {
  template <class V>
  AG_MATH static bool apply(V x, V y) {
    return x | y;
  }
};

struct LogicalXor {
  template <class V>
  AG_MATH static bool apply(V x, V y) {
    return x != y;
  }
};

struct BitwiseNot {
  template <class V>
  AG_MATH static V apply(V x) {
    if constexpr (std::is_same_v<V, bool>) {
      return !x;
    } else {
      return static_cast<V>(~x);
    }
  }
};

struct BitwiseAnd {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return static_cast<V>(x & y);
  }
};

struct BitwiseOr {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return static_cast<V>(x | y);
  }
};

struct BitwiseXor {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return static_cast<V>(x ^ y);
  }
};

// Counts out of range: 0.
struct ShiftLeft {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return scalar::shift_left(x, y);
  }
};

// Counts out of range: 0, or -1 for negative numbers.
struct ShiftRight {
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return scalar::shift_right(x, y);
  }
};

struct Gcd {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return scalar::gcd(x, y);
  }
};

struct Lcm {
  static constexpr int kCost = 16;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    return scalar::lcm(x, y);
  }
};

AG_MATH_END
#endif
