// Bytes around an array that nobody may touch. A write is seen when they are looked at later. Read
// as numbers of any float type they are huge or NaN, so that a read shows in results; in a build
// with AddressSanitizer it is reported where it happens.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define SIMT_NO_ASAN __attribute__((no_sanitize("address")))
#else
#define SIMT_NO_ASAN
#endif

namespace simt {

// AddressSanitizer lets nobody touch [from, to) until it is opened. Elsewhere neither does
// anything.
inline void close_bytes([[maybe_unused]] const char* from, [[maybe_unused]] const char* to) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(from, static_cast<size_t>(to - from));
#endif
}
inline void open_bytes([[maybe_unused]] const char* from, [[maybe_unused]] const char* to) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(from, static_cast<size_t>(to - from));
#endif
}

inline constexpr unsigned char kMark = 0xfe;

// The first byte of [from, to) that is not the mark; nullptr when all are. The bytes may be closed.
SIMT_NO_ASAN inline const char* find_damage(const char* from, const char* to) {
  if (from == to) return nullptr;
#if defined(__SANITIZE_ADDRESS__)
  for (; from != to; ++from) {  // memcmp would be told of closed bytes
    if (static_cast<unsigned char>(*from) != kMark) return from;
  }
  return nullptr;
#else
  // Quick for what is hardly ever wrong: the first is the mark, and each like its neighbour.
  const bool clean = static_cast<unsigned char>(*from) == kMark &&
                     std::memcmp(from, from + 1, static_cast<size_t>(to - from) - 1) == 0;
  if (clean) return nullptr;
  while (static_cast<unsigned char>(*from) == kMark) ++from;
  return from;
#endif
}

}  // namespace simt
