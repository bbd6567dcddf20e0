// One step of each optimizer for one element, host and device. A functor reads the parameter, its
// gradient (already scaled, negated when maximising) and the states, all opmath dtype, and writes
// the parameter and the states. What does not depend on the element is computed once a tensor, in
// double, by `prepare`, which also advances the scalar states (step count and the like).
//   prepare(P options, float* const* scalars, double* c, OptimFlags* f)
//   apply(V& p, V g, V* s, const V* c, OptimFlags f)
// P is duck-typed: ops/params.h has it. Formulas follow the papers in PyTorch's conventions.
#include "math/target.h"

#if defined(AG_MATH_OPTIM_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_OPTIM_INL_H
#undef AG_MATH_OPTIM_INL_H
#else
#define AG_MATH_OPTIM_INL_H
#endif

#include "math/optim.h"
#include "math/vocabulary-inl.h"

AG_MATH_BEGIN

namespace detail {

// 1 - base^step without cancellation for bases near 1.
AG_MATH double one_minus_power(double base, double step) {
  return base == 0 ? 1.0 : -::expm1(step * ::log(base));
}

AG_MATH double count_step(float* const* scalars) {
  *scalars[0] += 1.0f;
  return static_cast<double>(*scalars[0]);
}

// L2 regularisation: the decay is part of the gradient.
template <class V>
AG_MATH V decayed(V g, V p, V decay, OptimFlags f) {
  return f.decay ? m::fma(decay, p, g) : g;
}

// a * old + (1 - a) * x, with both factors prepared.
template <class V>
AG_MATH V average(V old, V x, V keep, V take) {
  return m::fma(keep, old, take * x);
}

// -1, 0 or 1; NaN for NaN.
template <class V>
AG_MATH V sign(V x) {
  const V zero = m::k<V>(0);
  const V one = m::k<V>(1);
  return m::select(x > zero, one, m::select(x < zero, -one, x));
}

}  // namespace detail

// Momentum and Nesterov's variant. A zero buffer stands for "no buffer yet": with dampening the
// first gradient enters undamped, which the step count (given only then) tells.
struct SgdStep {
  static constexpr int kStates = 1;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags* f) {
    const bool first = scalars[0] != nullptr && detail::count_step(scalars) == 1.0;
    c[0] = -o.lr;
    c[1] = o.weight_decay;
    c[2] = o.momentum;
    c[3] = first ? 1.0 : 1.0 - o.dampening;
    f->variant = o.momentum != 0;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    g = detail::decayed(g, p, c[1], f);
    if (f.variant) {
      s[0] = m::fma(c[2], s[0], c[3] * g);
      g = f.nesterov ? m::fma(c[2], s[0], g) : s[0];
    }
    p = m::fma(c[0], g, p);
  }
};

// Adam (Kingma and Ba), AdamW (decoupled decay) and AMSGrad.
struct AdamStep {
  static constexpr int kStates = 3;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags* f) {
    const double step = detail::count_step(scalars);
    c[0] = -o.lr / detail::one_minus_power(o.beta1, step);
    c[1] = f->decoupled ? 1.0 - o.lr * o.weight_decay : o.weight_decay;
    c[2] = o.beta1;
    c[3] = 1.0 - o.beta1;
    c[4] = o.beta2;
    c[5] = 1.0 - o.beta2;
    c[6] = 1.0 / ::sqrt(detail::one_minus_power(o.beta2, step));
    c[7] = o.eps;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    if (f.decoupled) {
      if (f.decay) p = p * c[1];
    } else {
      g = detail::decayed(g, p, c[1], f);
    }
    s[0] = detail::average(s[0], g, c[2], c[3]);
    s[1] = detail::average(s[1], g * g, c[4], c[5]);
    V second = s[1];
    if (f.amsgrad) {
      s[2] = m::max(s[2], second);
      second = s[2];
    }
    p = m::fma(c[0], s[0] / m::fma(m::sqrt(second), c[6], c[7]), p);
  }
};

