// Functors of activations and of their fused derivatives. Each comment gives the largest error.
#include "math/target.h"

#if defined(AG_MATH_ACTIVATION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_ACTIVATION_INL_H
#undef AG_MATH_ACTIVATION_INL_H
#else
#define AG_MATH_ACTIVATION_INL_H
#endif

#include "math/elementary-inl.h"
#include "math/normal_table.h"

AG_MATH_BEGIN

namespace m {

// The tail of the normal distribution beyond a >= 0; times max(1, a) it is off by 3e-8. By pieces,
// or as 2^q(a) with a polynomial q whose negative leading term takes the tail to 0.
template <FloatValue V>
AG_MATH V normal_tail(V a) {
  if constexpr (kLooksUp<V>) {
    constexpr double kMagic = 3145728;  // 1.5 * 2^21: a sum with it ends in quarters
    a = clamp_keep_nan(a, 0, 7.75);
    const V near = a + k<V>(kMagic);
    const V r = a - (near - k<V>(kMagic));
    V sum = look_up(kNormalTail[4], near);
    for (int i = 3; i >= 0; --i) sum = fma(sum, r, look_up(kNormalTail[i], near));
    return sum;
  } else {
    constexpr double tail[] = {-1.151106042e+00, -4.591982815e-01, -5.253361316e-02,
                               7.126865180e-03,  -1.917035658e-04, -1.612938263e-04,
                               3.373781445e-05,  -2.334948841e-06};
    // 2^r - 1 over r for |r| <= 1/2; relative error of 2^r 9e-8.
    constexpr double power[] = {6.931469776e-01, 2.402224208e-01, 5.550733745e-02, 9.671512676e-03,
                                1.326472668e-03};
    // Below 2^-126 the tail is 0, because the bits of an exponent of -127 are those of 0.
    const V q = at_least(fma(poly(a, tail), a, k<V>(-1)), -127);
    const V sum = q + k<V>(kExponentMagic<V>);
    const V r = q - (sum - k<V>(kExponentMagic<V>));
    return fma(poly(r, power), r, k<V>(1)) * pow2_of_sum(sum);
  }
}

// The normal distribution; absolute error 1e-7 (float).
template <FloatValue V>
AG_MATH V normal_cdf(V x) {
  if constexpr (kIsSingle<V>) {
    const V beyond = normal_tail(abs(x));
    return select_negative(x, beyond, k<V>(1) - beyond);
  } else {
    return k<V>(0.5) * (k<V>(1) + erf(x * k<V>(0.70710678118654752440)));
  }
}

// x times the normal distribution. Where nothing is looked up the distribution is 1/2 + x h(x^2)
// with a quotient h of polynomials, which is 1/2 or 0 beyond |x| = 5.3: half the work of the tail.
template <FloatValue V>
AG_MATH V gelu(V x) {
  if constexpr (kIsSingle<V> && !kLooksUp<V>) {
    constexpr double above[] = {3.989422193e-01, 3.309822942e-02, 4.638180187e-03,
                                1.620527132e-04, 6.396546443e-06, 2.395114370e-08};
    constexpr double below[] = {
        1, 2.496308861e-01, 2.823254064e-02, 1.846096407e-03, 7.193843358e-05, 1.235616472e-06};
    const V t = at_most(x * x, 64);
    const V part = clamp_keep_nan(x * (poly(t, above) / poly(t, below)), -0.5, 0.5);
    return fma(x, part, k<V>(0.5) * x);
  } else {
    return x * normal_cdf(x);
  }
}

// tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2).
template <FloatValue V>
AG_MATH V tanh_softplus(V x) {
  const V e = exp(select(x > k<V>(20), k<V>(20), x));
  const V n = e * (e + k<V>(2));
  return select(x > k<V>(20), k<V>(1), n / (n + k<V>(2)));
}

// The argument of gelu's sigmoid: 2 sqrt(2 / pi) (x + 0.044715 x^3).
inline constexpr double kGeluScale = 1.59576912160573071176;
inline constexpr double kGeluCube = 0.044715;
template <FloatValue V>
AG_MATH V gelu_inner(V x) {
  return k<V>(kGeluScale) * x * fma(k<V>(kGeluCube) * x, x, k<V>(1));
}

}  // namespace m

