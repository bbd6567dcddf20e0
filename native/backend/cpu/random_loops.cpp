// Philox in batches: counters across SIMD lanes, then the conversions of math/random.h over the
// words. Plain loops over arrays that the compiler vectorises inside each target's region; no
// fused operations, so every target makes the same bits.
#include "backend/cpu/random_loops.h"

#include <algorithm>

#include "math/random.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/random_loops.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

constexpr int64_t kBlocks = 128;         // Philox blocks a batch
constexpr int64_t kWords = 4 * kBlocks;  // 2 KiB

// words[4 * j + w] = word w of block first + j.
HWY_ATTR void philox_batch(uint64_t seed, uint64_t first, uint32_t* words) {
  alignas(64) uint32_t c0[kBlocks];
  alignas(64) uint32_t c1[kBlocks];
  alignas(64) uint32_t c2[kBlocks];
  alignas(64) uint32_t c3[kBlocks];
  for (int64_t j = 0; j < kBlocks; ++j) {
    const uint64_t index = first + static_cast<uint64_t>(j);
    c0[j] = static_cast<uint32_t>(index);
    c1[j] = static_cast<uint32_t>(index >> 32);
    c2[j] = 0;
    c3[j] = 0;
  }
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int64_t j = 0; j < kBlocks; ++j) {
      const uint64_t p0 = static_cast<uint64_t>(detail::kPhiloxMultiplier0) * c0[j];
      const uint64_t p1 = static_cast<uint64_t>(detail::kPhiloxMultiplier1) * c2[j];
      const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1[j] ^ k0;
      const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3[j] ^ k1;
      c0[j] = n0;
      c1[j] = static_cast<uint32_t>(p1);
      c2[j] = n2;
      c3[j] = static_cast<uint32_t>(p0);
    }
    k0 += detail::kPhiloxWeyl0;
    k1 += detail::kPhiloxWeyl1;
  }
  for (int64_t j = 0; j < kBlocks; ++j) {
    words[4 * j] = c0[j];
    words[4 * j + 1] = c1[j];
    words[4 * j + 2] = c2[j];
    words[4 * j + 3] = c3[j];
  }
}

HWY_ATTR void words_run(PhiloxState state, int64_t begin, int64_t end, uint32_t* out) {
  alignas(64) uint32_t words[kWords];
  for (int64_t i = begin; i < end; i += kWords) {
    philox_batch(state.seed, state.offset + static_cast<uint64_t>(i / 4), words);
    std::copy_n(words, std::min(kWords, end - i), out + (i - begin));
  }
}

HWY_ATTR void uniform_run(PhiloxState state, int64_t begin, int64_t end, float* out) {
  alignas(64) uint32_t words[kWords];
  for (int64_t i = begin; i < end; i += kWords) {
    philox_batch(state.seed, state.offset + static_cast<uint64_t>(i / 4), words);
    const int64_t n = std::min(kWords, end - i);
    float* to = out + (i - begin);
    for (int64_t j = 0; j < n; ++j) to[j] = math::uniform_float(words[j]);
  }
}

HWY_ATTR void normal_run(PhiloxState state, int64_t begin, int64_t end, float* out) {
  alignas(64) uint32_t words[kWords];
  alignas(64) uint32_t first[kWords / 2];
  alignas(64) uint32_t second[kWords / 2];
  alignas(64) float a[kWords / 2];
  alignas(64) float b[kWords / 2];
  for (int64_t i = begin; i < end; i += kWords) {
    philox_batch(state.seed, state.offset + static_cast<uint64_t>(i / 4), words);
    for (int64_t j = 0; j < kWords / 2; ++j) {
      first[j] = words[2 * j];
      second[j] = words[2 * j + 1];
    }
    for (int64_t j = 0; j < kWords / 2; ++j) {
      math::normal_pair(first[j], second[j], a + j, b + j);
    }
    const int64_t n = std::min(kWords, end - i);
    float* to = out + (i - begin);
    for (int64_t j = 0; j + 1 < n; j += 2) {
      to[j] = a[j / 2];
      to[j + 1] = b[j / 2];
    }
    if (n % 2 != 0) to[n - 1] = a[n / 2];
  }
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(words_run);
HWY_EXPORT(uniform_run);
HWY_EXPORT(normal_run);

void uniform_words(PhiloxState state, int64_t begin, int64_t end, uint32_t* out) {
  HWY_DYNAMIC_DISPATCH(words_run)(state, begin, end, out);
}

void uniform_floats(PhiloxState state, int64_t begin, int64_t end, float* out) {
  HWY_DYNAMIC_DISPATCH(uniform_run)(state, begin, end, out);
}

void normal_floats(PhiloxState state, int64_t begin, int64_t end, float* out) {
  HWY_DYNAMIC_DISPATCH(normal_run)(state, begin, end, out);
}

}  // namespace ampgrad::cpu
#endif
