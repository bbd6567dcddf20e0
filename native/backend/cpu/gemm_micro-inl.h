// The innermost pieces of the matrix product, compiled once per Highway target: loads and stores
// that convert, packing into panels, and the register-tile kernels. A panel of A holds exactly the
// rows of its tile (no padding); panels of B are padded with zeros to whole vectors.
#if defined(AMPGRAD_GEMM_MICRO_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_GEMM_MICRO_INL_H_
#undef AMPGRAD_GEMM_MICRO_INL_H_
#else
#define AMPGRAD_GEMM_MICRO_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "backend/cpu/bfloat-inl.h"
#include "backend/cpu/ceil_div.h"
#include "core/half.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using AccOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The register tile: kMaxRows x 2 vectors fill the registers beside two vectors of B and one of A.
#if HWY_TARGET == HWY_AVX3
inline constexpr int kMaxRows = 14;
#elif HWY_TARGET == HWY_NEON
inline constexpr int kMaxRows = 12;
#else
inline constexpr int kMaxRows = 6;
#endif
inline constexpr int kMaxVectors = 2;

// Rows are shared out evenly among the panels: no register tile is left with a handful of them.
struct Panels {
  explicit Panels(int64_t m)
      : rows(m), count(ceil_div(m, kMaxRows)), least(m / count), taller(m % count) {}
  int64_t height(int64_t panel) const { return least + (panel < taller ? 1 : 0); }
  int64_t first(int64_t panel) const { return panel * least + std::min(panel, taller); }
  int64_t rows, count;
  int64_t least;   // rows of a panel
  int64_t taller;  // panels with one more
};

// Without conversion instructions Highway's emulation leaves out Inf and NaN.
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
inline constexpr bool kNativeHalf = false;
#else
inline constexpr bool kNativeHalf = true;
#endif

// Two bfloat16 numbers that are neighbours in k, moved as the bits of one float.
struct Bf16Pair {
  uint16_t low;
  uint16_t high;
};

HWY_INLINE float widen_one(Bf16Pair x) {
  float bits;
  hwy::CopySameSize(&x, &bits);
  return bits;
}
HWY_INLINE float widen_one(float x) { return x; }
HWY_INLINE double widen_one(double x) { return x; }
HWY_INLINE float widen_one(Half x) { return to_float(x); }
HWY_INLINE float widen_one(BFloat16 x) { return to_float(x); }

template <class D, class T>
HWY_INLINE hn::Vec<D> load_widened(D d, const T* p) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    const hn::Rebind<uint32_t, D> d32;
    const hn::Rebind<uint16_t, D> d16;
    const auto bits = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p));
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
  } else if constexpr (std::is_same_v<T, Half>) {
    if constexpr (kNativeHalf) {
      const hn::Rebind<hwy::float16_t, D> d16;
      return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
    } else {
      HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
      for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = to_float(p[i]);
      return hn::Load(d, lanes);
    }
  } else if constexpr (std::is_same_v<T, Bf16Pair>) {
    const hn::Repartition<uint16_t, D> d16;
    return hn::BitCast(d, hn::LoadU(d16, &p->low));
  } else {
    return hn::LoadU(d, p);
  }
}

HWY_INLINE void narrow_one(float x, float* out) { *out = x; }
HWY_INLINE void narrow_one(double x, double* out) { *out = x; }
HWY_INLINE void narrow_one(float x, Half* out) { *out = to_half(x); }
HWY_INLINE void narrow_one(float x, BFloat16* out) { *out = to_bfloat16(x); }

// Rounds to nearest even, as core/half.h does.
template <class D, class T>
HWY_INLINE void store_narrowed(D d, hn::Vec<D> v, T* p) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    store_bfloat(d, v, reinterpret_cast<uint16_t*>(p));
  } else if constexpr (std::is_same_v<T, Half>) {
    if constexpr (kNativeHalf) {
      const hn::Rebind<hwy::float16_t, D> d16;
      hn::StoreU(hn::DemoteTo(d16, v), d16, reinterpret_cast<hwy::float16_t*>(p));
    } else {
      HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
      hn::Store(v, d, lanes);
      for (size_t i = 0; i < hn::Lanes(d); ++i) p[i] = to_half(lanes[i]);
    }
  } else {
    hn::StoreU(v, d, p);
  }
}

// A float that holds a number of float16.
struct RoundedHalf {
  float value;
};

