// The weight gradient's register tile for pairs of bfloat16 numbers, on processors with
// AVX512_BF16: a pair is two neighbouring pixels of a line, read from the image wherever it lies.
// In intrinsics, as gemm_bf16_dot.cpp; the instruction takes subnormal numbers for 0.
#include "backend/cpu/conv_kernels.h"
#include "backend/cpu/gemm_kernels.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define AG_BF16_DOT 1
#include <immintrin.h>

#include <utility>

#include "hwy/base.h"
#endif

namespace ampgrad::cpu {

#ifdef AG_BF16_DOT

namespace {

#define AG_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

constexpr int kVectors = 2;
constexpr int64_t kLanes = 16;

// acc[r] += x * g for the pairs x of row r: one step. `load` gives a row's pair.
template <int Rows, class Load>
AG_BF16_TARGET inline __attribute__((always_inline)) void step(__m512 (&acc)[Rows][kVectors],
                                                               const float* HWY_RESTRICT grad,
                                                               const Load& load) {
  __m512bh g[kVectors];
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; ++v) g[v] = (__m512bh)_mm512_loadu_ps(grad + v * kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    const __m512bh x = (__m512bh)_mm512_set1_epi32(load(r));
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], x, g[v]);
  }
}

template <int Rows>
AG_BF16_TARGET void weight_tile(const uint16_t* HWY_RESTRICT image,
                                const int64_t* HWY_RESTRICT taps, const PairSegment* segments,
                                int64_t count, const float* HWY_RESTRICT grad,
                                float* HWY_RESTRICT sums, int64_t sums_stride) {
  __m512 acc[Rows][kVectors];
  const uint16_t* rows[Rows];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    rows[r] = image + taps[r];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_setzero_ps();
  }
  for (int64_t s = 0; s < count; ++s) {
    int64_t at = segments[s].base;
    for (const int64_t end = at + 2 * segments[s].pairs; at < end; at += 2) {
      step(acc, grad, [&](int r) {
        int pair = 0;
        __builtin_memcpy(&pair, rows[r] + at, sizeof(pair));
        return pair;
      });
      grad += kVectors * kLanes;
    }
    // The pixel next to a line's last one is not its partner, whatever it holds.
    if (segments[s].lone) {
      step(acc, grad, [&](int r) { return static_cast<int>(rows[r][at]); });
      grad += kVectors * kLanes;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      float* to = sums + r * sums_stride + v * kLanes;
      _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), acc[r][v]));
    }
  }
}

template <int... R>
constexpr Bf16WeightTable make_table(std::integer_sequence<int, R...>) {
  return {{weight_tile<R + 1>...}};
}

constexpr Bf16WeightTable kTable = make_table(std::make_integer_sequence<int, kDotRows>());

}  // namespace

const Bf16WeightTable* bf16_weight_table() {
  return bf16_dot_table() == nullptr ? nullptr : &kTable;
}

#else

const Bf16WeightTable* bf16_weight_table() { return nullptr; }

#endif

}  // namespace ampgrad::cpu
