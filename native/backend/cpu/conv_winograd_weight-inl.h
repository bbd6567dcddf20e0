// The weight gradient of conv_winograd.h on one thread, compiled once per Highway target. Vectors
// run over channels, so that transforms need no shuffles and small images fill them too.
#if defined(AMPGRAD_CONV_WINOGRAD_WEIGHT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_CONV_WINOGRAD_WEIGHT_INL_H_
#undef AMPGRAD_CONV_WINOGRAD_WEIGHT_INL_H_
#else
#define AMPGRAD_CONV_WINOGRAD_WEIGHT_INL_H_
#endif

#include <algorithm>

#include "backend/cpu/conv_winograd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR

// ---- operands -----------------------------------------------------------------------------------

// Lines of an image, `width` channels of each pixel side by side, with zeros around them.
template <class T, int64_t Held>
class ChannelLines {
 public:
  using Acc = AccOf<T>;

  ChannelLines(const T* source, const int64_t (&size)[2], const int64_t (&before)[2],
               int64_t pixels, int64_t channels, int64_t width)
      : source_(source),
        size_(size),
        before_(before),
        channels_(channels),
        width_(width),
        stride_(pixels * width + kPanelSlack) {
    const auto numel = static_cast<size_t>((Held + 1) * stride_);
    lines_ = static_cast<Acc*>(gemm_scratch(GemmSlot::Image, numel * sizeof(Acc)));
    std::fill_n(lines_, numel, Acc{0});
    std::fill_n(held_, Held, int64_t{-1});
  }

  // Line y, counted from the first one of zeros, of the sample at `offset`.
  const Acc* line(int64_t offset, int64_t y) {
    const int64_t from = y - before_[0];
    if (from < 0 || from >= size_[0]) return lines_ + Held * stride_;
    Acc* line = lines_ + y % Held * stride_;
    const int64_t at = offset + from * size_[1];
    if (held_[y % Held] != at) {
      pack_panel(source_ + at, size_[0] * size_[1], 1, std::min(channels_, width_), channels_,
                 width_, size_[1], line + before_[1] * width_);
      held_[y % Held] = at;
    }
    return line;
  }

 private:
  const T* source_;
  const int64_t (&size_)[2];
  const int64_t (&before_)[2];
  const int64_t channels_;  // from the source's first one on
  const int64_t width_;
  const int64_t stride_;
  Acc* lines_ = nullptr;
  int64_t held_[Held] = {};
};

template <class T>
void winograd_source_panel(const WinogradShape& s, const void* source, TileRows range,
                           int64_t first_channel, void* packed) {
  using Acc = AccOf<T>;
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = kMaxVectors * lanes;
  const int64_t point = (range.count * s.tiles[1] + 1) * width;
  ChannelLines<T, 4> lines(static_cast<const T*>(source) + first_channel * s.size[0] * s.size[1],
                           s.size, s.before, 2 * s.tiles[1] + 2, s.channels - first_channel, width);
  Acc* to = static_cast<Acc*>(packed);
  for (int64_t row = range.first; row < range.first + range.count; ++row) {
    const Acc* from[4];
    for (int64_t i = 0; i < 4; ++i) {
      from[i] = lines.line(row / s.tiles[0] * s.source_sample, 2 * (row % s.tiles[0]) + i);
    }
    for (int64_t x = 0; x < s.tiles[1]; ++x, to += width) {
      for (int64_t v = 0; v < width; v += lanes) {
        V t[4][4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const Acc* at = from[i] + 2 * x * width + v;
          const V pixels[4] = {hn::LoadU(d, at), hn::LoadU(d, at + width),
                               hn::LoadU(d, at + 2 * width), hn::LoadU(d, at + 3 * width)};
          transform_line(pixels, t[i]);
        }
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const V column[4] = {t[0][j], t[1][j], t[2][j], t[3][j]};
          V out[4];
          transform_line(column, out);
#pragma GCC unroll 4
          for (int i = 0; i < 4; ++i) hn::StoreU(out[i], d, to + (4 * i + j) * point + v);
        }
      }
    }
  }
}

// A g, A = [1 0; 1 1; 1 -1; 0 -1].
template <class D, class V>
HWY_INLINE void spread_grad(D d, V g0, V g1, V (&out)[4]) {
  out[0] = g0;
  out[1] = hn::Add(g0, g1);
  out[2] = hn::Sub(g0, g1);
  out[3] = hn::Sub(hn::Zero(d), g1);
}

