// A norm of any order as a fold: a term for each number, the combination of what has been folded,
// and the norm in the end. Host and device; folds are double.
#pragma once

#include <cmath>
#include <limits>

#include "math/scalar.h"

namespace ampgrad::math {

struct PowerNorm {
  double ord = 2;

  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  AG_HD double start() const { return ord == -kInfinity ? kInfinity : 0; }

  // NaN stays.
  template <class T>
  AG_HD T combine(T a, T b) const {
    if (ord == kInfinity) return a != a || a > b ? a : b;
    if (ord == -kInfinity) return a != a || a < b ? a : b;
    return a + b;
  }

  AG_HD double finish(double folded) const {
    if (ord == kInfinity || ord == -kInfinity || ord == 0 || ord == 1) return folded;
    return ord == 2 ? ::sqrt(folded) : ::pow(folded, 1 / ord);
  }

  template <class T>
  AG_HD T of_one(T x) const {
    const T a = x < 0 ? -x : x;
    if (ord == kInfinity || ord == -kInfinity || ord == 1) return a;
    if (ord == 0) return a != 0 ? T{1} : T{0};
    return ord == 2 ? a * a : scalar::pow(a, static_cast<T>(ord));
  }
};

}  // namespace ampgrad::math
