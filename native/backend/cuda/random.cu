// Random numbers: the CPU's, element by element. A thread turns one block of Philox into its four
// (or, of 64 bits each, two) neighbouring elements; so does dropout with its mask.
#include "math/random.h"

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/team.cuh"
#include "backend/cuda/families.h"
#include "ops/resample_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;

// Digits of the significand, as on the CPU: storing a uniform number is exact.
template <class S>
constexpr uint32_t kUniformMask = 0xffffffffu;
template <>
constexpr uint32_t kUniformMask<Half> = 0xffe00000u;
template <>
constexpr uint32_t kUniformMask<BFloat16> = 0xff000000u;

AG_HD AG_INLINE uint64_t wide_word(const PhiloxBlock& block, int half) {
  return static_cast<uint64_t>(block.words[2 * half]) << 32 | block.words[2 * half + 1];
}

// from + u * (to - from) may round up to `to`, which is not part of the interval.
template <class S>
struct Uniform {
  static constexpr int kNumbers = 4;
  float from, range, limit;
  S lowest;
  explicit Uniform(const RandomParams& p)
      : from(static_cast<float>(p.a)),
        range(static_cast<float>(p.b - p.a)),
        limit(cast<float>(cast<S>(static_cast<float>(p.b)))),
        lowest(cast<S>(from)) {}
  __device__ void operator()(const PhiloxBlock& block, S* out) const {
    AG_UNROLL
    for (int j = 0; j < kNumbers; ++j) {
      const float u = math::uniform_float(block.words[j] & kUniformMask<S>);
      const S v = cast<S>(math::product(u, range) + from);
      out[j] = cast<float>(v) < limit ? v : lowest;
    }
  }
};

template <>
struct Uniform<double> {
  static constexpr int kNumbers = 2;
  double from, range, limit;
  explicit Uniform(const RandomParams& p) : from(p.a), range(p.b - p.a), limit(p.b) {}
  __device__ void operator()(const PhiloxBlock& block, double* out) const {
    AG_UNROLL
    for (int j = 0; j < kNumbers; ++j) {
      const double v = math::product(math::uniform_double(wide_word(block, j)), range) + from;
      out[j] = v < limit ? v : from;
    }
  }
};

template <class S>
struct Normal {
  static constexpr int kNumbers = 4;
  float mean, deviation;
  explicit Normal(const RandomParams& p)
      : mean(static_cast<float>(p.a)), deviation(static_cast<float>(p.b)) {}
  __device__ void operator()(const PhiloxBlock& block, S* out) const {
    AG_UNROLL
    for (int j = 0; j < kNumbers; j += 2) {
      float a;
      float b;
      math::normal_pair(block.words[j], block.words[j + 1], &a, &b);
      out[j] = cast<S>(math::product(a, deviation) + mean);
      out[j + 1] = cast<S>(math::product(b, deviation) + mean);
    }
  }
};

template <>
struct Normal<double> {
  static constexpr int kNumbers = 2;
  double mean, deviation;
  explicit Normal(const RandomParams& p) : mean(p.a), deviation(p.b) {}
  __device__ void operator()(const PhiloxBlock& block, double* out) const {
    double a;
    double b;
    math::normal_pair(wide_word(block, 0), wide_word(block, 1), &a, &b);
    out[0] = math::product(a, deviation) + mean;
    out[1] = math::product(b, deviation) + mean;
  }
};

template <class S>
struct Bernoulli {
  static constexpr int kNumbers = 4;
  uint64_t threshold;
  explicit Bernoulli(const RandomParams& p) : threshold(math::bernoulli_threshold(p.a)) {}
  __device__ void operator()(const PhiloxBlock& block, S* out) const {
    AG_UNROLL
    for (int j = 0; j < kNumbers; ++j) {
      out[j] = cast<S>(block.words[j] < threshold ? 1.0f : 0.0f);
    }
  }
};

template <class S>
__device__ AG_INLINE S from_integer(int64_t v) {
  if constexpr (std::is_integral_v<S>) {
    return static_cast<S>(v);
  } else {
    return cast<S>(static_cast<double>(v));
  }
}

template <class S>
struct Integer {
  static constexpr int kNumbers = 2;
  uint64_t low, range;
  explicit Integer(const RandomParams& p) : low(static_cast<uint64_t>(p.low)), range(p.range) {}
  __device__ void operator()(const PhiloxBlock& block, S* out) const {
    AG_UNROLL
    for (int j = 0; j < kNumbers; ++j) {
      out[j] =
          from_integer<S>(static_cast<int64_t>(low + math::bounded(wide_word(block, j), range)));
    }
  }
};

