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

HWY_EXPORT(merge_f32);
HWY_EXPORT(merge_f64);
HWY_EXPORT(add_f32);
HWY_EXPORT(add_f64);

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
