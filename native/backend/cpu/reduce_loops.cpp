// See reduce_loops.h. Runs use explicit vectors with several accumulators in flight; row folds are
// plain loops over a strip of columns that stays in the first-level cache.
#include "backend/cpu/reduce_loops.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "math/reduce.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/reduce_loops.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "backend/cpu/reduce_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

// `step` over groups and `one(lane, element)` over the rest, from 0; then the sum of the lanes.
template <class T, class Step, class One>
HWY_INLINE SumOf<T> sum_folds(const T* p, int64_t n, const Step& step, const One& one) {
  hn::Vec<Tag<T>> acc[kRegsOf<T>];
  clear_lanes<T>(acc);
  const int64_t done = fold_groups(p, n, step, acc);
  return sum_lanes<T>(acc, n - done,
                      [&](T lane, int64_t j) HWY_ATTR { return one(lane, p[done + j]); });
}

template <class T>
HWY_INLINE SumOf<T> sum_run_of(const T* p, int64_t n) {
  return sum_folds(
      p, n, [](auto acc, auto v) HWY_ATTR { return hn::Add(acc, v); },
      [](T acc, T x) HWY_ATTR { return math::wrapping_sum(acc, x); });
}

template <class T>
HWY_INLINE double sum_squares_run_of(const T* p, int64_t n, double center) {
  const T c = static_cast<T>(center);
  const auto middle = hn::Set(Tag<T>(), c);
  return sum_folds(
      p, n,
      [middle](auto acc, auto v) HWY_ATTR {
        const auto diff = hn::Sub(v, middle);
        return hn::Add(acc, hn::Mul(diff, diff));
      },
      [c](T acc, T x) HWY_ATTR { return acc + (x - c) * (x - c); });
}

template <class T>
constexpr T lowest_of() {
  if constexpr (std::is_floating_point_v<T>) {
    return -std::numeric_limits<T>::infinity();
  } else {
    return std::numeric_limits<T>::lowest();
  }
}

template <class T>
constexpr T highest_of() {
  if constexpr (std::is_floating_point_v<T>) {
    return std::numeric_limits<T>::infinity();
  } else {
    return std::numeric_limits<T>::max();
  }
}

// NaN is tracked beside the extreme because the vector instructions for max and min disagree
// about it.
template <bool kMax, class T>
HWY_INLINE T extreme_run_of(const T* p, int64_t n) {
  const Tag<T> d;
  const auto better = [](auto a, auto b) HWY_ATTR { return kMax ? hn::Max(a, b) : hn::Min(a, b); };
  hn::Vec<Tag<T>> acc[kRegsOf<T>];
#pragma GCC unroll 64
  for (int64_t r = 0; r < kRegsOf<T>; ++r) {
    acc[r] = hn::Set(d, kMax ? lowest_of<T>() : highest_of<T>());
  }
  bool has_nan = false;
  int64_t i;
  if constexpr (std::is_floating_point_v<T>) {
    auto nan_met = hn::IsNaN(hn::Zero(d));
    auto* nan = &nan_met;
    const auto step = [nan, &better](auto a, auto v) HWY_ATTR {
      *nan = hn::Or(*nan, hn::IsNaN(v));
      return better(v, a);
    };
    i = fold_groups(p, n, step, acc);
    has_nan = !hn::AllFalse(d, nan_met);
  } else {
    i = fold_groups(
        p, n, [&better](auto a, auto v) HWY_ATTR { return better(v, a); }, acc);
  }
#pragma GCC unroll 64
  for (int64_t r = 1; r < kRegsOf<T>; ++r) acc[0] = better(acc[0], acc[r]);
  T best = hn::GetLane(kMax ? hn::MaxOfLanes(d, acc[0]) : hn::MinOfLanes(d, acc[0]));
  for (; i < n; ++i) {
    has_nan = has_nan || p[i] != p[i];
    best = kMax ? std::max(best, p[i]) : std::min(best, p[i]);
  }
  return has_nan ? std::numeric_limits<T>::quiet_NaN() : best;
}

