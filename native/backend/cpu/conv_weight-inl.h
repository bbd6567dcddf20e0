// The weight gradient of a convolution on one thread, compiled once per Highway target: a register
// tile holds the sums of a few taps times two vectors of y channels while pixels go by; the image
// is read in place, the gradient from panels that hold its channels side by side. Groups with
// few channels take dot products of rows instead.
#if defined(AMPGRAD_CONV_WEIGHT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_CONV_WEIGHT_INL_H_
#undef AMPGRAD_CONV_WEIGHT_INL_H_
#else
#define AMPGRAD_CONV_WEIGHT_INL_H_
#endif

#include "backend/cpu/conv_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

// Pixels whose gradients stay in the first-level cache while all taps pass over them.
inline constexpr int64_t kGradPixels = 256;

template <class T>
void conv_pack_grad(const void* grad, int64_t channels, int64_t pixels, int64_t first,
                    void* panel) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<AccOf<T>>()));
  const int64_t width = kMaxVectors * lanes;
  pack_panel(static_cast<const T*>(grad) + first * pixels, pixels, 1,
             std::min(width, channels - first), channels - first, width, pixels,
             static_cast<AccOf<T>*>(panel));
}

template <class Acc, int Rows>
struct WeightSums {
  static constexpr int kVectors = kMaxVectors;

  // Adds the pixels of a run: sums[r] += image[taps[r] + i] * grad[i].
  template <class V>
  static HWY_INLINE void run(V (&acc)[Rows][kVectors], const Acc* const (&rows)[Rows],
                             const Acc* HWY_RESTRICT grad, int64_t offset, int64_t count) {
    const hn::ScalableTag<Acc> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t i = 0; i < count; ++i) {
      V g[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) g[v] = hn::LoadU(d, grad + v * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const V x = hn::Set(d, rows[r][offset + i]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::MulAdd(x, g[v], acc[r][v]);
      }
      grad += kVectors * lanes;
    }
  }
};

// `Rows` taps over pixels [begin, end) of a phase, counted through the samples.
template <class Acc, int Rows>
void weight_tile(const ConvWeightTask& t, const int64_t* taps, const Acc* grad, int64_t begin,
                 int64_t end, Acc* sums) {
  const ConvPhase& phase = *t.phase;
  const Acc* image = static_cast<const Acc*>(t.image);
  const int64_t lines = phase.out[0] * phase.out[1];
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[Rows][kMaxVectors];
  const Acc* rows[Rows];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    rows[r] = image + taps[r];
#pragma GCC unroll 2
    for (int v = 0; v < kMaxVectors; ++v) acc[r][v] = hn::Zero(d);
  }
  for (int64_t pixel = begin; pixel < end;) {
    const int64_t w = pixel % phase.out[2];
    const int64_t line = pixel / phase.out[2];
    const int64_t row = line % lines;
    const int64_t count = std::min(phase.out[2] - w, end - pixel);
    const int64_t base = line / lines * t.image_sample + row / phase.out[1] * phase.jump[0] +
                         row % phase.out[1] * phase.jump[1] + w;
    WeightSums<Acc, Rows>::run(acc, rows, grad + pixel * kMaxVectors * lanes, base, count);
    pixel += count;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kMaxVectors; ++v) {
      Acc* to = sums + r * t.sums_stride + v * lanes;
      hn::StoreU(hn::Add(hn::LoadU(d, to), acc[r][v]), d, to);
    }
  }
}

template <class Acc>
using WeightFn = void (*)(const ConvWeightTask&, const int64_t*, const Acc*, int64_t, int64_t,
                          Acc*);
template <class Acc>
struct WeightTable {
  WeightFn<Acc> fn[kMaxRows];
};
template <class Acc, int... R>
constexpr WeightTable<Acc> make_weight_table(std::integer_sequence<int, R...>) {
  return {{weight_tile<Acc, R + 1>...}};
}
template <class Acc>
inline constexpr WeightTable<Acc> kWeightTable =
    make_weight_table<Acc>(std::make_integer_sequence<int, kMaxRows>());

template <class T>
void conv_weight_grad(const ConvWeightTask& t) {
  using Acc = AccOf<T>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<Acc>()));
  const int64_t width = kMaxVectors * lanes;
  const int64_t pixels = t.phase->pixels() * t.samples;
  const Panels panels(t.num_taps);
  for (int64_t begin = 0; begin < pixels; begin += kGradPixels) {
    const int64_t end = std::min(begin + kGradPixels, pixels);
    for (int64_t k = t.first; k < t.first + t.count; k += width) {
      const Acc* grad = static_cast<const Acc*>(t.grad) + k * pixels;
      for (int64_t q = 0; q < panels.count; ++q) {
        const int64_t tap = panels.first(q);
        kWeightTable<Acc>.fn[panels.height(q) - 1](
            t, t.taps + tap, grad, begin, end, static_cast<Acc*>(t.sums) + tap * t.sums_stride + k);
      }
    }
  }
}

