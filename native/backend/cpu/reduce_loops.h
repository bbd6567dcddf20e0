// Vectorised inner loops of the reductions: folds of a contiguous run, and of `rows` strided rows
// into per-column accumulators. Element i of a run always goes to logical lane i % 64, whatever the
// vector width, so that every instruction set returns the same bits.
#pragma once

#include <cstdint>
#include <type_traits>

#include "math/reduce.h"

namespace ampgrad::cpu {

// Longest run that one call may fold: bounds the rounding error of a lane.
inline constexpr int64_t kReduceBlock = 4096;
// Widest strip of columns a rows-fold may get.
inline constexpr int64_t kReduceColumns = 512;

// Sums of `runs` runs of n <= kReduceBlock elements, `stride` apart; float lanes are added up in
// double.
void sum_runs(const float* p, int64_t stride, int64_t runs, int64_t n, double* out);
void sum_runs(const double* p, int64_t stride, int64_t runs, int64_t n, double* out);
void sum_runs(const int64_t* p, int64_t stride, int64_t runs, int64_t n, int64_t* out);

// The same of (p[i] - center)^2, for norms and variances.
void sum_squares_runs(const float* p, int64_t stride, int64_t runs, int64_t n, double center,
                      double* out);
void sum_squares_runs(const double* p, int64_t stride, int64_t runs, int64_t n, double center,
                      double* out);

// Extremes of runs; NaN if there is one. n > 0.
void max_runs(const float* p, int64_t stride, int64_t runs, int64_t n, float* out);
void max_runs(const double* p, int64_t stride, int64_t runs, int64_t n, double* out);
void max_runs(const int64_t* p, int64_t stride, int64_t runs, int64_t n, int64_t* out);
void min_runs(const float* p, int64_t stride, int64_t runs, int64_t n, float* out);
void min_runs(const double* p, int64_t stride, int64_t runs, int64_t n, double* out);
void min_runs(const int64_t* p, int64_t stride, int64_t runs, int64_t n, int64_t* out);

// Index of the first of n > 0 elements that equals `value`, which must be there; the first NaN when
// it is NaN.
int64_t find_run(const float* p, int64_t n, float value);
int64_t find_run(const double* p, int64_t n, double value);
int64_t find_run(const int64_t* p, int64_t n, int64_t value);

// acc[c] (+)= fold over r of p[r * stride + c], c < cols <= kReduceColumns.
void sum_rows(const float* p, int64_t stride, int64_t rows, int64_t cols, double* acc);
void sum_rows(const double* p, int64_t stride, int64_t rows, int64_t cols, double* acc);
void sum_rows(const int64_t* p, int64_t stride, int64_t rows, int64_t cols, int64_t* acc);
void max_rows(const float* p, int64_t stride, int64_t rows, int64_t cols, float* acc);
void max_rows(const double* p, int64_t stride, int64_t rows, int64_t cols, double* acc);
void max_rows(const int64_t* p, int64_t stride, int64_t rows, int64_t cols, int64_t* acc);
void min_rows(const float* p, int64_t stride, int64_t rows, int64_t cols, float* acc);
void min_rows(const double* p, int64_t stride, int64_t rows, int64_t cols, double* acc);
void min_rows(const int64_t* p, int64_t stride, int64_t rows, int64_t cols, int64_t* acc);

// The same of one run.
template <class T>
auto sum_run(const T* p, int64_t n) {
  std::conditional_t<std::is_same_v<T, int64_t>, int64_t, double> sum;
  sum_runs(p, 0, 1, n, &sum);
  return sum;
}
template <class T>
T max_run(const T* p, int64_t n) {
  T best;
  max_runs(p, 0, 1, n, &best);
  return best;
}
template <class T>
T min_run(const T* p, int64_t n) {
  T best;
  min_runs(p, 0, 1, n, &best);
  return best;
}

template <class T>
double sum_squares_run(const T* p, int64_t n, double center) {
  double sum;
  sum_squares_runs(p, 0, 1, n, center, &sum);
  return sum;
}

// Moments of a run of n > 0 elements, in two passes while it is in a cache.
template <class T>
math::Moments run_moments(const T* p, int64_t n) {
  const double count = static_cast<double>(n);
  const double mean = sum_run(p, n) / count;
  return {count, mean, sum_squares_run(p, n, mean)};
}

}  // namespace ampgrad::cpu