// W = A g A^T. Whole vectors are stored; the next tile overwrites the excess.
template <class T>
void winograd_grad_panel(const WinogradShape& s, const void* grad, TileRows range, int64_t panel,
                         void* packed) {
  using Acc = AccOf<T>;
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Panels panels(s.rows);
  const int64_t height = panels.height(panel);
  const int64_t point = range.count * s.tiles[1] * height + kMaxVectors * lanes;
  constexpr int64_t kBefore[2] = {0, 0};
  ChannelLines<T, 2> lines(static_cast<const T*>(grad) + panels.first(panel) * s.out[0] * s.out[1],
                           s.out, kBefore, 2 * s.tiles[1], height, height);
  Acc* to = static_cast<Acc*>(packed);
  for (int64_t row = range.first; row < range.first + range.count; ++row) {
    const int64_t offset = row / s.tiles[0] * s.out_sample;
    const Acc* first = lines.line(offset, 2 * (row % s.tiles[0]));
    const Acc* second = lines.line(offset, 2 * (row % s.tiles[0]) + 1);
    for (int64_t x = 0; x < s.tiles[1]; ++x, to += height) {
      for (int64_t r = 0; r < height; r += lanes) {
        const int64_t at = 2 * x * height + r;
        V left[4];
        V right[4];
        spread_grad(d, hn::LoadU(d, first + at), hn::LoadU(d, second + at), left);
        spread_grad(d, hn::LoadU(d, first + at + height), hn::LoadU(d, second + at + height),
                    right);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          V out[4];
          spread_grad(d, left[i], right[i], out);
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) hn::StoreU(out[j], d, to + (4 * i + j) * point + r);
        }
      }
    }
  }
}

// ---- sums ---------------------------------------------------------------------------------------

template <class Acc>
void winograd_sum(const WinogradShape& s, int64_t point, int64_t tiles, int64_t panel,
                  const void* grad_panel, const void* source_panel, bool add, void* sums) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<Acc>()));
  const int64_t width = kMaxVectors * lanes;
  const int64_t height = Panels(s.rows).height(panel);
  const Acc* a = static_cast<const Acc*>(grad_panel) + point * (tiles * height + width);
  const Acc* b = static_cast<const Acc*>(source_panel) + point * (tiles + 1) * width;
  kMicroTable<Acc>.fn[height - 1][kMaxVectors - 1][1](tiles, a, 1, height, b, width,
                                                      static_cast<Acc*>(sums), width, add);
}

// G^T m, G^T = [1 1/2 1/2 0; 0 1/2 -1/2 0; 0 1/2 1/2 1].
template <class V>
HWY_INLINE void gather_taps(V half, const V (&m)[4], V (&out)[3]) {
  const V even = hn::Mul(half, hn::Add(m[1], m[2]));
  out[0] = hn::Add(m[0], even);
  out[1] = hn::Mul(half, hn::Sub(m[1], m[2]));
  out[2] = hn::Add(even, m[3]);
}

template <class Acc, class T>
bool winograd_write(const WinogradShape& s, const void* sums, int64_t point, int64_t row,
                    int64_t first_channel, void* weights) {
  constexpr int64_t kTaps = 9;
  constexpr int64_t kWidth = kMaxVectors * HWY_MAX_BYTES / sizeof(Acc);
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = kMaxVectors * lanes;
  const V half = hn::Set(d, Acc(0.5));
  V check = hn::Zero(d);
  HWY_ALIGN Acc taps[kTaps * kWidth];
  HWY_ALIGN Acc turned[kTaps * kWidth + kPanelSlack];
  for (int64_t v = 0; v < width; v += lanes) {
    const Acc* from = static_cast<const Acc*>(sums) + v;
    V t[3][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const V column[4] = {hn::LoadU(d, from + j * point), hn::LoadU(d, from + (4 + j) * point),
                           hn::LoadU(d, from + (8 + j) * point),
                           hn::LoadU(d, from + (12 + j) * point)};
      V out[3];
      gather_taps(half, column, out);
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) t[i][j] = out[i];
    }
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
      V out[3];
      gather_taps(half, t[i], out);
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j) {
        hn::StoreU(out[j], d, taps + (3 * i + j) * width + v);
        check = hn::MulAdd(out[j], hn::Zero(d), check);
      }
    }
  }
  const int64_t n = std::min(width, s.channels - first_channel);
  pack_panel(taps, width, 1, kTaps, kTaps, kTaps, n, turned);
  T* to = static_cast<T*>(weights) + row * s.weight_row + first_channel * kTaps;
  for (int64_t i = 0; i < n * kTaps; i += 2 * lanes) {
    narrow_line(d, turned + i, std::min(2 * lanes, n * kTaps - i), to + i);
  }
  return hn::AllTrue(d, hn::Eq(check, check));
}

#endif

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
