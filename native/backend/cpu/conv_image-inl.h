// The operands of a convolution's product as it reads them, compiled once per Highway target:
// images with zeros around them and panels of weights, converted to the type sums have. On
// processors that multiply pairs of bfloat16 numbers an element holds those of two neighbouring
// channels.
#if defined(AMPGRAD_CONV_IMAGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_CONV_IMAGE_INL_H_
#undef AMPGRAD_CONV_IMAGE_INL_H_
#else
#define AMPGRAD_CONV_IMAGE_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "backend/cpu/conv_kernels.h"
#include "backend/cpu/gemm_pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

// Terms summed in registers.
inline constexpr int64_t kConvTerms = 384;

// Loads and stores that leave out lanes without touching their memory.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
inline constexpr bool kMaskedMoves = true;
#else
inline constexpr bool kMaskedMoves = false;
#endif

// ---- image --------------------------------------------------------------------------------------

template <class T, class Out>
HWY_INLINE void widen_row(const T* HWY_RESTRICT from, int64_t n, Out* HWY_RESTRICT to) {
  if constexpr (std::is_same_v<Out, AccOf<T>>) {
    widen_run(from, n, to);
  } else {
    memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  }
}

// A row of the source, or the rows of two channels side by side; `second` may be null, for zeros.
template <class T>
struct RowSource {
  const T* first;
  const T* second;
  bool paired;
};

HWY_INLINE float pair_one(BFloat16 low, BFloat16 high) {
  return widen_one(Bf16Pair{low.bits, high.bits});
}

// to[i] holds a[i] and b[i].
inline void interleave_row(const BFloat16* HWY_RESTRICT a, const BFloat16* HWY_RESTRICT b,
                           int64_t n, float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint32_t, decltype(d)> d32;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto low = hn::PromoteTo(d32, hn::LoadU(d16, reinterpret_cast<const uint16_t*>(a + i)));
    const auto high = hn::PromoteTo(d32, hn::LoadU(d16, reinterpret_cast<const uint16_t*>(b + i)));
    hn::StoreU(hn::BitCast(d, hn::Or(low, hn::ShiftLeft<16>(high))), d, to + i);
  }
  for (; i < n; ++i) to[i] = pair_one(a[i], b[i]);
}

// n elements of a row from `at` on, `step` apart.
template <class T, class Out>
HWY_INLINE void copy_row(const RowSource<T>& from, int64_t at, int64_t step, int64_t n, Out* to) {
  const T* first = from.first + at;
  if constexpr (std::is_same_v<T, BFloat16> && std::is_same_v<Out, float>) {
    if (from.paired) {
      const T* second = from.second == nullptr ? nullptr : from.second + at;
      if (step == 1 && second != nullptr) return interleave_row(first, second, n, to);
      for (int64_t i = 0; i < n; ++i) {
        to[i] = pair_one(first[i * step], second == nullptr ? T{0} : second[i * step]);
      }
      return;
    }
  }
  if (step == 1) return widen_row(first, n, to);
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<T, Out>) {
      to[i] = first[i * step];
    } else {
      to[i] = widen_one(first[i * step]);
    }
  }
}

template <class T, class Out>
HWY_INLINE void prepare_row(const ConvImage& image, const RowSource<T>& from, Out* to) {
  const int64_t size = image.size[2];
  const int64_t before = image.before[2];
  for (int64_t r = 0; r < image.step; ++r) {
    Out* part = to + r * image.quotient;
    if (image.residues_used[static_cast<size_t>(r)] == 0) continue;
    // Column i of the part is source column i * step + r - before.
    const int64_t first = std::clamp<int64_t>(
        ceil_div(std::max<int64_t>(before - r, 0), image.step), 0, image.quotient);
    const int64_t end = std::clamp<int64_t>(
        ceil_div(std::max<int64_t>(size + before - r, 0), image.step), first, image.quotient);
    std::fill(part, part + first, Out{0});
    copy_row(from, first * image.step + r - before, image.step, end - first, part + first);
    std::fill(part + end, part + image.quotient, Out{0});
  }
}

template <class T>
HWY_INLINE RowSource<T> row_source(const ConvImage& image, const T* base, int64_t channel,
                                   int64_t offset) {
  if (!image.paired) return {base + channel * image.source_channel() + offset, nullptr, false};
  const T* first = base + 2 * channel * image.source_channel() + offset;
  const bool lone = 2 * channel + 1 == image.source_channels;
  return {first, lone ? nullptr : first + image.source_channel(), true};
}

