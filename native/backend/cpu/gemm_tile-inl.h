// The blocked loops of one product on one thread, compiled once per Highway target: blocks of k
// and n are packed for B, blocks of m for A, register tiles fill C. Low-precision results keep
// their sums in float until the last block of k, so they are rounded once;
// an activation sees the sum before that.
#if defined(AMPGRAD_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_GEMM_TILE_INL_H_
#undef AMPGRAD_GEMM_TILE_INL_H_
#else
#define AMPGRAD_GEMM_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/gemm_pack-inl.h"
#include "math/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace math = ::ampgrad::math::HWY_NAMESPACE;

struct NoActivation {
  template <class V>
  static HWY_INLINE V apply(V x) {
    return x;
  }
};

// Terms summed in registers and columns of a packed block of B, for the level beyond that of A.
// Sums that would have to wait in memory for a second block of terms get up to kWholeK terms at
// once, whatever dtype the result has, so that all of them round the same sums.
#if HWY_TARGET == HWY_AVX2
inline constexpr int64_t kBlockK = 512;
inline constexpr int64_t kWholeK = 1024;
#else
inline constexpr int64_t kBlockK = 384;
inline constexpr int64_t kWholeK = kBlockK;
#endif
inline constexpr int64_t kBlockN = 1024;
inline constexpr int64_t kAccumulatorRows = 768;
// Operands that meet no more columns (or rows) of the other are not used often enough to be worth
// packing.
inline constexpr int64_t kDirect = 128;
// Elements of a cache line: widened rows are an odd number of lines apart, to share no cache sets.
inline constexpr int64_t kLine = 16;
// The first-level cache of most processors, 32 KiB.
inline constexpr int64_t kCacheSets = 64;
inline constexpr int64_t kCacheWays = 8;

// `Out` is T, or for float32 results of halves RoundedHalf or float: see GemmParams::widened.
template <class T, class Out = T>
class Tile {
 public:
  using Acc = AccOf<T>;

  explicit Tile(const GemmParams& p)
      : p_(p),
        a_(static_cast<const T*>(p.a)),
        b_(static_cast<const T*>(p.b)),
        c_(static_cast<Out*>(p.c)),
        lanes_(static_cast<int64_t>(hn::Lanes(hn::ScalableTag<Acc>()))),
        width_(kMaxVectors * lanes_),
        dot_(dot_table()),
        k_(dot_ != nullptr ? ceil_div(p.k, 2) : p.k),
        k_blocks_(!std::is_same_v<T, Acc> && k_ <= kWholeK ? 1 : ceil_div(k_, kBlockK)),
        k_block_(round_up(ceil_div(k_, k_blocks_), 4)),
        n_block_(std::min(round_up(p.n, width_), round_up(kBlockN, width_))),
        plain_(p.alpha == 1 && p.beta == 0 && p.bias == nullptr && !p.epilogue.wanted()),
        direct_a_(std::is_same_v<T, Acc> && p.n <= kDirect && rows_cache_well()),
        direct_b_(std::is_same_v<T, Acc> && p.b_col == 1 && p.m <= kDirect && panel_caches_well()),
        widened_a_(!std::is_same_v<T, Acc> && dot_ == nullptr && p.n <= kDirect && p.a_col == 1),
        a_stride_(round_up(k_block_, kLine) | kLine) {
    const int64_t wanted = gemm_block_bytes() / (k_block_ * static_cast<int64_t>(sizeof(Acc)));
    const int64_t most = round_up(std::max<int64_t>(wanted, 1), kMaxRows);
    m_block_ = round_up(ceil_div(p.m, ceil_div(p.m, most)), kMaxRows);
    use_accumulator_ = !std::is_same_v<Out, Acc> && k_blocks_ > 1;
    m_span_ = use_accumulator_ ? std::min(p.m, kAccumulatorRows) : p.m;
    packed_a_ = scratch(GemmSlot::A, direct_a_ ? 0 : (m_block_ + kMaxRows) * a_stride_);
    packed_b_ = scratch(GemmSlot::B, n_block_ * k_block_);
    if (use_accumulator_) accumulator_ = scratch(GemmSlot::Accumulator, m_span_ * n_block_);
  }

  void run() {
    for (int64_t j = 0; j < p_.n; j += n_block_) {
      for (int64_t i = 0; i < p_.m; i += m_span_) {
        for (int64_t p = 0; p < k_; p += k_block_) {
          run_block(i, std::min(m_span_, p_.m - i), j, std::min(n_block_, p_.n - j), p,
                    std::min(k_block_, k_ - p));
        }
      }
    }
  }

