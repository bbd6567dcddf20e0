// Sums in 64 lanes, compiled once per Highway target: element i of a run goes to lane i % 64
// whatever the vector width, and the lanes are added up in a fixed tree, floats in double, so that
// every instruction set returns the same bits.
#if defined(AMPGRAD_REDUCE_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_REDUCE_LANES_INL_H_
#undef AMPGRAD_REDUCE_LANES_INL_H_
#else
#define AMPGRAD_REDUCE_LANES_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "math/reduce.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kLanes = 64;

// One lane in double; integers stay as they are.
template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, float>, double, T>;

// Halves added until one lane is left.
#if HWY_TARGET == HWY_SCALAR
template <class D>
HWY_INLINE hn::TFromD<D> add_halves(D /*d*/, hn::Vec<D> v) {
  return hn::GetLane(v);
}
#else
template <class D>
HWY_INLINE hn::TFromD<D> add_halves(D /*d*/, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) == 2) {
    return math::wrapping_sum(hn::GetLane(v), hn::ExtractLane(v, 1));
  } else {
    const hn::Half<D> half;
    return add_halves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}
#endif

// The registers of the 64 lanes. Loops over them are unrolled by name, else they live in memory.
template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
inline constexpr int64_t kWidthOf = static_cast<int64_t>(hn::MaxLanes(Tag<T>()));
template <class T>
inline constexpr int64_t kRegsOf = kLanes / kWidthOf<T>;

// Lanes added up in a fixed tree: 64 -> 32 -> ... -> 1, whatever the width of a vector.
template <class A>
HWY_INLINE A add_registers(hn::Vec<Tag<A>> (&v)[kRegsOf<A>]) {
#pragma GCC unroll 64
  for (int64_t count = kRegsOf<A> / 2; count > 0; count /= 2) {
#pragma GCC unroll 64
    for (int64_t r = 0; r < count; ++r) v[r] = hn::Add(v[r], v[r + count]);
  }
  return add_halves(Tag<A>(), v[0]);
}

template <class T>
HWY_INLINE SumOf<T> add_lanes(const T* lanes) {
  using A = SumOf<T>;
  const Tag<A> d;
  hn::Vec<Tag<A>> v[kRegsOf<A>];
#pragma GCC unroll 64
  for (int64_t r = 0; r < kRegsOf<A>; ++r) {
    if constexpr (std::is_same_v<A, T>) {
      v[r] = hn::LoadU(d, lanes + r * kWidthOf<A>);
    } else {
      const hn::Rebind<T, decltype(d)> narrow;
      v[r] = hn::PromoteTo(d, hn::LoadU(narrow, lanes + r * kWidthOf<A>));
    }
  }
  return add_registers<A>(v);
}

// How many runs are read at once: one stream of addresses does not use all that the memory gives.
inline constexpr int64_t kRunsAtOnce = 4;
// Elements of a run before it is the next one's turn, where the lanes of all do not fit the
// registers: enough to be worth a change of lanes, few enough for the processor to keep fetching
// ahead in every run (twice as many are as slow as one run after the other).
template <class T>
inline constexpr int64_t kTurn = std::max<int64_t>(kLanes, 512 / sizeof(T));
#if HWY_TARGET <= HWY_AVX3
inline constexpr int64_t kVectorRegisters = 32;
#else
inline constexpr int64_t kVectorRegisters = 16;
#endif

// The lanes of `kRuns` runs.
template <class T, int64_t kRuns>
using Lanes = hn::Vec<Tag<T>>[kRuns][kRegsOf<T>];

// `step(acc, vector)` over a group of 64 elements.
template <class T, class Step>
HWY_INLINE void fold_group(const T* HWY_RESTRICT p, const Step& step,
                           hn::Vec<Tag<T>> (&acc)[kRegsOf<T>]) {
#pragma GCC unroll 64
  for (int64_t r = 0; r < kRegsOf<T>; ++r) {
    acc[r] = step(acc[r], hn::LoadU(Tag<T>(), p + r * kWidthOf<T>));
  }
}

// Runs `step(acc, vector)` over whole groups of 64 elements of runs `apart`, and returns how many
// elements of each that were.
template <class T, int64_t kRuns, class Step>
HWY_INLINE int64_t fold_groups(const T* HWY_RESTRICT p, int64_t apart, int64_t n, const Step& step,
                               Lanes<T, kRuns>& acc) {
  constexpr bool kFits = kRuns == 1 || kVectorRegisters >= 2 * kRuns * kRegsOf<T>;
  int64_t i = 0;
  if constexpr (!kFits) {
    for (; i + kTurn<T> <= n; i += kTurn<T>) {
      for (int64_t k = 0; k < kRuns; ++k) {
        hn::Vec<Tag<T>> lanes[kRegsOf<T>];
#pragma GCC unroll 64
        for (int64_t r = 0; r < kRegsOf<T>; ++r) lanes[r] = acc[k][r];
        for (int64_t j = 0; j < kTurn<T>; j += kLanes) {
          fold_group(p + k * apart + i + j, step, lanes);
        }
#pragma GCC unroll 64
        for (int64_t r = 0; r < kRegsOf<T>; ++r) acc[k][r] = lanes[r];
      }
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
#pragma GCC unroll 64
    for (int64_t k = 0; k < kRuns; ++k) fold_group(p + k * apart + i, step, acc[k]);
  }
  return i;
}

template <class T>
HWY_INLINE void clear_lanes(hn::Vec<Tag<T>> (&acc)[kRegsOf<T>]) {
#pragma GCC unroll 64
  for (int64_t r = 0; r < kRegsOf<T>; ++r) acc[r] = hn::Zero(Tag<T>());
}

// The sum of the lanes after `rest` < 64 more elements have joined the first ones:
// lane = join(lane, index of the element).
template <class T, class Join>
HWY_INLINE SumOf<T> sum_lanes(hn::Vec<Tag<T>> (&acc)[kRegsOf<T>], int64_t rest, const Join& join) {
#if HWY_TARGET != HWY_SCALAR
  if (rest == 0) {
    using A = SumOf<T>;
    if constexpr (std::is_same_v<A, T>) {
      return add_registers<A>(acc);
    } else {
      const Tag<A> wide;
      const hn::Half<Tag<T>> half;
      hn::Vec<Tag<A>> v[kRegsOf<A>];
#pragma GCC unroll 64
      for (int64_t r = 0; r < kRegsOf<T>; ++r) {
        v[2 * r] = hn::PromoteTo(wide, hn::LowerHalf(half, acc[r]));
        v[2 * r + 1] = hn::PromoteTo(wide, hn::UpperHalf(half, acc[r]));
      }
      return add_registers<A>(v);
    }
  }
#endif
  alignas(64) T lanes[kLanes];
#pragma GCC unroll 64
  for (int64_t r = 0; r < kRegsOf<T>; ++r) hn::Store(acc[r], Tag<T>(), lanes + r * kWidthOf<T>);
  for (int64_t j = 0; j < rest; ++j) lanes[j] = join(lanes[j], j);
  return add_lanes(lanes);
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
