// Per-element steps of normalisations, host and device.
#pragma once

#include "core/macros.h"

namespace ampgrad::math {

// One element, centred and scaled.
template <class T>
AG_HD AG_INLINE T affine(T x, T center, T scale, T shift) {
  return (x - center) * scale + shift;
}

// An element of the gradient of the input: the scaled gradient, less what it has in common with
// the mean (c) and with the deviation (b) of the row or channel.
template <class T>
AG_HD AG_INLINE T norm_grad(T grad, T x, T center, T a, T b, T c) {
  return grad * a + ((x - center) * b + c);
}

}  // namespace ampgrad::math
