// See norm_loops.h. Explicit vectors where sums are kept, and in the last loop over a row, which
// fetches the next one and may store past the caches; everything else is a plain loop that the
// compiler vectorises in each target's region.
#include "backend/cpu/norm_loops.h"

#define AG_MATH_SIMD
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/norm_loops.cpp"
#include "hwy/foreach_target.h"

#include "hwy/cache_control.h"
#include "hwy/highway.h"

#include "backend/cpu/values-inl.h"
#include "math/norm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
HWY_INLINE void affine_of(const T* x, T* y, int64_t n, T center, T scale, T shift) {
  each_value<T>(n, [=](auto one, int64_t i) HWY_ATTR {
    using V = decltype(one);
    fetch_next<V>(x, n, i);
    store(math::affine(load<V>(x + i), math::m::k<V>(center), math::m::k<V>(scale),
                       math::m::k<V>(shift)),
          y + i);
  });
}

template <bool kStream, class T>
HWY_INLINE void normalize_of(const T* x, const T* w, const T* b, T* y, int64_t n, T center,
                             T scale) {
  each_value<T>(n, [=](auto one, int64_t i) HWY_ATTR {
    using V = decltype(one);
    fetch_next<V>(x, n, i);
    V v = (load<V>(x + i) - math::m::k<V>(center)) * math::m::k<V>(scale);
    if (w != nullptr) v = v * load<V>(w + i);
    if (b != nullptr) v = v + load<V>(b + i);
    store<kStream>(v, y + i);
  });
}

template <bool kWeighted, class T>
HWY_INLINE PairSum grad_moments_of(const T* HWY_RESTRICT g, const T* HWY_RESTRICT x,
                                   const T* HWY_RESTRICT w, int64_t n, T center) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto mid = hn::Set(d, center);
  auto a0 = hn::Zero(d);
  auto a1 = hn::Zero(d);
  auto b0 = hn::Zero(d);
  auto b1 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    auto g0 = hn::LoadU(d, g + i);
    auto g1 = hn::LoadU(d, g + i + lanes);
    if constexpr (kWeighted) {
      g0 = hn::Mul(g0, hn::LoadU(d, w + i));
      g1 = hn::Mul(g1, hn::LoadU(d, w + i + lanes));
    }
    a0 = hn::Add(a0, g0);
    a1 = hn::Add(a1, g1);
    b0 = hn::MulAdd(g0, hn::Sub(hn::LoadU(d, x + i), mid), b0);
    b1 = hn::MulAdd(g1, hn::Sub(hn::LoadU(d, x + i + lanes), mid), b1);
  }
  PairSum sum;
  for (; i < n; ++i) {
    const T v = kWeighted ? g[i] * w[i] : g[i];
    sum.first += v;
    sum.second += static_cast<double>(v) * (x[i] - center);
  }
  sum.first += hn::GetLane(hn::SumOfLanes(d, hn::Add(a0, a1)));
  sum.second += hn::GetLane(hn::SumOfLanes(d, hn::Add(b0, b1)));
  return sum;
}

template <bool kStream, class T>
HWY_INLINE void norm_grad_of(const NormGradRun<T>& r) {
  const T* w = r.w;
  each_value<T>(r.n, [=](auto one, int64_t i) HWY_ATTR {
    using V = decltype(one);
    fetch_next<V>(r.g, r.n, i);
    fetch_next<V>(r.x, r.n, i);
    V grad = load<V>(r.g + i);
    const V x = load<V>(r.x + i);
    const V center = math::m::k<V>(r.center);
    if (r.dw != nullptr) {
      store(load<V>(r.dw + i) + grad * ((x - center) * math::m::k<V>(r.rstd)), r.dw + i);
      store(load<V>(r.db + i) + grad, r.db + i);
    }
    if (r.out == nullptr) return;
    if (w != nullptr) grad = grad * load<V>(w + i);
    store<kStream>(math::norm_grad(grad, x, center, math::m::k<V>(r.a), math::m::k<V>(r.b),
                                   math::m::k<V>(r.c)),
                   r.out + i);
  });
}

