// Vectorised inner loops of the normalisations over contiguous runs. `center` and `scale` are the
// mean and the reciprocal deviation of what the run belongs to.
#pragma once

#include <cstdint>

namespace ampgrad::cpu {

struct PairSum {
  double first = 0, second = 0;
};

#define AG_NORM_LOOPS(T)                                                                          \
  /* y = (x - center) * scale + shift */                                                          \
  void affine_run(const T* x, T* y, int64_t n, T center, T scale, T shift);                       \
  /* y = (x - center) * scale * w + b; w and b may be null */                                     \
  void normalize_run(const T* x, const T* w, const T* b, T* y, int64_t n, T center, T scale);     \
  /* sums of g w and g w (x - center), n <= kReduceBlock; w may be null */                        \
  PairSum grad_moments_run(const T* g, const T* x, const T* w, int64_t n, T center);              \
  /* out = g w a + (x - center) b + c; w may be null */                                           \
  void norm_grad_run(const T* g, const T* x, const T* w, T* out, int64_t n, T center, T a, T b,   \
                     T c);                                                                        \
  /* grad_moments_run that also does dw += g (x - center) scale, db += g */                       \
  PairSum accumulate_moments_run(const T* g, const T* x, const T* w, T* dw, T* db, int64_t n,     \
                                 T center, T scale);                                              \
  /* Columns of a [rows, cols] strip, `stride` apart: acc[c] += (x - center[c])^2 */              \
  void sum_squares_rows(const T* x, int64_t stride, int64_t rows, int64_t cols, const T* center,  \
                        double* acc);                                                             \
  /* first[c] += g, second[c] += g (x - center[c]) */                                             \
  void grad_moments_rows(const T* g, const T* x, int64_t stride, int64_t rows, int64_t cols,      \
                         const T* center, double* first, double* second);                         \
  /* y = (x - center[c]) * scale[c] + shift[c] */                                                 \
  void affine_rows(const T* x, T* y, int64_t stride, int64_t rows, int64_t cols, const T* center, \
                   const T* scale, const T* shift);                                               \
  /* out = g a[c] + (x - center[c]) b[c] + e[c] */                                                \
  void norm_grad_rows(const T* g, const T* x, T* out, int64_t stride, int64_t rows, int64_t cols, \
                      const T* center, const T* a, const T* b, const T* e);
AG_NORM_LOOPS(float)
AG_NORM_LOOPS(double)
#undef AG_NORM_LOOPS

}  // namespace ampgrad::cpu