// RMSprop (Hinton), optionally centered (Graves) and with momentum.
// States: mean square, momentum buffer, mean.
struct RmspropStep {
  static constexpr int kStates = 3;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags* f) {
    detail::count_step(scalars);
    c[0] = -o.lr;
    c[1] = o.weight_decay;
    c[2] = o.beta2;
    c[3] = 1.0 - o.beta2;
    c[4] = o.momentum;
    c[5] = o.eps;
    f->variant = o.momentum != 0;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    g = detail::decayed(g, p, c[1], f);
    s[0] = detail::average(s[0], g * g, c[2], c[3]);
    V spread = s[0];
    if (f.centered) {
      s[2] = detail::average(s[2], g, c[2], c[3]);
      spread = spread - s[2] * s[2];
    }
    V update = g / (m::sqrt(spread) + c[5]);
    if (f.variant) {
      s[1] = m::fma(c[4], s[1], update);
      update = s[1];
    }
    p = m::fma(c[0], update, p);
  }
};

// Adagrad (Duchi et al.).
struct AdagradStep {
  static constexpr int kStates = 1;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags*) {
    const double step = detail::count_step(scalars);
    c[0] = -o.lr / (1.0 + (step - 1.0) * o.lr_decay);
    c[1] = o.weight_decay;
    c[2] = o.eps;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    g = detail::decayed(g, p, c[1], f);
    s[0] = m::fma(g, g, s[0]);
    p = m::fma(c[0], g / (m::sqrt(s[0]) + c[2]), p);
  }
};

// Adadelta (Zeiler). States: mean square of gradients, of updates.
struct AdadeltaStep {
  static constexpr int kStates = 2;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags*) {
    detail::count_step(scalars);
    c[0] = -o.lr;
    c[1] = o.weight_decay;
    c[2] = o.beta2;
    c[3] = 1.0 - o.beta2;
    c[4] = o.eps;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    g = detail::decayed(g, p, c[1], f);
    s[0] = detail::average(s[0], g * g, c[2], c[3]);
    const V update = m::sqrt(s[1] + c[4]) / m::sqrt(s[0] + c[4]) * g;
    s[1] = detail::average(s[1], update * update, c[2], c[3]);
    p = m::fma(c[0], update, p);
  }
};

// Adamax (Kingma and Ba): Adam with the infinity norm.
struct AdamaxStep {
  static constexpr int kStates = 2;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags*) {
    const double step = detail::count_step(scalars);
    c[0] = -o.lr / detail::one_minus_power(o.beta1, step);
    c[1] = o.weight_decay;
    c[2] = o.beta1;
    c[3] = 1.0 - o.beta1;
    c[4] = o.beta2;
    c[5] = o.eps;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    g = detail::decayed(g, p, c[1], f);
    s[0] = detail::average(s[0], g, c[2], c[3]);
    s[1] = m::max(s[1] * c[4], m::abs(g) + c[5]);
    p = m::fma(c[0], s[0] / s[1], p);
  }
};

// NAdam (Dozat). Scalars: step, product of the momentum coefficients so far.
struct NadamStep {
  static constexpr int kStates = 2;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags* f) {
    const double step = detail::count_step(scalars);
    const double mu = o.beta1 * (1.0 - 0.5 * ::pow(0.96, step * o.momentum_decay));
    const double next = o.beta1 * (1.0 - 0.5 * ::pow(0.96, (step + 1.0) * o.momentum_decay));
    *scalars[1] *= static_cast<float>(mu);
    const double product = static_cast<double>(*scalars[1]);
    c[0] = -o.lr * (1.0 - mu) / (1.0 - product);
    c[1] = f->decoupled ? 1.0 - o.lr * o.weight_decay : o.weight_decay;
    c[2] = o.beta1;
    c[3] = 1.0 - o.beta1;
    c[4] = o.beta2;
    c[5] = 1.0 - o.beta2;
    c[6] = 1.0 / ::sqrt(detail::one_minus_power(o.beta2, step));
    c[7] = o.eps;
    c[8] = -o.lr * next / (1.0 - product * next);
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    if (f.decoupled) {
      if (f.decay) p = p * c[1];
    } else {
      g = detail::decayed(g, p, c[1], f);
    }
    s[0] = detail::average(s[0], g, c[2], c[3]);
    s[1] = detail::average(s[1], g * g, c[4], c[5]);
    const V denominator = m::fma(m::sqrt(s[1]), c[6], c[7]);
    p = m::fma(c[0], g / denominator, p);
    p = m::fma(c[8], s[0] / denominator, p);
  }
};

