// Batch normalisation: channels over threads, each read as runs of `spatial` elements, or strips of
// channels when there is nothing but the batch to run over.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/norm_loops.h"
#include "backend/cpu/opmath.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"
#include "ops/norm_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;
constexpr int64_t kStrip = 64;  // channels of a strip

// What the backward needs per channel: out = g a + (x - mean) b + c.
template <class T>
struct GradFactors {
  T a = 0, b = 0, c = 0;
};

template <class S>
class BatchNorm {
 public:
  using T = OpMath<S>;

  explicit BatchNorm(const BatchNormParams& p)
      : p_(p),
        count_(static_cast<double>(p.batch * p.spatial)),
        weight_(p.weight, p.param_dtype, p.channels),
        bias_(p.bias, p.param_dtype, p.channels),
        running_mean_(p.running_mean, p.param_dtype, p.channels),
        running_var_(p.running_var, p.param_dtype, p.channels),
        variance_(static_cast<size_t>(p.channels)),
        grad_weight_(static_cast<size_t>(p.channels)),
        grad_bias_(static_cast<size_t>(p.channels)) {}

  void forward() {
    for_units([&](int64_t first, int64_t cols, Buffers* buffers) {
      if (p_.training) {
        statistics(first, cols, buffers);
      } else {
        for (int64_t c = first; c < first + cols; ++c) use_running(c);
      }
      apply(first, cols, buffers);
    });
    if (p_.training && p_.running_mean != nullptr) update_running();
  }

  void backward() {
    for_units([&](int64_t first, int64_t cols, Buffers* buffers) {
      std::vector<PairSum> sums(static_cast<size_t>(cols));
      grad_moments(first, cols, buffers, sums.data());
      std::vector<GradFactors<T>> factors(static_cast<size_t>(cols));
      for (int64_t i = 0; i < cols; ++i) {
        factors[static_cast<size_t>(i)] = finish_sums(first + i, sums[static_cast<size_t>(i)]);
      }
      if (p_.out != nullptr) input_grad(first, cols, buffers, factors.data());
    });
    write(grad_weight_, p_.grad_weight);
    write(grad_bias_, p_.grad_bias);
  }

 private:
  struct Buffers {
    std::unique_ptr<T[]> in = OpMathIo<S>::buffer(kReduceBlock);
    std::unique_ptr<T[]> grad = OpMathIo<S>::buffer(kReduceBlock);
    std::unique_ptr<T[]> out = OpMathIo<S>::buffer(kReduceBlock);
  };

  bool strips() const { return p_.spatial == 1; }
  T* mean() const { return static_cast<T*>(p_.mean); }
  T* rstd() const { return static_cast<T*>(p_.rstd); }

  // fn(first channel, channels, buffers): one channel, or a strip of them.
  template <class F>
  void for_units(const F& fn) const {
    const int64_t unit = strips() ? kStrip : 1;
    const int64_t units = (p_.channels + unit - 1) / unit;
    const int64_t work = std::max<int64_t>(p_.batch * p_.spatial * unit, 1);
    parallel_for(units, std::max<int64_t>(1, kGrain / work), [&](int64_t begin, int64_t end) {
      Buffers buffers;
      for (int64_t u = begin; u < end; ++u) {
        fn(u * unit, std::min(unit, p_.channels - u * unit), &buffers);
      }
    });
  }

  // fn(offset, n): the contiguous runs of a channel.
  template <class F>
  void for_runs(int64_t channel, const F& fn) const {
    for (int64_t b = 0; b < p_.batch; ++b) {
      const int64_t plane = (b * p_.channels + channel) * p_.spatial;
      for (int64_t i = 0; i < p_.spatial; i += kReduceBlock) {
        fn(plane + i, std::min(kReduceBlock, p_.spatial - i));
      }
    }
  }

  // fn(offset, rows): the rows of a strip, few enough for the buffers.
  template <class F>
  void for_strip_rows(int64_t first, const F& fn) const {
    constexpr int64_t kRows = kReduceBlock / kStrip;
    for (int64_t b = 0; b < p_.batch; b += kRows) {
      fn(b * p_.channels + first, std::min(kRows, p_.batch - b));
    }
  }

  const S* in(const void* base, int64_t offset) const {
    return static_cast<const S*>(base) + offset;
  }

  // Rows of a strip as T; *stride is that of what is returned.
  const T* load_rows(const void* base, int64_t offset, int64_t rows, int64_t cols, T* buffer,
                     int64_t* stride) const {
    const S* from = in(base, offset);
    if constexpr (OpMathIo<S>::kDirect) {
      *stride = p_.channels;
      return from;
    } else {
      *stride = cols;
      for (int64_t r = 0; r < rows; ++r) io_.load(from + r * p_.channels, cols, buffer + r * cols);
      return buffer;
    }
  }

