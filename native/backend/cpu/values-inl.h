// Loops written once for vectors and for the scalars that are left, compiled once per Highway
// target.
#include "math/target.h"

#if defined(AMPGRAD_VALUES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_VALUES_INL_H_
#undef AMPGRAD_VALUES_INL_H_
#else
#define AMPGRAD_VALUES_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/cache_control.h"
#include "hwy/highway.h"

#include "backend/cpu/places-inl.h"
#include "math/vocabulary-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace math = ::ampgrad::math::HWY_NAMESPACE;

template <class V>
HWY_INLINE V load(const math::ScalarOf<V>* p) {
  if constexpr (math::kIsScalar<V>) {
    return *p;
  } else {
    return V{hwy::HWY_NAMESPACE::LoadU(typename V::Tag(), p)};
  }
}

// kStream: past the caches, to an address that is a multiple of a vector.
template <bool kStream = false, class V>
HWY_INLINE void store(V v, math::ScalarOf<V>* p) {
  if constexpr (math::kIsScalar<V>) {
    *p = v;
  } else if constexpr (kStream) {
    hwy::HWY_NAMESPACE::Stream(v.v, typename V::Tag(), p);
  } else {
    hwy::HWY_NAMESPACE::StoreU(v.v, typename V::Tag(), p);
  }
}

// body(value, i) for n elements: vectors, then the scalars that are left. The value only
// tells the type.
template <class T, class Body>
HWY_INLINE void each_value(int64_t n, const Body& body) {
  using V = math::Pack<T>;
  const auto width = static_cast<int64_t>(hwy::HWY_NAMESPACE::Lanes(typename V::Tag()));
  int64_t i = 0;
  for (; i + width <= n; i += width) body(V(), i);
  for (; i < n; ++i) body(T(), i);
}

// As each_value, in four places of the run in turn. For long runs that are not in a cache.
template <class T, class Body>
HWY_INLINE void each_value_apart(int64_t n, const Body& body) {
  using V = math::Pack<T>;
  constexpr size_t kWidth = hwy::HWY_NAMESPACE::MaxLanes(typename V::Tag());
  constexpr size_t kLine = std::max(kWidth, 64 / sizeof(T));
  const auto done =
      static_cast<int64_t>(each_line<4, kLine, T>(static_cast<size_t>(n), [&](size_t at) HWY_ATTR {
        for (size_t i = at; i < at + kLine; i += kWidth) body(V(), static_cast<int64_t>(i));
      }));
  each_value<T>(n - done, [&](auto one, int64_t i) HWY_ATTR { body(one, done + i); });
}

// Fetches what follows a row of n elements, at the place of element i. Meant for the last loop over
// a row: that comes from the first-level cache by then, and memory would have nothing to do. No
// harm is done past the end of all rows.
template <class V, class T>
HWY_INLINE void fetch_next(const T* row, int64_t n, int64_t i) {
  if constexpr (!math::kIsScalar<V>) hwy::Prefetch(row + n + i);
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
