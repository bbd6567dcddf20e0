// See optim_loops.h. The functors run on vectors, the rest of a run on scalars of the same
// functor, so that where a run was cut does not show in the result.
#include "backend/cpu/optim_loops.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#define AG_MATH_SIMD
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/optim_loops.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "backend/cpu/values-inl.h"
#include "math/optim-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using ::ampgrad::math::kOptimFactors;
using ::ampgrad::math::OptimFlags;

// Elements [i, n) in steps of V; returns where it stopped.
template <class F, class V>
HWY_INLINE int64_t step_values(const OptimRun& run, int64_t i) {
  using T = math::ScalarOf<V>;
  int64_t width = 1;
  if constexpr (!math::kIsScalar<V>) width = static_cast<int64_t>(hn::Lanes(typename V::Tag()));
  V factors[kOptimFactors];
  for (int k = 0; k < kOptimFactors; ++k) factors[k] = math::m::k<V>(run.factors[k]);
  const V grad_factor = math::m::k<V>(run.grad_factor);
  const OptimFlags flags = run.flags;
  T* param = static_cast<T*>(run.param);
  const T* grad = static_cast<const T*>(run.grad);
  T* states[F::kStates];
  for (int k = 0; k < F::kStates; ++k) states[k] = static_cast<T*>(run.states[k]);
  for (; i + width <= run.n; i += width) {
    V p = load<V>(param + i);
    V s[F::kStates];
    for (int k = 0; k < F::kStates; ++k) {
      s[k] = states[k] != nullptr ? load<V>(states[k] + i) : math::m::k<V>(0);
    }
    F::apply(p, load<V>(grad + i) * grad_factor, s, factors, flags);
    store(p, param + i);
    for (int k = 0; k < F::kStates; ++k) {
      if (states[k] != nullptr) store(s[k], states[k] + i);
    }
  }
  return i;
}

template <class F, class T>
HWY_ATTR void step_run(const OptimRun& run) {
  const int64_t rest = step_values<F, math::Pack<T>>(run, 0);
  step_values<F, T>(run, rest);
}

template <class T>
HWY_ATTR void scale_run(T* x, int64_t n, T scale, T low, T high) {
  each_value_apart<T>(n, [=](auto one, int64_t i) HWY_ATTR {
    using V = decltype(one);
    store(math::ScaleAndClamp::apply(load<V>(x + i), math::m::k<V>(scale), math::m::k<V>(low),
                                     math::m::k<V>(high)),
          x + i);
  });
}

template <class V, class T>
HWY_INLINE V factored_at(const FactoredRun<T>& run, int64_t i) {
  return math::AdafactorStep::update(load<V>(run.grad + i),
                                     math::m::k<V>(run.row) * load<V>(run.col + i),
                                     math::m::k<V>(run.floor));
}

template <class T>
HWY_ATTR void factored_update_run(const FactoredRun<T>& run, T* out) {
  each_value<T>(run.n, [&](auto one, int64_t i)
                           HWY_ATTR { store(factored_at<decltype(one)>(run, i), out + i); });
}

template <class T>
HWY_ATTR void factored_apply_run(const FactoredRun<T>& run, T* p, T keep, T rate) {
  each_value<T>(run.n, [&](auto one, int64_t i) HWY_ATTR {
    using V = decltype(one);
    const V kept = load<V>(p + i) * math::m::k<V>(keep);
    store(math::m::fma(math::m::k<V>(rate), factored_at<V>(run, i), kept), p + i);
  });
}

template <class T>
void fill_of(OptimLoopsOf<T>* loops) {
#define AG_FILL(name) \
  loops->steps[static_cast<int>(OptimKind::name)] = step_run<math::name##Step, T>;
  AG_FOR_EACH_OPTIM(AG_FILL)
#undef AG_FILL
  loops->scale = scale_run<T>;
  loops->factored_update = factored_update_run<T>;
  loops->factored_apply = factored_apply_run<T>;
}

void fill(OptimLoops* loops) {
  fill_of(&loops->float32);
  fill_of(&loops->float64);
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {
HWY_EXPORT(fill);
void fill_optim_loops(OptimLoops* loops) { HWY_DYNAMIC_DISPATCH(fill)(loops); }

const OptimLoops& optim_loops() {
  static const OptimLoops loops = [] {
    OptimLoops filled;
    fill_optim_loops(&filled);
    return filled;
  }();
  return loops;
}
}  // namespace ampgrad::cpu
#endif
