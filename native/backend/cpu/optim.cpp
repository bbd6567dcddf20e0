// Multi-tensor optimizer steps of the CPU: the elements of all tensors are one range, cut into
// pieces for the threads; a piece walks the tensors it touches. Half precision goes through short
// float buffers.
#include "backend/cpu/optim_loops.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "backend/cpu/convert.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "math/optim-inl.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 15;  // elements a thread should get at least
constexpr int64_t kBlock = 1 << 10;  // elements a buffer holds

using Prepare = void (*)(const OptimParams& p, float* const* scalars, double* factors,
                         math::OptimFlags* flags);

struct Cell {
  OptimLoop loop32;
  OptimLoop loop64;
  Prepare prepare;
};

struct Prepared {
  double factors[math::kOptimFactors] = {};
  math::OptimFlags flags;
  int64_t begin = 0;  // of this tensor in the range of all
};

template <class T>
class Step {
 public:
  Step(const OptimParams& p, const Cell& cell, OptimLoop loop) : p_(p), loop_(loop) {
    grad_factor_ = p.maximize ? -1.0 : 1.0;
    if (p.grad_scale != nullptr) grad_factor_ /= static_cast<double>(*p.grad_scale);
    tensors_.resize(static_cast<size_t>(p.num_tensors));
    for (int64_t i = 0; i < p.num_tensors; ++i) {
      Prepared& t = tensors_[static_cast<size_t>(i)];
      t.flags.decay = p.weight_decay != 0;
      t.flags.decoupled = p.decoupled_decay;
      t.flags.nesterov = p.nesterov;
      t.flags.amsgrad = p.amsgrad;
      t.flags.centered = p.centered;
      cell.prepare(p, p.tensors[i].scalars, t.factors, &t.flags);
      t.begin = total_;
      total_ += p.tensors[i].numel;
    }
  }

  void run() const {
    parallel_for(total_, kGrain, [this](int64_t begin, int64_t end) { range(begin, end); });
  }

 private:
  void range(int64_t begin, int64_t end) const {
    const auto after = std::upper_bound(tensors_.begin(), tensors_.end(), begin,
                                        [](int64_t at, const Prepared& t) { return at < t.begin; });
    std::unique_ptr<T[]> buffer;
    for (size_t i = static_cast<size_t>(after - tensors_.begin()) - 1; begin < end; ++i) {
      const OptimTensor& t = p_.tensors[i];
      const int64_t first = begin - tensors_[i].begin;
      const int64_t last = std::min(t.numel, end - tensors_[i].begin);
      if (last <= first) continue;
      if (p_.dtype == dtype_of<T> && t.grad_dtype == dtype_of<T> && t.model == nullptr) {
        piece(i, first, last - first, nullptr);
      } else {
        if (!buffer) buffer.reset(new T[2 * kBlock]);
        for (int64_t at = first; at < last; at += kBlock) {
          piece(i, at, std::min(kBlock, last - at), buffer.get());
        }
      }
      begin += last - first;
    }
  }

  static void* shifted(void* base, DType dtype, int64_t at) {
    return static_cast<char*>(base) + at * static_cast<int64_t>(dtype_size(dtype));
  }
  static const void* shifted(const void* base, DType dtype, int64_t at) {
    return static_cast<const char*>(base) + at * static_cast<int64_t>(dtype_size(dtype));
  }

  // Elements [at, at + n) of tensor i; `buffer` takes what is not of the compute type.
  void piece(size_t i, int64_t at, int64_t n, T* buffer) const {
    constexpr DType kCompute = dtype_of<T>;
    const OptimTensor& t = p_.tensors[i];
    const size_t count = static_cast<size_t>(n);
    OptimRun run;
    run.n = n;
    run.factors = tensors_[i].factors;
    run.flags = tensors_[i].flags;
    run.grad_factor = grad_factor_;
    void* param = shifted(t.param, p_.dtype, at);
    run.param = param;
    run.grad = shifted(t.grad, t.grad_dtype, at);
    for (int k = 0; k < math::kOptimStates; ++k) {
      if (t.states[k] != nullptr) run.states[k] = static_cast<T*>(t.states[k]) + at;
    }
    if (p_.dtype != kCompute) {
      convert_fn(p_.dtype, kCompute)(param, buffer, count);
      run.param = buffer;
    }
    if (t.grad_dtype != kCompute) {
      convert_fn(t.grad_dtype, kCompute)(run.grad, buffer + kBlock, count);
      run.grad = buffer + kBlock;
    }
    loop_(run);
    if (p_.dtype != kCompute) convert_fn(kCompute, p_.dtype)(buffer, param, count);
    if (t.model != nullptr) {
      convert_fn(p_.dtype, t.model_dtype)(param, shifted(t.model, t.model_dtype, at), count);
    }
  }

  const OptimParams& p_;
  OptimLoop loop_;
  double grad_factor_ = 1;
  std::vector<Prepared> tensors_;
  int64_t total_ = 0;
};

void step_kernel(const OptimParams& p, const void* data) {
  const Cell& cell = *static_cast<const Cell*>(data);
  if (p.found_inf != nullptr && *p.found_inf != 0) return;
  if (p.dtype == DType::Float64) {
    Step<double>(p, cell, cell.loop64).run();
  } else {
    Step<float>(p, cell, cell.loop32).run();
  }
}

template <class F>
void prepare_of(const OptimParams& p, float* const* scalars, double* factors,
                math::OptimFlags* flags) {
  F::prepare(p, scalars, factors, flags);
}

template <class F>
void set(OpId op, OptimKind kind) {
  static const Cell cell{optim_loops().float32.steps[static_cast<int>(kind)],
                         optim_loops().float64.steps[static_cast<int>(kind)], prepare_of<F>};
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    KernelTable::set<OptimParams>(op, DeviceType::Cpu, dtype, step_kernel, &cell);
  }
}

}  // namespace

void register_optim() {
  set<math::SgdStep>(OpId::sgdStep_, OptimKind::Sgd);
  set<math::AdamStep>(OpId::adamStep_, OptimKind::Adam);
  set<math::RmspropStep>(OpId::rmspropStep_, OptimKind::Rmsprop);
  set<math::AdagradStep>(OpId::adagradStep_, OptimKind::Adagrad);
  set<math::AdadeltaStep>(OpId::adadeltaStep_, OptimKind::Adadelta);
  set<math::AdamaxStep>(OpId::adamaxStep_, OptimKind::Adamax);
  set<math::NadamStep>(OpId::nadamStep_, OptimKind::Nadam);
  set<math::RadamStep>(OpId::radamStep_, OptimKind::Radam);
  set<math::RpropStep>(OpId::rpropStep_, OptimKind::Rprop);
  set<math::AsgdStep>(OpId::asgdStep_, OptimKind::Asgd);
  set<math::LionStep>(OpId::lionStep_, OptimKind::Lion);
}

}  // namespace ampgrad::cpu
