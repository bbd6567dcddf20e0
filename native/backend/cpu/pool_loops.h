// Vectorised row steps of pooling.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ampgrad::cpu {

// Where x is larger than best (or NaN), best becomes x and which becomes code.
void max_merge_row(const float* x, float* best, int32_t* which, int32_t code, int64_t n);
void max_merge_row(const double* x, double* best, int32_t* which, int32_t code, int64_t n);

// One row of the maxima of windows that are `stride` (1 or 2) apart and `kernel` columns wide, over
// `num_rows` > 0 rows of `width` columns. Output o covers columns o * stride - before and on; the
// position of its maximum goes to indices as base + row * row_step + column. In PyTorch's scan
// order the first of equal values wins, and the last NaN.
template <class T>
struct MaxRow {
  const T* const* rows = nullptr;
  int64_t num_rows = 0, width = 0;
  int64_t before = 0, stride = 1, kernel = 1, out = 0;
  // Buffers of padded() and kernel columns; see prepare_max_row.
  T* values = nullptr;
  int32_t* codes = nullptr;
  T* half_values[2] = {nullptr, nullptr};
  int32_t* half_codes[2] = {nullptr, nullptr};
  int32_t* code = nullptr;  // of the outputs
  int32_t* tap = nullptr;
  T* y = nullptr;
  int64_t* indices = nullptr;
  int64_t base = 0, row_step = 0;

  int64_t padded() const { return std::max((out - 1) * stride + kernel, before + width) + stride; }
};
void max_row_windows(const MaxRow<float>& row);
void max_row_windows(const MaxRow<double>& row);

// acc += x
void add_row(const float* x, float* acc, int64_t n);
void add_row(const double* x, double* acc, int64_t n);

}  // namespace ampgrad::cpu
