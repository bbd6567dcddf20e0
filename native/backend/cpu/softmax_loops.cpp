// See softmax_loops.h. Rows are worked through in blocks that fit the first-level cache: extreme,
// exponentials, sum, scaling. Plain loops that the compiler vectorises in each target's region,
// with explicit vectors where the order of a sum matters (reduce_loops).
#include "backend/cpu/softmax_loops.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/reduce_loops.h"
#define AG_MATH_SIMD
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/softmax_loops.cpp"
#include "hwy/foreach_target.h"

#include "hwy/cache_control.h"
#include "hwy/highway.h"

#include "backend/cpu/reduce_lanes-inl.h"
#include "backend/cpu/values-inl.h"
#include "math/elementary-inl.h"
#include "math/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kBlock = kReduceBlock;

// y = factor exp(x - shift). The last, partial vector goes through a buffer, so that an element's
// result never depends on its position.
template <class T>
HWY_INLINE void exp_shifted(const T* x, T* y, int64_t n, T shift, T factor) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  const auto v_shift = hn::Set(d, shift);
  const auto v_factor = hn::Set(d, factor);
  const auto one = [&](auto v) HWY_ATTR {
    return hn::Mul(v_factor, math::m::exp(math::Pack<T>{hn::Sub(v, v_shift)}).v);
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(one(hn::LoadU(d, x + i)), d, y + i);
  if (i == n) return;
  HWY_ALIGN T rest[kLanes];
  std::fill_n(rest, kLanes, shift);
  std::copy_n(x + i, n - i, rest);
  hn::Store(one(hn::Load(d, rest)), d, rest);
  std::copy_n(rest, n - i, y + i);
}

template <class T>
HWY_INLINE T row_max(const T* x, int64_t n) {
  T best = max_run(x, std::min(n, kBlock));
  for (int64_t i = kBlock; i < n; i += kBlock) {
    const T m = max_run(x + i, std::min(n - i, kBlock));
    best = !(m <= best) && best == best ? m : best;
  }
  return best;
}

// A block: the sum of exponentials as sum_run would give it. `ahead` elements on is what to fetch
// meanwhile.
template <class T>
HWY_NOINLINE double exp_run(const T* x, T* y, int64_t n, T shift, int64_t ahead) {
  const Tag<T> d;
  const auto v_shift = hn::Set(d, shift);
  hn::Vec<Tag<T>> acc[kRegsOf<T>];
  clear_lanes<T>(acc);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma GCC unroll 64
    for (int64_t r = 0; r < kRegsOf<T>; ++r) {
      const int64_t at = i + r * kWidthOf<T>;
      const auto e = math::m::exp(math::Pack<T>{hn::Sub(hn::LoadU(d, x + at), v_shift)}).v;
      hn::StoreU(e, d, y + at);
      acc[r] = hn::Add(acc[r], e);
      hwy::Prefetch(x + at + ahead);
    }
  }
  exp_shifted(x + i, y + i, n - i, shift, T{1});
  return sum_lanes<T>(acc, n - i, [&](T lane, int64_t j) HWY_ATTR { return lane + y[i + j]; });
}

// y = exp(x - shift), returns the sum.
template <class T>
HWY_INLINE double exp_row(const T* x, T* y, int64_t n, T shift) {
  double total = 0;
  for (int64_t b = 0; b < n; b += kBlock) {
    const int64_t m = std::min(n - b, kBlock);
    total += exp_run(x + b, y + b, m, shift, n);
  }
  return total;
}

// The same without keeping the exponentials.
template <class T>
HWY_INLINE double exp_sum(const T* x, int64_t n, T shift) {
  alignas(64) T block[kBlock];
  double total = 0;
  for (int64_t b = 0; b < n; b += kBlock) {
    total += exp_row(x + b, block, std::min(n - b, kBlock), shift);
  }
  return total;
}

template <bool kStream, class T>
HWY_INLINE void softmax_row_of(const T* x, T* y, int64_t n, bool log) {
  const T top = row_max(x, n);
  if (log) {
    const T rest = static_cast<T>(std::log(exp_sum(x, n, top)));
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - top) - rest;
    return;
  }
  alignas(64) T buffer[kStream ? kStreamedSoftmax / sizeof(T) : 1];
  T* e = kStream ? buffer : y;
  const T scale = static_cast<T>(1.0 / exp_row(x, e, n, top));
  each_value<T>(n, [=](auto one, int64_t i) HWY_ATTR {
    using V = decltype(one);
    store<kStream>(load<V>(e + i) * math::m::k<V>(scale), y + i);
  });
}