template <class D>
HWY_INLINE hn::Vec<D> load_widened(D d, const RoundedHalf* p) {
  return hn::LoadU(d, &p->value);
}
HWY_INLINE float widen_one(RoundedHalf x) { return x.value; }
HWY_INLINE void narrow_one(float x, RoundedHalf* out) { out->value = to_float(to_half(x)); }

template <class D>
HWY_INLINE void store_narrowed(D d, hn::Vec<D> v, RoundedHalf* p) {
  if constexpr (kNativeHalf) {
    const hn::Rebind<hwy::float16_t, D> d16;
    hn::StoreU(hn::PromoteTo(d, hn::DemoteTo(d16, v)), d, &p->value);
  } else {
    HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
    hn::Store(v, d, lanes);
    for (size_t i = 0; i < hn::Lanes(d); ++i) narrow_one(lanes[i], p + i);
  }
}

// How results of T are stored in float32; see GemmParams::widened.
template <class T>
using WidenedOf = std::conditional_t<std::is_same_v<T, Half>, RoundedHalf,
                                     std::conditional_t<std::is_same_v<T, BFloat16>, float, T>>;

// A float that is rounded to the half type T when it is read.
template <class T>
struct Rounded {
  float value;
};

template <class T, class D>
HWY_INLINE hn::Vec<D> rounded(D d, hn::Vec<D> v) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    const hn::Rebind<uint32_t, D> d32;
    return hn::BitCast(d, hn::And(round_to_bfloat(d, v), hn::Set(d32, 0xffff0000U)));
  } else if constexpr (kNativeHalf) {
    const hn::Rebind<hwy::float16_t, D> d16;
    return hn::PromoteTo(d, hn::DemoteTo(d16, v));
  } else {
    HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
    hn::Store(v, d, lanes);
    for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = to_float(to_half(lanes[i]));
    return hn::Load(d, lanes);
  }
}

// Two vectors at once, which costs bfloat16 one search for NaN.
template <class T, class D>
HWY_INLINE void round_pair(D d, hn::Vec<D>& a, hn::Vec<D>& b) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    const hn::Rebind<uint32_t, D> d32;
    hn::Vec<decltype(d32)> upper_a;
    hn::Vec<decltype(d32)> upper_b;
    round_to_bfloat(d, a, b, upper_a, upper_b);
    a = hn::BitCast(d, hn::And(upper_a, hn::Set(d32, 0xffff0000U)));
    b = hn::BitCast(d, hn::And(upper_b, hn::Set(d32, 0xffff0000U)));
  } else {
    a = rounded<T>(d, a);
    b = rounded<T>(d, b);
  }
}

template <class D, class T>
HWY_INLINE hn::Vec<D> load_widened(D d, const Rounded<T>* p) {
  return rounded<T>(d, hn::LoadU(d, &p->value));
}
template <class T>
HWY_INLINE float widen_one(Rounded<T> x) {
  T half;
  narrow_one(x.value, &half);
  return to_float(half);
}

// Two vectors, one behind the other.
template <class D, class T>
HWY_INLINE void store_narrowed(D d, hn::Vec<D> a, hn::Vec<D> b, T* p) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    store_bfloats(d, a, b, reinterpret_cast<uint16_t*>(p));
  } else {
    store_narrowed(d, a, p);
    store_narrowed(d, b, p + hn::Lanes(d));
  }
}

// The last vector overlaps the one before it.
template <class T, class Acc>
HWY_INLINE void widen_run(const T* HWY_RESTRICT from, int64_t n, Acc* HWY_RESTRICT to) {
  const hn::ScalableTag<Acc> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (n < lanes) {
    for (int64_t i = 0; i < n; ++i) to[i] = widen_one(from[i]);
    return;
  }
  for (int64_t i = 0; i + lanes <= n; i += lanes) hn::StoreU(load_widened(d, from + i), d, to + i);
  hn::StoreU(load_widened(d, from + n - lanes), d, to + n - lanes);
}

// ---- packing: dst[p * width + w] = src[w * w_stride + p * k_stride] -----------------------------

// Elements a panel may be written beyond its end (whole vectors are stored); reserved by callers.
inline constexpr int64_t kPanelSlack = 64;

