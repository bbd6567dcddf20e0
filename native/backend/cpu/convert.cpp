// See convert.h. Plain loops that the compiler vectorises for each instruction set, except
// float16, whose hardware conversions are named. A pair with a half type on one side goes through
// a short run of floats; float64 -> half is direct, because it must round once.
#include "backend/cpu/convert.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/convert.cpp"
#include "hwy/foreach_target.h"

#include "backend/cpu/bfloat-inl.h"
#include "backend/cpu/places-inl.h"
#include "core/integer_cast.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class S, class T>
HWY_INLINE T cast_one(S v) {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(v);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(v);
  } else if constexpr (kIsHalf<S>) {
    return cast_one<float, T>(to_float(v));
  } else if constexpr (std::is_same_v<T, bool>) {
    return v != S{0};
  } else if constexpr (std::is_floating_point_v<S> && std::is_integral_v<T>) {
    return float_to_integer<T>(v);
  } else {
    return static_cast<T>(v);
  }
}

template <class S, class T>
HWY_ATTR void convert_plain(const void* in, void* out, size_t n) {
  const S* HWY_RESTRICT from = static_cast<const S*>(in);
  T* HWY_RESTRICT to = static_cast<T*>(out);
  for (size_t i = 0; i < n; ++i) to[i] = cast_one<S, T>(from[i]);
}

template <class T>
HWY_ATTR void convert_same(const void* in, void* out, size_t n) {
  std::memcpy(out, in, n * sizeof(T));
}

#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
HWY_ATTR void half_to_float(const void* in, void* out, size_t n) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const size_t lanes = hn::Lanes(df);
  const auto* from = static_cast<const hwy::float16_t*>(in);
  float* to = static_cast<float*>(out);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::PromoteTo(df, hn::LoadU(dh, from + i)), df, to + i);
  }
  const Half* rest = static_cast<const Half*>(in);
  for (; i < n; ++i) to[i] = to_float(rest[i]);
}

HWY_ATTR void float_to_half(const void* in, void* out, size_t n) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const size_t lanes = hn::Lanes(df);
  const float* from = static_cast<const float*>(in);
  auto* to = static_cast<hwy::float16_t*>(out);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::DemoteTo(dh, hn::LoadU(df, from + i)), dh, to + i);
  }
  Half* rest = static_cast<Half*>(out);
  for (; i < n; ++i) rest[i] = to_half(from[i]);
}
#else
HWY_ATTR void half_to_float(const void* in, void* out, size_t n) {
  convert_plain<Half, float>(in, out, n);
}
HWY_ATTR void float_to_half(const void* in, void* out, size_t n) {
  convert_plain<float, Half>(in, out, n);
}
#endif

HWY_ATTR void float_to_bfloat(const void* in, void* out, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float* from = static_cast<const float*>(in);
  auto* to = static_cast<uint16_t*>(out);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::LoadU(d, from + i);
    const auto b = hn::LoadU(d, from + i + lanes);
    store_bfloats(d, a, b, to + i);
  }
  auto* rest = static_cast<BFloat16*>(out);
  for (; i < n; ++i) rest[i] = to_bfloat16(from[i]);
}

template <class S, class T>
HWY_INLINE void convert_run(const void* in, void* out, size_t n) {
  if constexpr (std::is_same_v<S, Half> && std::is_same_v<T, float>) {
    half_to_float(in, out, n);
  } else if constexpr (std::is_same_v<S, float> && std::is_same_v<T, Half>) {
    float_to_half(in, out, n);
  } else if constexpr (std::is_same_v<S, float> && std::is_same_v<T, BFloat16>) {
    float_to_bfloat(in, out, n);
  } else {
    convert_plain<S, T>(in, out, n);
  }
}

template <class S, class T>
HWY_ATTR void convert_through_float(const void* in, void* out, size_t n) {
  constexpr size_t kRun = 256;
  HWY_ALIGN float run[kRun];
  const S* from = static_cast<const S*>(in);
  T* to = static_cast<T*>(out);
  for (size_t i = 0; i < n; i += kRun) {
    const size_t count = std::min(kRun, n - i);
    convert_run<S, float>(from + i, run, count);
    convert_run<float, T>(run, to + i, count);
  }
}

template <class S, class T>
constexpr ConvertFn pick() {
  if constexpr (std::is_same_v<S, T>) {
    return &convert_same<T>;
  } else if constexpr (std::is_same_v<S, Half> && std::is_same_v<T, float>) {
    return &half_to_float;
  } else if constexpr (std::is_same_v<S, float> && std::is_same_v<T, Half>) {
    return &float_to_half;
  } else if constexpr (std::is_same_v<S, float> && std::is_same_v<T, BFloat16>) {
    return &float_to_bfloat;
  } else if constexpr ((kIsHalf<S> && !std::is_same_v<T, float>) ||
                       (kIsHalf<T> && !std::is_floating_point_v<S>)) {
    return &convert_through_float<S, T>;
  } else {
    return &convert_plain<S, T>;
  }
}