  void store_rows(const T* from, int64_t offset, int64_t rows, int64_t cols) const {
    S* to = static_cast<S*>(p_.out) + offset;
    for (int64_t r = 0; r < rows; ++r) io_.store(from + r * cols, to + r * p_.channels, cols);
  }

  void use_running(int64_t c) {
    mean()[c] = running_mean_.at(c, T{0});
    rstd()[c] =
        static_cast<T>(1 / std::sqrt(static_cast<double>(running_var_.at(c, T{1})) + p_.eps));
  }

  void set_statistics(int64_t c, double center, double squares) {
    const double variance = squares / count_;
    variance_[static_cast<size_t>(c)] = variance;
    mean()[c] = static_cast<T>(center);
    rstd()[c] = static_cast<T>(1 / std::sqrt(variance + p_.eps));
  }

  void statistics(int64_t first, int64_t cols, Buffers* buffers) {
    if (strips()) {
      strip_statistics(first, cols, buffers);
      return;
    }
    math::Moments all;
    for_runs(first, [&](int64_t at, int64_t n) {
      math::merge_moments(&all, run_moments(io_.load(in(p_.in, at), n, buffers->in.get()), n));
    });
    set_statistics(first, all.mean, all.m2);
  }

  void strip_statistics(int64_t first, int64_t cols, Buffers* buffers) {
    double sums[kStrip] = {};
    int64_t stride = 0;
    for_strip_rows(first, [&](int64_t at, int64_t rows) {
      const T* x = load_rows(p_.in, at, rows, cols, buffers->in.get(), &stride);
      sum_rows(x, stride, rows, cols, sums);
    });
    T centers[kStrip];
    double squares[kStrip] = {};
    for (int64_t c = 0; c < cols; ++c) centers[c] = static_cast<T>(sums[c] / count_);
    for_strip_rows(first, [&](int64_t at, int64_t rows) {
      const T* x = load_rows(p_.in, at, rows, cols, buffers->in.get(), &stride);
      sum_squares_rows(x, stride, rows, cols, centers, squares);
    });
    for (int64_t c = 0; c < cols; ++c) set_statistics(first + c, sums[c] / count_, squares[c]);
  }

  void apply(int64_t first, int64_t cols, Buffers* buffers) const {
    if (strips()) {
      T scale[kStrip];
      T shift[kStrip];
      for (int64_t i = 0; i < cols; ++i) {
        scale[i] = rstd()[first + i] * weight_.at(first + i, T{1});
        shift[i] = bias_.at(first + i, T{0});
      }
      int64_t stride = 0;
      for_strip_rows(first, [&](int64_t at, int64_t rows) {
        const T* x = load_rows(p_.in, at, rows, cols, buffers->in.get(), &stride);
        T* y = OpMathIo<S>::target(static_cast<S*>(p_.out) + at, buffers->out.get());
        affine_rows(x, y, stride, rows, cols, mean() + first, scale, shift);
        store_rows(y, at, rows, cols);
      });
      return;
    }
    const T scale = rstd()[first] * weight_.at(first, T{1});
    const T shift = bias_.at(first, T{0});
    for_runs(first, [&](int64_t at, int64_t n) {
      const T* x = io_.load(in(p_.in, at), n, buffers->in.get());
      S* to = static_cast<S*>(p_.out) + at;
      T* y = OpMathIo<S>::target(to, buffers->out.get());
      affine_run(x, y, n, mean()[first], scale, shift);
      io_.store(y, to, n);
    });
  }

  void grad_moments(int64_t first, int64_t cols, Buffers* buffers, PairSum* sums) const {
    if (strips()) {
      double sum[kStrip] = {};
      double product[kStrip] = {};
      int64_t stride = 0;
      for_strip_rows(first, [&](int64_t at, int64_t rows) {
        const T* x = load_rows(p_.in, at, rows, cols, buffers->in.get(), &stride);
        const T* g = load_rows(p_.grad, at, rows, cols, buffers->grad.get(), &stride);
        grad_moments_rows(g, x, stride, rows, cols, mean() + first, sum, product);
      });
      for (int64_t i = 0; i < cols; ++i) sums[i] = {sum[i], product[i]};
      return;
    }
    for_runs(first, [&](int64_t at, int64_t n) {
      const T* x = io_.load(in(p_.in, at), n, buffers->in.get());
      const T* g = io_.load(in(p_.grad, at), n, buffers->grad.get());
      const PairSum part = grad_moments_run(g, x, static_cast<const T*>(nullptr), n, mean()[first]);
      sums->first += part.first;
      sums->second += part.second;
    });
  }

