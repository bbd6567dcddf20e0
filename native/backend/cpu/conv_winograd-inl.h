// The transforms of conv_winograd.h and the products between them on one thread, compiled once per
// Highway target. Vectors run over the tiles of a row, and over the rows of a panel of weights.
#if defined(AMPGRAD_CONV_WINOGRAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_CONV_WINOGRAD_INL_H_
#undef AMPGRAD_CONV_WINOGRAD_INL_H_
#else
#define AMPGRAD_CONV_WINOGRAD_INL_H_
#endif

#include <algorithm>

#include "backend/cpu/conv_image-inl.h"
#include "backend/cpu/conv_winograd.h"
#include "backend/cpu/gemm_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

// Distances of points. The odd lines keep the points of a channel out of each other's cache sets,
// and hold what whole vectors write beyond the last channel.
HWY_INLINE int64_t weight_point(const WinogradShape& s, int64_t height) {
  return s.channels * height + kMaxVectors * HWY_MAX_BYTES / 4;
}
HWY_INLINE int64_t tile_point(const WinogradShape& s, int64_t width) {
  return (s.channels + 1) * width;
}
HWY_INLINE int64_t tile_width(TileRange range, int64_t lanes) {
  return range.count > lanes ? kMaxVectors * lanes : lanes;
}

#if HWY_TARGET != HWY_SCALAR

// ---- weights ------------------------------------------------------------------------------------

// U = G g G^T of as many rows as D has lanes, G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1]. The
// taps are `height` elements apart, `last` first where they are mirrored.
template <class D>
HWY_INLINE void transform_weights(D d, const hn::TFromD<D>* from, int64_t step, int64_t point,
                                  hn::TFromD<D>* to) {
  using V = hn::Vec<D>;
  const V half = hn::Set(d, hn::TFromD<D>(0.5));
  V u[4][3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) {
    const V g0 = hn::LoadU(d, from + j * step);
    const V g1 = hn::LoadU(d, from + (3 + j) * step);
    const V g2 = hn::LoadU(d, from + (6 + j) * step);
    const V even = hn::Add(g0, g2);
    u[0][j] = g0;
    u[1][j] = hn::Mul(half, hn::Add(even, g1));
    u[2][j] = hn::Mul(half, hn::Sub(even, g1));
    u[3][j] = g2;
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const V even = hn::Add(u[i][0], u[i][2]);
    hn::StoreU(u[i][0], d, to);
    hn::StoreU(hn::Mul(half, hn::Add(even, u[i][1])), d, to + point);
    hn::StoreU(hn::Mul(half, hn::Sub(even, u[i][1])), d, to + 2 * point);
    hn::StoreU(u[i][2], d, to + 3 * point);
    to += 4 * point;
  }
}

template <class T>
void winograd_weights(const WinogradShape& s, const void* weights, int64_t panel, void* packed) {
  using Acc = AccOf<T>;
  constexpr int64_t kTaps = 9;
  constexpr int64_t kRun = 8;  // channels whose weights are turned together
  const hn::ScalableTag<Acc> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Panels panels(s.rows);
  const int64_t height = panels.height(panel);
  const int64_t point = weight_point(s, height);
  const T* from = static_cast<const T*>(weights) + panels.first(panel) * s.weight_row;
  HWY_ALIGN Acc turned[kRun * kTaps * kMaxRows + kPanelSlack] = {};
  const int64_t run = s.weight_channel == kTaps ? kRun : 1;
  for (int64_t c = 0; c < s.channels; c += run) {
    const int64_t count = std::min(run, s.channels - c);
    pack_panel(from + c * s.weight_channel, s.weight_row, 1, height, height, height, kTaps * count,
               turned);
    for (int64_t i = 0; i < count; ++i) {
      const Acc* taps = turned + i * kTaps * height;
      Acc* to = static_cast<Acc*>(packed) + (c + i) * height;
      for (int64_t r = 0; r < height; r += lanes) {
        const Acc* first = s.mirrored ? taps + (kTaps - 1) * height : taps;
        transform_weights(d, first + r, s.mirrored ? -height : height, point, to + r);
      }
    }
  }
}

// ---- tiles --------------------------------------------------------------------------------------

