// Per-element steps of normalisations, host and device.
#include "math/target.h"

#if defined(AG_MATH_NORM_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_MATH_NORM_INL_H
#undef AG_MATH_NORM_INL_H
#else
#define AG_MATH_NORM_INL_H
#endif

AG_MATH_BEGIN

// One element, centred and scaled.
template <class T>
AG_MATH T affine(T x, T center, T scale, T shift) {
  return (x - center) * scale + shift;
}

// An element of the gradient of the input: the scaled gradient, less what it has in common with
// the mean (c) and with the deviation (b) of the row or channel.
template <class T>
AG_MATH T norm_grad(T grad, T x, T center, T a, T b, T c) {
  return grad * a + ((x - center) * b + c);
}

AG_MATH_END

#endif