  // Where bfloat16 is multiplied in pairs; nullptr elsewhere.
  static const Bf16DotTable* dot_table() {
#if HWY_TARGET == HWY_AVX3
    static_assert(kMaxRows == kDotRows);
    if constexpr (std::is_same_v<T, BFloat16>) return bf16_dot_table();
#endif
    return nullptr;
  }

 private:
  static Acc* scratch(GemmSlot slot, int64_t elements) {
    return static_cast<Acc*>(
        gemm_scratch(slot, static_cast<size_t>(elements + kPanelSlack) * sizeof(Acc)));
  }

  // One panel of `k` steps from step p0 on.
  void pack(const T* src, int64_t w_stride, int64_t k_stride, int64_t valid, int64_t readable,
            int64_t width, int64_t p0, int64_t k, Acc* dst) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      if (dot_ != nullptr) {
        pack_pairs(src + 2 * p0 * k_stride, w_stride, k_stride, valid, readable, width,
                   std::min(2 * k, p_.k - 2 * p0), dst);
        return;
      }
    }
    pack_panel(src + p0 * k_stride, w_stride, k_stride, valid, readable, width, k, dst);
  }

  const T* a_at(int64_t i, int64_t p) const { return a_ + i * p_.a_row + p * p_.a_col; }
  const T* b_at(int64_t p, int64_t j) const { return b_ + p * p_.b_row + j * p_.b_col; }

  // Rows a multiple of 4 KiB apart share their cache sets: no more of them can be read side by side
  // than a set has ways, unless the columns used are few.
  bool rows_cache_well() const {
    return kMaxRows <= 8 || p_.a_col != 1 ||
           p_.a_row * static_cast<int64_t>(sizeof(T)) % 4096 != 0 || p_.n <= width_;
  }

  // A panel of B that is used again should fit into the sets of the first-level cache that its rows
  // fall into, few where they are a power of two apart. Few uses are not worth packing it all the
  // same, unless it shares a set of the second level too.
  bool panel_caches_well() const {
    const int64_t line = kLine * static_cast<int64_t>(sizeof(float));
    const int64_t stride = p_.b_row * static_cast<int64_t>(sizeof(T));
    if (p_.m <= kMaxRows || stride % line != 0) return true;
    const int64_t bytes = k_block_ * width_ * static_cast<int64_t>(sizeof(T));
    if (p_.m <= kDirect / 2) return stride % 4096 != 0 || bytes <= (32 << 10);
    const int64_t sets = kCacheSets / std::gcd(kCacheSets, stride / line);
    return bytes <= sets * kCacheWays * line;
  }

  // Whole panels of a dense B can be multiplied in place; the last, narrower one is packed.
  bool reads_b(int64_t cols) const { return direct_b_ && cols % lanes_ == 0; }
  int64_t panel_width(int64_t cols) const { return cols > lanes_ ? width_ : lanes_; }

  void pack_b_panel(int64_t j, int64_t cols, int64_t p0, int64_t k, Acc* to) {
    if (reads_b(cols)) return;
    if constexpr (!std::is_same_v<T, Acc>) {
      if (p_.b_rounded) {
        const auto* from = static_cast<const Rounded<T>*>(p_.b) + p0 * p_.b_row + j * p_.b_col;
        pack_panel(from, p_.b_col, p_.b_row, cols, p_.n - j, panel_width(cols), k, to);
        return;
      }
    }
    pack(b_at(0, j), p_.b_col, p_.b_row, cols, p_.n - j, panel_width(cols), p0, k, to);
  }

  void run_block(int64_t i0, int64_t m, int64_t j0, int64_t n, int64_t p0, int64_t k) {
    // A panel of B that a single block of A meets is packed just before, and stays in the
    // first-level cache.
    const bool at_once = m <= m_block_;
    for (int64_t j = 0; j < n && !at_once; j += width_) {
      pack_b_panel(j0 + j, std::min(width_, n - j), p0, k, packed_b_ + j * k);
    }
    for (int64_t i = 0; i < m; i += m_block_) {
      const Panels panels(std::min(m_block_, m - i));
      if (!direct_a_) pack_a(i0 + i, panels, p0, k);
      for (int64_t j = 0; j < n; j += width_) {
        const int64_t cols = std::min(width_, n - j);
        Acc* panel_b = packed_b_ + (at_once ? 0 : j * k);
        if (at_once) pack_b_panel(j0 + j, cols, p0, k, panel_b);
        int64_t row = 0;
        for (int64_t panel = 0; panel < panels.count; ++panel) {
          const int64_t height = panels.height(panel);
          run_tile(i0 + i + row, height, j0 + j, cols, p0, k,
                   packed_a_ + row * (widened_a_ ? a_stride_ : k), panel_b,
                   use_accumulator_ ? accumulator_ + (i + row) * n_block_ + j : nullptr);
          row += height;
        }
      }
    }
  }

  void pack_a(int64_t i0, const Panels& panels, int64_t p0, int64_t k) {
    if (widened_a_) {
      for (int64_t r = 0; r < panels.rows; ++r) {
        widen_run(a_at(i0 + r, p0), k, packed_a_ + r * a_stride_);
      }
      return;
    }
    int64_t row = 0;
    for (int64_t panel = 0; panel < panels.count; ++panel) {
      const int64_t height = panels.height(panel);
      pack(a_at(i0 + row, 0), p_.a_row, p_.a_col, height, p_.m - i0 - row, height, p0, k,
           packed_a_ + row * k);
      row += height;
    }
  }

  void run_tile(int64_t i, int64_t rows, int64_t j, int64_t cols, int64_t p, int64_t k,
                const Acc* panel_a, const Acc* panel_b, Acc* sums) {
    HWY_ALIGN Acc temporary[kMaxRows * kMaxVectors * HWY_MAX_BYTES / sizeof(Acc)];
    const bool first = p == 0;
    const bool last = p + k == k_;
    const int64_t width = panel_width(cols);
    const size_t vectors = cols > lanes_ ? 1 : 0;  // less one
    int64_t a_row = 1;
    int64_t a_k = rows;
    int64_t b_k = width;
    Acc* out = temporary;
    int64_t out_row = width;
    bool add = false;
    bool finish_tile = true;
    const bool bare = plain_ || (!last && p_.alpha == 1 && p_.beta == 0);
    const bool in_place = bare && cols == width;
    if (widened_a_) {
      a_row = a_stride_;
      a_k = 1;
    }
    const size_t packed = direct_a_ || widened_a_ ? 0 : 1;
    if constexpr (std::is_same_v<T, Acc>) {
      if (direct_a_) {
        panel_a = a_at(i, p);
        a_row = p_.a_row;
        a_k = p_.a_col;
      }
      if (reads_b(cols)) {
        panel_b = b_at(p, j);
        b_k = p_.b_row;
      }
    }
    if constexpr (std::is_same_v<Out, Acc>) {
      if (in_place) {
        out = c_ + i * p_.c_row + j;
        out_row = p_.c_row;
        add = !first;
        finish_tile = false;
      }
    } else if (sums != nullptr) {
      out = sums;
      out_row = n_block_;
      add = !first;
      finish_tile = last;
    } else if (in_place && dot_ == nullptr) {
      kMicroTable<Acc, Out>.fn[rows - 1][vectors][packed](k, panel_a, a_row, a_k, panel_b, b_k,
                                                          c_ + i * p_.c_row + j, p_.c_row, false);
      return;
    }
    if (finish_tile) {
      // C arrives while the products are summed, as it does for a kernel that writes it itself.
      for (int64_t r = 0; r < rows; ++r) {
        const Out* to = c_ + (i + r) * p_.c_row + j;
        hwy::Prefetch(to);
        hwy::Prefetch(to + cols - 1);
      }
    }
    multiply(rows, vectors, packed, k, panel_a, a_row, a_k, panel_b, b_k, out, out_row, add);
    if (!finish_tile) return;
    // C itself carries the sum of the earlier blocks when it has the accumulator's type.
    const Acc beta = first || sums != nullptr ? static_cast<Acc>(p_.beta) : Acc{1};
    finish(out, out_row, rows, cols, i, j, beta, last);
  }

  void multiply(int64_t rows, size_t vectors, size_t packed, int64_t k, const Acc* panel_a,
                int64_t a_row, int64_t a_k, const Acc* panel_b, int64_t b_k, Acc* out,
                int64_t out_row, bool add) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      if (dot_ != nullptr) {
        dot_->fn[rows - 1][vectors](k, panel_a, panel_b, out, out_row, add);
        return;
      }
    }
    kMicroTable<Acc>.fn[rows - 1][vectors][packed](k, panel_a, a_row, a_k, panel_b, b_k, out,
                                                   out_row, add);
  }

  // C = f(alpha * sums + beta * C + bias) on one register tile; beta 0 does not read C. Bias and
  // activation come with the last block of k.
  void finish(const Acc* sums, int64_t sums_row, int64_t rows, int64_t cols, int64_t i, int64_t j,
              Acc beta, bool last) {
    const hn::ScalableTag<Acc> d;
    if constexpr (!std::is_same_v<T, Acc>) {
      if (plain_ && cols == 2 * lanes_) {
        for (int64_t r = 0; r < rows; ++r) {
          const Acc* from = sums + r * sums_row;
          store_narrowed(d, hn::LoadU(d, from), hn::LoadU(d, from + lanes_),
                         c_ + (i + r) * p_.c_row + j);
        }
        return;
      }
    }
    if constexpr (std::is_same_v<Out, T>) {
      switch (last ? p_.epilogue.activation : Activation::None) {
        case Activation::Relu:
          return finish_rows<math::Relu>(sums, sums_row, rows, cols, i, j, beta, last);
        case Activation::Gelu:
          return finish_rows<math::Gelu>(sums, sums_row, rows, cols, i, j, beta, last);
        case Activation::GeluTanh:
          return finish_rows<math::GeluTanh>(sums, sums_row, rows, cols, i, j, beta, last);
        case Activation::Silu:
          return finish_rows<math::Silu>(sums, sums_row, rows, cols, i, j, beta, last);
        case Activation::None:
          break;
      }
    }
    finish_rows<NoActivation>(sums, sums_row, rows, cols, i, j, beta, last);
  }

  template <class F>
  static HWY_INLINE hn::Vec<hn::ScalableTag<Acc>> activated(hn::Vec<hn::ScalableTag<Acc>> v) {
    return F::apply(math::Pack<Acc>{v}).v;
  }

  template <class F>
  void finish_rows(const Acc* sums, int64_t sums_row, int64_t rows, int64_t cols, int64_t i,
                   int64_t j, Acc beta, bool last) {
    const hn::ScalableTag<Acc> d;
    const Acc alpha = static_cast<Acc>(p_.alpha);
    const T* bias = last && p_.bias != nullptr ? static_cast<const T*>(p_.bias) + j : nullptr;
    T* inner = last ? static_cast<T*>(p_.epilogue.inner) : nullptr;
    if (inner != nullptr) inner += i * p_.epilogue.inner_row + j;
    const auto v_alpha = hn::Set(d, alpha);
    const auto v_beta = hn::Set(d, beta);
    for (int64_t r = 0; r < rows; ++r) {
      const Acc* from = sums + r * sums_row;
      Out* to = c_ + (i + r) * p_.c_row + j;
      int64_t c = 0;
      for (; c + lanes_ <= cols; c += lanes_) {
        auto v = hn::Mul(hn::LoadU(d, from + c), v_alpha);
        if (beta != Acc{0}) v = hn::MulAdd(load_widened(d, to + c), v_beta, v);
        if (bias != nullptr) v = hn::Add(v, load_widened(d, bias + c));
        if (inner != nullptr) store_narrowed(d, v, inner + c);
        store_narrowed(d, activated<F>(v), to + c);
      }
      if (c < cols) finish_edge<F>(from, to, bias, inner, c, cols, alpha, beta);
      if (inner != nullptr) inner += p_.epilogue.inner_row;
    }
  }

  // The columns of a row that fill no vector: through a padded copy, so that they see the same
  // operations as the others.
  template <class F>
  void finish_edge(const Acc* from, Out* to, const T* bias, T* inner, int64_t c, int64_t cols,
                   Acc alpha, Acc beta) {
    const hn::ScalableTag<Acc> d;
    HWY_ALIGN Acc lanes[HWY_MAX_BYTES / sizeof(Acc)] = {};
    auto v = hn::Mul(hn::LoadU(d, from + c), hn::Set(d, alpha));
    if (beta != Acc{0}) {
      for (int64_t x = c; x < cols; ++x) lanes[x - c] = widen_one(to[x]);
      v = hn::MulAdd(hn::Load(d, lanes), hn::Set(d, beta), v);
    }
    if (bias != nullptr) {
      for (int64_t x = c; x < cols; ++x) lanes[x - c] = widen_one(bias[x]);
      v = hn::Add(v, hn::Load(d, lanes));
    }
    if (inner != nullptr) {
      hn::Store(v, d, lanes);
      for (int64_t x = c; x < cols; ++x) narrow_one(lanes[x - c], inner + x);
    }
    hn::Store(activated<F>(v), d, lanes);
    for (int64_t x = c; x < cols; ++x) narrow_one(lanes[x - c], to + x);
  }

  const GemmParams& p_;
  const T* a_;
  const T* b_;
  Out* c_;
  const int64_t lanes_;
  const int64_t width_;
  const Bf16DotTable* const dot_;  // of bfloat16 pairs, or nullptr
  const int64_t k_;                // steps: pairs or single terms
  const int64_t k_blocks_;
  const int64_t k_block_;
  const int64_t n_block_;
  const bool plain_;
  const bool direct_a_;
  const bool direct_b_;
  const bool widened_a_;    // dense rows of A, widened without transposing them
  const int64_t a_stride_;  // elements between them
  int64_t m_block_ = 0;
  int64_t m_span_ = 0;
  bool use_accumulator_ = false;
  Acc* packed_a_ = nullptr;
  Acc* packed_b_ = nullptr;
  Acc* accumulator_ = nullptr;
};

template <class T, class Out = T>
void gemm_tile(const GemmParams& params) {
  Tile<T, Out>(params).run();
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