#if HWY_TARGET == HWY_AVX3
// Two pixels a step: a line's last one is followed by zeros where it has no partner.
inline void conv_pack_grad_pairs(const ConvPhase& phase, const void* grad, int64_t channels,
                                 int64_t first, void* panel) {
  constexpr int64_t kWidth = kMaxVectors * 16;
  constexpr int64_t kChunk = 64;
  const int64_t pixels = phase.pixels();
  const int64_t valid = std::min(kWidth, channels - first);
  const int64_t line = phase.out[2];
  const auto* from = static_cast<const BFloat16*>(grad) + first * pixels;
  auto* to = static_cast<float*>(panel);
  if (line % 2 == 0) {
    pack_pairs(from, pixels, 1, valid, valid, kWidth, pixels, to);
    return;
  }
  const hn::ScalableTag<float> d;
  const hn::Repartition<uint32_t, decltype(d)> d32;
  HWY_ALIGN float singles[(kChunk + 1) * kWidth];
  for (int64_t begin = 0; begin < pixels; begin += line) {
    for (int64_t p = 0; p < line; p += kChunk) {
      const int64_t n = std::min(kChunk, line - p);
      pack_panel(from + begin + p, pixels, 1, valid, valid, kWidth, n, singles);
      if (n % 2 != 0) std::fill_n(singles + n * kWidth, kWidth, 0.0F);
      for (int64_t i = 0; i < n; i += 2) {
        for (int64_t w = 0; w < kWidth; w += 16, to += 16) {
          const float* low = singles + i * kWidth + w;
          const auto a = hn::ShiftRight<16>(hn::BitCast(d32, hn::Load(d, low)));
          const auto b = hn::BitCast(d32, hn::Load(d, low + kWidth));
          hn::StoreU(hn::BitCast(d, hn::Or(a, b)), d, to);
        }
      }
    }
  }
}

// The runs of pairs [begin, end) of a phase, counted through the samples.
inline int64_t pair_segments(const ConvWeightTask& t, int64_t begin, int64_t end,
                             PairSegment* segments) {
  const ConvPhase& phase = *t.phase;
  const int64_t lines = phase.out[0] * phase.out[1];
  const int64_t steps = (phase.out[2] + 1) / 2;
  int64_t count = 0;
  for (int64_t at = begin; at < end;) {
    const int64_t first = at % steps;
    const int64_t n = std::min(steps - first, end - at);
    const int64_t row = at / steps % lines;
    const bool lone = 2 * (first + n) > phase.out[2];
    segments[count++] = {at / steps / lines * t.image_sample + row / phase.out[1] * phase.jump[0] +
                             row % phase.out[1] * phase.jump[1] + 2 * first,
                         lone ? n - 1 : n, lone};
    at += n;
  }
  return count;
}

inline void conv_weight_grad_pairs(const ConvWeightTask& t) {
  constexpr int64_t kWidth = kMaxVectors * 16;
  const int64_t steps = t.phase->pairs() * t.samples;
  const Panels panels(t.num_taps);
  const Bf16WeightTable& table = *bf16_weight_table();
  PairSegment segments[kGradPixels];
  for (int64_t begin = 0; begin < steps; begin += kGradPixels) {
    const int64_t count = pair_segments(t, begin, std::min(begin + kGradPixels, steps), segments);
    for (int64_t k = t.first; k < t.first + t.count; k += kWidth) {
      const float* grad = static_cast<const float*>(t.grad) + k * steps + begin * kWidth;
      for (int64_t q = 0; q < panels.count; ++q) {
        const int64_t tap = panels.first(q);
        table.fn[panels.height(q) - 1](
            static_cast<const uint16_t*>(t.image), t.taps + tap, segments, count, grad,
            static_cast<float*>(t.sums) + tap * t.sums_stride + k, t.sums_stride);
      }
    }
  }
}
#endif

// Lines whose products are summed in registers before they join a double.
inline constexpr int64_t kDotLines = 16;

// acc[t] += grad * image(tap t) over one line; the elements that fill no vector are added to rest
// where the machine cannot mask them.
template <class Acc, int Taps, class V>
HWY_INLINE void dot_line(const Acc* HWY_RESTRICT g, const Acc* const (&rows)[Taps], int64_t offset,
                         int64_t n, V (&acc)[Taps], double (&rest)[Taps]) {
  const hn::ScalableTag<Acc> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const V v = hn::LoadU(d, g + i);
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) {
      acc[t] = hn::MulAdd(v, hn::LoadU(d, rows[t] + offset + i), acc[t]);
    }
  }
  if (i == n) return;
  if constexpr (kMaskedMoves) {
    const auto mask = hn::FirstN(d, static_cast<size_t>(n - i));
    const V v = hn::MaskedLoad(mask, d, g + i);
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) {
      acc[t] = hn::MulAdd(v, hn::MaskedLoad(mask, d, rows[t] + offset + i), acc[t]);
    }
  } else {
    for (int t = 0; t < Taps; ++t) {
      for (int64_t x = i; x < n; ++x) {
        rest[t] += static_cast<double>(g[x]) * static_cast<double>(rows[t][offset + x]);
      }
    }
  }
}