#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
template <class S, class T>
HWY_INLINE void convert_line(const S* from, T* line) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const size_t n = 64 / sizeof(T);
  if constexpr (std::is_same_v<T, float>) {
    using Lane = std::conditional_t<std::is_same_v<S, Half>, hwy::float16_t, hwy::bfloat16_t>;
    const hn::Rebind<Lane, decltype(d)> narrow;
    const auto* halves = reinterpret_cast<const Lane*>(from);
    for (size_t i = 0; i < n; i += lanes) {
      hn::Store(hn::PromoteTo(d, hn::LoadU(narrow, halves + i)), d, line + i);
    }
  } else if constexpr (std::is_same_v<T, Half>) {
    const hn::Rebind<hwy::float16_t, decltype(d)> narrow;
    auto* halves = reinterpret_cast<hwy::float16_t*>(line);
    for (size_t i = 0; i < n; i += lanes) {
      hn::Store(hn::DemoteTo(narrow, hn::LoadU(d, from + i)), narrow, halves + i);
    }
  } else {
    auto* bits = reinterpret_cast<uint16_t*>(line);
    for (size_t i = 0; i < n; i += 2 * lanes) {
      store_bfloats(d, hn::LoadU(d, from + i), hn::LoadU(d, from + i + lanes), bits + i);
    }
  }
}

// Whole lines past the caches.
template <class S, class T>
HWY_ATTR void convert_streamed(const void* in, void* out, size_t n) {
  constexpr size_t kLine = 64 / sizeof(T);
  // As wide as the stores of convert_line: a load of what two of them wrote would wait for both.
  using Narrow = hn::Rebind<uint16_t, hn::ScalableTag<float>>;
  const std::conditional_t<std::is_same_v<T, Half>, hn::Repartition<uint8_t, Narrow>,
                           hn::ScalableTag<uint8_t>>
      bytes;
  const S* from = static_cast<const S*>(in);
  T* to = static_cast<T*>(out);
  const auto line = [&](size_t at) HWY_ATTR {
    alignas(64) T run[kLine];
    convert_line(from + at, run);
    for (size_t i = 0; i < 64; i += hn::Lanes(bytes)) {
      hn::Stream(hn::Load(bytes, reinterpret_cast<const uint8_t*>(run) + i), bytes,
                 reinterpret_cast<uint8_t*>(to + at) + i);
    }
  };
  each_line<4, kLine, T>(n, line);
}

template <class S, class T>
void set_stream(ConvertTable* table) {
  table->fns[static_cast<int>(dtype_of<S>)][static_cast<int>(dtype_of<T>)] =
      &convert_streamed<S, T>;
}

void fill_streams(ConvertTable* table) {
  set_stream<float, Half>(table);
  set_stream<float, BFloat16>(table);
  set_stream<Half, float>(table);
  set_stream<BFloat16, float>(table);
}
#else
void fill_streams(ConvertTable*) {}
#endif

template <class S>
void fill_from(ConvertFn* row) {
  int i = 0;
#define AG_CONVERT_TO(name, cpp, text) row[i++] = pick<S, cpp>();
  AG_FOR_EACH_DTYPE(AG_CONVERT_TO)
#undef AG_CONVERT_TO
}

void fill_converts(ConvertFn (*table)[kNumDTypes]) {
  int i = 0;
#define AG_CONVERT_FROM(name, cpp, text) fill_from<cpp>(table[i++]);
  AG_FOR_EACH_DTYPE(AG_CONVERT_FROM)
#undef AG_CONVERT_FROM
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(fill_converts);
HWY_EXPORT(fill_streams);

void fill_convert_table(ConvertTable* table) { HWY_DYNAMIC_DISPATCH(fill_converts)(table->fns); }

ConvertFn convert_fn(DType from, DType to) {
  static const ConvertTable table = [] {
    ConvertTable t;
    fill_convert_table(&t);
    return t;
  }();
  return table.fns[static_cast<int>(from)][static_cast<int>(to)];
}

ConvertFn stream_convert_fn(DType from, DType to) {
  static const ConvertTable table = [] {
    ConvertTable t{};
    HWY_DYNAMIC_DISPATCH(fill_streams)(&t);
    return t;
  }();
  return table.fns[static_cast<int>(from)][static_cast<int>(to)];
}

}  // namespace ampgrad::cpu
#endif