// The first element equal to `value`, which is one of them; the first NaN for NaN.
template <class T>
HWY_INLINE int64_t find_run_of(const T* HWY_RESTRICT p, int64_t n, T value) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kWidth = static_cast<int64_t>(hn::MaxLanes(d));
  const auto wanted = hn::Set(d, value);
  const bool nan = value != value;
  const auto test = [&](auto v) HWY_ATTR {
    if constexpr (std::is_floating_point_v<T>) {
      if (nan) return hn::IsNaN(v);
    }
    return hn::Eq(v, wanted);
  };
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    const auto a = test(hn::LoadU(d, p + i));
    const auto b = test(hn::LoadU(d, p + i + kWidth));
    const auto c = test(hn::LoadU(d, p + i + 2 * kWidth));
    const auto e = test(hn::LoadU(d, p + i + 3 * kWidth));
    if (!hn::AllFalse(d, hn::Or(hn::Or(a, b), hn::Or(c, e)))) break;
  }
  for (; i + kWidth <= n; i += kWidth) {
    const auto first = hn::FindFirstTrue(d, test(hn::LoadU(d, p + i)));
    if (first >= 0) return i + static_cast<int64_t>(first);
  }
  while (i + 1 < n && (nan ? p[i] == p[i] : p[i] != value)) ++i;
  return i;
}

// Float strips are summed for at most 64 rows before they go to the double accumulators.
constexpr int64_t kRowGroup = 64;

template <class T>
HWY_INLINE void sum_rows_of(const T* HWY_RESTRICT p, int64_t stride, int64_t rows, int64_t cols,
                            SumOf<T>* HWY_RESTRICT acc) {
  alignas(64) T strip[kReduceColumns];
  for (int64_t first = 0; first < rows; first += kRowGroup) {
    const int64_t last = std::min(rows, first + kRowGroup);
    for (int64_t c = 0; c < cols; ++c) strip[c] = T{0};
    int64_t r = first;
    for (; r + 4 <= last; r += 4) {
      const T* HWY_RESTRICT a = p + r * stride;
      const T* HWY_RESTRICT b = a + stride;
      const T* HWY_RESTRICT e = b + stride;
      const T* HWY_RESTRICT f = e + stride;
      for (int64_t c = 0; c < cols; ++c) strip[c] += (a[c] + b[c]) + (e[c] + f[c]);
    }
    for (; r < last; ++r) {
      const T* HWY_RESTRICT a = p + r * stride;
      for (int64_t c = 0; c < cols; ++c) strip[c] += a[c];
    }
    for (int64_t c = 0; c < cols; ++c) acc[c] += static_cast<SumOf<T>>(strip[c]);
  }
}

// `a` if it is NaN or the extreme, else `b` (which may be NaN).
template <bool kMax, class T>
HWY_INLINE T pick(T a, T b) {
  const bool keep = (kMax ? a >= b : a <= b) || a != a;
  return keep ? a : b;
}

template <bool kMax, class T>
HWY_INLINE void extreme_rows_of(const T* HWY_RESTRICT p, int64_t stride, int64_t rows, int64_t cols,
                                T* HWY_RESTRICT acc) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* HWY_RESTRICT a = p + r * stride;
    for (int64_t c = 0; c < cols; ++c) acc[c] = pick<kMax>(acc[c], a[c]);
  }
}

