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

// kRuns runs `apart`: `step` over groups and `one(lane, element)` over the rest, from 0; then the
// sums of their lanes, to every `spread`th of `out`.
template <int64_t kRuns, class T, class Step, class One>
HWY_INLINE void sum_folds(const T* p, int64_t apart, int64_t n, const Step& step, const One& one,
                          SumOf<T>* out, int64_t spread) {
  Lanes<T, kRuns> acc;
#pragma GCC unroll 64
  for (int64_t k = 0; k < kRuns; ++k) clear_lanes<T>(acc[k]);
  const int64_t done = fold_groups<T>(p, apart, n, step, acc);
#pragma GCC unroll 64
  for (int64_t k = 0; k < kRuns; ++k) {
    const T* rest = p + k * apart + done;
    out[k * spread] = sum_lanes<T>(acc[k], n - done,
                                   [&](T lane, int64_t j) HWY_ATTR { return one(lane, rest[j]); });
  }
}

// How many of `runs` runs each of kRunsAtOnce streams gets, none where a cache of the core holds
// them. Runs are taken from different parts of all, far enough from each other for the processor to
// fetch ahead in each.
template <class T>
HWY_INLINE int64_t runs_a_stream(int64_t stride, int64_t runs, int64_t n) {
  constexpr int64_t kCached = (256 << 10) / sizeof(T);
  return n >= kTurn<T> && stride * runs >= kCached ? runs / kRunsAtOnce : 0;
}

template <class T, class Step, class One>
HWY_INLINE void sum_runs_by(const T* p, int64_t stride, int64_t runs, int64_t n, const Step& step,
                            const One& one, SumOf<T>* out) {
  const int64_t share = runs_a_stream<T>(stride, runs, n);
  for (int64_t i = 0; i < share; ++i) {
    sum_folds<kRunsAtOnce>(p + i * stride, share * stride, n, step, one, out + i, share);
  }
  for (int64_t i = kRunsAtOnce * share; i < runs; ++i) {
    sum_folds<1>(p + i * stride, 0, n, step, one, out + i, 0);
  }
}

template <class T>
HWY_INLINE void sum_runs_of(const T* p, int64_t stride, int64_t runs, int64_t n, SumOf<T>* out) {
  sum_runs_by(
      p, stride, runs, n, [](auto acc, auto v) HWY_ATTR { return hn::Add(acc, v); },
      [](T acc, T x) HWY_ATTR { return math::wrapping_sum(acc, x); }, out);
}

