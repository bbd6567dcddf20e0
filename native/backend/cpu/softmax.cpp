// Softmax kernels of the CPU: rows over threads, half precision through float buffers.
#include <algorithm>
#include <memory>

#include "backend/cpu/convert.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "backend/cpu/softmax_loops.h"
#include "backend/cpu/stream.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;  // elements a thread should get at least

// Storage S is computed in T. Rows of another storage type go through float copies.
template <class S, class T>
class Rows {
 public:
  Rows(const RowParams& p, bool log, bool backward)
      : p_(p),
        log_(log),
        backward_(backward),
        streamed_(std::is_same_v<S, T> && p.inner == 1 && !log &&
                  (backward || p.size * static_cast<int64_t>(sizeof(S)) <= kStreamedSoftmax) &&
                  streams_rows(p.out, p.outer, p.size * static_cast<int64_t>(sizeof(S)))),
        load_(std::is_same_v<S, T> ? nullptr : convert_fn(dtype_of<S>, dtype_of<T>)),
        store_(std::is_same_v<S, T> ? nullptr : convert_fn(dtype_of<T>, dtype_of<S>)) {}

  void run() const {
    if (p_.outer == 0 || p_.size == 0 || p_.inner == 0) return;
    const int64_t strips = (p_.inner + kSoftmaxColumns - 1) / kSoftmaxColumns;
    const int64_t width = std::min(p_.inner, kSoftmaxColumns);
    const int64_t grain = std::max<int64_t>(1, kGrain / (p_.size * width));
    parallel_for(p_.outer * strips, grain, [&](int64_t begin, int64_t end) {
      std::unique_ptr<T[]> buffer;
      if constexpr (!std::is_same_v<S, T>) {
        buffer.reset(new T[static_cast<size_t>((backward_ ? 3 : 2) * p_.size * width)]);
      }
      for (int64_t i = begin; i < end; ++i) {
        const int64_t column = i % strips * kSoftmaxColumns;
        const int64_t offset = i / strips * p_.size * p_.inner + column;
        one(offset, std::min(p_.inner - column, kSoftmaxColumns), buffer.get());
      }
      if (streamed_) end_stream();
    });
  }

 private:
  const S* in(const void* base, int64_t offset) const {
    return static_cast<const S*>(base) + offset;
  }

  void one(int64_t offset, int64_t cols, T* buffer) const {
    const S* a = in(p_.in, offset);
    const S* b = backward_ ? in(p_.in2, offset) : nullptr;
    S* out = static_cast<S*>(p_.out) + offset;
    if constexpr (std::is_same_v<S, T>) {
      compute(a, b, out, p_.inner, cols);
    } else {
      const int64_t n = p_.size * cols;
      T* result = buffer;
      T* first = buffer + n;
      T* second = buffer + 2 * n;
      load(a, first, cols);
      if (backward_) load(b, second, cols);
      compute(first, second, result, cols, cols);
      for (int64_t r = 0; r < p_.size; ++r) {
        if (p_.inner == 1) {
          store_(result, out, static_cast<size_t>(n));
          break;
        }
        store_(result + r * cols, out + r * p_.inner, static_cast<size_t>(cols));
      }
    }
  }

  void load(const S* from, T* to, int64_t cols) const {
    if (p_.inner == 1) {
      load_(from, to, static_cast<size_t>(p_.size));
      return;
    }
    for (int64_t r = 0; r < p_.size; ++r) {
      load_(from + r * p_.inner, to + r * cols, static_cast<size_t>(cols));
    }
  }

  void compute(const T* a, const T* b, T* out, int64_t stride, int64_t cols) const {
    if (p_.inner == 1) {
      if (backward_) {
        softmax_backward_row(a, b, out, p_.size, log_, streamed_);
      } else {
        softmax_row(a, out, p_.size, log_, streamed_);
      }
    } else if (backward_) {
      softmax_backward_strip(a, b, out, p_.size, stride, cols, log_);
    } else {
      softmax_strip(a, out, p_.size, stride, cols, log_);
    }
  }

  const RowParams& p_;
  bool log_;
  bool backward_;
  bool streamed_;
  ConvertFn load_;
  ConvertFn store_;
};

template <class S, class T, bool kLog, bool kBackward>
void softmax_kernel(const RowParams& p, const void*) {
  Rows<S, T>(p, kLog, kBackward).run();
}

template <bool kLog, bool kBackward>
void set(OpId op) {
  const auto cell = [op](DType dtype, KernelFn<RowParams> fn) {
    KernelTable::set<RowParams>(op, DeviceType::Cpu, dtype, fn);
  };
  cell(DType::Float16, softmax_kernel<Half, float, kLog, kBackward>);
  cell(DType::BFloat16, softmax_kernel<BFloat16, float, kLog, kBackward>);
  cell(DType::Float32, softmax_kernel<float, float, kLog, kBackward>);
  cell(DType::Float64, softmax_kernel<double, double, kLog, kBackward>);
}

}  // namespace

void register_softmax() {
  set<false, false>(OpId::softmax);
  set<true, false>(OpId::logSoftmax);
  set<false, true>(OpId::softmaxBackward);
  set<true, true>(OpId::logSoftmaxBackward);
}

}  // namespace ampgrad::cpu
