// Connectionist temporal classification: a block for each item of the batch, whose threads share
// the states of a step. In log space and double precision, every sum in the order of the CPU.
#include "ops/ctc_params.h"

#include <cmath>
#include <vector>

#include "backend/cuda/device/fault.cuh"
#include "backend/cuda/device/team.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/pieces.h"
#include "math/ctc.h"

namespace ampgrad::cuda {

namespace {

struct CtcItem {
  int64_t time, labels, target_offset;
  int64_t alpha_offset;  // of time * states values
  int64_t beta_offset;   // of 2 * states values
};

struct CtcArgs {
  const void* log_probs;
  int64_t time_stride, batch_stride, class_stride;
  int64_t batch, classes, blank;
  const int64_t* targets;
  const CtcItem* items;
  double* alpha;
  double* beta;
  bool zero_infinity;
  void* losses;
  const void* grad;
  void* out;
  IndexFault* fault;
};

template <class T>
struct Item {
  const CtcArgs& a;
  int64_t time, labels, states;
  const int64_t* targets;
  const T* log_probs;
  double* alpha;

  __device__ Item(const CtcArgs& args, int64_t n)
      : a(args),
        time(args.items[n].time),
        labels(args.items[n].labels),
        states(2 * labels + 1),
        targets(args.targets + args.items[n].target_offset),
        log_probs(static_cast<const T*>(args.log_probs) + n * args.batch_stride),
        alpha(args.alpha + args.items[n].alpha_offset) {}

  __device__ int64_t label(int64_t state) const {
    return state % 2 == 0 ? a.blank : targets[state / 2];
  }
  // May a path step from state - 2 straight to state?
  __device__ bool skips(int64_t state) const {
    return state % 2 == 1 && state >= 3 && targets[state / 2] != targets[state / 2 - 1];
  }
  __device__ double log_prob(int64_t t, int64_t c) const {
    return static_cast<double>(log_probs[t * a.time_stride + c * a.class_stride]);
  }

  // Whether all labels are classes; the same in all threads.
  __device__ bool is_valid() const {
    int bad = 0;
    for (int64_t i = threadIdx.x; i < labels; i += kRowThreads) {
      if (targets[i] >= 0 && targets[i] < a.classes) continue;
      report_index(a.fault, "ctcLoss", targets[i], 2, a.classes);
      bad = 1;
    }
    return __syncthreads_or(bad) == 0;
  }

  // Fills alpha and gives the negative log-likelihood.
  __device__ double loss() const {
    if (time == 0) return labels == 0 ? 0 : -math::kNever;
    for (int64_t s = threadIdx.x; s < states; s += kRowThreads) {
      alpha[s] = s < 2 ? log_prob(0, label(s)) : math::kNever;
    }
    __syncthreads();
    for (int64_t t = 1; t < time; ++t) {
      const double* from = alpha + (t - 1) * states;
      double* to = alpha + t * states;
      for (int64_t s = threadIdx.x; s < states; s += kRowThreads) {
        double sum = from[s];
        if (s >= 1) sum = math::log_add(sum, from[s - 1]);
        if (skips(s)) sum = math::log_add(sum, from[s - 2]);
        to[s] = sum + log_prob(t, label(s));
      }
      __syncthreads();
    }
    const double* last = alpha + (time - 1) * states;
    double total = last[states - 1];
    if (labels > 0) total = math::log_add(total, last[states - 2]);
    __syncthreads();  // alpha may be changed now
    return -total;
  }

  __device__ double backward_state(int64_t t, int64_t s, const double* next) const {
    double sum = math::kNever;
    if (t == time - 1) {
      if (s >= states - 2) sum = 0;
    } else {
      sum = next[s];
      if (s + 1 < states) sum = math::log_add(sum, next[s + 1]);
      if (s + 2 < states && skips(s + 2)) sum = math::log_add(sum, next[s + 2]);
    }
    return sum + log_prob(t, label(s));
  }

