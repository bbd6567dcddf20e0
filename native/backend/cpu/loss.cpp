// Losses over class indices. Rows are computed by the threads, their losses added up in order by
// the caller, so that the sum does not depend on the number of threads. Sums are kept in double.
#include <algorithm>
#include <memory>

#include "backend/cpu/convert.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "backend/cpu/softmax_loops.h"
#include "core/error.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;  // elements a thread should get at least

template <class S>
using MathType = std::conditional_t<std::is_same_v<S, double>, double, float>;

template <class S>
double load(const void* base, int64_t i) {
  const S v = static_cast<const S*>(base)[i];
  if constexpr (std::is_same_v<S, Half> || std::is_same_v<S, BFloat16>) {
    return static_cast<double>(to_float(v));
  } else {
    return static_cast<double>(v);
  }
}

template <class S>
void store(double v, void* base, int64_t i) {
  S* to = static_cast<S*>(base) + i;
  if constexpr (std::is_same_v<S, Half>) {
    *to = to_half(v);
  } else if constexpr (std::is_same_v<S, BFloat16>) {
    *to = to_bfloat16(v);
  } else {
    *to = static_cast<S>(v);
  }
}

// The class of target i, or -1 when it is to be ignored.
int64_t class_of(const char* op, const ClassLossParams& p, int64_t i) {
  const int64_t y = p.target[i];
  if (y == p.ignore_index) return -1;
  AG_CHECK(y >= 0 && y < p.classes, Range, op, ": target ", y, " at position ", i,
           " is out of bounds for ", p.classes, " classes");
  return y;
}

template <class S>
double class_weight(const ClassLossParams& p, int64_t y) {
  return p.weight == nullptr ? 1.0 : load<S>(p.weight, y);
}

// Loss and weight of every target, added up by reduce().
class TargetSums {
 public:
  explicit TargetSums(int64_t n) : n_(n) {
    if (n > kInline) heap_ = std::make_unique<double[]>(static_cast<size_t>(2 * n));
    data_ = heap_ ? heap_.get() : room_;
  }
  void set(int64_t i, double loss, double weight) {
    data_[2 * i] = loss;
    data_[2 * i + 1] = weight;
  }

  template <class S>
  void reduce(const ClassLossParams& p) const {
    double loss = 0;
    double weight = 0;
    for (int64_t i = 0; i < n_; ++i) {
      loss += data_[2 * i];
      weight += data_[2 * i + 1];
      if (p.reduction == Reduction::None) store<S>(data_[2 * i], p.out, i);
    }
    *static_cast<double*>(p.total_weight) = weight;
    if (p.reduction == Reduction::None) return;
    store<S>(p.reduction == Reduction::Mean ? loss / weight : loss, p.out, 0);
  }

 private:
  static constexpr int64_t kInline = 256;
  int64_t n_;
  double room_[2 * kInline];
  std::unique_ptr<double[]> heap_;
  double* data_;
};

// What a unit of the loss of target i changes in the final gradient.
template <class S>
double gradient_scale(const ClassLossParams& p, int64_t i) {
  if (p.reduction == Reduction::None) return load<S>(p.grad, i);
  const double g = load<S>(p.grad, 0);
  return p.reduction == Reduction::Mean ? g / *static_cast<const double*>(p.total_weight) : g;
}

template <class S>
void nll_forward(const ClassLossParams& p, const void*) {
  const int64_t n = p.outer * p.inner;
  TargetSums sums(n);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t y = class_of("nllLoss", p, i);
    if (y < 0) {
      sums.set(i, 0, 0);
      continue;
    }
    const double w = class_weight<S>(p, y);
    const int64_t at = (i / p.inner * p.classes + y) * p.inner + i % p.inner;
    sums.set(i, -w * load<S>(p.in, at), w);
  }
  sums.template reduce<S>(p);
}

template <class S>
void nll_backward(const ClassLossParams& p, const void*) {
  std::fill_n(static_cast<S*>(p.out), p.outer * p.classes * p.inner, S{});
  for (int64_t i = 0; i < p.outer * p.inner; ++i) {
    const int64_t y = class_of("nllLoss", p, i);
    if (y < 0) continue;
    const int64_t at = (i / p.inner * p.classes + y) * p.inner + i % p.inner;
    store<S>(-class_weight<S>(p, y) * gradient_scale<S>(p, i), p.out, at);
  }
}

// Rows of logits in the type they are computed in; half types go through a buffer.
template <class S>
class LogitRows {
 public:
  using T = MathType<S>;
  static constexpr bool kDirect = std::is_same_v<S, T>;