template <class T, class Acc>
HWY_INLINE void pack_scalar(const T* src, int64_t w_stride, int64_t k_stride, int64_t valid,
                            int64_t width, int64_t k0, int64_t k, Acc* dst) {
  for (int64_t p = k0; p < k; ++p) {
    const T* from = src + p * k_stride;
    Acc* to = dst + p * width;
    for (int64_t w = 0; w < valid; ++w) to[w] = widen_one(from[w * w_stride]);
    for (int64_t w = valid; w < width; ++w) to[w] = Acc{0};
  }
}

// Panel elements are adjacent in the source. `readable` counts the adjacent source elements that
// exist (>= valid), so that whole vectors can be read beyond the panel.
template <class T, class Acc>
void pack_rows(const T* src, int64_t k_stride, int64_t valid, int64_t readable, int64_t width,
               int64_t k, Acc* dst) {
  const hn::ScalableTag<Acc> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t vectors = (width + lanes - 1) / lanes;
  if (valid != width || vectors * lanes > readable) {
    pack_scalar(src, 1, k_stride, valid, width, 0, k, dst);
    return;
  }
  if (vectors == 2) {
    for (int64_t p = 0; p < k; ++p) {
      const auto v0 = load_widened(d, src + p * k_stride);
      const auto v1 = load_widened(d, src + p * k_stride + lanes);
      hn::StoreU(v0, d, dst + p * width);
      hn::StoreU(v1, d, dst + p * width + lanes);
    }
    return;
  }
  for (int64_t p = 0; p < k; ++p) {
    for (int64_t v = 0; v < vectors; ++v) {
      hn::StoreU(load_widened(d, src + p * k_stride + v * lanes), d, dst + p * width + v * lanes);
    }
  }
}

#if HWY_TARGET == HWY_SCALAR
template <class T, class Acc>
void pack_columns(const T* src, int64_t w_stride, int64_t valid, int64_t width, int64_t k,
                  Acc* dst) {
  pack_scalar(src, w_stride, 1, valid, width, 0, k, dst);
}
#else
// Four k of as many source rows as D has lanes: row r + 4 * b is block b of vector r.
template <class D, class T>
HWY_INLINE hn::Vec<D> load_blocks(D d, const T* p, int64_t w_stride) {
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
  if constexpr (kLanes == 4) {
    return load_widened(d, p);
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, load_blocks(half, p + kLanes / 2 * w_stride, w_stride),
                       load_blocks(half, p, w_stride));
  }
}

// Four neighbouring rows of blocks.
template <class D, class T>
HWY_INLINE void load_four(D d, const T* p, int64_t w_stride, hn::Vec<D> (&v)[4]) {
  for (int64_t r = 0; r < 4; ++r) v[r] = load_blocks(d, p + r * w_stride, w_stride);
}
template <class D, class T>
HWY_INLINE void load_four(D d, const Rounded<T>* p, int64_t w_stride, hn::Vec<D> (&v)[4]) {
  load_four(d, &p->value, w_stride, v);
  round_pair<T>(d, v[0], v[1]);
  round_pair<T>(d, v[2], v[3]);
}

// Transposes the 4 x 4 matrix in each block and stores the four results `width` apart.
template <class D>
HWY_INLINE void store_transposed(D d, hn::Vec<D> v0, hn::Vec<D> v1, hn::Vec<D> v2, hn::Vec<D> v3,
                                 int64_t width, float* dst) {
  const hn::Repartition<double, D> pairs;
  const auto t0 = hn::BitCast(pairs, hn::InterleaveLower(d, v0, v1));
  const auto t1 = hn::BitCast(pairs, hn::InterleaveUpper(d, v0, v1));
  const auto t2 = hn::BitCast(pairs, hn::InterleaveLower(d, v2, v3));
  const auto t3 = hn::BitCast(pairs, hn::InterleaveUpper(d, v2, v3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, t0, t2)), d, dst);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, t0, t2)), d, dst + width);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, t1, t3)), d, dst + 2 * width);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, t1, t3)), d, dst + 3 * width);
}

