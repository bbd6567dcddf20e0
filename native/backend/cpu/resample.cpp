// Resampling along a dimension, and dropout: memory-bound loops over rows and runs.
#include <algorithm>
#include <memory>

#include "backend/cpu/opmath.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/random_loops.h"
#include "backend/cpu/register.h"
#include "math/random.h"
#include "ops/kernels.h"
#include "ops/resample_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;
constexpr int64_t kBatch = 2048;  // elements of a run of dropout; a multiple of 4

template <class T>
void add_scaled(const T* from, T weight, int64_t n, T* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(to[i] + from[i] * weight);
}

// Kernels see float32, float64 and integers: the op layer widens the halves once for all
// dimensions.
template <class T>
void resample_cell(const ResampleParams& p, const void*) {
  const int64_t from_size = p.transposed ? p.out_size : p.in_size;
  const int64_t to_size = p.transposed ? p.in_size : p.out_size;
  const int64_t work = std::max<int64_t>((from_size + to_size) * p.inner, 1);
  parallel_for(p.outer, std::max<int64_t>(1, kGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const T* from = static_cast<const T*>(p.in) + o * from_size * p.inner;
      T* to = static_cast<T*>(p.out) + o * to_size * p.inner;
      std::fill(to, to + to_size * p.inner, T{0});
      for (int64_t i = 0; i < p.out_size; ++i) {
        const auto row = static_cast<size_t>(i);
        for (int64_t e = p.start[row]; e < p.start[row + 1]; ++e) {
          const auto entry = static_cast<size_t>(e);
          const int64_t source = p.transposed ? i : p.index[entry];
          const int64_t target = p.transposed ? p.index[entry] : i;
          add_scaled(from + source * p.inner, static_cast<T>(p.weight[entry]), p.inner,
                     to + target * p.inner);
        }
      }
    }
  });
}

template <class S>
void scale_masked(const S* in, const bool* mask, S* out, int64_t n, OpMath<S> scale) {
  using T = OpMath<S>;
  if constexpr (std::is_same_v<S, T>) {
    for (int64_t i = 0; i < n; ++i) out[i] = mask[i] ? in[i] * scale : T{0};
  } else {
    static const OpMathIo<S> io;
    T buffer[kBatch];
    io.load(in, n, buffer);
    for (int64_t i = 0; i < n; ++i) buffer[i] = mask[i] ? buffer[i] * scale : T{0};
    io.store(buffer, out, n);
  }
}

template <class S, bool kDraw>
void dropout_cell(const DropoutParams& p, const void*) {
  const int64_t batches = (p.numel + kBatch - 1) / kBatch;
  const uint64_t threshold = math::bernoulli_threshold(p.keep);
  parallel_for(batches, kGrain / kBatch, [&](int64_t first, int64_t last) {
    uint32_t words[kBatch];
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * kBatch;
      const int64_t end = std::min(begin + kBatch, p.numel);
      if constexpr (kDraw) {
        uniform_words(p.state, begin, end, words);
        for (int64_t i = begin; i < end; ++i) p.mask[i] = words[i - begin] < threshold;
      }
      scale_masked(static_cast<const S*>(p.in) + begin, p.mask + begin,
                   static_cast<S*>(p.out) + begin, end - begin, static_cast<OpMath<S>>(p.scale));
    }
  });
}

template <class S>
void set_dropout() {
  KernelTable::set<DropoutParams>(OpId::nativeDropout, DeviceType::Cpu, dtype_of<S>,
                                  dropout_cell<S, true>);
  KernelTable::set<DropoutParams>(OpId::dropoutBackward, DeviceType::Cpu, dtype_of<S>,
                                  dropout_cell<S, false>);
}

template <class T>
void set_resample() {
  for (OpId op :
       {OpId::resample, OpId::resampleBackward, OpId::padResample, OpId::padResampleBackward}) {
    KernelTable::set<ResampleParams>(op, DeviceType::Cpu, dtype_of<T>, resample_cell<T>);
  }
}

}  // namespace

void register_resample() {
  set_resample<uint8_t>();
  set_resample<int8_t>();
  set_resample<int16_t>();
  set_resample<int32_t>();
  set_resample<int64_t>();
  set_resample<float>();
  set_resample<double>();
  set_dropout<Half>();
  set_dropout<BFloat16>();
  set_dropout<float>();
  set_dropout<double>();
}

}  // namespace ampgrad::cpu
