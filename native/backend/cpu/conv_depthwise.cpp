// See conv_depthwise.h. Vectors of a line are multiplied as loaded; where the taps left and right
// of a line's ends stand in it, a zero is shifted in. Two lines at once share what they load.
#include "backend/cpu/conv_depthwise.h"

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/conv_depthwise.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "backend/cpu/gemm_micro-inl.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/scalar_cast.h"

HWY_BEFORE_NAMESPACE();
namespace ampgrad::cpu::HWY_NAMESPACE {

using DepthwiseTag = hn::ScalableTag<float>;
using DepthwiseVec = hn::Vec<DepthwiseTag>;

// The elements before, at and after those of a vector.
struct ThreeTaps {
  DepthwiseVec v[3];
};

// First, Last: the vector stands at the beginning or the end of the line.
template <bool First, bool Last, class T>
HWY_INLINE ThreeTaps load_taps(const T* at) {
  const DepthwiseTag d;
  const hn::RebindToSigned<DepthwiseTag> di;
  const size_t lanes = hn::Lanes(d);
  ThreeTaps taps;
  taps.v[1] = load_widened(d, at);
  if constexpr (First) {
    const auto index = hn::Max(hn::Iota(di, -1), hn::Zero(di));
    const auto moved = hn::TableLookupLanes(taps.v[1], hn::IndicesFromVec(d, index));
    taps.v[0] = hn::IfThenZeroElse(hn::FirstN(d, 1), moved);
  } else {
    taps.v[0] = load_widened(d, at - 1);
  }
  if constexpr (Last) {
    const auto end = hn::Set(di, static_cast<int32_t>(lanes) - 1);
    const auto index = hn::Min(hn::Iota(di, 1), end);
    const auto moved = hn::TableLookupLanes(taps.v[1], hn::IndicesFromVec(d, index));
    taps.v[2] = hn::IfThenElseZero(hn::FirstN(d, lanes - 1), moved);
  } else {
    taps.v[2] = load_widened(d, at + 1);
  }
  return taps;
}

// body(first, last, column, fresh) for the vectors of a line; the last of them may overlap the one
// before it, `fresh` of its lanes come for the first time.
template <class Body>
HWY_INLINE void each_vector(int64_t width, const Body& body) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(DepthwiseTag()));
  if (width == lanes) {
    body(std::true_type(), std::true_type(), int64_t{0}, lanes);
    return;
  }
  body(std::true_type(), std::false_type(), int64_t{0}, lanes);
  int64_t column = lanes;
  for (; column + lanes < width; column += lanes) {
    body(std::false_type(), std::false_type(), column, lanes);
  }
  body(std::false_type(), std::true_type(), width - lanes, width - column);
}

// The lines of the source under `Lines` lines of the result, and one before and after them.
template <int Lines, class T>
struct LinesUnder {
  const T* line[Lines + 2];

  LinesUnder(const DepthwiseChannel& c, int64_t first) {
    for (int64_t i = 0; i < Lines + 2; ++i) {
      const int64_t h = first + i - c.before;
      line[i] = h < 0 || h >= c.size ? static_cast<const T*>(c.zeros)
                                     : static_cast<const T*>(c.source) + h * c.width;
    }
  }
};

template <int Lines, class T>
HWY_INLINE void multiply_lines(const DepthwiseChannel& c, const DepthwiseVec (&weights)[10],
                               int64_t first) {
  const LinesUnder<Lines, T> under(c, first);
  T* result = static_cast<T*>(c.result) + first * c.width;
  each_vector(c.width, [&](auto at_first, auto at_last, int64_t column, int64_t) HWY_ATTR {
    const DepthwiseTag d;
    DepthwiseVec sum[Lines];
    for (int l = 0; l < Lines; ++l) sum[l] = weights[9];
#pragma GCC unroll 4
    for (int i = 0; i < Lines + 2; ++i) {
      const ThreeTaps taps =
          load_taps<decltype(at_first)::value, decltype(at_last)::value>(under.line[i] + column);
#pragma GCC unroll 2
      for (int l = 0; l < Lines; ++l) {
        if (i < l || i > l + 2) continue;
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) {
          sum[l] = hn::MulAdd(taps.v[j], weights[3 * (i - l) + j], sum[l]);
        }
      }
    }
    for (int l = 0; l < Lines; ++l) store_narrowed(d, sum[l], result + l * c.width + column);
  });
}

template <class T>
void depthwise_multiply(const DepthwiseChannel& c, const float* weights) {
  const DepthwiseTag d;
  DepthwiseVec w[10];
  for (int i = 0; i < 10; ++i) w[i] = hn::Set(d, weights[i]);
  int64_t h = 0;
  for (; h + 2 <= c.lines; h += 2) multiply_lines<2, T>(c, w, h);
  if (h < c.lines) multiply_lines<1, T>(c, w, h);
}

