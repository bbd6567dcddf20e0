// Multi-tensor optimizer steps: one launch makes the factors of every tensor, one updates the
// elements of all of them, in pieces. Step counts, found_inf and grad_scale are read on the device:
// a step never waits for it.
#include <cuda_runtime.h>

#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/pieces.h"
#include "math/optim-inl.h"
#include "ops/params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;

struct Prepared {
  double factors[math::kOptimFactors];
  math::OptimFlags flags;
};

struct Tables {
  const OptimTensor* tensors;
  const Piece* pieces;
  Prepared* prepared;
};

// Gradients and model copies are floats. In line: a call would spill what the loop holds.
template <class T>
AG_HD AG_INLINE T load_float(const void* base, DType dtype, int64_t i) {
  if (dtype == DType::Float16) return cast<T>(static_cast<const Half*>(base)[i]);
  if (dtype == DType::BFloat16) return cast<T>(static_cast<const BFloat16*>(base)[i]);
  if (dtype == DType::Float64) return cast<T>(static_cast<const double*>(base)[i]);
  return cast<T>(static_cast<const float*>(base)[i]);
}

template <class T>
AG_HD AG_INLINE void store_float(void* base, DType dtype, int64_t i, T value) {
  if (dtype == DType::Float16) {
    static_cast<Half*>(base)[i] = cast<Half>(value);
  } else if (dtype == DType::BFloat16) {
    static_cast<BFloat16*>(base)[i] = cast<BFloat16>(value);
  } else if (dtype == DType::Float64) {
    static_cast<double*>(base)[i] = cast<double>(value);
  } else {
    static_cast<float*>(base)[i] = cast<float>(value);
  }
}

template <class F>
__global__ void __launch_bounds__(kThreads)
    prepare_kernel(const OptimParams p, const Tables tables) {
  if (p.found_inf != nullptr && *p.found_inf != 0) return;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= p.num_tensors) return;
  Prepared& t = tables.prepared[i];
  for (double& factor : t.factors) factor = 0;
  t.flags = math::OptimFlags{};
  t.flags.decay = p.weight_decay != 0;
  t.flags.decoupled = p.decoupled_decay;
  t.flags.nesterov = p.nesterov;
  t.flags.amsgrad = p.amsgrad;
  t.flags.centered = p.centered;
  F::prepare(p, tables.tensors[i].scalars, t.factors, &t.flags);
}

// S is the dtype of the parameters, T what a step computes in.
template <class F, class S, class T>
__global__ void __launch_bounds__(kThreads) step_kernel(const OptimParams p, const Tables tables) {
  if (p.found_inf != nullptr && *p.found_inf != 0) return;
  const Piece piece = tables.pieces[blockIdx.x];
  const OptimTensor& t = tables.tensors[piece.tensor];
  const Prepared& prepared = tables.prepared[piece.tensor];
  const math::OptimFlags flags = prepared.flags;
  T factors[math::kOptimFactors];
  for (int k = 0; k < math::kOptimFactors; ++k) factors[k] = static_cast<T>(prepared.factors[k]);
  double grad_factor = p.maximize ? -1.0 : 1.0;
  if (p.grad_scale != nullptr) grad_factor /= static_cast<double>(*p.grad_scale);
  const T scale = static_cast<T>(grad_factor);
  S* param = static_cast<S*>(t.param);
  const int64_t end = piece.begin + kPiece < t.numel ? piece.begin + kPiece : t.numel;
  for (int64_t i = piece.begin + threadIdx.x; i < end; i += kThreads) {
    T x = cast<T>(param[i]);
    const T g = t.grad_dtype == p.dtype ? cast<T>(static_cast<const S*>(t.grad)[i])
                                        : load_float<T>(t.grad, t.grad_dtype, i);
    T states[math::kOptimStates];
    for (int k = 0; k < math::kOptimStates; ++k) {
      states[k] = t.states[k] == nullptr ? T{0} : static_cast<const T*>(t.states[k])[i];
    }
    F::apply(x, scale * g, states, factors, flags);
    for (int k = 0; k < math::kOptimStates; ++k) {
      if (t.states[k] != nullptr) static_cast<T*>(t.states[k])[i] = states[k];
    }
    const S rounded = cast<S>(x);
    param[i] = rounded;
    if (t.model != nullptr) store_float<T>(t.model, t.model_dtype, i, cast<T>(rounded));
  }
}

template <class F>
void step(const OptimParams& p, const void* name_of_row) {
  const auto* name = static_cast<const char*>(name_of_row);
  const std::vector<OptimTensor> tensors(p.tensors, p.tensors + p.num_tensors);
  const std::vector<Piece> pieces = cut(p.tensors, p.num_tensors);
  if (tensors.empty()) return;
  const Scratch device_tensors(tensors.size() * sizeof(OptimTensor));
  const Scratch device_pieces(pieces.size() * sizeof(Piece));
  const Scratch prepared(tensors.size() * sizeof(Prepared));
  upload(tensors, device_tensors, name);
  const Tables tables{device_tensors.as<OptimTensor>(), device_pieces.as<Piece>(),
                      prepared.as<Prepared>()};
  const auto blocks = static_cast<unsigned>((tensors.size() + kThreads - 1) / kThreads);
  launch(name, {dim3(blocks), kThreads}, prepare_kernel<F>, p, tables);
  if (pieces.empty()) return;
  upload(pieces, device_pieces, name);
  const LaunchShape shape{dim3(static_cast<unsigned>(pieces.size())), kThreads};
  switch (p.dtype) {
    case DType::Float16:
      return launch(name, shape, step_kernel<F, Half, float>, p, tables);
    case DType::BFloat16:
      return launch(name, shape, step_kernel<F, BFloat16, float>, p, tables);
    case DType::Float64:
      return launch(name, shape, step_kernel<F, double, double>, p, tables);
    default:
      return launch(name, shape, step_kernel<F, float, float>, p, tables);
  }
}

template <class F>
void set(const CudaHost& host, OpId op, const char* name) {
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    set_kernel<OptimParams>(host, op, dtype, step<F>, name);
  }
}

}  // namespace

void register_optim(const CudaHost& host) {
  set<math::SgdStep>(host, OpId::sgdStep_, "sgdStep_");
  set<math::AdamStep>(host, OpId::adamStep_, "adamStep_");
  set<math::RmspropStep>(host, OpId::rmspropStep_, "rmspropStep_");
  set<math::AdagradStep>(host, OpId::adagradStep_, "adagradStep_");
  set<math::AdadeltaStep>(host, OpId::adadeltaStep_, "adadeltaStep_");
  set<math::AdamaxStep>(host, OpId::adamaxStep_, "adamaxStep_");
  set<math::NadamStep>(host, OpId::nadamStep_, "nadamStep_");
  set<math::RadamStep>(host, OpId::radamStep_, "radamStep_");
  set<math::RpropStep>(host, OpId::rpropStep_, "rpropStep_");
  set<math::AsgdStep>(host, OpId::asgdStep_, "asgdStep_");
  set<math::LionStep>(host, OpId::lionStep_, "lionStep_");
}

}  // namespace ampgrad::cuda