template <class T>
HWY_INLINE void squares_rows_of(const T* x, int64_t stride, int64_t rows, int64_t cols,
                                const T* HWY_RESTRICT center, double* HWY_RESTRICT acc) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* HWY_RESTRICT from = x + r * stride;
    for (int64_t c = 0; c < cols; ++c) {
      const double v = static_cast<double>(from[c]) - static_cast<double>(center[c]);
      acc[c] += v * v;
    }
  }
}

template <class T>
HWY_INLINE void moments_rows_of(const T* g, const T* x, int64_t stride, int64_t rows, int64_t cols,
                                const T* HWY_RESTRICT center, double* HWY_RESTRICT first,
                                double* HWY_RESTRICT second) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* HWY_RESTRICT from = x + r * stride;
    const T* HWY_RESTRICT grad = g + r * stride;
    for (int64_t c = 0; c < cols; ++c) {
      const double v = static_cast<double>(grad[c]);
      first[c] += v;
      second[c] += v * static_cast<double>(from[c] - center[c]);
    }
  }
}

template <class T>
HWY_INLINE void affine_rows_of(const T* x, T* y, int64_t stride, int64_t rows, int64_t cols,
                               const T* HWY_RESTRICT center, const T* HWY_RESTRICT scale,
                               const T* HWY_RESTRICT shift) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* HWY_RESTRICT from = x + r * stride;
    T* HWY_RESTRICT to = y + r * stride;
    for (int64_t c = 0; c < cols; ++c) to[c] = math::affine(from[c], center[c], scale[c], shift[c]);
  }
}

template <class T>
HWY_INLINE void grad_rows_of(const T* g, const T* x, T* out, int64_t stride, int64_t rows,
                             int64_t cols, const T* HWY_RESTRICT center, const T* HWY_RESTRICT a,
                             const T* HWY_RESTRICT b, const T* HWY_RESTRICT e) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* HWY_RESTRICT from = x + r * stride;
    const T* HWY_RESTRICT grad = g + r * stride;
    T* HWY_RESTRICT to = out + r * stride;
    for (int64_t c = 0; c < cols; ++c) {
      to[c] = math::norm_grad(grad[c], from[c], center[c], a[c], b[c], e[c]);
    }
  }
}

#define AG_NORM_TARGET(T, suffix)                                                                  \
  HWY_ATTR void affine_##suffix(const T* x, T* y, int64_t n, T center, T scale, T shift) {         \
    affine_of(x, y, n, center, scale, shift);                                                      \
  }                                                                                                \
  HWY_ATTR void normalize_##suffix(const T* x, const T* w, const T* b, T* y, int64_t n, T center,  \
                                   T scale, bool stream) {                                         \
    if (stream) {                                                                                  \
      normalize_of<true>(x, w, b, y, n, center, scale);                                            \
    } else {                                                                                       \
      normalize_of<false>(x, w, b, y, n, center, scale);                                           \
    }                                                                                              \
  }                                                                                                \
  HWY_ATTR PairSum moments_##suffix(const T* g, const T* x, const T* w, int64_t n, T center) {     \
    return w == nullptr ? grad_moments_of<false>(g, x, w, n, center)                               \
                        : grad_moments_of<true>(g, x, w, n, center);                               \
  }                                                                                                \
  HWY_ATTR void grad_##suffix(const NormGradRun<T>& run, bool stream) {                            \
    if (stream) {                                                                                  \
      norm_grad_of<true>(run);                                                                     \
    } else {                                                                                       \
      norm_grad_of<false>(run);                                                                    \
    }                                                                                              \
  }                                                                                                \
  HWY_ATTR void squares_rows_##suffix(const T* x, int64_t stride, int64_t rows, int64_t cols,      \
                                      const T* center, double* acc) {                              \
    squares_rows_of(x, stride, rows, cols, center, acc);                                           \
  }                                                                                                \
  HWY_ATTR void moments_rows_##suffix(const T* g, const T* x, int64_t stride, int64_t rows,        \
                                      int64_t cols, const T* center, double* first,                \
                                      double* second) {                                            \
    moments_rows_of(g, x, stride, rows, cols, center, first, second);                              \
  }                                                                                                \
  HWY_ATTR void affine_rows_##suffix(const T* x, T* y, int64_t stride, int64_t rows, int64_t cols, \
                                     const T* center, const T* scale, const T* shift) {            \
    affine_rows_of(x, y, stride, rows, cols, center, scale, shift);                                \
  }                                                                                                \
  HWY_ATTR void grad_rows_##suffix(const T* g, const T* x, T* out, int64_t stride, int64_t rows,   \
                                   int64_t cols, const T* center, const T* a, const T* b,          \
                                   const T* e) {                                                   \
    grad_rows_of(g, x, out, stride, rows, cols, center, a, b, e);                                  \
  }
