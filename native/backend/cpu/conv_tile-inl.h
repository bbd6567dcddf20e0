// The implicit matrix product of a convolution on one thread, compiled once per Highway target:
// weights times pixels. Blocks of pixels are packed into panels straight from the prepared image,
// or, when few rows would use them, read in place.
#if defined(AMPGRAD_CONV_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_CONV_TILE_INL_H_
#undef AMPGRAD_CONV_TILE_INL_H_
#else
#define AMPGRAD_CONV_TILE_INL_H_
#endif

#include <algorithm>

#include "backend/cpu/conv_image-inl.h"
#include "backend/cpu/gemm_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

// Pixels of a packed block.
inline constexpr int64_t kConvPixels = 256;
// Rows up to which packed panels would not be used often enough.
inline constexpr int64_t kConvDirectRows = 2 * kMaxRows;

// Lines of a depthwise result that are worked on together, where registers hold their sums.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
inline constexpr int kLoneLines = 3;
#else
inline constexpr int kLoneLines = 1;
#endif

// ---- product ------------------------------------------------------------------------------------

// out += A B, B read through the taps of an image.
template <class Acc>
using TapFn = void (*)(int64_t k, const Acc* a, const Acc* image, const int64_t* taps, Acc* out,
                       int64_t out_row);

template <class Acc, int Rows, int Vectors>
void tap_kernel(int64_t k, const Acc* HWY_RESTRICT a, const Acc* HWY_RESTRICT image,
                const int64_t* HWY_RESTRICT taps, Acc* HWY_RESTRICT out, int64_t out_row) {
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) acc[r][v] = hn::LoadU(d, out + r * out_row + v * lanes);
  }
  for (int64_t p = 0; p < k; ++p) {
    const Acc* b = image + taps[p];
    V bv[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) bv[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const V av = hn::Set(d, a[r]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
    }
    a += Rows;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) hn::StoreU(acc[r][v], d, out + r * out_row + v * lanes);
  }
}

template <class Acc>
struct TapTable {
  TapFn<Acc> fn[kMaxRows][3];
};
template <class Acc, int... R>
constexpr TapTable<Acc> make_tap_table(std::integer_sequence<int, R...>) {
  // A lone row keeps four chains of additions going.
  return {{{tap_kernel<Acc, R + 1, 1>, tap_kernel<Acc, R + 1, 2>,
            tap_kernel<Acc, R + 1, (R == 0 ? 4 : 2)>}...}};
}
template <class Acc>
inline constexpr TapTable<Acc> kTapTable =
    make_tap_table<Acc>(std::make_integer_sequence<int, kMaxRows>());

template <class T>
class ConvBlock {
 public:
  using Acc = AccOf<T>;

  explicit ConvBlock(const ConvTask& t)
      : t_(t),
        plan_(*t.plan),
        phase_(*t.phase),
        image_(static_cast<const Acc*>(t.image)),
        weights_(static_cast<const Acc*>(t.weights)),
        out_(static_cast<T*>(t.out) + t.phase->out_offset),
        panels_(t.plan->rows),
        blocks_(t.phase->terms()),
        dot_(t.plan->image.paired ? bf16_dot_table() : nullptr),
        lanes_(static_cast<int64_t>(hn::Lanes(hn::ScalableTag<Acc>()))),
        width_(kMaxVectors * lanes_),
        in_place_(std::is_same_v<T, Acc> && t.one_sample && t.phase->flat()),
        readable_(t.plan->image.copied ? INT64_MAX : t.plan->image.numel()),
        lines_(t.phase->out[0] * t.phase->out[1]),
        first_row_(panels_.first(t.first_panel)),
        end_row_(panels_.first(t.end_panel)) {}

  void run() {
    const bool direct = plan_.rows <= kConvDirectRows && plan_.image.copied && dot_ == nullptr;
    if (direct && plan_.rows == 1 && blocks_.count == 1 && t_.one_sample && phase_.flat()) {
      lone_row();
      return;
    }
    for (int64_t j = t_.begin; j < t_.end; j += kConvPixels) {
      const int64_t n = std::min(kConvPixels, t_.end - j);
      place_sums(j);
      // A phase that no tap reaches has only the bias.
      if (direct || phase_.terms() == 0) start_sums(sums_, first_row_, end_row_ - first_row_, n);
      for (int64_t k = 0; k < phase_.terms(); k += blocks_.size) {
        const int64_t terms = std::min(blocks_.size, phase_.terms() - k);
        if (direct) {
          multiply_in_place(j, n, k, terms);
        } else {
          multiply_packed(j, n, k, terms);
        }
      }
      if (!in_place_) finish(j, n);
    }
  }

