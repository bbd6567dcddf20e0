// The innermost pieces of the matrix product, compiled once per Highway target: loads and stores
// that convert, and the register-tile kernels.
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
HWY_INLINE float widen_one(Half x) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  // The processor's own conversion, for what is read in steps.
  const hn::CappedTag<float, 1> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  return hn::GetLane(hn::PromoteTo(d, hn::BitCast(half, hn::Set(d16, x.bits))));
#else
  return to_float(x);
#endif
}
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
