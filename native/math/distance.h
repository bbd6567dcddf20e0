// Distances between rows, column by column, host and device: one column's term added to a sum, the
// distance from the sum, and what a column's difference gets of the distance's gradient.
#pragma once

#include <cmath>

#include "math/scalar.h"

namespace ampgrad::math {

namespace detail {

template <class T>
AG_HD AG_INLINE T magnitude(T x) {
  return x < 0 ? -x : x;
}
template <class T>
AG_HD AG_INLINE T signed_by(T diff, T value) {
  return diff > 0 ? value : (diff < 0 ? -value : T{0});
}

}  // namespace detail

template <class T>
struct ZeroNorm {
  AG_HD explicit ZeroNorm(double) {}
  AG_HD T add(T sum, T diff) const { return sum + static_cast<T>(diff != 0); }
  AG_HD T finish(T sum) const { return sum; }
  AG_HD T slope(T, T, T) const { return 0; }
};
template <class T>
struct OneNorm {
  AG_HD explicit OneNorm(double) {}
  AG_HD T add(T sum, T diff) const { return sum + detail::magnitude(diff); }
  AG_HD T finish(T sum) const { return sum; }
  AG_HD T slope(T diff, T grad, T) const { return detail::signed_by(diff, grad); }
};
template <class T>
struct TwoNorm {
  AG_HD explicit TwoNorm(double) {}
  AG_HD T add(T sum, T diff) const { return sum + diff * diff; }
  AG_HD T finish(T sum) const { return std::sqrt(sum); }
  AG_HD T slope(T diff, T grad, T distance) const {
    return distance == 0 ? T{0} : grad * diff / distance;
  }
};
template <class T>
struct MaxNorm {
  AG_HD explicit MaxNorm(double) {}
  AG_HD T add(T sum, T diff) const {
    const T size = detail::magnitude(diff);
    return size > sum || size != size ? size : sum;
  }
  AG_HD T finish(T sum) const { return sum; }
  AG_HD T slope(T diff, T grad, T distance) const {
    if (detail::magnitude(diff) != distance) return 0;
    return detail::signed_by(diff, grad);
  }
};
template <class T>
struct PowerDistance {
  T p;
  AG_HD explicit PowerDistance(double order) : p(static_cast<T>(order)) {}
  AG_HD T add(T sum, T diff) const { return sum + scalar::pow(detail::magnitude(diff), p); }
  AG_HD T finish(T sum) const { return scalar::pow(sum, 1 / p); }
  AG_HD T slope(T diff, T grad, T distance) const {
    if (distance == 0 || diff == 0) return 0;
    const T size = scalar::pow(detail::magnitude(diff) / distance, p - 1);
    return (diff > 0 ? size : -size) * grad;
  }
};

}  // namespace ampgrad::math