  // The probability of all states of the label of s, or false when an earlier state has it too.
  __device__ bool label_mass(int64_t s, const double* both, double* mass) const {
    const int64_t own = label(s);
    *mass = math::kNever;
    for (int64_t k = 0; k < states; ++k) {
      if (label(k) != own) continue;
      if (k < s) return false;
      *mass = math::log_add(*mass, both[k]);
    }
    return true;
  }
};

template <class T>
__global__ void __launch_bounds__(kRowThreads) ctc_loss_kernel(const CtcArgs a) {
  for (int64_t n = blockIdx.x; n < a.batch; n += gridDim.x) {
    const Item<T> item(a, n);
    if (!item.is_valid()) continue;
    const double loss = item.loss();
    const bool infinite = loss == -math::kNever;
    if (threadIdx.x == 0) {
      static_cast<T*>(a.losses)[n] = a.zero_infinity && infinite ? T{0} : static_cast<T>(loss);
    }
  }
}

// `out` is zero; what an item's loss does not depend on stays so.
template <class T>
__global__ void __launch_bounds__(kRowThreads) ctc_grad_kernel(const CtcArgs a) {
  for (int64_t n = blockIdx.x; n < a.batch; n += gridDim.x) {
    const Item<T> item(a, n);
    if (!item.is_valid()) continue;
    const double nll = item.loss();
    const bool infinite = nll == -math::kNever || nll == math::kNever;
    if (item.time == 0 || (a.zero_infinity && infinite)) continue;
    const auto grad = static_cast<double>(static_cast<const T*>(a.grad)[n]);
    double* beta = a.beta + a.items[n].beta_offset;
    double* next = beta + item.states;
    for (int64_t t = item.time - 1; t >= 0; --t) {
      double* both = item.alpha + t * item.states;
      for (int64_t s = threadIdx.x; s < item.states; s += kRowThreads) {
        beta[s] = item.backward_state(t, s, next);
        both[s] += beta[s];
      }
      T* row = static_cast<T*>(a.out) + (t * a.batch + n) * a.classes;
      const auto set = [&](int64_t c, double mass) {
        const double lp = item.log_prob(t, c);
        const double share = mass == math::kNever && !infinite ? 0 : ::exp(mass + nll - lp);
        row[c] = static_cast<T>(grad * (::exp(lp) - share));
      };
      for (int64_t c = threadIdx.x; c < a.classes; c += kRowThreads) set(c, math::kNever);
      __syncthreads();
      for (int64_t s = threadIdx.x; s < item.states; s += kRowThreads) {
        double mass;
        if (item.label_mass(s, both, &mass)) set(item.label(s), mass);
      }
      double* done = beta;
      beta = next;
      next = done;
      __syncthreads();
    }
  }
}

template <class T>
void ctc(const CtcParams& p, const void* name_of_row) {
  if (p.batch == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  std::vector<CtcItem> items;
  int64_t alpha_size = 0;
  int64_t beta_size = 0;
  for (size_t n = 0; n < static_cast<size_t>(p.batch); ++n) {
    const int64_t states = 2 * p.target_lengths[n] + 1;
    items.push_back(
        {p.input_lengths[n], p.target_lengths[n], p.target_offsets[n], alpha_size, beta_size});
    alpha_size += p.input_lengths[n] * states;
    beta_size += p.grad == nullptr ? 0 : 2 * states;
  }
  const Scratch table(items.size() * sizeof(CtcItem));
  const Scratch alpha(static_cast<size_t>(alpha_size) * sizeof(double));
  const Scratch beta(static_cast<size_t>(beta_size) * sizeof(double));
  upload(items, table, name);
  const CtcArgs a{p.log_probs,
                  p.time_stride,
                  p.batch_stride,
                  p.class_stride,
                  p.batch,
                  p.classes,
                  p.blank,
                  p.targets,
                  table.as<CtcItem>(),
                  alpha.as<double>(),
                  beta.as<double>(),
                  p.zero_infinity,
                  p.losses,
                  p.grad,
                  p.out,
                  current_context().fault};
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(p.batch, 1 << 20));
  if (p.grad == nullptr) {
    launch(name, {dim3(blocks), kRowThreads}, ctc_loss_kernel<T>, a);
    return;
  }
  const auto bytes = static_cast<size_t>(p.time * p.batch * p.classes) * sizeof(T);
  if (bytes != 0) check(cudaMemsetAsync(p.out, 0, bytes, current_stream()), name);
  launch(name, {dim3(blocks), kRowThreads}, ctc_grad_kernel<T>, a);
}

}  // namespace

void register_ctc(const CudaHost& host) {
  const auto set = [&](OpId op, const char* name) {
    set_kernel<CtcParams>(host, op, DType::Float32, ctc<float>, name);
    set_kernel<CtcParams>(host, op, DType::Float64, ctc<double>, name);
  };
  set(OpId::ctcLossForward, "ctcLossForward");
  set(OpId::ctcLossBackward, "ctcLossBackward");
}

}  // namespace ampgrad::cuda