  GradFactors<T> finish_sums(int64_t c, const PairSum& sum) {
    const double scale = static_cast<double>(rstd()[c]);
    const double a = scale * static_cast<double>(weight_.at(c, T{1}));
    grad_weight_[static_cast<size_t>(c)] = sum.second * scale;
    grad_bias_[static_cast<size_t>(c)] = sum.first;
    if (!p_.training) return {static_cast<T>(a), T{0}, T{0}};
    return {static_cast<T>(a), static_cast<T>(-a * scale * scale * sum.second / count_),
            static_cast<T>(-a * sum.first / count_)};
  }

  void input_grad(int64_t first, int64_t cols, Buffers* buffers,
                  const GradFactors<T>* factors) const {
    if (strips()) {
      strip_grad(first, cols, buffers, factors);
      return;
    }
    for_runs(first, [&](int64_t at, int64_t n) {
      const T* x = io_.load(in(p_.in, at), n, buffers->in.get());
      const T* g = io_.load(in(p_.grad, at), n, buffers->grad.get());
      S* to = static_cast<S*>(p_.out) + at;
      T* out = OpMathIo<S>::target(to, buffers->out.get());
      NormGradRun<T> run{g, x, nullptr, out, nullptr, nullptr, n, mean()[first]};
      run.a = factors->a;
      run.b = factors->b;
      run.c = factors->c;
      norm_grad_run(run, false);
      io_.store(out, to, n);
    });
  }

  void strip_grad(int64_t first, int64_t cols, Buffers* buffers,
                  const GradFactors<T>* factors) const {
    T a[kStrip];
    T b[kStrip];
    T c[kStrip];
    for (int64_t i = 0; i < cols; ++i) {
      a[i] = factors[i].a;
      b[i] = factors[i].b;
      c[i] = factors[i].c;
    }
    int64_t stride = 0;
    for_strip_rows(first, [&](int64_t at, int64_t rows) {
      const T* x = load_rows(p_.in, at, rows, cols, buffers->in.get(), &stride);
      const T* g = load_rows(p_.grad, at, rows, cols, buffers->grad.get(), &stride);
      T* out = OpMathIo<S>::target(static_cast<S*>(p_.out) + at, buffers->out.get());
      norm_grad_rows(g, x, out, stride, rows, cols, mean() + first, a, b, c);
      store_rows(out, at, rows, cols);
    });
  }

  // running = (1 - momentum) running + momentum (mean, unbiased variance)
  void update_running() const {
    std::vector<double> means(static_cast<size_t>(p_.channels));
    std::vector<double> variances(static_cast<size_t>(p_.channels));
    const double m = p_.momentum;
    for (int64_t c = 0; c < p_.channels; ++c) {
      const auto i = static_cast<size_t>(c);
      const double unbiased = variance_[i] * count_ / (count_ - 1);
      means[i] = m * static_cast<double>(mean()[c]) +
                 (1 - m) * static_cast<double>(running_mean_.at(c, T{0}));
      variances[i] = m * unbiased + (1 - m) * static_cast<double>(running_var_.at(c, T{1}));
    }
    write(means, p_.running_mean);
    write(variances, p_.running_var);
  }

  void write(const std::vector<double>& values, void* to) const {
    if (to == nullptr) return;
    convert_fn(DType::Float64, p_.param_dtype)(values.data(), to, values.size());
  }

  const BatchNormParams& p_;
  const double count_;
  OpMathIo<S> io_;
  OpMathVector<T> weight_;
  OpMathVector<T> bias_;
  OpMathVector<T> running_mean_;
  OpMathVector<T> running_var_;
  std::vector<double> variance_;
  std::vector<double> grad_weight_;
  std::vector<double> grad_bias_;
};

template <class S>
void forward_cell(const BatchNormParams& p, const void*) {
  BatchNorm<S>(p).forward();
}
template <class S>
void backward_cell(const BatchNormParams& p, const void*) {
  BatchNorm<S>(p).backward();
}

}  // namespace

void register_batch_norm() {
  const auto set = [](DType dtype, KernelFn<BatchNormParams> forward,
                      KernelFn<BatchNormParams> backward) {
    KernelTable::set<BatchNormParams>(OpId::nativeBatchNorm, DeviceType::Cpu, dtype, forward);
    KernelTable::set<BatchNormParams>(OpId::batchNormBackward, DeviceType::Cpu, dtype, backward);
  };
  set(DType::Float16, forward_cell<Half>, backward_cell<Half>);
  set(DType::BFloat16, forward_cell<BFloat16>, backward_cell<BFloat16>);
  set(DType::Float32, forward_cell<float>, backward_cell<float>);
  set(DType::Float64, forward_cell<double>, backward_cell<double>);
}

}  // namespace ampgrad::cpu