template <class S, class D>
__global__ void __launch_bounds__(kThreads)
    draw_kernel(S* out, int64_t numel, PhiloxState state, D draw, bool packs) {
  constexpr int N = D::kNumbers;
  const int64_t blocks = (numel + N - 1) / N;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t b = int64_t{blockIdx.x} * kThreads + threadIdx.x; b < blocks; b += step) {
    S v[N];
    draw(philox_block(state.seed, state.offset + static_cast<uint64_t>(b)), v);
    if (packs && (b + 1) * N <= numel) {
      store_neighbours<N>(v, out + b * N);
      continue;
    }
    AG_UNROLL
    for (int j = 0; j < N; ++j) {
      if (b * N + j < numel) out[b * N + j] = v[j];
    }
  }
}

template <class S>
bool starts_pack(const void* data, int neighbours) {
  return reinterpret_cast<uintptr_t>(data) % (neighbours * sizeof(S)) == 0;
}

template <class S, class D>
void draw(const RandomParams& p, const void* name_of_row) {
  if (p.numel == 0) return;
  launch(static_cast<const char*>(name_of_row),
         {grid_for((p.numel + D::kNumbers - 1) / D::kNumbers, kThreads), kThreads},
         draw_kernel<S, D>, static_cast<S*>(p.out), p.numel, p.state, D(p),
         starts_pack<S>(p.out, D::kNumbers));
}

// Dropout. A thread has four neighbours, read and written at once where `kPack`.
template <class S, bool kDraw, bool kPack>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(const DropoutParams p, uint64_t threshold) {
  using T = OpMath<S>;
  constexpr int N = 4;
  const T scale = static_cast<T>(p.scale);
  const auto* in = static_cast<const S*>(p.in);
  auto* out = static_cast<S*>(p.out);
  const int64_t blocks = (p.numel + N - 1) / N;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t b = int64_t{blockIdx.x} * kThreads + threadIdx.x; b < blocks; b += step) {
    const int64_t at = b * N;
    const bool whole = kPack && at + N <= p.numel;
    bool keep[N] = {};
    if constexpr (kDraw) {
      const PhiloxBlock block =
          philox_block(p.state.seed, p.state.offset + static_cast<uint64_t>(b));
      AG_UNROLL
      for (int j = 0; j < N; ++j) keep[j] = block.words[j] < threshold;
    }
    T x[N];
    if (whole) {
      load_neighbours<N>(in + at, x);
      if constexpr (!kDraw) load_neighbours<N>(p.mask + at, keep);
    }
    AG_UNROLL
    for (int j = 0; j < N; ++j) {
      if (!whole && at + j < p.numel) {
        x[j] = cast<T>(in[at + j]);
        if constexpr (!kDraw) keep[j] = p.mask[at + j];
      }
      x[j] = keep[j] ? x[j] * scale : T{0};
    }
    if (whole) {
      store_neighbours<N>(x, out + at);
      if constexpr (kDraw) store_neighbours<N>(keep, p.mask + at);
      continue;
    }
    AG_UNROLL
    for (int j = 0; j < N; ++j) {
      if (at + j >= p.numel) continue;
      out[at + j] = cast<S>(x[j]);
      if constexpr (kDraw) p.mask[at + j] = keep[j];
    }
  }
}

template <class S, bool kDraw>
void dropout(const DropoutParams& p, const void* name_of_row) {
  if (p.numel == 0) return;
  const bool packs =
      starts_pack<S>(p.in, 4) && starts_pack<S>(p.out, 4) && starts_pack<bool>(p.mask, 4);
  const uint64_t threshold = math::bernoulli_threshold(p.keep);
  const LaunchShape shape{grid_for((p.numel + 3) / 4, kThreads), kThreads};
  const auto* name = static_cast<const char*>(name_of_row);
  if (packs) return launch(name, shape, dropout_kernel<S, kDraw, true>, p, threshold);
  launch(name, shape, dropout_kernel<S, kDraw, false>, p, threshold);
}

template <class S>
void set_floats(const CudaHost& host) {
  set_kernel<RandomParams>(host, OpId::uniform_, dtype_of<S>, draw<S, Uniform<S>>, "uniform_");
  set_kernel<RandomParams>(host, OpId::normal_, dtype_of<S>, draw<S, Normal<S>>, "normal_");
  set_kernel<DropoutParams>(host, OpId::nativeDropout, dtype_of<S>, dropout<S, true>,
                            "nativeDropout");
  set_kernel<DropoutParams>(host, OpId::dropoutBackward, dtype_of<S>, dropout<S, false>,
                            "dropoutBackward");
}

template <class S>
void set_integers(const CudaHost& host) {
  set_kernel<RandomParams>(host, OpId::bernoulli_, dtype_of<S>, draw<S, Bernoulli<S>>,
                           "bernoulli_");
  if constexpr (!std::is_same_v<S, bool>) {
    set_kernel<RandomParams>(host, OpId::randint, dtype_of<S>, draw<S, Integer<S>>, "randint");
  }
}

}  // namespace

void register_random(const CudaHost& host) {
  set_floats<Half>(host);
  set_floats<BFloat16>(host);
  set_floats<float>(host);
  set_floats<double>(host);
#define AG_SET(name, type, text) set_integers<type>(host);
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
