// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011), callable on host and device.
#pragma once

#include <cstdint>

#include "core/macros.h"

namespace ampgrad {

// 128 random bits.
struct PhiloxBlock {
  uint32_t words[4];
};

namespace detail {

inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
inline constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9u;
inline constexpr uint32_t kPhiloxWeyl1 = 0xBB67AE85u;

AG_HD AG_INLINE void philox_round(uint32_t (&c)[4], uint32_t k0, uint32_t k1) {
  const uint64_t p0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c[0];
  const uint64_t p1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c[2];
  const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0;
  const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1;
  c[0] = n0;
  c[1] = static_cast<uint32_t>(p1);
  c[2] = n2;
  c[3] = static_cast<uint32_t>(p0);
}

}  // namespace detail

// The raw function: 128-bit counter, 64-bit key.
AG_HD AG_INLINE PhiloxBlock philox(const uint32_t (&counter)[4], const uint32_t (&key)[2]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
  uint32_t k0 = key[0];
  uint32_t k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    detail::philox_round(c, k0, k1);
    k0 += detail::kPhiloxWeyl0;
    k1 += detail::kPhiloxWeyl1;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

// Block number `index` of the stream that belongs to `seed`.
AG_HD AG_INLINE PhiloxBlock philox_block(uint64_t seed, uint64_t index) {
  const uint32_t counter[4] = {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0,
                               0};
  const uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  return philox(counter, key);
}

// Where a draw takes its numbers: blocks [offset, offset + blocks) of the stream of `seed`.
struct PhiloxState {
  uint64_t seed = 0;
  uint64_t offset = 0;
};

}  // namespace ampgrad
