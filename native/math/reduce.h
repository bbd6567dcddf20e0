// Steps of reductions, host and device: how partial results are combined. The loops that feed them
// belong to the backends.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/macros.h"

namespace ampgrad::math {

// A sum's step. Integers wrap around, as in PyTorch: in unsigned arithmetic, because signed
// overflow is undefined.
template <class A>
AG_HD AG_INLINE A wrapping_sum(A a, A b) {
  if constexpr (std::is_same_v<A, int64_t>) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}

// Count, mean and sum of squared deviations. Merge: Chan, Golub and LeVeque, "Updating formulae and
// a pairwise algorithm for computing sample variances" (1979).
struct Moments {
  double count = 0;
  double mean = 0;
  double m2 = 0;
};

AG_HD AG_INLINE void merge_moments(Moments* a, const Moments& b) {
  if (b.count == 0) return;
  const double count = a->count + b.count;
  const double delta = b.mean - a->mean;
  const double share = b.count / count;
  a->mean += delta * share;
  a->m2 += b.m2 + delta * delta * a->count * share;
  a->count = count;
}

// Does a later candidate replace the best so far? NaN outranks numbers; the first of equals stays.
template <bool kMax, class T>
AG_HD AG_INLINE bool beats(T candidate, T best) {
  if (best != best) return false;
  if (candidate != candidate) return true;
  return kMax ? candidate > best : candidate < best;
}

}  // namespace ampgrad::math
