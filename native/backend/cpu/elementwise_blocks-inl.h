// The loops around functors, and the expansion of the table for one compute type. Included by the
// SIMD units once per instruction set. Floats run in explicit vectors; integers, bool and
// comparisons in plain loops that the compiler vectorises.
#if defined(AG_ELEMENTWISE_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef AG_ELEMENTWISE_BLOCKS_INL_H
#undef AG_ELEMENTWISE_BLOCKS_INL_H
#else
#define AG_ELEMENTWISE_BLOCKS_INL_H
#endif

#include <algorithm>
#include <type_traits>
#include <utility>

#include "backend/cpu/bfloat-inl.h"
#include "backend/cpu/elementwise_blocks.h"
#include "backend/cpu/places-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "math/activation-inl.h"
#include "math/arithmetic-inl.h"
#include "math/logic-inl.h"
#include "math/special-inl.h"
#include "math/transcendental-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
namespace math = ::ampgrad::math::HWY_NAMESPACE;

enum class BlockRule { Same, Float, Bool, Logical };

template <class F, class V, class... More>
HWY_INLINE auto apply_functor(const Attrs& attrs, V first, More... more) {
  if constexpr (requires { F::apply(first, more..., attrs); }) {
    return F::apply(first, more..., attrs);
  } else {
    return F::apply(first, more...);
  }
}

template <class F, class T, size_t... I>
HWY_INLINE auto apply_at(const Attrs& attrs, const T* const* in, size_t i,
                         std::index_sequence<I...>) {
  return apply_functor<F>(attrs, in[I][i]...);
}

// Plain loop. Single operands are spread over a short run first, so that there is one loop.
template <class F, class T, size_t N>
HWY_ATTR void plain_block(const void* const* in, void* out, size_t n, uint32_t single,
                          const Attrs& attrs_in) {
  using Arity = std::make_index_sequence<N>;
  using R = decltype(apply_at<F, T>(attrs_in, std::declval<const T* const*>(), 0, Arity()));
  constexpr size_t kRun = 512;
  const Attrs attrs = attrs_in;
  T spread[N][kRun];
  const T* p[N];
  const size_t run = single != 0 ? kRun : n;
  for (size_t j = 0; j < N; ++j) {
    p[j] = static_cast<const T*>(in[j]);
    if ((single >> j & 1u) != 0) {
      std::fill_n(spread[j], std::min(n, kRun), *p[j]);
      p[j] = spread[j];
    }
  }
  R* to = static_cast<R*>(out);
  for (size_t first = 0; first < n; first += run) {
    const size_t count = std::min(run, n - first);
    // An input may be the output itself, element by element: no dependency between iterations.
    if constexpr (N == 1) {
      const T* a = p[0];
#pragma GCC ivdep
      for (size_t i = 0; i < count; ++i) to[i] = apply_functor<F>(attrs, a[i]);
    } else if constexpr (N == 2) {
      const T* a = p[0];
      const T* b = p[1];
#pragma GCC ivdep
      for (size_t i = 0; i < count; ++i) to[i] = apply_functor<F>(attrs, a[i], b[i]);
    } else {
      const T* a = p[0];
      const T* b = p[1];
      const T* c = p[2];
#pragma GCC ivdep
      for (size_t i = 0; i < count; ++i) to[i] = apply_functor<F>(attrs, a[i], b[i], c[i]);
    }
    to += count;
    for (size_t j = 0; j < N; ++j) {
      if ((single >> j & 1u) == 0) p[j] += count;
    }
  }
}

template <class F, class T, size_t... I>
HWY_INLINE math::Pack<T> apply_vector(const Attrs& attrs, const T* const* p,
                                      std::index_sequence<I...>) {
  const hn::ScalableTag<T> d;
  return apply_functor<F>(attrs, math::Pack<T>{hn::LoadU(d, p[I])}...);
}

// Where to read operands from, and how far the next element is: a single one is spread over a
// vector and read again and again.
template <class T, size_t N, size_t Lanes>
HWY_INLINE void read_operands(const void* const* in, uint32_t single, T (&spread)[N][Lanes],
                              const T* (&p)[N], size_t (&step)[N]) {
  for (size_t j = 0; j < N; ++j) {
    p[j] = static_cast<const T*>(in[j]);
    step[j] = 1;
    if ((single >> j & 1u) != 0) {
      std::fill_n(spread[j], Lanes, *p[j]);
      p[j] = spread[j];
      step[j] = 0;
    }
  }
}

