// Matrix times vector on one thread, compiled once per Highway target: dot products when k runs
// along the matrix's unit stride, sums of scaled columns when the rows do. Both read the matrix
// once; float16 and bfloat16 widen in registers. Processors fetch ahead along a few streams of
// addresses, one in a page of memory: several rows (or columns) that are read together are taken
// from distant places, where short ones follow each other in long streams.
#if defined(AMPGRAD_GEMV_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_GEMV_INL_H_
#undef AMPGRAD_GEMV_INL_H_
#else
#define AMPGRAD_GEMV_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/gemm_pack-inl.h"

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

// `Rows` dot products at once, `step` rows apart, share the loads of x; `Chains` sums per row hide
// the latency of the fused multiply-add. The order of the additions is the same for any `Rows`.
template <class T, int Rows>
HWY_INLINE void gemv_dot_rows(const GemvArgs& g, int64_t i, int64_t step) {
  using Acc = AccOf<T>;
  constexpr int kChains = 2;
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const Acc* x = static_cast<const Acc*>(g.x);
  const T* row = static_cast<const T*>(g.matrix) + i * g.row_stride;
  const int64_t stride = step * g.row_stride;
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
        sums[r][c] = hn::MulAdd(load_widened(d, row + r * stride + p + c * lanes), xv, sums[r][c]);
      }
    }
  }
  for (int r = 0; r < Rows; ++r) {
    Acc sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sums[r][0], sums[r][1])));
    for (int64_t q = p; q < g.k; ++q) sum += widen_one(row[r * stride + q]) * x[q];
    gemv_store<T>(g, i + r * step, sum);
  }
}

template <class T>
void gemv_dot(const GemvArgs& g) {
  const int64_t quarter = g.rows / 4;
  for (int64_t i = 0; i < quarter; ++i) gemv_dot_rows<T, 4>(g, i, quarter);
  for (int64_t i = 4 * quarter; i < g.rows; ++i) gemv_dot_rows<T, 1>(g, i, 0);
}

// sums += `Columns` columns times their x, in order; the columns are `step` of them apart.
template <class T, int Columns>
HWY_INLINE void gemv_add_columns(const GemvArgs& g, int64_t p, int64_t step, int64_t row,
                                 int64_t rows, AccOf<T>* sums) {
  using Acc = AccOf<T>;
  const hn::ScalableTag<Acc> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* column = static_cast<const T*>(g.matrix) + p * g.k_stride + row;
  const Acc* x = static_cast<const Acc*>(g.x) + p;
  const int64_t stride = step * g.k_stride;
  int64_t i = 0;
  for (; i + lanes <= rows; i += lanes) {
    auto sum = hn::LoadU(d, sums + i);
#pragma GCC unroll 8
    for (int c = 0; c < Columns; ++c) {
      sum = hn::MulAdd(load_widened(d, column + c * stride + i), hn::Set(d, x[c * step]), sum);
    }
    hn::StoreU(sum, d, sums + i);
  }
  // The rows left fill no vector; a padded copy gives them the same operations as the others.
  if (i == rows) return;
  HWY_ALIGN Acc padded[HWY_MAX_BYTES / sizeof(Acc)] = {};
  auto sum = hn::LoadU(d, sums + i);
  for (int c = 0; c < Columns; ++c) {
    for (int64_t r = i; r < rows; ++r) padded[r - i] = widen_one(column[c * stride + r]);
    sum = hn::MulAdd(hn::Load(d, padded), hn::Set(d, x[c * step]), sum);
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
  for (int64_t i = 0; i < g.rows; i += kRowBlock) {
    const int64_t rows = std::min(kRowBlock, g.rows - i);
    std::fill(sums, sums + rows + kPanelSlack, Acc{0});
    int64_t p = 0;
    if (g.sums != nullptr) {
      const int64_t quarter = g.k / 4;
      for (; p < quarter; ++p) gemv_add_columns<T, 4>(g, p, quarter, i, rows, sums);
      p = 4 * quarter;
    } else {
      for (; p + 8 <= g.k; p += 8) gemv_add_columns<T, 8>(g, p, 1, i, rows, sums);
    }
    for (; p < g.k; ++p) gemv_add_columns<T, 1>(g, p, 1, i, rows, sums);
    if (g.sums != nullptr) {
      std::copy_n(sums, rows, static_cast<Acc*>(g.sums) + i);
    } else {
      for (int64_t r = 0; r < rows; ++r) gemv_store<T>(g, i + r, sums[r]);
    }
  }
}

// Adds up the parts in order.
template <class T>
void gemv_finish(const GemvArgs& g, const void* sums, int64_t parts, int64_t stride) {
  const auto* from = static_cast<const AccOf<T>*>(sums);
  for (int64_t i = 0; i < g.rows; ++i) {
    AccOf<T> sum = from[i];
    for (int64_t part = 1; part < parts; ++part) sum += from[part * stride + i];
    gemv_store<T>(g, i, sum);
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