// `Taps` dot products of image rows with one row of the gradient.
template <class Acc, int Taps>
void dot_tile(const ConvPhase& phase, const Acc* image, const int64_t* taps, const Acc* grad,
              Acc* sums, int64_t sums_stride) {
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  double total[Taps] = {};
  const Acc* rows[Taps];
  for (int t = 0; t < Taps; ++t) rows[t] = image + taps[t];
  const int64_t lines = phase.out[0] * phase.out[1];
  for (int64_t first = 0; first < lines; first += kDotLines) {
    V acc[Taps];
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) acc[t] = hn::Zero(d);
    for (int64_t line = first; line < std::min(first + kDotLines, lines); ++line) {
      const int64_t offset =
          line / phase.out[1] * phase.jump[0] + line % phase.out[1] * phase.jump[1];
      dot_line<Acc, Taps>(grad + line * phase.out[2], rows, offset, phase.out[2], acc, total);
    }
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) total[t] += hn::GetLane(hn::SumOfLanes(d, acc[t]));
  }
  for (int t = 0; t < Taps; ++t) sums[t * sums_stride] += static_cast<Acc>(total[t]);
}

template <class T>
void conv_weight_grad_rows(const ConvWeightTask& t) {
  using Acc = AccOf<T>;
  const Acc* image = static_cast<const Acc*>(t.image);
  for (int64_t k = t.first; k < t.first + t.count; ++k) {
    const Acc* grad = static_cast<const Acc*>(t.grad) + k * t.phase->pixels();
    Acc* sums = static_cast<Acc*>(t.sums) + k;
    int64_t tap = 0;
    for (; tap + 9 <= t.num_taps; tap += 9) {
      dot_tile<Acc, 9>(*t.phase, image, t.taps + tap, grad, sums + tap * t.sums_stride,
                       t.sums_stride);
    }
    for (; tap + 3 <= t.num_taps; tap += 3) {
      dot_tile<Acc, 3>(*t.phase, image, t.taps + tap, grad, sums + tap * t.sums_stride,
                       t.sums_stride);
    }
    for (; tap < t.num_taps; ++tap) {
      dot_tile<Acc, 1>(*t.phase, image, t.taps + tap, grad, sums + tap * t.sums_stride,
                       t.sums_stride);
    }
  }
}

template <class T>
void conv_widen(const void* from, int64_t n, void* to) {
  widen_row(static_cast<const T*>(from), n, static_cast<AccOf<T>*>(to));
}

template <class Acc, class T>
void conv_narrow(const void* from, int64_t stride, int64_t terms, int64_t count, void* to) {
  constexpr int64_t kTerms = 16;  // a cache line of the result, as many lines of the sums
  const hn::ScalableTag<Acc> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* sums = static_cast<const Acc*>(from);
  T* out = static_cast<T*>(to);
  HWY_ALIGN Acc turned[kNarrowRows * kTerms + kPanelSlack];
  for (int64_t t = 0; t < terms; t += kTerms) {
    const int64_t n = std::min(kTerms, terms - t);
    pack_panel(sums + t * stride, stride, 1, n, n, kTerms, count, turned);
    for (int64_t k = 0; k < count; ++k) {
      T* row = out + k * terms + t;
      int64_t i = 0;
      for (; i + lanes <= n; i += lanes) {
        store_narrowed(d, hn::Load(d, turned + k * kTerms + i), row + i);
      }
      for (; i < n; ++i) narrow_one(turned[k * kTerms + i], row + i);
    }
  }
}

template <class T>
ConvKernels make_conv_kernels() {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<AccOf<T>>()));
  ConvKernels k;
  k.prepare = conv_prepare<T>;
  k.pack_weights = conv_pack_weights<T>;
  k.compute = conv_compute<T>;
  k.pack_grad = conv_pack_grad<T>;
  k.weight_grad = conv_weight_grad<T>;
  k.weight_grad_rows = conv_weight_grad_rows<T>;
  k.widen = conv_widen<T>;
  k.narrow = conv_narrow<AccOf<T>, T>;
  if constexpr (!std::is_same_v<WidenedOf<T>, T>) {
    k.narrow_widened = conv_narrow<AccOf<T>, WidenedOf<T>>;
  }
  k.rows = kMaxRows;
  k.cols = kMaxVectors * lanes;
#if HWY_TARGET == HWY_AVX3
  static_assert(kMaxRows == kDotRows);
  if constexpr (std::is_same_v<T, BFloat16>) {
    k.pairs = bf16_dot_table() != nullptr;
    k.prepare_raw = conv_prepare<T, T>;
    k.pack_grad_pairs = conv_pack_grad_pairs;
    k.weight_grad_pairs = conv_weight_grad_pairs;
  }
#endif
  return k;
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
