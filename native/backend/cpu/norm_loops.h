// Vectorised inner loops of the normalisations over contiguous runs. `center` and `scale` are the
// mean and the reciprocal deviation of what the run belongs to.
#pragma once

#include <cstdint>

namespace ampgrad::cpu {

struct PairSum {
  double first = 0, second = 0;
};

// out = g w a + (x - center) b + c, and dw += g (x - center) rstd, db += g. w and out may be null,
// dw and db together.
template <class T>
struct NormGradRun {
  const T* g = nullptr;
  const T* x = nullptr;
  const T* w = nullptr;
  T* out = nullptr;
  T* dw = nullptr;
  T* db = nullptr;
  int64_t n = 0;
  T center = 0, rstd = 0, a = 0, b = 0, c = 0;
};

// `stream`: past the caches; then the result must start at a cache line.
#define AG_NORM_LOOPS(T)                                                                          \
  /* y = (x - center) * scale + shift */                                                          \
  void affine_run(const T* x, T* y, int64_t n, T center, T scale, T shift);                       \
  /* y = (x - center) * scale * w + b; w and b may be null */                                     \
  void normalize_run(const T* x, const T* w, const T* b, T* y, int64_t n, T center, T scale,      \
                     bool stream);                                                                \
  /* sums of g w and g w (x - center), n <= kReduceBlock; w may be null */                        \
  PairSum grad_moments_run(const T* g, const T* x, const T* w, int64_t n, T center);              \
  void norm_grad_run(const NormGradRun<T>& run, bool stream);                                     \
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