// Tiles that are neighbours in a row of tiles.
struct TileRun {
  int64_t sample, y, x, at, count;
};
inline constexpr int64_t kMostRuns = kMaxVectors * HWY_MAX_BYTES / 4;
struct TileRuns {
  TileRuns(const WinogradShape& s, TileRange range) {
    for (int64_t at = 0; at < range.count;) {
      const int64_t tile = range.first + at;
      const int64_t line = tile / s.tiles[1];
      const int64_t x = tile % s.tiles[1];
      const int64_t n = std::min(s.tiles[1] - x, range.count - at);
      runs[count++] = {line / s.tiles[0], line % s.tiles[0], x, at, n};
      at += n;
    }
  }
  const TileRun* begin() const { return runs; }
  const TileRun* end() const { return runs + count; }
  TileRun runs[kMostRuns];
  int64_t count = 0;
};

// The lines of a channel that some runs of tiles need, with zeros on both sides. They are copied a
// channel ahead: a load that spans two stores must wait until both have left the store buffer.
template <class T>
class TileLines {
 public:
  using Acc = AccOf<T>;

  TileLines(const WinogradShape& s, const TileRuns& runs, const T* source)
      : s_(s), source_(source), stride_(2 * s.tiles[1] + 2) {
    for (int64_t r = 0; r < runs.count; ++r) {
      const TileRun& run = runs.runs[r];
      const bool follows =
          r > 0 && run.sample == runs.runs[r - 1].sample && run.y == runs.runs[r - 1].y + 1;
      for (int64_t i = 0; i < 4; ++i) {
        at_[r][i] = follows && i < 2 ? at_[r - 1][i + 2] : add_line(run.sample, 2 * run.y + i);
      }
    }
    channel_ = count_ * stride_;
    const auto numel = static_cast<size_t>(2 * channel_ + kPanelSlack);
    lines_ = static_cast<Acc*>(gemm_scratch(GemmSlot::Image, numel * sizeof(Acc)));
    std::fill_n(lines_, numel, Acc{0});
  }

  // The pieces of different channels lie far apart, so that they are asked for early.
  void copy(int64_t channel) {
    const T* from = source_ + channel * s_.size[0] * s_.size[1];
    Acc* to = lines_ + channel % 2 * channel_ + s_.before[1];
    constexpr int64_t kAhead = 4;
    const int64_t ahead = channel + kAhead < s_.channels ? kAhead * s_.size[0] * s_.size[1] : 0;
    for (int64_t i = 0; i < count_; ++i, to += stride_) {
      if (from_[i] < 0) continue;
      const T* line = from + from_[i];
      for (int64_t x = 0; x < s_.size[1]; x += kLineElements) hwy::Prefetch(line + ahead + x);
      widen_row(line, s_.size[1], to);
    }
  }

  // Line i of a run.
  const Acc* line(int64_t channel, int64_t run, int64_t i) const {
    return lines_ + channel % 2 * channel_ + at_[run][i];
  }

 private:
  static constexpr auto kLineElements = static_cast<int64_t>(64 / sizeof(T));

  int64_t add_line(int64_t sample, int64_t y) {
    const int64_t from = y - s_.before[0];
    const bool inside = from >= 0 && from < s_.size[0];
    from_[count_] = inside ? sample * s_.source_sample + from * s_.size[1] : -1;
    return stride_ * count_++;
  }

  const WinogradShape& s_;
  const T* source_;
  const int64_t stride_;
  int64_t channel_ = 0;
  int64_t count_ = 0;
  int64_t from_[4 * kMostRuns];  // in a channel, or -1 for zeros
  int64_t at_[kMostRuns][4];
  Acc* lines_ = nullptr;
};

// B^T d, B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1].
template <class V>
HWY_INLINE void transform_line(const V (&d)[4], V (&out)[4]) {
  out[0] = hn::Sub(d[0], d[2]);
  out[1] = hn::Add(d[1], d[2]);
  out[2] = hn::Sub(d[2], d[1]);
  out[3] = hn::Sub(d[1], d[3]);
}