 private:
  // A run of pixels that are neighbours in the image.
  struct Segment {
    int64_t base, at, count;
  };

  // A depthwise product: lines of the result, straight from registers to memory.
  void lone_row() {
    const bool square = kLoneLines > 1 && phase_.terms() == 9 && steps_evenly();
    for (int64_t j = t_.begin; j < t_.end;) {
      const Segment s = segment_at(j, 0, t_.end - j);
      const Acc* image = image_ + s.base;
      if (s.count < phase_.out[2]) {
        lone_lines<1>(image, s.count, out_ + j);
        j += s.count;
        continue;
      }
      // Whole lines up to the end of the plane.
      const int64_t line = j / s.count;
      const int64_t end = std::min(t_.end / s.count, (line / phase_.out[1] + 1) * phase_.out[1]);
      int64_t left = end - line;
      for (int64_t n = 0; left > 0; left -= n, j += n * s.count, image += n * phase_.jump[1]) {
        n = square && left >= kLoneLines ? kLoneLines : 1;
        if (n > 1) {
          lone_lines<kLoneLines>(image, s.count, out_ + j);
        } else {
          lone_lines<1>(image, s.count, out_ + j);
        }
      }
    }
  }

  // Do three lines of three taps follow each other as the pixels' lines do?
  bool steps_evenly() const {
    const int64_t* taps = phase_.taps.data();
    for (int i = 3; i < 9; ++i) {
      if (taps[i] - taps[i - 3] != phase_.jump[1]) return false;
    }
    return true;
  }

  // n pixels of some lines. The last vector of a line overlaps the one before it.
  template <int Lines>
  void lone_lines(const Acc* image, int64_t n, T* to) const {
    const int64_t row = phase_.out[2];
    if (n < lanes_) {
      HWY_ALIGN T tile[Lines * HWY_MAX_BYTES / sizeof(Acc)];
      lone_tile<1, Lines>(image, 0, tile, lanes_);
      for (int line = 0; line < Lines; ++line) {
        std::copy_n(tile + line * lanes_, n, to + line * row);
      }
      return;
    }
    int64_t i = 0;
    for (; i + 4 * lanes_ <= n; i += 4 * lanes_) {
      lone_tile<4, Lines>(image + i, 3 * lanes_, to + i, row);
    }
    const int64_t last = n - lanes_ - i;
    switch (ceil_div(n - i, lanes_)) {
      case 0:
        return;
      case 1:
        return lone_tile<1, Lines>(image + i, last, to + i, row);
      case 2:
        return lone_tile<2, Lines>(image + i, last, to + i, row);
      case 3:
        return lone_tile<3, Lines>(image + i, last, to + i, row);
      default:
        return lone_tile<4, Lines>(image + i, last, to + i, row);
    }
  }