template <int Lines, class T>
HWY_INLINE void weight_lines(const DepthwiseChannel& c, int64_t first, DepthwiseVec (&sums)[9]) {
  const LinesUnder<Lines, T> under(c, first);
  const T* grad = static_cast<const T*>(c.result) + first * c.width;
  each_vector(c.width, [&](auto at_first, auto at_last, int64_t column, int64_t fresh) HWY_ATTR {
    const DepthwiseTag d;
    // Neither factor of what was seen before may stay: 0 times infinity would be NaN.
    const auto unseen = [&](DepthwiseVec v) HWY_ATTR {
      if constexpr (decltype(at_last)::value) {
        const auto seen = static_cast<size_t>(static_cast<int64_t>(hn::Lanes(d)) - fresh);
        return hn::IfThenZeroElse(hn::FirstN(d, seen), v);
      } else {
        return v;
      }
    };
    DepthwiseVec g[Lines];
    for (int l = 0; l < Lines; ++l) g[l] = unseen(load_widened(d, grad + l * c.width + column));
#pragma GCC unroll 4
    for (int i = 0; i < Lines + 2; ++i) {
      ThreeTaps taps =
          load_taps<decltype(at_first)::value, decltype(at_last)::value>(under.line[i] + column);
      for (int j = 0; j < 3; ++j) taps.v[j] = unseen(taps.v[j]);
#pragma GCC unroll 2
      for (int l = 0; l < Lines; ++l) {
        if (i < l || i > l + 2) continue;
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) {
          sums[3 * (i - l) + j] = hn::MulAdd(taps.v[j], g[l], sums[3 * (i - l) + j]);
        }
      }
    }
  });
}

// A few lines are summed in float, as other convolutions do.
template <class T>
void depthwise_weight_sums(const DepthwiseChannel& c, double* sums) {
  constexpr int64_t kLines = 16;
  const DepthwiseTag d;
  for (int64_t first = 0; first < c.lines; first += kLines) {
    const int64_t end = std::min(first + kLines, c.lines);
    DepthwiseVec v[9];
    for (int i = 0; i < 9; ++i) v[i] = hn::Zero(d);
    int64_t h = first;
    for (; h + 2 <= end; h += 2) weight_lines<2, T>(c, h, v);
    if (h < end) weight_lines<1, T>(c, h, v);
    for (int i = 0; i < 9; ++i)
      sums[i] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, v[i])));
  }
}

template <class T>
DepthwiseKernels make_depthwise() {
  return {static_cast<int64_t>(hn::Lanes(DepthwiseTag())), depthwise_multiply<T>,
          depthwise_weight_sums<T>};
}
DepthwiseKernels depthwise_f32() { return make_depthwise<float>(); }
DepthwiseKernels depthwise_f16() { return make_depthwise<Half>(); }
DepthwiseKernels depthwise_bf16() { return make_depthwise<BFloat16>(); }

}  // namespace ampgrad::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ampgrad::cpu {

HWY_EXPORT(depthwise_f32);
HWY_EXPORT(depthwise_f16);
HWY_EXPORT(depthwise_bf16);

namespace {

constexpr int64_t kTaps = 9;
constexpr int64_t kParallelPixels = 32768;  // worth a thread
constexpr int64_t kFewChannels = 8;         // not enough to share them out

template <class T>
float widen_element(T x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else {
    return to_float(x);
  }
}

template <class T>
DepthwiseKernels kernels_of() {
  if constexpr (std::is_same_v<T, float>) return HWY_DYNAMIC_DISPATCH(depthwise_f32)();
  if constexpr (std::is_same_v<T, Half>) return HWY_DYNAMIC_DISPATCH(depthwise_f16)();
  if constexpr (std::is_same_v<T, BFloat16>) return HWY_DYNAMIC_DISPATCH(depthwise_bf16)();
}

bool is_depthwise(const ConvParams& p) {
  bool steps_of_one = true;
  for (int i = 0; i < 3; ++i) steps_of_one = steps_of_one && p.stride[i] == 1 && p.dilation[i] == 1;
  return p.x_channels == 1 && p.y_channels == 1 && p.groups >= kFewChannels && steps_of_one &&
         p.x_size[0] == 1 && p.kernel[0] == 1 && p.padding[0] == 0 && p.kernel[1] == 3 &&
         p.kernel[2] == 3 && p.padding[1] <= 2 && p.padding[2] == 1 && p.y_size[2] == p.x_size[2];
}

// All channels of all samples.
template <class T>
class Depthwise {
 public:
  explicit Depthwise(const ConvParams& p)
      : p_(p),
        kernels_(kernels_of<T>()),
        zeros_(static_cast<size_t>(p.x_size[2]), T{}),
        x_pixels_(p.x_size[1] * p.x_size[2]),
        y_pixels_(p.y_size[1] * p.y_size[2]) {}

