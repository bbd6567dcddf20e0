// Vectorised row steps of pooling.
#pragma once

#include <cstdint>

namespace ampgrad::cpu {

// Where x is larger than best (or NaN), best becomes x and which becomes code.
void max_merge_row(const float* x, float* best, int32_t* which, int32_t code, int64_t n);
void max_merge_row(const double* x, double* best, int32_t* which, int32_t code, int64_t n);

// acc += x
void add_row(const float* x, float* acc, int64_t n);
void add_row(const double* x, double* acc, int64_t n);

}  // namespace ampgrad::cpu
