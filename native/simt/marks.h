// Bytes around an array that nobody may write. Read as numbers of any float type they are huge or
// NaN, so that a read out of bounds shows in results too.
#pragma once

#include <cstddef>
#include <cstring>

namespace simt {

inline constexpr unsigned char kMark = 0xfe;

// The first byte of [from, to) that is not the mark; nullptr when all are.
inline const char* find_damage(const char* from, const char* to) {
  if (from == to) return nullptr;
  // Quick for what is hardly ever wrong: the first is the mark, and each like its neighbour.
  const bool clean = static_cast<unsigned char>(*from) == kMark &&
                     std::memcmp(from, from + 1, static_cast<size_t>(to - from) - 1) == 0;
  if (clean) return nullptr;
  while (static_cast<unsigned char>(*from) == kMark) ++from;
  return from;
}

}  // namespace simt