  explicit LogitRows(const ClassLossParams& p) : p_(p) {
    if constexpr (!kDirect) buffer_ = std::make_unique<T[]>(static_cast<size_t>(p.classes));
  }
  const T* row(int64_t i) {
    const S* from = static_cast<const S*>(p_.in) + i * p_.classes;
    if constexpr (kDirect) {
      return from;
    } else {
      convert_fn(dtype_of<S>, dtype_of<T>)(from, buffer_.get(), static_cast<size_t>(p_.classes));
      return buffer_.get();
    }
  }
  // Where the gradient of row i is computed; finish() puts it in its place.
  T* gradient(int64_t i) {
    if constexpr (kDirect) {
      return static_cast<S*>(p_.out) + i * p_.classes;
    } else {
      return buffer_.get();
    }
  }
  void finish(int64_t i) {
    if constexpr (!kDirect) {
      convert_fn(dtype_of<T>, dtype_of<S>)(buffer_.get(), static_cast<S*>(p_.out) + i * p_.classes,
                                           static_cast<size_t>(p_.classes));
    }
  }

 private:
  const ClassLossParams& p_;
  std::unique_ptr<T[]> buffer_;
};

template <class S>
double sum_of_weights(const ClassLossParams& p) {
  if (p.weight == nullptr) return static_cast<double>(p.classes);
  double sum = 0;
  for (int64_t c = 0; c < p.classes; ++c) sum += load<S>(p.weight, c);
  return sum;
}

// Loss of a row spread evenly over all classes: sum of w_c (lse - x_c).
template <class S, class T>
double even_loss(const ClassLossParams& p, const T* x, double lse) {
  double sum = 0;
  for (int64_t c = 0; c < p.classes; ++c) {
    sum += class_weight<S>(p, c) * (lse - static_cast<double>(x[c]));
  }
  return sum;
}

int64_t row_grain(const ClassLossParams& p) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(p.classes, 1));
}

template <class S>
void cross_entropy_forward(const ClassLossParams& p, const void*) {
  TargetSums sums(p.outer);
  auto* lse = static_cast<double*>(p.lse);
  const double smoothing = p.label_smoothing;
  parallel_for(p.outer, row_grain(p), [&](int64_t begin, int64_t end) {
    LogitRows<S> rows(p);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t y = class_of("crossEntropy", p, i);
      if (y < 0) {
        lse[i] = 0;
        sums.set(i, 0, 0);
        continue;
      }
      const auto* x = rows.row(i);
      lse[i] = log_sum_exp_row(x, p.classes);
      const double w = class_weight<S>(p, y);
      double loss = w * (lse[i] - static_cast<double>(x[y]));
      if (smoothing > 0) {
        loss = (1 - smoothing) * loss +
               smoothing / static_cast<double>(p.classes) * even_loss<S>(p, x, lse[i]);
      }
      sums.set(i, loss, w);
    }
  });
  sums.template reduce<S>(p);
}

template <class S>
void cross_entropy_backward(const ClassLossParams& p, const void*) {
  using T = MathType<S>;
  const auto* lse = static_cast<const double*>(p.lse);
  const double smoothing = p.label_smoothing;
  const double even = smoothing / static_cast<double>(p.classes);
  const double weights = smoothing > 0 ? sum_of_weights<S>(p) : 0;
  parallel_for(p.outer, row_grain(p), [&](int64_t begin, int64_t end) {
    LogitRows<S> rows(p);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t y = class_of("crossEntropy", p, i);
      if (y < 0) {
        std::fill_n(static_cast<S*>(p.out) + i * p.classes, p.classes, S{});
        continue;
      }
      const double scale = gradient_scale<S>(p, i);
      const double hard = (1 - smoothing) * class_weight<S>(p, y);
      const T* x = rows.row(i);
      T* g = rows.gradient(i);
      scaled_softmax_row(x, g, p.classes, lse[i], scale * (hard + even * weights));
      g[y] = static_cast<T>(static_cast<double>(g[y]) - scale * hard);
      for (int64_t c = 0; smoothing > 0 && c < p.classes; ++c) {
        g[c] = static_cast<T>(static_cast<double>(g[c]) - scale * even * class_weight<S>(p, c));
      }
      rows.finish(i);
    }
  });
}

template <class S>
void set_cells(DType dtype) {
  const auto set = [dtype](OpId op, KernelFn<ClassLossParams> fn) {
    KernelTable::set<ClassLossParams>(op, DeviceType::Cpu, dtype, fn);
  };
  set(OpId::nllLossForward, nll_forward<S>);
  set(OpId::nllLossBackward, nll_backward<S>);
  set(OpId::crossEntropyForward, cross_entropy_forward<S>);
  set(OpId::crossEntropyBackward, cross_entropy_backward<S>);
}

}  // namespace

void register_loss() {
  set_cells<Half>(DType::Float16);
  set_cells<BFloat16>(DType::BFloat16);
  set_cells<float>(DType::Float32);
  set_cells<double>(DType::Float64);
}

}  // namespace ampgrad::cpu