// RAdam (Liu et al.): plain momentum until the variance of the adaptive rate is tractable.
struct RadamStep {
  static constexpr int kStates = 2;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags* f) {
    const double step = detail::count_step(scalars);
    const double rest2 = detail::one_minus_power(o.beta2, step);
    const double limit = 2.0 / (1.0 - o.beta2) - 1.0;
    const double length = limit - 2.0 * step * ::pow(o.beta2, step) / rest2;
    f->variant = length > 5.0;
    double rate = o.lr / detail::one_minus_power(o.beta1, step);
    if (f->variant) {
      rate *= ::sqrt(rest2) * ::sqrt((length - 4.0) * (length - 2.0) * limit /
                                     ((limit - 4.0) * (limit - 2.0) * length));
    }
    c[0] = -rate;
    c[1] = f->decoupled ? 1.0 - o.lr * o.weight_decay : o.weight_decay;
    c[2] = o.beta1;
    c[3] = 1.0 - o.beta1;
    c[4] = o.beta2;
    c[5] = 1.0 - o.beta2;
    c[6] = o.eps;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    if (f.decoupled) {
      if (f.decay) p = p * c[1];
    } else {
      g = detail::decayed(g, p, c[1], f);
    }
    s[0] = detail::average(s[0], g, c[2], c[3]);
    s[1] = detail::average(s[1], g * g, c[4], c[5]);
    p = m::fma(c[0], f.variant ? s[0] / (m::sqrt(s[1]) + c[6]) : s[0], p);
  }
};

// Rprop (Riedmiller and Braun). States: previous gradient, step size.
struct RpropStep {
  static constexpr int kStates = 2;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags*) {
    detail::count_step(scalars);
    c[0] = o.eta_minus;
    c[1] = o.eta_plus;
    c[2] = o.step_min;
    c[3] = o.step_max;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags) {
    const V zero = m::k<V>(0);
    const V agreement = detail::sign(g * s[0]);
    const V factor = m::select(agreement > zero, c[1],
                               m::select(agreement < zero, c[0], m::k<V>(1) + agreement));
    s[1] = m::min(m::max(s[1] * factor, c[2]), c[3]);
    g = m::select(agreement < zero, zero, g);
    p = p - detail::sign(g) * s[1];
    s[0] = g;
  }
};

// Averaged SGD (Polyak and Juditsky). Scalars: step, eta, mu; the last two are those of this step
// and are replaced by those of the next.
struct AsgdStep {
  static constexpr int kStates = 1;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags* f) {
    const double step = detail::count_step(scalars);
    const double eta = static_cast<double>(*scalars[1]);
    const double mu = static_cast<double>(*scalars[2]);
    c[0] = -eta;
    c[1] = o.weight_decay;
    c[2] = 1.0 - o.lambd * eta;
    c[3] = mu;
    f->variant = mu != 1.0;
    *scalars[1] = static_cast<float>(o.lr / ::pow(1.0 + o.lambd * o.lr * step, o.alpha));
    const double since = step - o.t0;
    *scalars[2] = static_cast<float>(1.0 / (since > 1.0 ? since : 1.0));
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    g = detail::decayed(g, p, c[1], f);
    p = m::fma(c[0], g, p * c[2]);
    s[0] = f.variant ? m::fma(p - s[0], c[3], s[0]) : p;
  }
};

// Lion (Chen et al.): the sign of an interpolated momentum.
struct LionStep {
  static constexpr int kStates = 1;
  template <class P>
  AG_MATH static void prepare(const P& o, float* const* scalars, double* c, OptimFlags*) {
    detail::count_step(scalars);
    c[0] = -o.lr;
    c[1] = 1.0 - o.lr * o.weight_decay;
    c[2] = o.beta1;
    c[3] = 1.0 - o.beta1;
    c[4] = o.beta2;
    c[5] = 1.0 - o.beta2;
  }
  template <class V>
  AG_MATH static void apply(V& p, V g, V* s, const V* c, OptimFlags f) {
    if (f.decay) p = p * c[1];
    p = m::fma(c[0], detail::sign(detail::average(s[0], g, c[2], c[3])), p);
    s[0] = detail::average(s[0], g, c[4], c[5]);
  }
};

// The direction of Adafactor (Shazeer and Stern): the gradient over the root of the estimated mean
// square, which for matrices is an outer product. `floor` is the square of eps1.
struct AdafactorStep {
  template <class V>
  AG_MATH static V update(V g, V mean_square, V floor) {
    return g / m::sqrt(m::max(mean_square, floor));
  }
};

// x * scale within bounds; NaN stays NaN.
struct ScaleAndClamp {
  template <class V>
  AG_MATH static V apply(V x, V scale, V low, V high) {
    return m::min(m::max(x * scale, low), high);
  }
};

AG_MATH_END
#endif