// Four source rows of which only `rows` exist; zeros stand for the others.
template <class T>
HWY_INLINE void pack_partial_block(const T* src, int64_t w_stride, int64_t rows, int64_t width,
                                   float* dst) {
  const hn::FixedTag<float, 4> d;
  const auto zero = hn::Zero(d);
  const auto v0 = rows > 0 ? load_widened(d, src) : zero;
  const auto v1 = rows > 1 ? load_widened(d, src + w_stride) : zero;
  const auto v2 = rows > 2 ? load_widened(d, src + 2 * w_stride) : zero;
  const auto v3 = rows > 3 ? load_widened(d, src + 3 * w_stride) : zero;
  store_transposed(d, v0, v1, v2, v3, width, dst);
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
inline constexpr bool kHalfBlocks = true;

// Eight k of eight source rows of halves: transposed as 16-bit numbers, then widened. A vector
// holds row r in its lower block and row r + 4 in its upper one.
template <class T>
HWY_INLINE void pack_half_block(const T* src, int64_t w_stride, int64_t width, float* dst) {
  const hn::FixedTag<uint16_t, 16> d16;
  const hn::Half<decltype(d16)> half;
  const hn::FixedTag<uint32_t, 8> d32;
  const hn::FixedTag<float, 8> d;
  const auto rows = [&](int64_t r) {
    const auto* from = reinterpret_cast<const uint16_t*>(src) + r * w_stride;
    return hn::Combine(d16, hn::LoadU(half, from + 4 * w_stride), hn::LoadU(half, from));
  };
  const auto v0 = rows(0);
  const auto v1 = rows(1);
  const auto v2 = rows(2);
  const auto v3 = rows(3);
  const auto store = [&](hn::Vec<decltype(d32)> v, int64_t k) {
    float* to = dst + k * width;  // v: four rows of k, then of k + 1, in each block
    if constexpr (std::is_same_v<T, BFloat16>) {
      const auto bits = hn::BitCast(d16, v);
      const auto zero = hn::Zero(d16);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d16, zero, bits)), d, to);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d16, zero, bits)), d, to + width);
    } else {
      const __m256i ordered = _mm256_permute4x64_epi64(v.raw, 0xd8);
      _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm256_castsi256_si128(ordered)));
      _mm256_storeu_ps(to + width, _mm256_cvtph_ps(_mm256_extracti128_si256(ordered, 1)));
    }
  };
  const auto low01 = hn::BitCast(d32, hn::InterleaveLower(d16, v0, v1));
  const auto low23 = hn::BitCast(d32, hn::InterleaveLower(d16, v2, v3));
  store(hn::InterleaveLower(d32, low01, low23), 0);
  store(hn::InterleaveUpper(d32, low01, low23), 2);
  const auto high01 = hn::BitCast(d32, hn::InterleaveUpper(d16, v0, v1));
  const auto high23 = hn::BitCast(d32, hn::InterleaveUpper(d16, v2, v3));
  store(hn::InterleaveLower(d32, high01, high23), 4);
  store(hn::InterleaveUpper(d32, high01, high23), 6);
}
#else
inline constexpr bool kHalfBlocks = false;
#endif

// Panels of six rows, the tallest of 256-bit registers, which blocks of four don't divide.
template <class T>
HWY_INLINE void pack_six(const T* src, int64_t w_stride, int64_t k, float* dst) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> pairs;
  const auto joined = [&](auto lower, auto upper) {
    return hn::BitCast(
        d, hn::InterleaveLower(pairs, hn::BitCast(pairs, lower), hn::BitCast(pairs, upper)));
  };
  const auto uppers = [&](auto lower, auto upper) {
    return hn::BitCast(
        d, hn::InterleaveUpper(pairs, hn::BitCast(pairs, lower), hn::BitCast(pairs, upper)));
  };
  for (int64_t p = 0; p + 4 <= k; p += 4) {
    hn::Vec<decltype(d)> v[6];
    for (int64_t r = 0; r < 6; ++r) v[r] = load_widened(d, src + r * w_stride + p);
    float* to = dst + p * 6;
    const auto low01 = hn::InterleaveLower(d, v[0], v[1]);
    const auto low23 = hn::InterleaveLower(d, v[2], v[3]);
    const auto low45 = hn::InterleaveLower(d, v[4], v[5]);
    hn::StoreU(joined(low01, low23), d, to);
    hn::StoreU(hn::ConcatUpperLower(d, low01, low45), d, to + 4);
    hn::StoreU(uppers(low23, low45), d, to + 8);
    const auto high01 = hn::InterleaveUpper(d, v[0], v[1]);
    const auto high23 = hn::InterleaveUpper(d, v[2], v[3]);
    const auto high45 = hn::InterleaveUpper(d, v[4], v[5]);
    hn::StoreU(joined(high01, high23), d, to + 12);
    hn::StoreU(hn::ConcatUpperLower(d, high01, high45), d, to + 16);
    hn::StoreU(uppers(high23, high45), d, to + 20);
  }
}