#define AG_REDUCE_TARGET(T, suffix)                                                          \
  HWY_ATTR SumOf<T> sum_run_##suffix(const T* p, int64_t n) { return sum_run_of(p, n); }     \
  HWY_ATTR T max_run_##suffix(const T* p, int64_t n) { return extreme_run_of<true>(p, n); }  \
  HWY_ATTR T min_run_##suffix(const T* p, int64_t n) { return extreme_run_of<false>(p, n); } \
  HWY_ATTR int64_t find_run_##suffix(const T* p, int64_t n, T value) {                       \
    return find_run_of(p, n, value);                                                         \
  }                                                                                          \
  HWY_ATTR void sum_rows_##suffix(const T* p, int64_t stride, int64_t rows, int64_t cols,    \
                                  SumOf<T>* acc) {                                           \
    sum_rows_of(p, stride, rows, cols, acc);                                                 \
  }                                                                                          \
  HWY_ATTR void max_rows_##suffix(const T* p, int64_t stride, int64_t rows, int64_t cols,    \
                                  T* acc) {                                                  \
    extreme_rows_of<true>(p, stride, rows, cols, acc);                                       \
  }                                                                                          \
  HWY_ATTR void min_rows_##suffix(const T* p, int64_t stride, int64_t rows, int64_t cols,    \
                                  T* acc) {                                                  \
    extreme_rows_of<false>(p, stride, rows, cols, acc);                                      \
  }
AG_REDUCE_TARGET(float, f32)
AG_REDUCE_TARGET(double, f64)
AG_REDUCE_TARGET(int64_t, i64)
#undef AG_REDUCE_TARGET

HWY_ATTR double sum_squares_run_f32(const float* p, int64_t n, double center) {
  return sum_squares_run_of(p, n, center);
}
HWY_ATTR double sum_squares_run_f64(const double* p, int64_t n, double center) {
  return sum_squares_run_of(p, n, center);
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

#define AG_REDUCE_EXPORT(T, S, suffix)                                                      \
  HWY_EXPORT(sum_run_##suffix);                                                             \
  HWY_EXPORT(max_run_##suffix);                                                             \
  HWY_EXPORT(min_run_##suffix);                                                             \
  HWY_EXPORT(find_run_##suffix);                                                            \
  HWY_EXPORT(sum_rows_##suffix);                                                            \
  HWY_EXPORT(max_rows_##suffix);                                                            \
  HWY_EXPORT(min_rows_##suffix);                                                            \
  S sum_run(const T* p, int64_t n) { return HWY_DYNAMIC_DISPATCH(sum_run_##suffix)(p, n); } \
  T max_run(const T* p, int64_t n) { return HWY_DYNAMIC_DISPATCH(max_run_##suffix)(p, n); } \
  T min_run(const T* p, int64_t n) { return HWY_DYNAMIC_DISPATCH(min_run_##suffix)(p, n); } \
  int64_t find_run(const T* p, int64_t n, T value) {                                        \
    return HWY_DYNAMIC_DISPATCH(find_run_##suffix)(p, n, value);                            \
  }                                                                                         \
  void sum_rows(const T* p, int64_t stride, int64_t rows, int64_t cols, S* acc) {           \
    HWY_DYNAMIC_DISPATCH(sum_rows_##suffix)(p, stride, rows, cols, acc);                    \
  }                                                                                         \
  void max_rows(const T* p, int64_t stride, int64_t rows, int64_t cols, T* acc) {           \
    HWY_DYNAMIC_DISPATCH(max_rows_##suffix)(p, stride, rows, cols, acc);                    \
  }                                                                                         \
  void min_rows(const T* p, int64_t stride, int64_t rows, int64_t cols, T* acc) {           \
    HWY_DYNAMIC_DISPATCH(min_rows_##suffix)(p, stride, rows, cols, acc);                    \
  }
AG_REDUCE_EXPORT(float, double, f32)
AG_REDUCE_EXPORT(double, double, f64)
AG_REDUCE_EXPORT(int64_t, int64_t, i64)
#undef AG_REDUCE_EXPORT

HWY_EXPORT(sum_squares_run_f32);
HWY_EXPORT(sum_squares_run_f64);
double sum_squares_run(const float* p, int64_t n, double center) {
  return HWY_DYNAMIC_DISPATCH(sum_squares_run_f32)(p, n, center);
}
double sum_squares_run(const double* p, int64_t n, double center) {
  return HWY_DYNAMIC_DISPATCH(sum_squares_run_f64)(p, n, center);
}

}  // namespace ampgrad::cpu
#endif
