// Windows of pooling, host and device: which elements of a dimension an output covers, which
// outputs cover an element, and the starts of fractional windows.
#pragma once

#include <cstdint>

#include "core/macros.h"

namespace ampgrad::math {

// One dimension. I is the type of its arithmetic: 32 bits where everything fits.
template <class I>
struct PoolAxis {
  I in = 1, out = 1;
  I kernel = 1, stride = 1, padding = 0, dilation = 1;
  bool adaptive = false;       // even shares of the input instead of windows of one size
  bool count_padding = false;  // averages divide by the padding that a window covers too
};

// begin, begin + dilation, ... below end, all inside the input; nothing where begin >= end.
template <class I>
struct PoolWindow {
  I begin, end, count;
};

template <class I>
AG_HD AG_INLINE I pool_min(I a, I b) {
  return a < b ? a : b;
}
template <class I>
AG_HD AG_INLINE I pool_max(I a, I b) {
  return a > b ? a : b;
}

template <class I>
AG_HD AG_INLINE PoolWindow<I> pool_window(const PoolAxis<I>& a, I o) {
  PoolWindow<I> w;
  if (a.adaptive) {
    w.begin = static_cast<I>(int64_t{o} * a.in / a.out);
    w.end = static_cast<I>(((int64_t{o} + 1) * a.in + a.out - 1) / a.out);
    w.count = w.end - w.begin;
    return w;
  }
  const I start = o * a.stride - a.padding;
  const I reach = start + (a.kernel - 1) * a.dilation + 1;
  I first = start;
  if (first < 0) first += (-first + a.dilation - 1) / a.dilation * a.dilation;
  w.begin = pool_min(first, a.in);
  w.end = pool_max(pool_min(reach, a.in), w.begin);
  w.count = a.count_padding ? pool_min<I>(reach, a.in + a.padding) - start : w.end - w.begin;
  return w;
}

// Outputs [begin, end) whose windows hold element i, where windows are not dilated.
template <class I>
AG_HD AG_INLINE PoolWindow<I> pool_outputs(const PoolAxis<I>& a, I i) {
  PoolWindow<I> w{0, 0, 0};
  if (a.adaptive) {
    w.begin = static_cast<I>(int64_t{i} * a.out / a.in);
    w.end = static_cast<I>(((int64_t{i} + 1) * a.out + a.in - 1) / a.in);
    return w;
  }
  const I at = i + a.padding;
  if (at >= a.kernel) w.begin = (at - a.kernel) / a.stride + 1;
  w.end = pool_min<I>(at / a.stride + 1, a.out);
  w.begin = pool_min(w.begin, w.end);
  return w;
}

// Fractional windows: the start of window i of `out` windows of `kernel` elements among `in`, by
// the step (in - kernel) / (out - 1) and an offset that `sample` chooses. The last window always
// ends at the end.
template <class T>
AG_HD AG_INLINE int64_t fractional_start(T sample, int64_t in, int64_t out, int64_t kernel,
                                         int64_t i) {
  const int64_t last = in - kernel;
  if (i + 1 >= out) return last;
  const T bounded = sample > T{0} ? pool_min(sample, T{1}) : T{0};  // also NaN
  const T step = static_cast<T>(last) / static_cast<T>(out - 1);
  const auto skipped = static_cast<int64_t>(bounded * step);
  const auto at = static_cast<int64_t>((static_cast<T>(i) + bounded) * step) - skipped;
  return pool_max<int64_t>(pool_min(at, last), 0);
}

}  // namespace ampgrad::math
