// Random kernels of the CPU: which elements a thread makes, scaling and rounding to the storage
// type. The numbers themselves come from random_loops and math/random.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/parallel.h"
#include "backend/cpu/random_loops.h"
#include "backend/cpu/register.h"
#include "backend/cpu/scalar_cast.h"
#include "math/random.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kBatch = 2048;
constexpr int64_t kGrainBatches = 8;

// fn(begin, end) over batches of elements; begin is a multiple of kBatch.
template <class F>
void for_batches(int64_t n, const F& fn) {
  const int64_t batches = (n + kBatch - 1) / kBatch;
  parallel_for(batches, kGrainBatches, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) fn(b * kBatch, std::min(n, (b + 1) * kBatch));
  });
}

// Digits of the significand: a uniform number keeps that many leading bits, so that storing it is
// exact and never rounds up to 1.
template <class T>
constexpr uint32_t kUniformMask = 0xffffffffu;
template <>
constexpr uint32_t kUniformMask<Half> = 0xffe00000u;
template <>
constexpr uint32_t kUniformMask<BFloat16> = 0xff000000u;

template <class T>
AG_INLINE T store_float(float v) {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(v);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(v);
  } else {
    return static_cast<T>(v);
  }
}

template <class T>
AG_INLINE float load_float(T v) {
  if constexpr (std::is_same_v<T, float>) {
    return v;
  } else {
    return to_float(v);
  }
}

// from + u * (to - from) may round up to `to`, which is not part of the interval.
template <class T>
void uniform_kernel(const RandomParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  const float from = static_cast<float>(p.a);
  const float to = static_cast<float>(p.b);
  const float range = static_cast<float>(p.b - p.a);
  const T lowest = store_float<T>(from);
  const float limit = load_float(store_float<T>(to));
  for_batches(p.numel, [&](int64_t begin, int64_t end) {
    uint32_t words[kBatch];
    uniform_words(p.state, begin, end, words);
    for (int64_t i = begin; i < end; ++i) {
      const float u = math::uniform_float(words[i - begin] & kUniformMask<T>);
      const T v = store_float<T>(u * range + from);
      out[i] = load_float(v) < limit ? v : lowest;
    }
  });
}

void uniform_standard(const RandomParams& p) {
  float* out = static_cast<float*>(p.out);
  for_batches(p.numel, [&](int64_t begin, int64_t end) {
    uniform_floats(p.state, begin, end, out + begin);
  });
}

void uniform_kernel_float(const RandomParams& p, const void* data) {
  if (p.a == 0 && p.b == 1) {
    uniform_standard(p);
  } else {
    uniform_kernel<float>(p, data);
  }
}

AG_INLINE uint64_t wide_word(const PhiloxBlock& block, int64_t half) {
  return static_cast<uint64_t>(block.words[2 * half]) << 32 | block.words[2 * half + 1];
}

// fn(i, word) for 64-bit word i of a draw.
template <class F>
void for_wide_words(const RandomParams& p, const F& fn) {
  for_batches(p.numel, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 2) {
      const PhiloxBlock block =
          philox_block(p.state.seed, p.state.offset + static_cast<uint64_t>(i / 2));
      fn(i, wide_word(block, 0));
      if (i + 1 < end) fn(i + 1, wide_word(block, 1));
    }
  });
}

void uniform_kernel_double(const RandomParams& p, const void*) {
  double* out = static_cast<double*>(p.out);
  const double range = p.b - p.a;
  for_wide_words(p, [&](int64_t i, uint64_t word) {
    const double v = math::uniform_double(word) * range + p.a;
    out[i] = v < p.b ? v : p.a;
  });
}

template <class T>
void normal_kernel(const RandomParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  const float mean = static_cast<float>(p.a);
  const float deviation = static_cast<float>(p.b);
  for_batches(p.numel, [&](int64_t begin, int64_t end) {
    float z[kBatch];
    normal_floats(p.state, begin, end, z);
    for (int64_t i = begin; i < end; ++i) {
      out[i] = store_float<T>(z[i - begin] * deviation + mean);
    }
  });
}

void normal_kernel_double(const RandomParams& p, const void*) {
  double* out = static_cast<double*>(p.out);
  for_batches(p.numel, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 2) {
      const PhiloxBlock block =
          philox_block(p.state.seed, p.state.offset + static_cast<uint64_t>(i / 2));
      double a;
      double b;
      math::normal_pair(wide_word(block, 0), wide_word(block, 1), &a, &b);
      out[i] = a * p.b + p.a;
      if (i + 1 < end) out[i + 1] = b * p.b + p.a;
    }
  });
}

template <class T>
void bernoulli_kernel(const RandomParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  const uint64_t threshold = math::bernoulli_threshold(p.a);
  const T one = scalar_to<T>(Scalar(1));
  const T zero = scalar_to<T>(Scalar(0));
  for_batches(p.numel, [&](int64_t begin, int64_t end) {
    uint32_t words[kBatch];
    uniform_words(p.state, begin, end, words);
    for (int64_t i = begin; i < end; ++i) out[i] = words[i - begin] < threshold ? one : zero;
  });
}

template <class T>
void randint_kernel(const RandomParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  const uint64_t low = static_cast<uint64_t>(p.low);
  for_wide_words(p, [&](int64_t i, uint64_t word) {
    const int64_t v = static_cast<int64_t>(low + math::bounded(word, p.range));
    out[i] = scalar_to<T>(Scalar(v));
  });
}

// Fisher-Yates. Serial: every swap depends on the ones before it.
template <class T>
void randperm_kernel(const RandomParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  for (int64_t i = 0; i < p.numel; ++i) out[i] = scalar_to<T>(Scalar(i));
  for (int64_t i = 0; i + 1 < p.numel; ++i) {
    const PhiloxBlock block =
        philox_block(p.state.seed, p.state.offset + static_cast<uint64_t>(i / 2));
    const uint64_t left = static_cast<uint64_t>(p.numel - i);
    const int64_t j = i + static_cast<int64_t>(math::bounded(wide_word(block, i % 2), left));
    std::swap(out[i], out[j]);
  }
}

template <class T, DType D>
void register_integers() {
  if constexpr (D != DType::Bool) {
    KernelTable::set<RandomParams>(OpId::randint, DeviceType::Cpu, D, randint_kernel<T>);
    KernelTable::set<RandomParams>(OpId::randperm, DeviceType::Cpu, D, randperm_kernel<T>);
  }
  KernelTable::set<RandomParams>(OpId::bernoulli_, DeviceType::Cpu, D, bernoulli_kernel<T>);
}

}  // namespace

void register_random() {
  const auto set = [](OpId op, DType dtype, KernelFn<RandomParams> fn) {
    KernelTable::set<RandomParams>(op, DeviceType::Cpu, dtype, fn);
  };
  for (OpId op : {OpId::uniform_, OpId::rand, OpId::randLike}) {
    set(op, DType::Float16, uniform_kernel<Half>);
    set(op, DType::BFloat16, uniform_kernel<BFloat16>);
    set(op, DType::Float32, uniform_kernel_float);
    set(op, DType::Float64, uniform_kernel_double);
  }
  for (OpId op : {OpId::normal_, OpId::randn, OpId::randnLike}) {
    set(op, DType::Float16, normal_kernel<Half>);
    set(op, DType::BFloat16, normal_kernel<BFloat16>);
    set(op, DType::Float32, normal_kernel<float>);
    set(op, DType::Float64, normal_kernel_double);
  }
#define AG_SET(name, type, text) register_integers<type, DType::name>();
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cpu
