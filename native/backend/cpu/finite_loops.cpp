// See finite_loops.h.
#include "backend/cpu/finite_loops.h"

#include "core/error.h"
#include "math/amp.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/finite_loops.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// `exponent`: the bits that are all set in what is not finite.
template <class U>
HWY_ATTR bool none_full(const void* data, int64_t n, uint64_t exponent) {
  const hn::ScalableTag<U> d;
  const auto* bits = static_cast<const U*>(data);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto full = hn::Set(d, static_cast<U>(exponent));
  auto found0 = hn::Zero(d);
  auto found1 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::And(hn::LoadU(d, bits + i), full);
    const auto b = hn::And(hn::LoadU(d, bits + i + lanes), full);
    found0 = hn::Or(found0, hn::VecFromMask(d, hn::Eq(a, full)));
    found1 = hn::Or(found1, hn::VecFromMask(d, hn::Eq(b, full)));
  }
  bool none = hn::AllTrue(d, hn::Eq(hn::Or(found0, found1), hn::Zero(d)));
  for (; i < n; ++i) none = none && (bits[i] & exponent) != exponent;
  return none;
}

bool all_finite_bits(const void* data, int64_t n, DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return none_full<uint16_t>(data, n, 0x7c00);
    case DType::BFloat16:
      return none_full<uint16_t>(data, n, 0x7f80);
    case DType::Float32:
      return none_full<uint32_t>(data, n, 0x7f800000);
    default:
      AG_ASSERT(dtype == DType::Float64);
      return none_full<uint64_t>(data, n, 0x7ff0000000000000);
  }
}

// A plain loop, which compilers turn into vectors of the target.
template <class T>
HWY_ATTR bool scale_all(void* data, int64_t n, float factor) {
  auto* numbers = static_cast<T*>(data);
  unsigned bad = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T x = numbers[i];
    bad |= math::is_finite(x) ? 0U : 1U;
    numbers[i] = math::unscale(x, factor);
  }
  return bad == 0;
}

bool scale_finite_numbers(void* data, int64_t n, DType dtype, float factor) {
  switch (dtype) {
    case DType::Float16:
      return scale_all<Half>(data, n, factor);
    case DType::BFloat16:
      return scale_all<BFloat16>(data, n, factor);
    case DType::Float32:
      return scale_all<float>(data, n, factor);
    default:
      AG_ASSERT(dtype == DType::Float64);
      return scale_all<double>(data, n, factor);
  }
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(all_finite_bits);
HWY_EXPORT(scale_finite_numbers);

bool all_finite(const void* data, int64_t n, DType dtype) {
  return HWY_DYNAMIC_DISPATCH(all_finite_bits)(data, n, dtype);
}
bool scale_finite(void* data, int64_t n, DType dtype, float factor) {
  return HWY_DYNAMIC_DISPATCH(scale_finite_numbers)(data, n, dtype, factor);
}

}  // namespace ampgrad::cpu
#endif