template <class T>
HWY_INLINE double dot_row(const T* a, const T* b, int64_t n) {
  const Tag<T> d;
  double total = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t m = std::min(n - first, kBlock);
    const T* HWY_RESTRICT p = a + first;
    const T* HWY_RESTRICT q = b + first;
    hn::Vec<Tag<T>> acc[kRegsOf<T>];
    clear_lanes<T>(acc);
    int64_t i = 0;
    for (; i + kLanes <= m; i += kLanes) {
#pragma GCC unroll 64
      for (int64_t r = 0; r < kRegsOf<T>; ++r) {
        const int64_t at = i + r * kWidthOf<T>;
        acc[r] = hn::Add(acc[r], hn::Mul(hn::LoadU(d, p + at), hn::LoadU(d, q + at)));
      }
    }
    total += sum_lanes<T>(acc, m - i,
                          [&](T lane, int64_t j) HWY_ATTR { return lane + p[i + j] * q[i + j]; });
  }
  return total;
}

template <bool kStream, class T>
HWY_INLINE void backward_row_of(const T* HWY_RESTRICT grad, const T* HWY_RESTRICT y,
                                T* HWY_RESTRICT out, int64_t n, bool log) {
  if (log) {
    double total = 0;
    for (int64_t b = 0; b < n; b += kBlock) total += sum_run(grad + b, std::min(n - b, kBlock));
    const T sum = static_cast<T>(total);
    for (int64_t i = 0; i < n; ++i) out[i] = math::log_softmax_grad(grad[i], y[i], sum);
    return;
  }
  const T dot = static_cast<T>(dot_row(grad, y, n));
  each_value<T>(n, [=](auto one, int64_t i) HWY_ATTR {
    using V = decltype(one);
    fetch_next<V>(grad, n, i);
    fetch_next<V>(y, n, i);
    store<kStream>(math::softmax_grad(load<V>(grad + i), load<V>(y + i), math::m::k<V>(dot)),
                   out + i);
  });
}

template <class T>
HWY_INLINE void strip_of(const T* x, T* y, int64_t size, int64_t stride, int64_t cols, bool log) {
  alignas(64) T top[kSoftmaxColumns];
  alignas(64) T sum[kSoftmaxColumns];
  std::copy_n(x, cols, top);
  max_rows(x, stride, size, cols, top);
  for (int64_t c = 0; c < cols; ++c) sum[c] = T{0};
  for (int64_t r = 0; r < size; ++r) {
    const T* HWY_RESTRICT from = x + r * stride;
    T* HWY_RESTRICT to = y + r * stride;
    for (int64_t c = 0; c < cols; ++c) {
      const T shifted = from[c] - top[c];
      const T e = math::exp_nonpositive(shifted);
      to[c] = log ? shifted : e;
      sum[c] += e;
    }
  }
  for (int64_t c = 0; c < cols; ++c) sum[c] = log ? std::log(sum[c]) : T{1} / sum[c];
  for (int64_t r = 0; r < size; ++r) {
    T* HWY_RESTRICT to = y + r * stride;
    if (log) {
      for (int64_t c = 0; c < cols; ++c) to[c] -= sum[c];
    } else {
      for (int64_t c = 0; c < cols; ++c) to[c] *= sum[c];
    }
  }
}

template <class T>
HWY_INLINE void backward_strip_of(const T* grad, const T* y, T* out, int64_t size, int64_t stride,
                                  int64_t cols, bool log) {
  alignas(64) T sum[kSoftmaxColumns];
  for (int64_t c = 0; c < cols; ++c) sum[c] = T{0};
  for (int64_t r = 0; r < size; ++r) {
    const T* HWY_RESTRICT g = grad + r * stride;
    const T* HWY_RESTRICT v = y + r * stride;
    if (log) {
      for (int64_t c = 0; c < cols; ++c) sum[c] += g[c];
    } else {
      for (int64_t c = 0; c < cols; ++c) sum[c] += g[c] * v[c];
    }
  }
  for (int64_t r = 0; r < size; ++r) {
    const T* HWY_RESTRICT g = grad + r * stride;
    const T* HWY_RESTRICT v = y + r * stride;
    T* HWY_RESTRICT to = out + r * stride;
    if (log) {
      for (int64_t c = 0; c < cols; ++c) to[c] = math::log_softmax_grad(g[c], v[c], sum[c]);
    } else {
      for (int64_t c = 0; c < cols; ++c) to[c] = math::softmax_grad(g[c], v[c], sum[c]);
    }
  }
}