// V = B^T d B of as many tiles as D has lanes.
template <class D>
HWY_INLINE void transform_tiles(D d, const hn::TFromD<D>* const (&lines)[4], int64_t x,
                                int64_t point, hn::TFromD<D>* HWY_RESTRICT to) {
  using V = hn::Vec<D>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t at[4] = {x, x + lanes, x + 2, x + 2 + lanes};
  V t[4][4];  // of an input line, of the four vectors
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    const V column[4] = {hn::LoadU(d, lines[0] + at[v]), hn::LoadU(d, lines[1] + at[v]),
                         hn::LoadU(d, lines[2] + at[v]), hn::LoadU(d, lines[3] + at[v])};
    V out[4];
    transform_line(column, out);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) t[i][v] = out[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const V line[4] = {hn::ConcatEven(d, t[i][1], t[i][0]), hn::ConcatOdd(d, t[i][1], t[i][0]),
                       hn::ConcatEven(d, t[i][3], t[i][2]), hn::ConcatOdd(d, t[i][3], t[i][2])};
    V out[4];
    transform_line(line, out);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) hn::StoreU(out[j], d, to + j * point);
    to += 4 * point;
  }
}

// The vector at lane `at` of a channel: no lane behind `width` may be written.
template <class D>
HWY_INLINE void transform_last(D d, const hn::TFromD<D>* const (&lines)[4], int64_t x, int64_t at,
                               int64_t width, int64_t point, hn::TFromD<D>* channel) {
  constexpr auto kLanes = static_cast<int64_t>(HWY_MAX_BYTES / sizeof(hn::TFromD<D>));
  HWY_ALIGN hn::TFromD<D> buffer[kWinogradPoints * kLanes];
  transform_tiles(d, lines, x, kLanes, buffer);
  for (int64_t e = 0; e < kWinogradPoints; ++e) {
    std::copy_n(buffer + e * kLanes, width - at, channel + e * point + at);
  }
}

// Whole vectors are stored for every run; what follows overwrites the excess, but other threads
// may have written the channels from `end` on.
template <class T>
void winograd_tiles(const WinogradShape& s, const void* source, TileRange range, int64_t first,
                    int64_t end, void* packed) {
  using Acc = AccOf<T>;
  const hn::ScalableTag<Acc> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = tile_width(range, lanes);
  const int64_t point = tile_point(s, width);
  Acc* to = static_cast<Acc*>(packed);
  const TileRuns runs(s, range);
  TileLines<T> lines(s, runs, static_cast<const T*>(source));
  lines.copy(first);
  for (int64_t c = first; c < end; ++c) {
    if (c + 1 < end) lines.copy(c + 1);
    Acc* channel = to + c * width;
    if (range.count < width) {
      for (int64_t e = 0; e < kWinogradPoints; ++e) {
        std::fill(channel + e * point + range.count, channel + e * point + width, Acc{0});
      }
    }
    for (int64_t r = 0; r < runs.count; ++r) {
      const TileRun& run = runs.runs[r];
      const Acc* rows[4];
      for (int64_t i = 0; i < 4; ++i) rows[i] = lines.line(c, r, i);
      for (int64_t i = 0; i < run.count; i += lanes) {
        const int64_t at = run.at + i;
        if (c + 1 == end && at + lanes > width) {
          transform_last(d, rows, 2 * (run.x + i), at, width, point, channel);
        } else {
          transform_tiles(d, rows, 2 * (run.x + i), point, channel + at);
        }
      }
    }
  }
}

// ---- result -------------------------------------------------------------------------------------

// Y = A^T m A of as many tiles as D has lanes, A^T = [1 1 1 0; 0 1 -1 -1]: the two lines of the
// result, columns alternately. The points are `width` apart.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void transform_result(D d, const hn::TFromD<D>* from, int64_t width, V bias,
                                 V (&out)[2][2]) {
  V p[2][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const V m0 = hn::LoadU(d, from + j * width);
    const V m1 = hn::LoadU(d, from + (4 + j) * width);
    const V m2 = hn::LoadU(d, from + (8 + j) * width);
    const V m3 = hn::LoadU(d, from + (12 + j) * width);
    p[0][j] = hn::Add(hn::Add(m0, m1), m2);
    p[1][j] = hn::Sub(hn::Sub(m1, m2), m3);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    out[i][0] = hn::Add(hn::Add(hn::Add(p[i][0], p[i][1]), p[i][2]), bias);
    out[i][1] = hn::Add(hn::Sub(hn::Sub(p[i][1], p[i][2]), p[i][3]), bias);
  }
}