  // `Vectors` vectors of each line, the last of them `last` elements from the start.
  template <int Vectors, int Lines>
  HWY_INLINE void lone_tile(const Acc* HWY_RESTRICT image, int64_t last, T* HWY_RESTRICT to,
                            int64_t to_row) const {
    const hn::ScalableTag<Acc> d;
    hn::Vec<decltype(d)> sum[Lines][Vectors];
    int64_t at[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      at[v] = v + 1 < Vectors ? v * lanes_ : last;
#pragma GCC unroll 4
      for (int line = 0; line < Lines; ++line) sum[line][v] = hn::Set(d, bias(0));
    }
    if constexpr (Lines == 1) {
      lone_terms(image, at, sum[0]);
    } else {
      lone_square(image, at, sum);
    }
#pragma GCC unroll 4
    for (int line = 0; line < Lines; ++line) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        store_narrowed(d, sum[line][v], to + line * to_row + at[v]);
      }
    }
  }

  template <int Vectors, class V>
  HWY_INLINE void lone_terms(const Acc* HWY_RESTRICT image, const int64_t (&at)[Vectors],
                             V (&sum)[Vectors]) const {
    const hn::ScalableTag<Acc> d;
    const int64_t* HWY_RESTRICT taps = phase_.taps.data();
    for (int64_t p = 0; p < phase_.terms(); ++p) {
      const auto w = hn::Set(d, weights_[p]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        sum[v] = hn::MulAdd(w, hn::LoadU(d, image + taps[p] + at[v]), sum[v]);
      }
    }
  }

  // Three by three taps: a line of the image serves all lines of the result that it reaches.
  template <int Vectors, int Lines, class V>
  HWY_INLINE void lone_square(const Acc* HWY_RESTRICT image, const int64_t (&at)[Vectors],
                              V (&sum)[Lines][Vectors]) const {
    const hn::ScalableTag<Acc> d;
    const int64_t* HWY_RESTRICT taps = phase_.taps.data();
    V w[9];
#pragma GCC unroll 9
    for (int p = 0; p < 9; ++p) w[p] = hn::Set(d, weights_[p]);
#pragma GCC unroll 8
    for (int i = 0; i < Lines + 2; ++i) {
#pragma GCC unroll 3
      for (int j = 0; j < 3; ++j) {
        const Acc* from = image + taps[j] + i * phase_.jump[1];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
          const V x = hn::LoadU(d, from + at[v]);
#pragma GCC unroll 4
          for (int line = 0; line < Lines; ++line) {
            const int tap = i - line;
            if (tap < 0 || tap > 2) continue;
            sum[line][v] = hn::MulAdd(w[3 * tap + j], x, sum[line][v]);
          }
        }
      }
    }
  }

  Acc bias(int64_t row) const {
    return t_.bias == nullptr ? Acc{0} : widen_one(static_cast<const T*>(t_.bias)[row]);
  }

  // Sums are made in the result or beside it.
  void place_sums(int64_t j) {
    if (in_place_) {
      if constexpr (std::is_same_v<T, Acc>) sums_ = out_ + j;
      sums_row_ = plan_.result_pixels;
    } else {
      sums_row_ = kConvPixels + 4 * lanes_;
      sums_ = static_cast<Acc*>(
          gemm_scratch(GemmSlot::Accumulator,
                       static_cast<size_t>(plan_.rows * sums_row_ + kPanelSlack) * sizeof(Acc)));
    }
  }

  // Sums of `height` rows and n pixels start from the bias. `to` is where those of row 0 would be.
  void start_sums(Acc* to, int64_t row, int64_t height, int64_t n) const {
    for (int64_t r = row; r < row + height; ++r) std::fill_n(to + r * sums_row_, n, bias(r));
  }

  Segment segment_at(int64_t pixel, int64_t at, int64_t limit) const {
    const int64_t w = pixel % phase_.out[2];
    const int64_t line = pixel / phase_.out[2];
    const int64_t row = line % lines_;
    const int64_t base = line / lines_ * t_.image_sample + row / phase_.out[1] * phase_.jump[0] +
                         row % phase_.out[1] * phase_.jump[1] + w;
    return {base, at, std::min(phase_.out[2] - w, limit)};
  }

  void pack(int64_t pixel, int64_t cols, int64_t width, int64_t k, int64_t terms, Acc* to) const {
    Segment segments[HWY_MAX_BYTES];
    int count = 0;
    bool careful = false;
    for (int64_t at = 0; at < cols;) {
      const Segment s = segment_at(pixel + at, at, cols - at);
      careful |= s.base + phase_.max_tap + width > readable_;
      segments[count++] = s;
      at += s.count;
    }
    const int64_t* taps = phase_.taps.data() + k;
    if (careful) {
      pack_exactly(segments, count, width, taps, terms, to);
    } else if (count == 1) {
      pack_run(image_ + segments[0].base, width, taps, terms, to);
    } else if (count == 2 && width == width_) {
      pack_two(segments, taps, terms, to);
    } else {
      pack_runs(segments, count, width, taps, terms, to);
    }
  }

  void pack_run(const Acc* from, int64_t width, const int64_t* taps, int64_t terms, Acc* to) const {
    const hn::ScalableTag<Acc> d;
    if (width == lanes_) {
      for (int64_t p = 0; p < terms; ++p) {
        hn::StoreU(hn::LoadU(d, from + taps[p]), d, to + p * lanes_);
      }
      return;
    }
    for (int64_t p = 0; p < terms; ++p) {
      const auto v0 = hn::LoadU(d, from + taps[p]);
      const auto v1 = hn::LoadU(d, from + taps[p] + lanes_);
      hn::StoreU(v0, d, to + p * width);
      hn::StoreU(v1, d, to + p * width + lanes_);
    }
  }

  // Two lines side by side, one of the vectors blended from both.
  void pack_two(const Segment* segments, const int64_t* taps, int64_t terms, Acc* to) const {
    const hn::ScalableTag<Acc> d;
    const Acc* first = image_ + segments[0].base;
    const Acc* second = image_ + segments[1].base - segments[1].at;
    const bool early = segments[1].at <= lanes_;
    const int64_t mixed = early ? 0 : lanes_;
    const auto mask = hn::FirstN(d, static_cast<size_t>(segments[1].at - mixed));
    const Acc* pure = early ? second + lanes_ : first;
    first += mixed;
    second += mixed;
    for (int64_t p = 0; p < terms; ++p) {
      const auto a = hn::LoadU(d, first + taps[p]);
      const auto b = hn::LoadU(d, second + taps[p]);
      const auto c = hn::LoadU(d, pure + taps[p]);
      hn::StoreU(hn::IfThenElse(mask, a, b), d, to + mixed);
      hn::StoreU(c, d, to + lanes_ - mixed);
      to += width_;
    }
  }

  // Whole vectors are stored for every segment; what follows overwrites the excess.
  void pack_runs(const Segment* segments, int count, int64_t width, const int64_t* taps,
                 int64_t terms, Acc* to) const {
    const hn::ScalableTag<Acc> d;
    for (int64_t p = 0; p < terms; ++p) {
      const Acc* from = image_ + taps[p];
      Acc* row = to + p * width;
      for (int s = 0; s < count; ++s) {
        const Acc* source = from + segments[s].base;
        hn::StoreU(hn::LoadU(d, source), d, row + segments[s].at);
        if (segments[s].count > lanes_) {
          hn::StoreU(hn::LoadU(d, source + lanes_), d, row + segments[s].at + lanes_);
        }
      }
    }
  }

  void pack_exactly(const Segment* segments, int count, int64_t width, const int64_t* taps,
                    int64_t terms, Acc* to) const {
    for (int64_t p = 0; p < terms; ++p) {
      for (int s = 0; s < count; ++s) {
        std::copy_n(image_ + taps[p] + segments[s].base, segments[s].count,
                    to + p * width + segments[s].at);
      }
    }
  }

  void multiply_packed(int64_t j, int64_t n, int64_t k, int64_t terms) {
    Acc* panel = static_cast<Acc*>(
        gemm_scratch(GemmSlot::B, static_cast<size_t>(terms * width_ + kPanelSlack) * sizeof(Acc)));
    for (int64_t i = 0; i < n; i += width_) {
      const int64_t cols = std::min(width_, n - i);
      const int64_t width = cols > lanes_ ? width_ : lanes_;
      pack(j + i, cols, width, k, terms, panel);
      for (int64_t q = t_.first_panel; q < t_.end_panel; ++q) {
        const int64_t row = panels_.first(q);
        const int64_t height = panels_.height(q);
        const Acc* a = weights_ + k * plan_.rows + row * terms;
        Acc* to = sums_ + row * sums_row_ + i;
        // Tile by tile: the whole block would leave the first-level cache before it is added to.
        const bool begun = k > 0 || t_.bias != nullptr || cols != width;
        if (begun && k == 0) start_sums(sums_ + i, row, height, cols);
        if (cols == width) {
          multiply(terms, a, height, panel, width, to, sums_row_, begun);
        } else {
          HWY_ALIGN Acc tile[kMaxRows * kMaxVectors * HWY_MAX_BYTES / sizeof(Acc)];
          multiply(terms, a, height, panel, width, tile, width, false);
          add_tile(tile, width, height, cols, to);
        }
      }
    }
  }

  void multiply(int64_t terms, const Acc* a, int64_t height, const Acc* panel, int64_t width,
                Acc* to, int64_t to_row, bool add) const {
    if constexpr (std::is_same_v<T, BFloat16>) {
      if (dot_ != nullptr) {
        dot_->fn[height - 1][width / lanes_ - 1](terms, a, panel, to, to_row, add);
        return;
      }
    }
    kMicroTable<Acc>.fn[height - 1][width / lanes_ - 1][1](terms, a, 1, height, panel, width, to,
                                                           to_row, add);
  }

  void add_tile(const Acc* tile, int64_t width, int64_t rows, int64_t cols, Acc* to) const {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) to[r * sums_row_ + c] += tile[r * width + c];
    }
  }

  void multiply_in_place(int64_t j, int64_t n, int64_t k, int64_t terms) {
    for (int64_t at = 0; at < n;) {
      const Segment s = segment_at(j + at, at, n - at);
      for (int64_t q = t_.first_panel; q < t_.end_panel; ++q) {
        const int64_t row = panels_.first(q);
        const int64_t height = panels_.height(q);
        const int64_t wide = (height == 1 ? 4 : 2) * lanes_;
        const Acc* a = weights_ + k * plan_.rows + row * terms;
        for (int64_t i = 0; i < s.count;) {
          const int64_t left = s.count - i;
          const int64_t width =
              left >= wide ? wide : std::min(left > lanes_ ? 2 * lanes_ : lanes_, wide);
          tap_tile(terms, a, image_ + s.base + i, phase_.taps.data() + k, height, width,
                   std::min(left, width), sums_ + row * sums_row_ + at + i);
          i += width;
        }
      }
      at += s.count;
    }
  }

  void tap_tile(int64_t terms, const Acc* a, const Acc* image, const int64_t* taps, int64_t height,
                int64_t width, int64_t cols, Acc* to) {
    const auto kernel =
        kTapTable<Acc>.fn[height - 1][width == lanes_ ? 0 : (width == 2 * lanes_ ? 1 : 2)];
    if (cols == width) {
      kernel(terms, a, image, taps, to, sums_row_);
      return;
    }
    HWY_ALIGN Acc tile[(kMaxRows + 2) * kMaxVectors * HWY_MAX_BYTES / sizeof(Acc)];
    std::fill(tile, tile + height * width, Acc{0});
    kernel(terms, a, image, taps, tile, width);
    add_tile(tile, width, height, cols, to);
  }

  // One rounding into the result, wherever its pixels lie.
  void finish(int64_t j, int64_t n) {
    if (phase_.flat()) {
      const int64_t size = phase_.pixels();
      for (int64_t at = 0; at < n;) {
        const int64_t w = (j + at) % size;
        const int64_t count = std::min(size - w, n - at);
        write_line(at, count, out_ + (j + at) / size * t_.out_sample + w);
        at += count;
      }
      return;
    }
    for (int64_t at = 0; at < n;) {
      const int64_t pixel = j + at;
      const int64_t w = pixel % phase_.out[2];
      const int64_t line = pixel / phase_.out[2];
      const int64_t row = line % lines_;
      const int64_t count = std::min(phase_.out[2] - w, n - at);
      T* line_out = out_ + line / lines_ * t_.out_sample +
                    row / phase_.out[1] * phase_.out_stride[0] +
                    row % phase_.out[1] * phase_.out_stride[1] + w * phase_.out_stride[2];
      write_line(at, count, line_out);
      at += count;
    }
  }

  // `count` pixels of every row; what fills no vector is rounded beside the result.
  void write_line(int64_t at, int64_t count, T* line) const {
    const hn::ScalableTag<Acc> d;
    const int64_t stride = phase_.out_stride[2];
    HWY_ALIGN T rest[HWY_MAX_BYTES / sizeof(Acc)];
    for (int64_t r = first_row_; r < end_row_; ++r) {
      const Acc* from = sums_ + r * sums_row_ + at;
      T* to = line + r * plan_.result_pixels;
      if (stride != 1) {
        for (int64_t i = 0; i < count; ++i) narrow_one(from[i], to + i * stride);
        continue;
      }
      int64_t i = 0;
      for (; i + lanes_ <= count; i += lanes_) {
        store_narrowed(d, hn::LoadU(d, from + i), to + i);
      }
      if (i == count) continue;
      store_narrowed(d, hn::LoadU(d, from + i), rest);
      std::copy_n(rest, count - i, to + i);
    }
  }

  const ConvTask& t_;
  const ConvPlan& plan_;
  const ConvPhase& phase_;
  const Acc* image_;
  const Acc* weights_;
  T* out_;
  const Panels panels_;
  const TermBlocks blocks_;
  const Bf16DotTable* const dot_;  // of bfloat16 pairs, or nullptr
  const int64_t lanes_;
  const int64_t width_;
  const bool in_place_;
  const int64_t readable_;
  const int64_t lines_;  // rows of pixels in a sample
  const int64_t first_row_;
  const int64_t end_row_;
  Acc* sums_ = nullptr;
  int64_t sums_row_ = 0;
};

template <class T>
void conv_compute(const ConvTask& task) {
  ConvBlock<T>(task).run();
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
