// Sums of probabilities in log space, host and device.
#pragma once

#include <cmath>
#include <limits>

#include "core/macros.h"

namespace ampgrad::math {

// The log of the probability 0.
inline constexpr double kNever = -std::numeric_limits<double>::infinity();

AG_HD AG_INLINE double log_add(double a, double b) {
  const double top = a < b ? b : a;
  return top == kNever ? kNever : top + ::log1p(::exp(-::fabs(a - b)));
}

}  // namespace ampgrad::math
