// Long runs in several places in turn: a core fetches several sequences of addresses faster than
// one. Compiled once per Highway target.
#if defined(AMPGRAD_PLACES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_PLACES_INL_H_
#undef AMPGRAD_PLACES_INL_H_
#else
#define AMPGRAD_PLACES_INL_H_
#endif

#include <cstddef>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

// How far apart the places lie, in bytes: not by whole pages, since lines a page apart share their
// place in the first-level cache and look to the processor as if one were read that was just
// written. What the places do not cover is left to the end.
constexpr size_t places_apart(size_t bytes, size_t places) {
  constexpr size_t kPage = 4096;
  constexpr size_t kOffset = 1088;
  const size_t part = bytes / places;
  return part < kPage + kOffset ? part : (part - kOffset) / kPage * kPage + kOffset;
}

// line(i) for i = 0, kLine, 2 kLine ..., in kPlaces places in turn, for whole lines of n elements
// of T; returns how many elements those are.
template <size_t kPlaces, size_t kLine, class T, class Line>
HWY_INLINE size_t each_line(size_t n, const Line& line) {
  const size_t part = places_apart(n * sizeof(T), kPlaces) / sizeof(T) / kLine * kLine;
  for (size_t i = 0; i < part; i += kLine) {
    for (size_t place = 0; place < kPlaces; ++place) line(place * part + i);
  }
  size_t i = kPlaces * part;
  for (; i + kLine <= n; i += kLine) line(i);
  return i;
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
