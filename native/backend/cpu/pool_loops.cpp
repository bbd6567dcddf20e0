// See pool_loops.h: plain loops that the compiler vectorises in each target's region.
#include "backend/cpu/pool_loops.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/pool_loops.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

template <class T>
HWY_INLINE void merge_of(const T* HWY_RESTRICT x, T* HWY_RESTRICT best, int32_t* HWY_RESTRICT which,
                         int32_t code, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const bool take = (x[i] > best[i]) | (x[i] != x[i]);
    which[i] = take ? code : which[i];
    best[i] = take ? x[i] : best[i];
  }
}

template <class T>
HWY_INLINE void add_of(const T* HWY_RESTRICT x, T* HWY_RESTRICT acc, int64_t n) {
  for (int64_t i = 0; i < n; ++i) acc[i] += x[i];
}

// The largest of up to three rows and which of them it is from.
template <class T>
HWY_INLINE void fold_rows(const MaxRow<T>& m) {
  T* HWY_RESTRICT best = m.values + m.before;
  int32_t* HWY_RESTRICT which = m.codes + m.before;
  const T* HWY_RESTRICT a = m.rows[0];
  const T* HWY_RESTRICT b = m.rows[std::min<int64_t>(1, m.num_rows - 1)];
  const T* HWY_RESTRICT c = m.rows[std::min<int64_t>(2, m.num_rows - 1)];
  const int32_t second = m.num_rows > 1 ? 1 : 0;
  const int32_t third = m.num_rows > 2 ? 2 : second;
  for (int64_t i = 0; i < m.width; ++i) {
    // A row that stands in for one that is missing wins nothing that changes the outcome.
    T top = a[i];
    int32_t code = 0;
    const T y = b[i];
    const bool take_b = (y > top) | (y != y);
    top = take_b ? y : top;
    code = take_b ? second : code;
    const T z = c[i];
    const bool take_c = (z > top) | (z != z);
    best[i] = take_c ? z : top;
    which[i] = take_c ? third : code;
  }
  for (int64_t r = 3; r < m.num_rows; ++r) {
    merge_of(m.rows[r], best, which, static_cast<int32_t>(r), m.width);
  }
}

// Column `tap` of every window joins the maxima.
template <class T>
HWY_INLINE void merge_tap(const T* HWY_RESTRICT x, const int32_t* HWY_RESTRICT x_code, int32_t tap,
                          int64_t n, T* HWY_RESTRICT best, int32_t* HWY_RESTRICT code,
                          int32_t* HWY_RESTRICT taps) {
  for (int64_t i = 0; i < n; ++i) {
    const bool first = x_code[i] < code[i];
    const bool nan = (x[i] != x[i]) & ((best[i] == best[i]) | !first);
    const bool take = (x[i] > best[i]) | ((x[i] == best[i]) & first) | nan;
    best[i] = take ? x[i] : best[i];
    code[i] = take ? x_code[i] : code[i];
    taps[i] = take ? tap : taps[i];
  }
}

template <class T>
HWY_INLINE void max_row_of(const MaxRow<T>& m) {
  fold_rows(m);
  const T* values[2] = {m.values, m.values};
  const int32_t* codes[2] = {m.codes, m.codes};
  if (m.stride == 2) {
    const int64_t n = m.padded() / 2;
    T* HWY_RESTRICT even = m.half_values[0];
    T* HWY_RESTRICT odd = m.half_values[1];
    for (int64_t i = 0; i < n; ++i) {
      even[i] = m.values[2 * i];
      odd[i] = m.values[2 * i + 1];
    }
    int32_t* HWY_RESTRICT even_codes = m.half_codes[0];
    int32_t* HWY_RESTRICT odd_codes = m.half_codes[1];
    for (int64_t i = 0; i < n; ++i) {
      even_codes[i] = m.codes[2 * i];
      odd_codes[i] = m.codes[2 * i + 1];
    }
    for (int i = 0; i < 2; ++i) {
      values[i] = m.half_values[i];
      codes[i] = m.half_codes[i];
    }
  }
  const int64_t n = m.out;
  for (int64_t i = 0; i < n; ++i) {
    m.y[i] = values[0][i];
    m.code[i] = codes[0][i];
    m.tap[i] = 0;
  }
  for (int64_t t = 1; t < m.kernel; ++t) {
    const int64_t part = t % m.stride;
    const int64_t at = t / m.stride;
    merge_tap(values[part] + at, codes[part] + at, static_cast<int32_t>(t), n, m.y, m.code, m.tap);
  }
  int64_t* HWY_RESTRICT indices = m.indices;
  const int32_t* HWY_RESTRICT code = m.code;
  const int32_t* HWY_RESTRICT tap = m.tap;
  const auto step = static_cast<int32_t>(m.row_step);
  const auto stride = static_cast<int32_t>(m.stride);
  const int64_t base = m.base - m.before;
  for (int64_t i = 0; i < n; ++i) {
    indices[i] = base + (code[i] * step + tap[i] + static_cast<int32_t>(i) * stride);
  }
}

HWY_ATTR void max_row_f32(const MaxRow<float>& m) { max_row_of(m); }
HWY_ATTR void max_row_f64(const MaxRow<double>& m) { max_row_of(m); }

HWY_ATTR void merge_f32(const float* x, float* best, int32_t* which, int32_t code, int64_t n) {
  merge_of(x, best, which, code, n);
}
HWY_ATTR void merge_f64(const double* x, double* best, int32_t* which, int32_t code, int64_t n) {
  merge_of(x, best, which, code, n);
}
HWY_ATTR void add_f32(const float* x, float* acc, int64_t n) { add_of(x, acc, n); }
HWY_ATTR void add_f64(const double* x, double* acc, int64_t n) { add_of(x, acc, n); }

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(max_row_f32);
HWY_EXPORT(max_row_f64);
HWY_EXPORT(merge_f32);
HWY_EXPORT(merge_f64);
HWY_EXPORT(add_f32);
HWY_EXPORT(add_f64);

void max_row_windows(const MaxRow<float>& row) { HWY_DYNAMIC_DISPATCH(max_row_f32)(row); }
void max_row_windows(const MaxRow<double>& row) { HWY_DYNAMIC_DISPATCH(max_row_f64)(row); }
void max_merge_row(const float* x, float* best, int32_t* which, int32_t code, int64_t n) {
  HWY_DYNAMIC_DISPATCH(merge_f32)(x, best, which, code, n);
}
void max_merge_row(const double* x, double* best, int32_t* which, int32_t code, int64_t n) {
  HWY_DYNAMIC_DISPATCH(merge_f64)(x, best, which, code, n);
}
void add_row(const float* x, float* acc, int64_t n) { HWY_DYNAMIC_DISPATCH(add_f32)(x, acc, n); }
void add_row(const double* x, double* acc, int64_t n) { HWY_DYNAMIC_DISPATCH(add_f64)(x, acc, n); }

}  // namespace ampgrad::cpu
#endif