// k runs along the source's unit stride: transposes blocks. A group of source rows is read for a
// cache line's worth of k before the next one, since rows may share cache sets. The rightmost
// block may spill into the next rows of the panel, which are written afterwards; groups go right
// to left.
template <class T>
void pack_columns(const T* src, int64_t w_stride, int64_t valid, int64_t width, int64_t k,
                  float* dst) {
#if HWY_MAX_BYTES >= 32
  const hn::FixedTag<float, 8> d;
  constexpr int64_t kGroup = 8;
#else
  const hn::FixedTag<float, 4> d;
  constexpr int64_t kGroup = 4;
#endif
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t whole = valid / kGroup * kGroup;
  const int64_t k4 = k / 4 * 4;
  if (width == 6 && valid == 6) {
    pack_six(src, w_stride, k4, dst);
    pack_scalar(src, w_stride, 1, valid, width, k4, k, dst);
    return;
  }
  for (int64_t p0 = 0; p0 < k4; p0 += kLine) {
    const int64_t p1 = std::min(p0 + kLine, k4);
    for (int64_t w = (width - 1) / 4 * 4; w >= whole; w -= 4) {
      for (int64_t p = p0; p < p1; p += 4) {
        pack_partial_block(src + w * w_stride + p, w_stride, valid - w, width, dst + p * width + w);
      }
    }
    for (int64_t w = whole - kGroup; w >= 0; w -= kGroup) {
      int64_t p = p0;
      if constexpr (kHalfBlocks && (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)) {
        for (; p + 8 <= p1; p += 8) {
          pack_half_block(src + w * w_stride + p, w_stride, width, dst + p * width + w);
        }
      }
      for (; p < p1; p += 4) {
        hn::Vec<decltype(d)> v[4];
        load_four(d, src + w * w_stride + p, w_stride, v);
        store_transposed(d, v[0], v[1], v[2], v[3], width, dst + p * width + w);
      }
    }
  }
  pack_scalar(src, w_stride, 1, valid, width, k4, k, dst);
}

template <class T>
void pack_columns(const T* src, int64_t w_stride, int64_t valid, int64_t width, int64_t k,
                  double* dst) {
  const hn::FixedTag<double, 2> d2;
  const auto zero = hn::Zero(d2);
  int64_t p = 0;
  for (; p + 2 <= k; p += 2) {
    for (int64_t w = (width - 1) / 2 * 2; w >= 0; w -= 2) {
      const T* from = src + w * w_stride + p;
      const auto v0 = w < valid ? hn::LoadU(d2, from) : zero;
      const auto v1 = w + 1 < valid ? hn::LoadU(d2, from + w_stride) : zero;
      hn::StoreU(hn::InterleaveLower(d2, v0, v1), d2, dst + p * width + w);
      hn::StoreU(hn::InterleaveUpper(d2, v0, v1), d2, dst + (p + 1) * width + w);
    }
  }
  pack_scalar(src, w_stride, 1, valid, width, p, k, dst);
}
#endif

template <class T, class Acc>
HWY_INLINE void pack_panel(const T* src, int64_t w_stride, int64_t k_stride, int64_t valid,
                           int64_t readable, int64_t width, int64_t k, Acc* dst) {
  if (w_stride == 1) {
    pack_rows(src, k_stride, valid, readable, width, k, dst);
  } else if (k_stride == 1) {
    pack_columns(src, w_stride, valid, width, k, dst);
  } else {
    pack_scalar(src, w_stride, k_stride, valid, width, 0, k, dst);
  }
}

// Pairs one at a time; the k past the end counts as 0.
HWY_INLINE void pack_pairs_scalar(const BFloat16* src, int64_t w_stride, int64_t k_stride,
                                  int64_t valid, int64_t width, int64_t k0, int64_t k, float* dst) {
  for (int64_t p = k0; p < k; p += 2) {
    float* to = dst + p / 2 * width;
    for (int64_t w = 0; w < width; ++w) {
      const BFloat16* from = src + w * w_stride + p * k_stride;
      Bf16Pair pair{0, 0};
      if (w < valid) pair.low = from[0].bits;
      if (w < valid && p + 1 < k) pair.high = from[k_stride].bits;
      to[w] = widen_one(pair);
    }
  }
}