template <class T>
HWY_INLINE void sum_squares_runs_of(const T* p, int64_t stride, int64_t runs, int64_t n,
                                    double center, double* out) {
  const T c = static_cast<T>(center);
  const auto middle = hn::Set(Tag<T>(), c);
  sum_runs_by(
      p, stride, runs, n,
      [middle](auto acc, auto v) HWY_ATTR {
        const auto diff = hn::Sub(v, middle);
        return hn::Add(acc, hn::Mul(diff, diff));
      },
      [c](T acc, T x) HWY_ATTR { return acc + (x - c) * (x - c); }, out);
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

// The extremes of kRuns runs `apart`. NaN is tracked beside them because the vector instructions
// for max and min disagree about it; false: there was one in some run, `out` is undefined.
template <bool kMax, int64_t kRuns, class T>
HWY_INLINE bool extremes_of(const T* p, int64_t apart, int64_t n, T* out, int64_t spread) {
  const Tag<T> d;
  const auto better = [](auto a, auto b) HWY_ATTR { return kMax ? hn::Max(a, b) : hn::Min(a, b); };
  Lanes<T, kRuns> acc;
#pragma GCC unroll 64
  for (int64_t k = 0; k < kRuns; ++k) {
#pragma GCC unroll 64
    for (int64_t r = 0; r < kRegsOf<T>; ++r) {
      acc[k][r] = hn::Set(d, kMax ? lowest_of<T>() : highest_of<T>());
    }
  }
  bool has_nan = false;
  int64_t done;
  if constexpr (std::is_floating_point_v<T>) {
    auto nan_met = hn::IsNaN(hn::Zero(d));
    auto* nan = &nan_met;
    const auto step = [nan, &better](auto a, auto v) HWY_ATTR {
      *nan = hn::Or(*nan, hn::IsNaN(v));
      return better(v, a);
    };
    done = fold_groups<T>(p, apart, n, step, acc);
    has_nan = !hn::AllFalse(d, nan_met);
  } else {
    done = fold_groups<T>(
        p, apart, n, [&better](auto a, auto v) HWY_ATTR { return better(v, a); }, acc);
  }
#pragma GCC unroll 64
  for (int64_t k = 0; k < kRuns; ++k) {
#pragma GCC unroll 64
    for (int64_t r = 1; r < kRegsOf<T>; ++r) acc[k][0] = better(acc[k][0], acc[k][r]);
    T best = hn::GetLane(kMax ? hn::MaxOfLanes(d, acc[k][0]) : hn::MinOfLanes(d, acc[k][0]));
    const T* run = p + k * apart;
    for (int64_t i = done; i < n; ++i) {
      has_nan = has_nan || run[i] != run[i];
      best = kMax ? std::max(best, run[i]) : std::min(best, run[i]);
    }
    out[k * spread] = best;
  }
  return !has_nan;
}

// As sum_runs_of.
template <bool kMax, class T>
HWY_INLINE void extreme_runs_of(const T* p, int64_t stride, int64_t runs, int64_t n, T* out) {
  constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
  const auto one = [=](int64_t i) HWY_ATTR {
    if (!extremes_of<kMax, 1>(p + i * stride, 0, n, out + i, 0)) out[i] = kNan;
  };
  const int64_t share = runs_a_stream<T>(stride, runs, n);
  for (int64_t i = 0; i < share; ++i) {
    if (!extremes_of<kMax, kRunsAtOnce>(p + i * stride, share * stride, n, out + i, share)) {
      for (int64_t k = 0; k < kRunsAtOnce; ++k) one(i + k * share);
    }
  }
  for (int64_t i = kRunsAtOnce * share; i < runs; ++i) one(i);
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

#define AG_REDUCE_TARGET(T, suffix)                                                              \
  HWY_ATTR void sum_runs_##suffix(const T* p, int64_t stride, int64_t runs, int64_t n,           \
                                  SumOf<T>* out) {                                               \
    sum_runs_of(p, stride, runs, n, out);                                                        \
  }                                                                                              \
  HWY_ATTR void max_runs_##suffix(const T* p, int64_t stride, int64_t runs, int64_t n, T* out) { \
    extreme_runs_of<true>(p, stride, runs, n, out);                                              \
  }                                                                                              \
  HWY_ATTR void min_runs_##suffix(const T* p, int64_t stride, int64_t runs, int64_t n, T* out) { \
    extreme_runs_of<false>(p, stride, runs, n, out);                                             \
  }                                                                                              \
  HWY_ATTR int64_t find_run_##suffix(const T* p, int64_t n, T value) {                           \
    return find_run_of(p, n, value);                                                             \
  }                                                                                              \
  HWY_ATTR void sum_rows_##suffix(const T* p, int64_t stride, int64_t rows, int64_t cols,        \
                                  SumOf<T>* acc) {                                               \
    sum_rows_of(p, stride, rows, cols, acc);                                                     \
  }                                                                                              \
  HWY_ATTR void max_rows_##suffix(const T* p, int64_t stride, int64_t rows, int64_t cols,        \
                                  T* acc) {                                                      \
    extreme_rows_of<true>(p, stride, rows, cols, acc);                                           \
  }                                                                                              \
  HWY_ATTR void min_rows_##suffix(const T* p, int64_t stride, int64_t rows, int64_t cols,        \
                                  T* acc) {                                                      \
    extreme_rows_of<false>(p, stride, rows, cols, acc);                                          \
  }
