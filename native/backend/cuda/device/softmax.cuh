// The greatest element of a row and the sum of e^(x - greatest), found in one pass: both are
// rescaled when a greater element turns up.
#pragma once

#include <limits>

#include "backend/cuda/device/team.cuh"
#include "math/softmax-inl.h"

namespace ampgrad::cuda {

template <class T>
inline constexpr T kLowest = -std::numeric_limits<T>::infinity();

// first: the greatest so far; second: the sum. Nothing but -inf so far has the sum 0, and e^0 is
// never taken of two infinities. NaN and +inf make the sum NaN.
template <class T>
struct MaxSum {
  static AG_HD AG_INLINE Pair<T> nothing() { return {kLowest<T>, T{0}}; }

  static AG_HD AG_INLINE T shift(T top) { return top == kLowest<T> ? T{0} : top; }

  template <int V>
  static __device__ AG_INLINE void add(Pair<T>* a, const T* x) {
    T top = a->first;
    AG_UNROLL
    for (int j = 0; j < V; ++j) top = Larger()(top, x[j]);
    const T from = shift(top);
    T sum = a->second * math::exp_nonpositive(a->first - from);
    AG_UNROLL
    for (int j = 0; j < V; ++j) sum += math::exp_nonpositive(x[j] - from);
    *a = {top, sum};
  }

  AG_HD AG_INLINE Pair<T> operator()(const Pair<T>& a, const Pair<T>& b) const {
    const T top = Larger()(a.first, b.first);
    const T from = shift(top);
    return {top, a.second * math::exp_nonpositive(a.first - from) +
                     b.second * math::exp_nonpositive(b.first - from)};
  }
};

}  // namespace ampgrad::cuda
