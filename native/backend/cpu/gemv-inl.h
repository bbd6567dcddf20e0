// Matrix times vector on one thread, compiled once per Highway target: dot products when k runs
// along the matrix's unit stride, sums of scaled columns when the rows do. Both read the matrix
// once, in order; float16 and bfloat16 widen in registers.
#if defined(AMPGRAD_GEMV_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_GEMV_INL_H_
#undef AMPGRAD_GEMV_INL_H_
#else
#define AMPGRAD_GEMV_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/gemm_micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

template <class T>
HWY_INLINE void gemv_store(const GemvArgs& g, int64_t i, AccOf<T> sum) {
  using Acc = AccOf<T>;
  T* y = static_cast<T*>(g.y) + i * g.y_stride;
  Acc v = sum * static_cast<Acc>(g.alpha);
  if (g.beta != 0) v += static_cast<Acc>(g.beta) * widen_one(*y);
  if (g.bias != nullptr) v += widen_one(static_cast<const T*>(g.bias)[i * g.bias_stride]);
  narrow_one(v, y);
}

// `Rows` dot products at once share the loads of x; `Chains` sums per row hide the latency of the
// fused multiply-add. The order of the additions is the same for any `Rows`.
template <class T, int Rows>
HWY_INLINE void gemv_dot_rows(const GemvArgs& g, int64_t i) {
  using Acc = AccOf<T>;
  constexpr int kChains = 2;
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const Acc* x = static_cast<const Acc*>(g.x);
  const T* row = static_cast<const T*>(g.matrix) + i * g.row_stride;
  V sums[Rows][kChains];
  for (int r = 0; r < Rows; ++r) {
    for (int c = 0; c < kChains; ++c) sums[r][c] = hn::Zero(d);
  }
  int64_t p = 0;
  for (; p + kChains * lanes <= g.k; p += kChains * lanes) {
#pragma GCC unroll 2
    for (int c = 0; c < kChains; ++c) {
      const V xv = hn::LoadU(d, x + p + c * lanes);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        sums[r][c] =
            hn::MulAdd(load_widened(d, row + r * g.row_stride + p + c * lanes), xv, sums[r][c]);
      }
    }
  }
  for (int r = 0; r < Rows; ++r) {
    Acc sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sums[r][0], sums[r][1])));
    for (int64_t q = p; q < g.k; ++q) sum += widen_one(row[r * g.row_stride + q]) * x[q];
    gemv_store<T>(g, i + r, sum);
  }
}

template <class T>
void gemv_dot(const GemvArgs& g) {
  int64_t i = 0;
  for (; i + 4 <= g.rows; i += 4) gemv_dot_rows<T, 4>(g, i);
  for (; i < g.rows; ++i) gemv_dot_rows<T, 1>(g, i);
}

// sums += eight columns times their x, in order of the columns.
template <class T, int Columns>
HWY_INLINE void gemv_add_columns(const T* column, int64_t k_stride, const AccOf<T>* x, int64_t rows,
                                 AccOf<T>* sums) {
  using Acc = AccOf<T>;
  const hn::ScalableTag<Acc> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= rows; i += lanes) {
    auto sum = hn::LoadU(d, sums + i);
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) {
      sum = hn::MulAdd(load_widened(d, column + c * k_stride + i), hn::Set(d, x[c]), sum);
    }
    hn::StoreU(sum, d, sums + i);
  }
  // The rows left fill no vector; a padded copy gives them the same operations as the others.
  if (i == rows) return;
  HWY_ALIGN Acc padded[HWY_MAX_BYTES / sizeof(Acc)] = {};
  auto sum = hn::LoadU(d, sums + i);
  for (int c = 0; c < Columns; ++c) {
    for (int64_t r = i; r < rows; ++r) padded[r - i] = widen_one(column[c * k_stride + r]);
    sum = hn::MulAdd(hn::Load(d, padded), hn::Set(d, x[c]), sum);
  }
  hn::StoreU(sum, d, sums + i);
}

// Rows go in blocks whose sums stay in the first-level cache.
template <class T>
void gemv_columns(const GemvArgs& g) {
  using Acc = AccOf<T>;
  constexpr int64_t kRowBlock = 2048;
  Acc* sums = static_cast<Acc*>(
      gemm_scratch(GemmSlot::Accumulator, (kRowBlock + kPanelSlack) * sizeof(Acc)));
  const Acc* x = static_cast<const Acc*>(g.x);
  for (int64_t i = 0; i < g.rows; i += kRowBlock) {
    const int64_t rows = std::min(kRowBlock, g.rows - i);
    std::fill(sums, sums + rows + kPanelSlack, Acc{0});
    const T* block = static_cast<const T*>(g.matrix) + i;
    int64_t p = 0;
    for (; p + 8 <= g.k; p += 8) {
      gemv_add_columns<T, 8>(block + p * g.k_stride, g.k_stride, x + p, rows, sums);
    }
    for (; p < g.k; ++p) {
      gemv_add_columns<T, 1>(block + p * g.k_stride, g.k_stride, x + p, rows, sums);
    }
    for (int64_t r = 0; r < rows; ++r) gemv_store<T>(g, i + r, sums[r]);
  }
}

template <class T>
void gemv(const GemvArgs& g) {
  if (g.k_stride == 1) {
    gemv_dot<T>(g);
  } else {
    gemv_columns<T>(g);
  }
}

template <class T>
void widen(const void* x, int64_t stride, int64_t n, void* out) {
  const T* from = static_cast<const T*>(x);
  auto* to = static_cast<AccOf<T>*>(out);
  if (stride == 1) {
    widen_run(from, n, to);
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i] = widen_one(from[i * stride]);
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