AG_REDUCE_TARGET(float, f32)
AG_REDUCE_TARGET(double, f64)
AG_REDUCE_TARGET(int64_t, i64)
#undef AG_REDUCE_TARGET

HWY_ATTR void sum_squares_runs_f32(const float* p, int64_t stride, int64_t runs, int64_t n,
                                   double center, double* out) {
  sum_squares_runs_of(p, stride, runs, n, center, out);
}
HWY_ATTR void sum_squares_runs_f64(const double* p, int64_t stride, int64_t runs, int64_t n,
                                   double center, double* out) {
  sum_squares_runs_of(p, stride, runs, n, center, out);
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

#define AG_REDUCE_EXPORT(T, S, suffix)                                            \
  HWY_EXPORT(sum_runs_##suffix);                                                  \
  HWY_EXPORT(max_runs_##suffix);                                                  \
  HWY_EXPORT(min_runs_##suffix);                                                  \
  HWY_EXPORT(find_run_##suffix);                                                  \
  HWY_EXPORT(sum_rows_##suffix);                                                  \
  HWY_EXPORT(max_rows_##suffix);                                                  \
  HWY_EXPORT(min_rows_##suffix);                                                  \
  void sum_runs(const T* p, int64_t stride, int64_t runs, int64_t n, S* out) {    \
    HWY_DYNAMIC_DISPATCH(sum_runs_##suffix)(p, stride, runs, n, out);             \
  }                                                                               \
  void max_runs(const T* p, int64_t stride, int64_t runs, int64_t n, T* out) {    \
    HWY_DYNAMIC_DISPATCH(max_runs_##suffix)(p, stride, runs, n, out);             \
  }                                                                               \
  void min_runs(const T* p, int64_t stride, int64_t runs, int64_t n, T* out) {    \
    HWY_DYNAMIC_DISPATCH(min_runs_##suffix)(p, stride, runs, n, out);             \
  }                                                                               \
  int64_t find_run(const T* p, int64_t n, T value) {                              \
    return HWY_DYNAMIC_DISPATCH(find_run_##suffix)(p, n, value);                  \
  }                                                                               \
  void sum_rows(const T* p, int64_t stride, int64_t rows, int64_t cols, S* acc) { \
    HWY_DYNAMIC_DISPATCH(sum_rows_##suffix)(p, stride, rows, cols, acc);          \
  }                                                                               \
  void max_rows(const T* p, int64_t stride, int64_t rows, int64_t cols, T* acc) { \
    HWY_DYNAMIC_DISPATCH(max_rows_##suffix)(p, stride, rows, cols, acc);          \
  }                                                                               \
  void min_rows(const T* p, int64_t stride, int64_t rows, int64_t cols, T* acc) { \
    HWY_DYNAMIC_DISPATCH(min_rows_##suffix)(p, stride, rows, cols, acc);          \
  }
AG_REDUCE_EXPORT(float, double, f32)
AG_REDUCE_EXPORT(double, double, f64)
AG_REDUCE_EXPORT(int64_t, int64_t, i64)
#undef AG_REDUCE_EXPORT

HWY_EXPORT(sum_squares_runs_f32);
HWY_EXPORT(sum_squares_runs_f64);
void sum_squares_runs(const float* p, int64_t stride, int64_t runs, int64_t n, double center,
                      double* out) {
  HWY_DYNAMIC_DISPATCH(sum_squares_runs_f32)(p, stride, runs, n, center, out);
}
void sum_squares_runs(const double* p, int64_t stride, int64_t runs, int64_t n, double center,
                      double* out) {
  HWY_DYNAMIC_DISPATCH(sum_squares_runs_f64)(p, stride, runs, n, center, out);
}

}  // namespace ampgrad::cpu
#endif
