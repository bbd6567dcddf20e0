// Connectionist temporal classification on the CPU: the forward-backward recursion over the labels
// interleaved with blanks, in log space and double precision, one item of the batch at a time.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "core/error.h"
#include "math/ctc.h"
#include "ops/ctc_params.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

using math::kNever;
using math::log_add;

template <class T>
class Item {
 public:
  Item(const CtcParams& p, int64_t n)
      : p_(p),
        time_(p.input_lengths[static_cast<size_t>(n)]),
        labels_(p.target_lengths[static_cast<size_t>(n)]),
        states_(2 * labels_ + 1),
        targets_(p.targets + p.target_offsets[static_cast<size_t>(n)]),
        log_probs_(static_cast<const T*>(p.log_probs) + n * p.batch_stride) {
    for (int64_t i = 0; i < labels_; ++i) {
      AG_CHECK(targets_[i] >= 0 && targets_[i] < p.classes, Range, "ctcLoss: target ", targets_[i],
               " of batch item ", n, " is out of bounds for ", p.classes, " classes");
    }
  }

  double loss() {
    if (time_ == 0) return labels_ == 0 ? 0 : -kNever;
    forward();
    const double* last = &alpha_[static_cast<size_t>((time_ - 1) * states_)];
    double total = last[states_ - 1];
    if (labels_ > 0) total = log_add(total, last[states_ - 2]);
    return -total;
  }

  // Adds what this item's loss, times `grad`, changes: out is [time, batch, classes] at this item.
  void gradient(double grad, T* out) {
    const double nll = loss();
    if (time_ == 0 || (p_.zero_infinity && std::isinf(nll))) return;
    std::vector<double> beta(static_cast<size_t>(states_), kNever);
    std::vector<double> next(static_cast<size_t>(states_), kNever);
    std::vector<double> mass(static_cast<size_t>(p_.classes));
    for (int64_t t = time_ - 1; t >= 0; --t) {
      backward_step(t, next, beta);
      std::fill(mass.begin(), mass.end(), kNever);
      const double* alpha = &alpha_[static_cast<size_t>(t * states_)];
      for (int64_t s = 0; s < states_; ++s) {
        double& m = mass[static_cast<size_t>(label(s))];
        m = log_add(m, alpha[s] + beta[static_cast<size_t>(s)]);
      }
      T* row = out + t * p_.batch * p_.classes;
      for (int64_t c = 0; c < p_.classes; ++c) {
        const double lp = log_prob(t, c);
        const double share = mass[static_cast<size_t>(c)] == kNever && !std::isinf(nll)
                                 ? 0
                                 : std::exp(mass[static_cast<size_t>(c)] + nll - lp);
        row[c] = static_cast<T>(grad * (std::exp(lp) - share));
      }
      std::swap(beta, next);
    }
  }

 private:
  int64_t label(int64_t state) const { return state % 2 == 0 ? p_.blank : targets_[state / 2]; }
  // May a path step from state - 2 straight to state?
  bool skips(int64_t state) const {
    return state % 2 == 1 && state >= 3 && targets_[state / 2] != targets_[state / 2 - 1];
  }
  double log_prob(int64_t t, int64_t c) const {
    return static_cast<double>(log_probs_[t * p_.time_stride + c * p_.class_stride]);
  }

  void forward() {
    alpha_.assign(static_cast<size_t>(time_ * states_), kNever);
    alpha_[0] = log_prob(0, p_.blank);
    if (labels_ > 0) alpha_[1] = log_prob(0, targets_[0]);
    for (int64_t t = 1; t < time_; ++t) {
      const double* from = &alpha_[static_cast<size_t>((t - 1) * states_)];
      double* to = &alpha_[static_cast<size_t>(t * states_)];
      for (int64_t s = 0; s < states_; ++s) {
        double sum = from[s];
        if (s >= 1) sum = log_add(sum, from[s - 1]);
        if (skips(s)) sum = log_add(sum, from[s - 2]);
        to[s] = sum + log_prob(t, label(s));
      }
    }
  }

  void backward_step(int64_t t, const std::vector<double>& next, std::vector<double>& beta) {
    for (int64_t s = 0; s < states_; ++s) {
      const auto i = static_cast<size_t>(s);
      double sum = kNever;
      if (t == time_ - 1) {
        if (s >= states_ - 2) sum = 0;
      } else {
        sum = next[i];
        if (s + 1 < states_) sum = log_add(sum, next[i + 1]);
        if (s + 2 < states_ && skips(s + 2)) sum = log_add(sum, next[i + 2]);
      }
      beta[i] = sum + log_prob(t, label(s));
    }
  }

  const CtcParams& p_;
  int64_t time_;
  int64_t labels_;
  int64_t states_;
  const int64_t* targets_;
  const T* log_probs_;
  std::vector<double> alpha_;
};

template <class T>
void ctc_kernel(const CtcParams& p, const void*) {
  T* out = static_cast<T*>(p.out);
  if (p.grad != nullptr) std::fill_n(out, p.time * p.batch * p.classes, T{0});
  parallel_for(p.batch, p.time * p.classes > 4096 ? 1 : 8, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      Item<T> item(p, n);
      if (p.grad != nullptr) {
        item.gradient(static_cast<double>(static_cast<const T*>(p.grad)[n]), out + n * p.classes);
        continue;
      }
      const double loss = item.loss();
      static_cast<T*>(p.losses)[n] =
          p.zero_infinity && std::isinf(loss) ? T{0} : static_cast<T>(loss);
    }
  });
}

}  // namespace

void register_ctc() {
  for (OpId op : {OpId::ctcLossForward, OpId::ctcLossBackward}) {
    KernelTable::set<CtcParams>(op, DeviceType::Cpu, DType::Float32, ctc_kernel<float>);
    KernelTable::set<CtcParams>(op, DeviceType::Cpu, DType::Float64, ctc_kernel<double>);
  }
}

}  // namespace ampgrad::cpu