// n elements of at most two vectors.
template <class D, class T>
HWY_INLINE void narrow_line(D d, const hn::TFromD<D>* from, int64_t n, T* to) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t count = std::min(lanes, n - i);
    const auto v = hn::Load(d, from + i);
    if (count == lanes) {
      store_narrowed(d, v, to + i);
    } else if constexpr (kMaskedMoves && std::is_same_v<T, hn::TFromD<D>>) {
      hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, to + i);
    } else {
      HWY_ALIGN T rest[HWY_MAX_BYTES / sizeof(hn::TFromD<D>)];
      store_narrowed(d, v, rest);
      std::copy_n(rest, count, to + i);
    }
  }
}

template <class T>
class WinogradProduct {
 public:
  using Acc = AccOf<T>;

  WinogradProduct(const WinogradShape& s, int64_t panel, TileRange range)
      : s_(s),
        panels_(s.rows),
        row_(panels_.first(panel)),
        height_(panels_.height(panel)),
        width_(tile_width(range, lanes())),
        runs_(s, range) {
    const int64_t numel = height_ * kWinogradPoints * width_;
    sums_ = static_cast<Acc*>(gemm_scratch(GemmSlot::Accumulator,
                                           static_cast<size_t>(numel + kPanelSlack) * sizeof(Acc)));
    // Read, and never used, where the last tiles fill no vector.
    std::fill_n(sums_ + numel, kPanelSlack, Acc{0});
  }

  void multiply(const Acc* weights, const Acc* tiles) {
    const TermBlocks blocks(s_.channels);
    const MicroFn<Acc> micro = kMicroTable<Acc>.fn[height_ - 1][width_ / lanes() - 1][1];
    for (int64_t e = 0; e < kWinogradPoints; ++e) {
      for (int64_t c = 0; c < s_.channels; c += blocks.size) {
        micro(std::min(blocks.size, s_.channels - c), weights + c * height_, 1, height_,
              tiles + c * width_, width_, sums_ + e * width_, kWinogradPoints * width_, c != 0);
      }
      weights += weight_point(s_, height_);
      tiles += tile_point(s_, width_);
    }
  }

  // Are all results finite?
  bool write(const T* bias, T* out) const {
    const hn::ScalableTag<Acc> d;
    auto check = hn::Zero(d);
    for (int64_t r = 0; r < height_; ++r) {
      const auto b = hn::Set(d, bias == nullptr ? Acc{0} : widen_one(bias[row_ + r]));
      const Acc* from = sums_ + r * kWinogradPoints * width_;
      T* plane = out + (row_ + r) * s_.out[0] * s_.out[1];
      for (const TileRun& run : runs_) {
        T* to = plane + run.sample * s_.out_sample + 2 * run.y * s_.out[1];
        for (int64_t i = 0; i < run.count; i += lanes()) {
          hn::Vec<decltype(d)> y[2][2];
          transform_result(d, from + run.at + i, width_, b, y);
          const int64_t x = 2 * (run.x + i);
          const int64_t n = std::min(2 * std::min(lanes(), run.count - i), s_.out[1] - x);
          const int64_t lines = std::min<int64_t>(2, s_.out[0] - 2 * run.y);
          for (int64_t line = 0; line < lines; ++line) {
            HWY_ALIGN Acc both[2 * HWY_MAX_BYTES / sizeof(Acc)];
            hn::StoreInterleaved2(y[line][0], y[line][1], d, both);
            narrow_line(d, both, n, to + line * s_.out[1] + x);
            // 0 times what is not finite is NaN.
            check = hn::MulAdd(y[line][0], hn::Zero(d), check);
            check = hn::MulAdd(y[line][1], hn::Zero(d), check);
          }
        }
      }
    }
    return hn::AllTrue(d, hn::Eq(check, check));
  }

 private:
  static int64_t lanes() { return static_cast<int64_t>(hn::Lanes(hn::ScalableTag<Acc>())); }

  const WinogradShape& s_;
  const Panels panels_;
  const int64_t row_;
  const int64_t height_;
  const int64_t width_;
  const TileRuns runs_;
  Acc* sums_ = nullptr;
};

template <class T>
bool winograd_product(const WinogradShape& s, const void* weights, const void* tiles, int64_t panel,
                      TileRange range, const void* bias, void* out) {
  WinogradProduct<T> product(s, panel, range);
  product.multiply(static_cast<const AccOf<T>*>(weights), static_cast<const AccOf<T>*>(tiles));
  return product.write(static_cast<const T*>(bias), static_cast<T*>(out));
}

#endif

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
