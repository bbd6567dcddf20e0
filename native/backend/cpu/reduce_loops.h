// Vectorised inner loops of the reductions: folds of a contiguous run, and of `rows` strided rows
// into per-column accumulators. Element i of a run always goes to logical lane i % 64, whatever the
// vector width, so that every instruction set returns the same bits.
#pragma once

#include <cstdint>

namespace ampgrad::cpu {

// Longest run that one call may fold: bounds the rounding error of a lane.
inline constexpr int64_t kReduceBlock = 4096;
// Widest strip of columns a rows-fold may get.
inline constexpr int64_t kReduceColumns = 512;

// Sums of a run of at most kReduceBlock elements; float lanes are added up in double.
double sum_run(const float* p, int64_t n);
double sum_run(const double* p, int64_t n);
int64_t sum_run(const int64_t* p, int64_t n);

// Sums of (p[i] - center)^2, for variances.
double sum_squares_run(const float* p, int64_t n, double center);
double sum_squares_run(const double* p, int64_t n, double center);

// Extremes; NaN if there is one. n > 0.
float max_run(const float* p, int64_t n);
double max_run(const double* p, int64_t n);
int64_t max_run(const int64_t* p, int64_t n);
float min_run(const float* p, int64_t n);
double min_run(const double* p, int64_t n);
int64_t min_run(const int64_t* p, int64_t n);

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

}  // namespace ampgrad::cpu