  bool serves() const { return p_.x_size[2] >= kernels_.lanes; }

  void forward() const {
    each_channel([&](int64_t channel, int64_t group) {
      float weights[kTaps + 1];
      for (int64_t i = 0; i < kTaps; ++i) weights[i] = weight(group, i);
      weights[kTaps] = bias(group);
      kernels_.multiply(channel_at(channel), weights);
    });
  }

  // The transposed map: from y to x, the last tap first.
  void input_grad() const {
    each_channel([&](int64_t channel, int64_t group) {
      float weights[kTaps + 1];
      for (int64_t i = 0; i < kTaps; ++i) weights[i] = weight(group, kTaps - 1 - i);
      weights[kTaps] = bias(group);
      DepthwiseChannel c = channel_at(channel);
      std::swap(c.size, c.lines);
      c.source = y_at(channel);
      c.result = x_at(channel);
      c.before = 2 - p_.padding[1];
      kernels_.multiply(c, weights);
    });
  }

  void weight_grad() const {
    const int64_t grain = std::max<int64_t>(1, kParallelPixels / (p_.batch * y_pixels_));
    parallel_for(p_.groups, grain, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; ++group) {
        double sums[kTaps] = {};
        for (int64_t n = 0; n < p_.batch; ++n) {
          kernels_.weight_grad(channel_at(n * p_.groups + group), sums);
        }
        for (int64_t i = 0; i < kTaps; ++i)
          set_weight(group * kTaps + i, static_cast<float>(sums[i]));
      }
    });
  }

 private:
  template <class Body>
  void each_channel(const Body& body) const {
    const int64_t grain = std::max<int64_t>(1, kParallelPixels / std::max(x_pixels_, y_pixels_));
    parallel_for(p_.batch * p_.groups, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(i, i % p_.groups);
    });
  }

  T* x_at(int64_t channel) const { return static_cast<T*>(p_.x) + channel * x_pixels_; }
  T* y_at(int64_t channel) const { return static_cast<T*>(p_.y) + channel * y_pixels_; }
  float weight(int64_t group, int64_t tap) const {
    return widen_element(static_cast<const T*>(p_.w)[group * kTaps + tap]);
  }

  float bias(int64_t group) const {
    return p_.bias == nullptr ? 0.0F : widen_element(static_cast<const T*>(p_.bias)[group]);
  }
  void set_weight(int64_t i, float value) const {
    if (!p_.widened) {
      static_cast<T*>(p_.w)[i] = from_double<T>(static_cast<double>(value));
      return;
    }
    if constexpr (std::is_same_v<T, Half>) value = to_float(to_half(value));
    static_cast<float*>(p_.w)[i] = value;
  }

  DepthwiseChannel channel_at(int64_t channel) const {
    DepthwiseChannel c;
    c.source = x_at(channel);
    c.result = y_at(channel);
    c.zeros = zeros_.data();
    c.size = p_.x_size[1];
    c.lines = p_.y_size[1];
    c.width = p_.x_size[2];
    c.before = p_.padding[1];
    return c;
  }

  const ConvParams& p_;
  const DepthwiseKernels kernels_;
  const std::vector<T> zeros_;
  const int64_t x_pixels_;
  const int64_t y_pixels_;
};

template <class T, class Work>
bool run_as(const ConvParams& p, const Work& work) {
  const Depthwise<T> depthwise(p);
  if (!depthwise.serves()) return false;
  work(depthwise);
  return true;
}

template <class Work>
bool run(const ConvParams& p, const Work& work) {
  if (!is_depthwise(p)) return false;
  switch (p.dtype) {
    case DType::Float32:
      return run_as<float>(p, work);
    case DType::Float16:
      return run_as<Half>(p, work);
    case DType::BFloat16:
      return run_as<BFloat16>(p, work);
    default:
      return false;
  }
}

}  // namespace

bool depthwise_forward(const ConvParams& p) {
  return run(p, [](const auto& depthwise) { depthwise.forward(); });
}
bool depthwise_input_grad(const ConvParams& p) {
  return run(p, [](const auto& depthwise) { depthwise.input_grad(); });
}
bool depthwise_weight_grad(const ConvParams& p) {
  return run(p, [](const auto& depthwise) { depthwise.weight_grad(); });
}

}  // namespace ampgrad::cpu
#endif