// As pack_panel, but two k make one element of the panel.
inline void pack_pairs(const BFloat16* src, int64_t w_stride, int64_t k_stride, int64_t valid,
                       int64_t readable, int64_t width, int64_t k, float* dst) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint32_t, decltype(d)> d32;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = k / 2 * 2;
  const int64_t vectors = (width + lanes - 1) / lanes;
  int64_t done = 0;
  if (w_stride == 1 && valid == width && vectors * lanes <= readable) {
    const auto* bits = reinterpret_cast<const uint16_t*>(src);
    for (; done < whole; done += 2) {
      for (int64_t v = 0; v < vectors; ++v) {
        const uint16_t* from = bits + done * k_stride + v * lanes;
        const auto low = hn::PromoteTo(d32, hn::LoadU(d16, from));
        const auto high = hn::PromoteTo(d32, hn::LoadU(d16, from + k_stride));
        hn::StoreU(hn::BitCast(d, hn::Or(low, hn::ShiftLeft<16>(high))), d,
                   dst + done / 2 * width + v * lanes);
      }
    }
  } else if (k_stride == 1 && w_stride % 2 == 0) {
    pack_columns(reinterpret_cast<const Bf16Pair*>(src), w_stride / 2, valid, width, whole / 2,
                 dst);
    done = whole;
  }
  pack_pairs_scalar(src, w_stride, k_stride, valid, width, done, k, dst);
}

// ---- register tiles -----------------------------------------------------------------------------

// out (+)= A B for `Rows` rows and `Vectors` vectors of columns. Packed panels of A have their
// rows adjacent (row stride 1, k stride Rows); otherwise A is read in place. Results narrower than
// the sums are rounded and never added to.
template <class Acc, class Out = Acc>
using MicroFn = void (*)(int64_t k, const Acc* a, int64_t a_row, int64_t a_k, const Acc* b,
                         int64_t b_k, Out* out, int64_t out_row, bool add);

template <class Acc, class Out, int Rows, int Vectors, bool Packed>
void micro_kernel(int64_t k, const Acc* HWY_RESTRICT a, int64_t a_row, int64_t a_k,
                  const Acc* HWY_RESTRICT b, int64_t b_k, Out* HWY_RESTRICT out, int64_t out_row,
                  bool add) {
  const hn::ScalableTag<Acc> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) acc[r][v] = hn::Zero(d);
  }
  // The result is often not in a cache yet: it arrives while the products are summed.
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    hwy::Prefetch(out + r * out_row);
    hwy::Prefetch(out + r * out_row + Vectors * lanes - 1);
  }
  // A core whose other half is busy issues barely the loads and multiply-adds that this needs: what
  // steps the loop must not take a slot each time.
#pragma GCC unroll 4
  for (int64_t p = 0; p < k; ++p) {
    V bv[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) bv[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const V av = hn::Set(d, Packed ? a[r] : a[r * a_row]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
    }
    a += Packed ? Rows : a_k;
    b += b_k;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    Out* to = out + r * out_row;
    if constexpr (std::is_same_v<Out, Acc>) {
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        Acc* at = to + v * lanes;
        hn::StoreU(add ? hn::Add(hn::LoadU(d, at), acc[r][v]) : acc[r][v], d, at);
      }
    } else if constexpr (Vectors == 2) {
      store_narrowed(d, acc[r][0], acc[r][1], to);
    } else {
      store_narrowed(d, acc[r][0], to);
    }
  }
}

template <class Acc, class Out>
struct MicroTable {
  MicroFn<Acc, Out> fn[kMaxRows][kMaxVectors][2];
};

template <class Acc, class Out, int... R>
constexpr MicroTable<Acc, Out> make_micro_table(std::integer_sequence<int, R...>) {
  return {{{{micro_kernel<Acc, Out, R + 1, 1, false>, micro_kernel<Acc, Out, R + 1, 1, true>},
            {micro_kernel<Acc, Out, R + 1, 2, false>, micro_kernel<Acc, Out, R + 1, 2, true>}}...}};
}

template <class Acc, class Out = Acc>
inline constexpr MicroTable<Acc, Out> kMicroTable =
    make_micro_table<Acc, Out>(std::make_integer_sequence<int, kMaxRows>());

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
