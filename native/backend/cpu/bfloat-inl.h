// Vectors of float rounded to bfloat16, to nearest even as core/half.h does; NaN stays NaN.
// Compiled once per Highway target.
#if defined(AMPGRAD_BFLOAT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_BFLOAT_INL_H_
#undef AMPGRAD_BFLOAT_INL_H_
#else
#define AMPGRAD_BFLOAT_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The rounded numbers in the upper halves of 32 bits, of vectors without NaN; the lower halves are
// not cleared.
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<uint32_t, D>> round_number_to_bfloat(D, hn::Vec<D> v) {
  const hn::Rebind<uint32_t, D> d32;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1U));
  return hn::Add(hn::Add(bits, hn::Set(d32, 0x7fffU)), odd);
}

template <class D>
HWY_INLINE hn::Vec<hn::Rebind<uint32_t, D>> round_to_bfloat(D d, hn::Vec<D> v) {
  const hn::Rebind<uint32_t, D> d32;
  const auto quiet = hn::Or(hn::BitCast(d32, v), hn::Set(d32, 0x400000U));
  return hn::IfThenElse(hn::RebindMask(d32, hn::IsNaN(v)), quiet, round_number_to_bfloat(d, v));
}

template <class D>
HWY_INLINE void store_bfloat(D d, hn::Vec<D> v, uint16_t* to) {
  const hn::Rebind<uint16_t, D> d16;
  hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(round_to_bfloat(d, v))), d16, to);
}

// Two vectors at once. Few have a NaN, which one comparison finds in either.
template <class D, class U = hn::Vec<hn::Rebind<uint32_t, D>>>
HWY_INLINE void round_to_bfloat(D d, hn::Vec<D> a, hn::Vec<D> b, U& upper_a, U& upper_b) {
#if HWY_TARGET == HWY_AVX2
  if (HWY_LIKELY(_mm256_movemask_ps(_mm256_cmp_ps(a.raw, b.raw, _CMP_UNORD_Q)) == 0)) {
    upper_a = round_number_to_bfloat(d, a);
    upper_b = round_number_to_bfloat(d, b);
    return;
  }
#endif
  upper_a = round_to_bfloat(d, a);
  upper_b = round_to_bfloat(d, b);
}

#if HWY_TARGET == HWY_AVX2
// The upper halves of two vectors, one behind the other: one pack with sign, which saturates
// nothing after an arithmetic shift, and its blocks in order. Truncating each vector takes three
// shuffles.
template <class D>
HWY_INLINE void store_upper_halves(D, hn::Vec<hn::Rebind<uint32_t, D>> a,
                                   hn::Vec<hn::Rebind<uint32_t, D>> b, uint16_t* to) {
  const hn::Rebind<int32_t, D> i32;
  const hn::Repartition<int16_t, D> i16;
  const auto packed = hn::ReorderDemote2To(i16, hn::ShiftRight<16>(hn::BitCast(i32, a)),
                                           hn::ShiftRight<16>(hn::BitCast(i32, b)));
  const hn::Vec<decltype(i16)> ordered{_mm256_permute4x64_epi64(packed.raw, 0xd8)};
  hn::StoreU(ordered, i16, reinterpret_cast<int16_t*>(to));
}
#endif

// Two vectors, one behind the other.
template <class D>
HWY_INLINE void store_bfloats(D d, hn::Vec<D> a, hn::Vec<D> b, uint16_t* to) {
#if HWY_TARGET == HWY_AVX2
  hn::Vec<hn::Rebind<uint32_t, D>> upper_a;
  hn::Vec<hn::Rebind<uint32_t, D>> upper_b;
  round_to_bfloat(d, a, b, upper_a, upper_b);
  store_upper_halves(d, upper_a, upper_b, to);
#else
  store_bfloat(d, a, to);
  store_bfloat(d, b, to + hn::Lanes(d));
#endif
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