// max(x, 0): exact, NaN stays.
struct Relu {
  template <class V>
  AG_MATH static V apply(V x) {
    if constexpr (kIsFloat<V>) {
      return m::select(x < m::k<V>(0), m::k<V>(0), x);
    } else {
      return m::max(x, V{0});
    }
  }
};

// Between the bounds in attribute 0 and 1; NaN stays.
struct Hardtanh {
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    const V low = m::attr<V>(a, 0);
    const V high = m::attr<V>(a, 1);
    const V raised = m::select(x < low, low, x);
    return m::select(raised > high, high, raised);
  }
};

struct LeakyRelu {
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    return m::select(x > m::k<V>(0), x, x * m::attr<V>(a, 0));
  }
};

// x > 0: d[1] x, else d[0] (e^(d[2] x) - 1): elu, selu and celu. 2 ulp.
struct Elu {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    const V negative = m::expm1(x * m::attr<V>(a, 2)) * m::attr<V>(a, 0);
    return m::select(x > m::k<V>(0), x * m::attr<V>(a, 1), negative);
  }
};

struct EluBackward {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V grad, V x, const Attrs& a) {
    const V negative = m::exp(x * m::attr<V>(a, 2)) * (m::attr<V>(a, 0) * m::attr<V>(a, 2));
    return grad * m::select(x <= m::k<V>(0), negative, m::attr<V>(a, 1));
  }
};

// Absolute error 1.9e-7 max(1, |x|) (float; 2.2e-7 without fused steps); by erf in float it would
// be 3.5e-7.
struct Gelu {
  static constexpr int kCost = 5;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::gelu(x);
  }
};

// The tanh approximation, written as x times a sigmoid; 4 ulp.
struct GeluTanh {
  static constexpr int kCost = 5;
  template <class V>
  AG_MATH static V apply(V x) {
    return x / (m::k<V>(1) + m::exp(-m::gelu_inner(x)));
  }
};

struct GeluBackward {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V grad, V x) {
    const V density = m::exp(x * x * m::k<V>(-0.5)) * m::k<V>(0.39894228040143267794);
    return grad * m::fma(x, density, m::normal_cdf(x));
  }
};

struct GeluTanhBackward {
  static constexpr int kCost = 5;
  template <class V>
  AG_MATH static V apply(V grad, V x) {
    const V s = m::sigmoid(m::gelu_inner(x));
    const V slope = m::k<V>(m::kGeluScale) * m::fma(m::k<V>(3 * m::kGeluCube) * x, x, m::k<V>(1));
    return grad * m::fma(x * s * (m::k<V>(1) - s), slope, s);
  }
};

// 2.5 ulp.
struct Silu {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return x / (m::k<V>(1) + m::exp(-x));
  }
};

struct SiluBackward {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V grad, V x) {
    const V s = m::sigmoid(x);
    return grad * (s * m::fma(x, m::k<V>(1) - s, m::k<V>(1)));
  }
};

// 4 ulp.
struct Mish {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return x * m::tanh_softplus(x);
  }
};

struct MishBackward {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V grad, V x) {
    const V t = m::tanh_softplus(x);
    return grad * m::fma(x * m::sigmoid(x), m::k<V>(1) - t * t, t);
  }
};

// log(1 + e^(beta x)) / beta, x above the threshold.
struct Softplus {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    const V scaled = x * m::attr<V>(a, 0);
    const V value = m::log1p(m::exp(scaled)) / m::attr<V>(a, 0);
    return m::select(scaled > m::attr<V>(a, 1), x, value);
  }
};

struct SoftplusBackward {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V grad, V x, const Attrs& a) {
    const V scaled = x * m::attr<V>(a, 0);
    return m::select(scaled > m::attr<V>(a, 1), grad, grad * m::sigmoid(scaled));
  }
};

