// Picks in no order from rows of memory. They come from every line of a row sooner or later, but
// the processor cannot tell which is next: the rows that follow are fetched in order meanwhile.
// All at once, their lines would hold up the picks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "backend/cpu/stream.h"
#include "core/macros.h"
#include "ops/indexing_params.h"

namespace ampgrad::cpu {

// Raises ERR_RANGE.
[[noreturn]] void fail_position(const IndexedParams& p, const IndexArg& a, int64_t value);

// Where an index leads, in elements.
inline int64_t position(const IndexedParams& p, const IndexArg& a, int64_t value) {
  const int64_t i = value < 0 && p.negative ? value + a.size : value;
  if (AG_UNLIKELY(static_cast<uint64_t>(i) >= static_cast<uint64_t>(a.size))) {
    fail_position(p, a, value);
  }
  return i * a.stride;
}

inline constexpr int64_t kPicks = 8;  // between two fetches

// How the lines of a row of `bytes` are spread over n picks from the row before.
struct Ahead {
  int64_t lines = 0;  // every kPicks
  int64_t until = 0;  // that many picks

  static Ahead over(int64_t bytes, int64_t n) {
    // Larger rows would push each other out of the first-level cache, and fewer picks do not use
    // every line.
    constexpr int64_t kMost = 16 << 10;
    const int64_t steps = n / kPicks;
    if (steps == 0 || bytes > n * kStreamLine || bytes > kMost) return {};
    const int64_t lines = (bytes + steps * kStreamLine - 1) / (steps * kStreamLine);
    return {lines, (bytes + lines * kStreamLine - 1) / (lines * kStreamLine) * kPicks};
  }
};

// A row to pick from, and where the picks go.
template <class T>
struct PickedRow {
  const T* from;
  T* to;
};

// Four elements of four bytes share a store, because a processor completes about one a cycle, but
// loads several.
template <class T>
AG_INLINE void pick_four(const T* from, const int64_t (&at)[4], T* to) {
#if defined(__GNUC__)
  if constexpr (sizeof(T) == 4) {
    using Four = uint32_t __attribute__((vector_size(16)));
    const Four four = {from[at[0]], from[at[1]], from[at[2]], from[at[3]]};
    std::memcpy(to, &four, sizeof(four));
    return;
  }
#endif
  const T four[] = {from[at[0]], from[at[1]], from[at[2]], from[at[3]]};
  for (int i = 0; i < 4; ++i) to[i] = four[i];
}

// to[j] = from[at[j]] in each row. The rows that follow lie `from_step` and `to_step` elements
// further. Where they go is fetched as well for several rows at once; for one that was slower.
template <int kRows, class T, class Index>
AG_INLINE void pick(const PickedRow<T> (&rows)[kRows], const Index* at, int64_t n, Ahead ahead,
                    int64_t from_step, int64_t to_step) {
  int64_t j = 0;
  for (; j + kPicks <= n; j += kPicks) {
    if (j < ahead.until) {
      for (int k = 0; k < kRows; ++k) {
        const auto* next = reinterpret_cast<const char*>(rows[k].from + from_step) +
                           j / kPicks * ahead.lines * kStreamLine;
        for (int64_t line = 0; line < ahead.lines; ++line)
          __builtin_prefetch(next + line * kStreamLine);
      }
    }
    if constexpr (kRows > 1) {
      for (int k = 0; k < kRows; ++k) __builtin_prefetch(rows[k].to + to_step + j, 1);
    }
    for (int64_t i = j; i < j + kPicks; i += 4) {
      const int64_t four[] = {at[i], at[i + 1], at[i + 2], at[i + 3]};
      for (int k = 0; k < kRows; ++k) pick_four(rows[k].from, four, rows[k].to + i);
    }
  }
  for (; j < n; ++j) {
    for (int k = 0; k < kRows; ++k) rows[k].to[j] = rows[k].from[at[j]];
  }
}

}  // namespace ampgrad::cpu