template <class T, class Out = AccOf<T>>
void conv_prepare(const ConvImage& image, const void* source, int64_t first, int64_t end,
                  void* out) {
  const T* base = static_cast<const T*>(source);
  for (int64_t c = first; c < end; ++c) {
    for (int64_t d = 0; d < image.padded[0]; ++d) {
      for (int64_t h = 0; h < image.padded[1]; ++h) {
        if (image.rows_used[static_cast<size_t>(h)] == 0) continue;
        Out* to = static_cast<Out*>(out) + c * image.channel + d * image.plane + h * image.row;
        const int64_t sd = d - image.before[0];
        const int64_t sh = h - image.before[1];
        if (sd < 0 || sd >= image.size[0] || sh < 0 || sh >= image.size[1]) {
          std::fill(to, to + image.row, Out{0});
          continue;
        }
        const int64_t offset = (sd * image.size[1] + sh) * image.size[2];
        prepare_row(image, row_source(image, base, c, offset), to);
      }
    }
  }
}

// ---- weights ------------------------------------------------------------------------------------

// Blocks of terms are equal; within one, panels of rows follow each other, term by term.
struct TermBlocks {
  explicit TermBlocks(int64_t terms)
      : count(std::max<int64_t>(ceil_div(terms, kConvTerms), 1)),
        size(std::max<int64_t>((ceil_div(terms, count) + 3) / 4 * 4, 1)) {}
  int64_t count, size;
};

// `n` neighbouring terms of `height` rows, at most kWeightRun of them: a transposed copy.
// Whole vectors may be written beyond its end.
inline constexpr int64_t kWeightRun = 32;
template <class T>
HWY_INLINE void transpose_weights(const ConvPlan& plan, const T* from, int64_t n, int64_t height,
                                  bool second, AccOf<T>* to) {
  pack_panel(from, plan.weight_row, 1, height, height, height, n, to);
  if constexpr (std::is_same_v<T, BFloat16>) {
    if (!plan.image.paired) return;
    const hn::ScalableTag<float> d;
    const hn::Repartition<uint32_t, decltype(d)> d32;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    float high[kWeightRun * kMaxRows + kPanelSlack];
    if (second) {
      pack_panel(from + plan.weight_pair, plan.weight_row, 1, height, height, height, n, high);
    } else {
      std::fill(high, high + n * height, 0.0F);
    }
    for (int64_t i = 0; i < n * height; i += lanes) {
      const auto a = hn::BitCast(d32, hn::LoadU(d, to + i));
      const auto b = hn::BitCast(d32, hn::LoadU(d, high + i));
      hn::StoreU(hn::BitCast(d, hn::Or(hn::ShiftRight<16>(a), b)), d, to + i);
    }
  }
}

// Panels are packed by several threads, so that nothing is written beyond a panel's end.
template <class T>
void pack_weight_run(const ConvPlan& plan, const T* from, int64_t n, int64_t height, bool second,
                     AccOf<T>* to) {
  AccOf<T> panel[kWeightRun * kMaxRows + kPanelSlack];
  for (int64_t p = 0; p < n; p += kWeightRun) {
    const int64_t count = std::min(kWeightRun, n - p);
    transpose_weights(plan, from + p, count, height, second, panel);
    std::copy_n(panel, count * height, to + p * height);
  }
}

template <class T>
void conv_pack_weights(const ConvPlan& plan, const ConvPhase& phase, const void* weights,
                       int64_t first, int64_t end, void* packed) {
  using Acc = AccOf<T>;
  const Panels panels(plan.rows);
  const int64_t terms = phase.terms();
  const int64_t whole_pairs =
      plan.image.source_channels % 2 == 0 ? terms : terms - terms / plan.image.channels;
  const TermBlocks blocks(terms);
  const T* base = static_cast<const T*>(weights);
  for (int64_t panel = first; panel < end; ++panel) {
    const int64_t row = panels.first(panel);
    const int64_t height = panels.height(panel);
    for (int64_t k = 0; k < terms; k += blocks.size) {
      const int64_t n = std::min(blocks.size, terms - k);
      Acc* to = static_cast<Acc*>(packed) + k * plan.rows + row * n;
      for (int64_t p = 0; p < n;) {
        const int64_t* at = phase.weights.data() + k + p;
        const int64_t limit = k + p < whole_pairs ? std::min(n - p, whole_pairs - k - p) : n - p;
        int64_t run = 1;
        while (run < limit && at[run] == at[0] + run) ++run;
        pack_weight_run(plan, base + row * plan.weight_row + at[0], run, height,
                        k + p < whole_pairs, to + p * height);
        p += run;
      }
    }
  }
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