template <class T>
HWY_INLINE double log_sum_exp_of(const T* x, int64_t n) {
  const T top = row_max(x, n);
  // All -inf, or an infinity on top: the extreme is the answer. NaN stays NaN.
  if (!std::isfinite(top)) return static_cast<double>(top);
  return static_cast<double>(top) + std::log(exp_sum(x, n, top));
}

template <class T>
HWY_INLINE void scaled_softmax_of(const T* HWY_RESTRICT x, T* HWY_RESTRICT out, int64_t n,
                                  double lse, double scale) {
  const T shift = static_cast<T>(lse);
  // What rounding the shift lost is put into the factor.
  const T factor = static_cast<T>(scale * std::exp(static_cast<double>(shift) - lse));
  exp_shifted(x, out, n, shift, factor);
}

#define AG_SOFTMAX_TARGET(T, suffix)                                                         \
  HWY_ATTR void row_##suffix(const T* x, T* y, int64_t n, bool log, bool stream) {           \
    if (stream)                                                                              \
      softmax_row_of<true>(x, y, n, log);                                                    \
    else                                                                                     \
      softmax_row_of<false>(x, y, n, log);                                                   \
  }                                                                                          \
  HWY_ATTR void backward_row_##suffix(const T* g, const T* y, T* out, int64_t n, bool log,   \
                                      bool stream) {                                         \
    if (stream) {                                                                            \
      backward_row_of<true>(g, y, out, n, log);                                              \
    } else {                                                                                 \
      backward_row_of<false>(g, y, out, n, log);                                             \
    }                                                                                        \
  }                                                                                          \
  HWY_ATTR void strip_##suffix(const T* x, T* y, int64_t size, int64_t stride, int64_t cols, \
                               bool log) {                                                   \
    strip_of(x, y, size, stride, cols, log);                                                 \
  }                                                                                          \
  HWY_ATTR void backward_strip_##suffix(const T* g, const T* y, T* out, int64_t size,        \
                                        int64_t stride, int64_t cols, bool log) {            \
    backward_strip_of(g, y, out, size, stride, cols, log);                                   \
  }                                                                                          \
  HWY_ATTR double lse_##suffix(const T* x, int64_t n) { return log_sum_exp_of(x, n); }       \
  HWY_ATTR void scaled_##suffix(const T* x, T* out, int64_t n, double lse, double scale) {   \
    scaled_softmax_of(x, out, n, lse, scale);                                                \
  }
AG_SOFTMAX_TARGET(float, f32)
AG_SOFTMAX_TARGET(double, f64)
#undef AG_SOFTMAX_TARGET

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

#define AG_SOFTMAX_EXPORT(T, suffix)                                                            \
  HWY_EXPORT(row_##suffix);                                                                     \
  HWY_EXPORT(backward_row_##suffix);                                                            \
  HWY_EXPORT(strip_##suffix);                                                                   \
  HWY_EXPORT(backward_strip_##suffix);                                                          \
  HWY_EXPORT(lse_##suffix);                                                                     \
  HWY_EXPORT(scaled_##suffix);                                                                  \
  void softmax_row(const T* x, T* y, int64_t n, bool log, bool stream) {                        \
    HWY_DYNAMIC_DISPATCH(row_##suffix)(x, y, n, log, stream);                                   \
  }                                                                                             \
  void softmax_backward_row(const T* g, const T* y, T* out, int64_t n, bool log, bool stream) { \
    HWY_DYNAMIC_DISPATCH(backward_row_##suffix)(g, y, out, n, log, stream);                     \
  }                                                                                             \
  void softmax_strip(const T* x, T* y, int64_t size, int64_t stride, int64_t cols, bool log) {  \
    HWY_DYNAMIC_DISPATCH(strip_##suffix)(x, y, size, stride, cols, log);                        \
  }                                                                                             \
  void softmax_backward_strip(const T* g, const T* y, T* out, int64_t size, int64_t stride,     \
                              int64_t cols, bool log) {                                         \
    HWY_DYNAMIC_DISPATCH(backward_strip_##suffix)(g, y, out, size, stride, cols, log);          \
  }                                                                                             \
  double log_sum_exp_row(const T* x, int64_t n) {                                               \
    return HWY_DYNAMIC_DISPATCH(lse_##suffix)(x, n);                                            \
  }                                                                                             \
  void scaled_softmax_row(const T* x, T* out, int64_t n, double lse, double scale) {            \
    HWY_DYNAMIC_DISPATCH(scaled_##suffix)(x, out, n, lse, scale);                               \
  }
AG_SOFTMAX_EXPORT(float, f32)
AG_SOFTMAX_EXPORT(double, f64)
#undef AG_SOFTMAX_EXPORT

}  // namespace ampgrad::cpu
#endif
