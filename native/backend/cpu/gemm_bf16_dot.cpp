// The register tiles that multiply pairs of bfloat16 numbers and add them up in float, on
// processors with AVX512_BF16. Highway 1.0.3 has no target for them, so this unit is written in
// intrinsics and asks the processor itself. The instruction rounds to nearest and takes subnormal
// numbers for 0.
#include "backend/cpu/capability.h"
#include "backend/cpu/gemm_kernels.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define AG_BF16_DOT 1
#include <immintrin.h>

#include <array>
#include <utility>

#include "hwy/base.h"
#endif

namespace ampgrad::cpu {

#ifdef AG_BF16_DOT

namespace {

#define AG_BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

// Panels of A hold `Rows` pairs a step, panels of B `Vectors` vectors of 16 pairs.
template <int Rows, int Vectors>
AG_BF16_TARGET void dot_tile(int64_t steps, const float* HWY_RESTRICT a,
                             const float* HWY_RESTRICT b, float* HWY_RESTRICT out, int64_t out_row,
                             bool add) {
  constexpr int64_t kLanes = 16;
  __m512 acc[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) acc[r][v] = _mm512_setzero_ps();
  }
  // The result is often not in a cache yet: it arrives while the products are summed.
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(out + r * out_row + v * kLanes, 1);
  }
  for (int64_t p = 0; p < steps; ++p) {
    __m512bh bv[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) bv[v] = (__m512bh)_mm512_loadu_ps(b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const __m512bh av = (__m512bh)_mm512_set1_ps(a[r]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], av, bv[v]);
    }
    a += Rows;
    b += Vectors * kLanes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      float* to = out + r * out_row + v * kLanes;
      _mm512_storeu_ps(to, add ? _mm512_add_ps(_mm512_loadu_ps(to), acc[r][v]) : acc[r][v]);
    }
  }
}

template <int... R>
constexpr Bf16DotTable make_table(std::integer_sequence<int, R...>) {
  return {{{dot_tile<R + 1, 1>, dot_tile<R + 1, 2>}...}};
}

constexpr Bf16DotTable kTable = make_table(std::make_integer_sequence<int, kDotRows>());

}  // namespace

const Bf16DotTable* bf16_dot_table() {
  static const bool supported =
      __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return supported && may_use_avx512() ? &kTable : nullptr;
}

#else

const Bf16DotTable* bf16_dot_table() { return nullptr; }

#endif

}  // namespace ampgrad::cpu
