// The operands of a product as its register tiles read them, compiled once per Highway target:
// panels of a few rows or columns side by side, converted to the type sums have. A panel of A holds
// exactly the rows of its tile (no padding); panels of B are padded with zeros to whole vectors.
#if defined(AMPGRAD_GEMM_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AMPGRAD_GEMM_PACK_INL_H_
#undef AMPGRAD_GEMM_PACK_INL_H_
#else
#define AMPGRAD_GEMM_PACK_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "backend/cpu/gemm_micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

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

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
