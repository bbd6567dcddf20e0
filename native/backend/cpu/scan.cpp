// Running folds of the CPU: sums and products in double (uint64 for integers), log-sum-exp in
// double, extremes with positions. Neighbouring lines of memory are scanned together in strips; a
// line is always walked in order, so results do not depend on threads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "backend/cpu/scalar_cast.h"
#include "ops/kernels.h"
#include "ops/order_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kStrip = 64;       // lines scanned together
constexpr int64_t kGrain = 1 << 14;  // elements a thread should get at least

template <class S>
inline constexpr bool kHalfType = std::is_same_v<S, Half> || std::is_same_v<S, BFloat16>;
template <class S>
inline constexpr bool kFloating = std::is_floating_point_v<S> || kHalfType<S>;
template <class S>
using FoldOf = std::conditional_t<kFloating<S>, double, uint64_t>;

template <class S>
auto read(S v) {
  if constexpr (kHalfType<S>) {
    return to_float(v);
  } else {
    return v;
  }
}

template <class S, class A>
S write(A v) {
  if constexpr (kFloating<S>) {
    return from_double<S>(v);
  } else if constexpr (std::is_same_v<S, bool>) {
    return v != 0;
  } else {
    return static_cast<S>(v);
  }
}

struct SumStep {
  template <class S>
  using Acc = FoldOf<S>;
  template <class A>
  static A start() {
    return A{0};
  }
  template <class A>
  static A step(A acc, A x) {
    return acc + x;
  }
};

struct ProductStep {
  template <class S>
  using Acc = FoldOf<S>;
  template <class A>
  static A start() {
    return A{1};
  }
  template <class A>
  static A step(A acc, A x) {
    return acc * x;
  }
};

struct LogSumExpStep {
  template <class S>
  using Acc = double;
  template <class A>
  static A start() {
    return -std::numeric_limits<A>::infinity();
  }
  static double step(double acc, double x) {
    const double high = acc > x ? acc : x;
    const double low = acc > x ? x : acc;
    if (acc != acc || x != x) return acc + x;
    if (low == high && std::isinf(high)) return high;
    return high + std::log1p(std::exp(low - high));
  }
};

// Calls body(first element, lines) for strips of neighbouring lines.
template <class Body>
void for_strips(const ScanParams& p, const Body& body) {
  if (p.outer == 0 || p.size == 0 || p.inner == 0) return;
  const int64_t strips = (p.inner + kStrip - 1) / kStrip;
  const int64_t width = std::min(p.inner, kStrip);
  const int64_t grain = std::max<int64_t>(1, kGrain / (p.size * width));
  parallel_for(p.outer * strips, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i % strips * kStrip;
      body(i / strips * p.size * p.inner + column, std::min(kStrip, p.inner - column));
    }
  });
}

template <class Step, class S>
void fold_kernel(const ScanParams& p, const void*) {
  using A = typename Step::template Acc<S>;
  const S* in = static_cast<const S*>(p.in);
  S* out = static_cast<S*>(p.out);
  for_strips(p, [&](int64_t first, int64_t lines) {
    A acc[kStrip];
    std::fill_n(acc, lines, Step::template start<A>());
    for (int64_t i = 0; i < p.size; ++i) {
      const int64_t row = first + (p.reverse ? p.size - 1 - i : i) * p.inner;
      for (int64_t c = 0; c < lines; ++c) {
        acc[c] = Step::step(acc[c], static_cast<A>(read(in[row + c])));
        out[row + c] = write<S>(acc[c]);
      }
    }
  });
}

// The latest of equals, and of NaNs, as PyTorch counts.
template <bool kMax, class S>
void extreme_kernel(const ScanParams& p, const void*) {
  const S* in = static_cast<const S*>(p.in);
  S* out = static_cast<S*>(p.out);
  for_strips(p, [&](int64_t first, int64_t lines) {
    int64_t at[kStrip];
    for (int64_t i = 0; i < p.size; ++i) {
      const int64_t row = first + i * p.inner;
      for (int64_t c = 0; c < lines; ++c) {
        const auto x = read(in[row + c]);
        const auto best = i == 0 ? x : read(out[row - p.inner + c]);
        const bool takes = x != x || (best == best && (kMax ? x >= best : x <= best));
        if (i == 0 || takes) at[c] = i;
        out[row + c] = i == 0 || takes ? in[row + c] : out[row - p.inner + c];
        p.indices[row + c] = at[c];
      }
    }
  });
}

}  // namespace

void register_scan() {
#define AG_SCAN_CELLS(name, S, text)                                               \
  KernelTable::set<ScanParams>(OpId::cumsum, DeviceType::Cpu, DType::name,         \
                               fold_kernel<SumStep, S>);                           \
  KernelTable::set<ScanParams>(OpId::cumprod, DeviceType::Cpu, DType::name,        \
                               fold_kernel<ProductStep, S>);                       \
  KernelTable::set<ScanParams>(OpId::cummax, DeviceType::Cpu, DType::name,         \
                               extreme_kernel<true, S>);                           \
  KernelTable::set<ScanParams>(OpId::cummin, DeviceType::Cpu, DType::name,         \
                               extreme_kernel<false, S>);                          \
  if constexpr (kFloating<S>) {                                                    \
    KernelTable::set<ScanParams>(OpId::logcumsumexp, DeviceType::Cpu, DType::name, \
                                 fold_kernel<LogSumExpStep, S>);                   \
  }
  AG_FOR_EACH_DTYPE(AG_SCAN_CELLS)
#undef AG_SCAN_CELLS
}

}  // namespace ampgrad::cpu