struct Softsign {
  template <class V>
  AG_MATH static V apply(V x) {
    return x / (m::k<V>(1) + m::abs(x));
  }
};

// Absolute error of one rounding of x.
struct Tanhshrink {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V x) {
    return x - m::tanh(x);
  }
};

struct Hardshrink {
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    const V limit = m::attr<V>(a, 0);
    return m::select((x >= -limit) & (x <= limit), m::k<V>(0), x);
  }
};

struct Softshrink {
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    const V limit = m::attr<V>(a, 0);
    const V middle = m::select(m::is_nan(x), x, m::k<V>(0));
    return m::select(x > limit, x - limit, m::select(x < -limit, x + limit, middle));
  }
};

// Of hardshrink and softshrink.
struct ShrinkBackward {
  template <class V>
  AG_MATH static V apply(V grad, V x, const Attrs& a) {
    const V limit = m::attr<V>(a, 0);
    return m::select((x >= -limit) & (x <= limit), m::k<V>(0), grad);
  }
};

struct Hardsigmoid {
  template <class V>
  AG_MATH static V apply(V x) {
    return m::min(m::max(x + m::k<V>(3), m::k<V>(0)), m::k<V>(6)) / m::k<V>(6);
  }
};

struct HardsigmoidBackward {
  template <class V>
  AG_MATH static V apply(V grad, V x) {
    const auto inside = (x > m::k<V>(-3)) & (x < m::k<V>(3));
    return m::select(inside, grad * m::k<V>(1.0 / 6), m::k<V>(0));
  }
};

struct Hardswish {
  template <class V>
  AG_MATH static V apply(V x) {
    return x * m::min(m::max(x + m::k<V>(3), m::k<V>(0)), m::k<V>(6)) / m::k<V>(6);
  }
};

struct HardswishBackward {
  template <class V>
  AG_MATH static V apply(V grad, V x) {
    const V middle = grad * m::fma(x, m::k<V>(1.0 / 3), m::k<V>(0.5));
    const V low = m::select(x <= m::k<V>(-3), m::k<V>(0), middle);
    return m::select(x >= m::k<V>(3), grad, low);
  }
};

// 2 ulp.
struct LogSigmoid {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x) {
    return m::min(x, m::k<V>(0)) - m::log1p(m::exp(-m::abs(x)));
  }
};

struct LogSigmoidBackward {
  static constexpr int kCost = 4;
  template <class V>
  AG_MATH static V apply(V grad, V x) {
    return grad * m::sigmoid(-x);
  }
};

// Attribute 1 up to attribute 0, x above; NaN stays.
struct Threshold {
  template <class V>
  AG_MATH static V apply(V x, const Attrs& a) {
    return m::select(x <= m::attr<V>(a, 0), m::attr<V>(a, 1), x);
  }
};

struct ThresholdBackward {
  template <class V>
  AG_MATH static V apply(V grad, V x, const Attrs& a) {
    return m::select(x <= m::attr<V>(a, 0), m::k<V>(0), grad);
  }
};

struct HardtanhBackward {
  template <class V>
  AG_MATH static V apply(V grad, V x, const Attrs& a) {
    const auto outside = (x <= m::attr<V>(a, 0)) | (x >= m::attr<V>(a, 1));
    return m::select(outside, m::k<V>(0), grad);
  }
};

struct LeakyReluBackward {
  template <class V>
  AG_MATH static V apply(V grad, V x, const Attrs& a) {
    return m::select(x > m::k<V>(0), grad, grad * m::attr<V>(a, 0));
  }
};

// -(y log x + (1 - y) log(1 - x)) with both logarithms at least -100.
struct BinaryCrossEntropyTerms {
  static constexpr int kCost = 8;
  template <class V>
  AG_MATH static V apply(V x, V y) {
    const V hit = m::max(m::log(x), m::k<V>(-100));
    const V miss = m::max(m::log1p(-x), m::k<V>(-100));
    return (y - m::k<V>(1)) * miss - y * hit;
  }
};

AG_MATH_END
#endif
