// Vectorised rows and strips of softmax: a row is contiguous along the reduced dimension, a strip
// is a group of neighbouring columns reduced across rows (the dimension is not the last).
#pragma once

#include <cstdint>

namespace ampgrad::cpu {

// Widest strip.
inline constexpr int64_t kSoftmaxColumns = 256;

// Rows that may be streamed past the caches.
inline constexpr int64_t kStreamedSoftmax = 16384;

void softmax_row(const float* x, float* y, int64_t n, bool log, bool stream);
void softmax_row(const double* x, double* y, int64_t n, bool log, bool stream);
void softmax_backward_row(const float* grad, const float* y, float* out, int64_t n, bool log,
                          bool stream);
void softmax_backward_row(const double* grad, const double* y, double* out, int64_t n, bool log,
                          bool stream);

// `size` rows of `cols` columns, `stride` elements apart.
void softmax_strip(const float* x, float* y, int64_t size, int64_t stride, int64_t cols, bool log);
void softmax_strip(const double* x, double* y, int64_t size, int64_t stride, int64_t cols,
                   bool log);
void softmax_backward_strip(const float* grad, const float* y, float* out, int64_t size,
                            int64_t stride, int64_t cols, bool log);
void softmax_backward_strip(const double* grad, const double* y, double* out, int64_t size,
                            int64_t stride, int64_t cols, bool log);

// log(sum(exp(x))) of a row; x may hold infinities.
double log_sum_exp_row(const float* x, int64_t n);
double log_sum_exp_row(const double* x, int64_t n);

// out[i] = scale * exp(x[i] - lse): the dense part of the cross entropy gradient.
void scaled_softmax_row(const float* x, float* out, int64_t n, double lse, double scale);
void scaled_softmax_row(const double* x, double* out, int64_t n, double lse, double scale);

}  // namespace ampgrad::cpu