// Vectors. The last, partial vector goes through a buffer, so that an element's result never
// depends on its position.
template <class F, class T, size_t N>
HWY_ATTR void vector_block(const void* const* in, void* out, size_t n, uint32_t single,
                           const Attrs& attrs_in) {
  using Arity = std::make_index_sequence<N>;
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  const Attrs attrs = attrs_in;
  HWY_ALIGN T spread[N][kLanes];
  const T* p[N];
  size_t step[N];
  read_operands(in, single, spread, p, step);
  T* to = static_cast<T*>(out);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(apply_vector<F, T>(attrs, p, Arity()).v, d, to + i);
    for (size_t j = 0; j < N; ++j) p[j] += kLanes * step[j];
  }
  if (i == n) return;
  const size_t rest = n - i;
  for (size_t j = 0; j < N; ++j) {
    if (step[j] == 0) continue;
    std::fill_n(spread[j], kLanes, p[j][0]);
    std::copy_n(p[j], rest, spread[j]);
    p[j] = spread[j];
  }
  HWY_ALIGN T last[kLanes];
  hn::Store(apply_vector<F, T>(attrs, p, Arity()).v, d, last);
  std::copy_n(last, rest, to + i);
}

// As vector_block for whole lines of long runs, `kPlaces` places of which are worked on in turn.
// kPast: past the caches straight from registers.
template <class F, class T, size_t N, bool kPast, size_t kPlaces>
HWY_ATTR void vector_places(const void* const* in, void* out, size_t n, uint32_t single,
                            const Attrs& attrs_in) {
  using Arity = std::make_index_sequence<N>;
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kLine = std::max(kLanes, 64 / sizeof(T));
  const Attrs attrs = attrs_in;
  HWY_ALIGN T spread[N][kLanes];
  const T* p[N];
  size_t step[N];
  read_operands(in, single, spread, p, step);
  T* to = static_cast<T*>(out);
  const auto line = [&](size_t at) HWY_ATTR {
    for (size_t i = at; i < at + kLine; i += kLanes) {
      const T* from[N];
      for (size_t j = 0; j < N; ++j) from[j] = p[j] + i * step[j];
      const auto result = apply_vector<F, T>(attrs, from, Arity()).v;
      if constexpr (kPast) {
        hn::Stream(result, d, to + i);
      } else {
        hn::StoreU(result, d, to + i);
      }
    }
  };
  each_line<kPlaces, kLine, T>(n, line);
}

#undef AG_HALF_BLOCKS
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
#define AG_HALF_BLOCKS 1
#else
#define AG_HALF_BLOCKS 0
#endif

#if AG_HALF_BLOCKS
template <class H, class D>
HWY_INLINE hn::Vec<D> load_widened(D d, const H* from) {
  using Lane = std::conditional_t<std::is_same_v<H, Half>, hwy::float16_t, hwy::bfloat16_t>;
  const hn::Rebind<Lane, D> narrow;
  return hn::PromoteTo(d, hn::LoadU(narrow, reinterpret_cast<const Lane*>(from)));
}

// Two vectors, one behind the other.
template <class H, class D>
HWY_INLINE void store_rounded(D d, hn::Vec<D> a, hn::Vec<D> b, H* to) {
  if constexpr (std::is_same_v<H, Half>) {
    const hn::Rebind<hwy::float16_t, D> narrow;
    auto* halves = reinterpret_cast<hwy::float16_t*>(to);
    hn::StoreU(hn::DemoteTo(narrow, a), narrow, halves);
    hn::StoreU(hn::DemoteTo(narrow, b), narrow, halves + hn::Lanes(d));
  } else {
    store_bfloats(d, a, b, reinterpret_cast<uint16_t*>(to));
  }
}

// Halves from memory to memory, floats in registers; a single operand is a float.
template <class F, class H, size_t N>
struct HalfBlock {
  static constexpr size_t kLanes = hn::MaxLanes(hn::ScalableTag<float>());

  template <size_t... I>
  static HWY_INLINE void run_pair(const Attrs& attrs, const H* const* p,
                                  const float (*spread)[kLanes], uint32_t single, H* to,
                                  std::index_sequence<I...>) {
    const hn::ScalableTag<float> d;
    const auto at = [&](size_t j, size_t i) HWY_ATTR {
      return math::Pack<float>{(single >> j & 1u) != 0 ? hn::Load(d, spread[j])
                                                       : load_widened(d, p[j] + i)};
    };
    const auto a = apply_functor<F>(attrs, at(I, 0)...);
    const auto b = apply_functor<F>(attrs, at(I, kLanes)...);
    store_rounded(d, a.v, b.v, to);
  }