AG_NORM_TARGET(float, f32)
AG_NORM_TARGET(double, f64)
#undef AG_NORM_TARGET

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

#define AG_NORM_EXPORT(T, suffix)                                                                 \
  HWY_EXPORT(affine_##suffix);                                                                    \
  HWY_EXPORT(normalize_##suffix);                                                                 \
  HWY_EXPORT(moments_##suffix);                                                                   \
  HWY_EXPORT(grad_##suffix);                                                                      \
  HWY_EXPORT(squares_rows_##suffix);                                                              \
  HWY_EXPORT(moments_rows_##suffix);                                                              \
  HWY_EXPORT(affine_rows_##suffix);                                                               \
  HWY_EXPORT(grad_rows_##suffix);                                                                 \
  void affine_run(const T* x, T* y, int64_t n, T center, T scale, T shift) {                      \
    HWY_DYNAMIC_DISPATCH(affine_##suffix)(x, y, n, center, scale, shift);                         \
  }                                                                                               \
  void normalize_run(const T* x, const T* w, const T* b, T* y, int64_t n, T center, T scale,      \
                     bool stream) {                                                               \
    HWY_DYNAMIC_DISPATCH(normalize_##suffix)(x, w, b, y, n, center, scale, stream);               \
  }                                                                                               \
  PairSum grad_moments_run(const T* g, const T* x, const T* w, int64_t n, T center) {             \
    return HWY_DYNAMIC_DISPATCH(moments_##suffix)(g, x, w, n, center);                            \
  }                                                                                               \
  void norm_grad_run(const NormGradRun<T>& run, bool stream) {                                    \
    HWY_DYNAMIC_DISPATCH(grad_##suffix)(run, stream);                                             \
  }                                                                                               \
  void sum_squares_rows(const T* x, int64_t stride, int64_t rows, int64_t cols, const T* center,  \
                        double* acc) {                                                            \
    HWY_DYNAMIC_DISPATCH(squares_rows_##suffix)(x, stride, rows, cols, center, acc);              \
  }                                                                                               \
  void grad_moments_rows(const T* g, const T* x, int64_t stride, int64_t rows, int64_t cols,      \
                         const T* center, double* first, double* second) {                        \
    HWY_DYNAMIC_DISPATCH(moments_rows_##suffix)                                                   \
    (g, x, stride, rows, cols, center, first, second);                                            \
  }                                                                                               \
  void affine_rows(const T* x, T* y, int64_t stride, int64_t rows, int64_t cols, const T* center, \
                   const T* scale, const T* shift) {                                              \
    HWY_DYNAMIC_DISPATCH(affine_rows_##suffix)(x, y, stride, rows, cols, center, scale, shift);   \
  }                                                                                               \
  void norm_grad_rows(const T* g, const T* x, T* out, int64_t stride, int64_t rows, int64_t cols, \
                      const T* center, const T* a, const T* b, const T* e) {                      \
    HWY_DYNAMIC_DISPATCH(grad_rows_##suffix)(g, x, out, stride, rows, cols, center, a, b, e);     \
  }
AG_NORM_EXPORT(float, f32)
AG_NORM_EXPORT(double, f64)
#undef AG_NORM_EXPORT

}  // namespace ampgrad::cpu
#endif