  static HWY_ATTR void run(const void* const* in, void* out, size_t n, uint32_t single_in,
                           const Attrs& attrs_in) {
    using Arity = std::make_index_sequence<N>;
    const Attrs attrs = attrs_in;
    const uint32_t single = single_in;
    HWY_ALIGN float spread[N][kLanes];
    const H* p[N];
    for (size_t j = 0; j < N; ++j) {
      p[j] = static_cast<const H*>(in[j]);
      if ((single >> j & 1u) != 0) {
        std::fill_n(spread[j], kLanes, *static_cast<const float*>(in[j]));
      }
    }
    H* to = static_cast<H*>(out);
    size_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
      run_pair(attrs, p, spread, single, to + i, Arity());
      for (size_t j = 0; j < N; ++j) {
        if ((single >> j & 1u) == 0) p[j] += 2 * kLanes;
      }
    }
    if (i == n) return;
    // The rest through a buffer, so that an element's result never depends on its position.
    const size_t rest = n - i;
    HWY_ALIGN H last[N + 1][2 * kLanes];
    for (size_t j = 0; j < N; ++j) {
      if ((single >> j & 1u) != 0) continue;
      std::fill_n(last[j], 2 * kLanes, p[j][0]);
      std::copy_n(p[j], rest, last[j]);
      p[j] = last[j];
    }
    run_pair(attrs, p, spread, single, last[N], Arity());
    std::copy_n(last[N], rest, to + i);
  }
};
#endif

template <class F>
constexpr bool is_cheap() {
  if constexpr (requires { F::kCost; }) {
    return F::kCost <= 2;
  } else {
    return true;
  }
}

// Vectors wider than a line would need more than its alignment.
inline constexpr bool kStreams = hn::MaxLanes(hn::ScalableTag<uint8_t>()) <= 64;

template <class F, class T, size_t N, BlockRule R, uint16_t Set>
void add_row(BlockTable* table, BlockRow row) {
  // Logical operands are read as bool, whatever their dtype.
  constexpr bool kWanted = R == BlockRule::Logical
                               ? std::is_same_v<T, bool>
                               : (Set >> static_cast<int>(dtype_of<T>) & 1u) != 0;
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
#if AG_HALF_BLOCKS
    if constexpr (kWanted && is_cheap<F>() && R != BlockRule::Bool && R != BlockRule::Logical) {
      BlockEntry* const entries = table->entries[static_cast<int>(row)];
      BlockEntry& entry = entries[static_cast<int>(dtype_of<T>)];
      entry = entries[static_cast<int>(DType::Float32)];
      entry.compute = dtype_of<T>;
      entry.wide = &entries[static_cast<int>(DType::Float32)];
      entry.stream = nullptr;
      entry.in_place = nullptr;
      entry.fn = &HalfBlock<F, T, N>::run;
    }
#endif
  } else if constexpr (kWanted) {
    using Result =
        decltype(apply_at<F, T>(std::declval<const Attrs&>(), std::declval<const T* const*>(), 0,
                                std::make_index_sequence<N>()));
    BlockEntry& entry = table->entries[static_cast<int>(row)][static_cast<int>(dtype_of<T>)];
    entry.compute = dtype_of<T>;
    entry.bool_result = std::is_same_v<Result, bool>;
    if constexpr (requires { F::kCost; }) entry.cost = F::kCost;
    if constexpr (std::is_floating_point_v<T> && !std::is_same_v<Result, bool>) {
      entry.fn = &vector_block<F, T, N>;
      if constexpr (std::is_same_v<T, float> && is_cheap<F>() && kStreams) {
        entry.stream = &vector_places<F, T, N, true, 2>;
        entry.in_place = &vector_places<F, T, N, false, 4>;
      }
    } else {
      entry.fn = &plain_block<F, T, N>;
    }
  }
}

// Rows of the table for one compute type.
template <class T>
void fill_rows(BlockTable* table) {
  using namespace dtypes;
#define AG_BLOCK(name, functor, arity, rule, set) \
  add_row<math::functor, T, arity, BlockRule::rule, (set).bits()>(table, BlockRow::name);
#define AG_UNARY(name, functor, rule, set, ...) AG_BLOCK(name, functor, 1, rule, set)
#define AG_UNARY_ATTR(name, schema, functor, rule, set, ...) AG_BLOCK(name, functor, 1, rule, set)
#define AG_BINARY(name, functor, rule, set, ...) AG_BLOCK(name, functor, 2, rule, set)
#define AG_BINARY_ATTR(name, schema, functor, rule, set, ...) AG_BLOCK(name, functor, 2, rule, set)
#define AG_TERNARY(name, schema, functor, rule, set, ...) AG_BLOCK(name, functor, 3, rule, set)
#define AG_ROW(name, ...)
#include "ops/table/elementwise.def"
#undef AG_UNARY
#undef AG_UNARY_ATTR
#undef AG_BINARY
#undef AG_BINARY_ATTR
#undef AG_TERNARY
#undef AG_ROW
#undef AG_BLOCK
}

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
