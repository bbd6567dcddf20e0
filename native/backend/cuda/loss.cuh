// What the kernels of losses over class indices share: which class a target names, its weight, and
// what a unit of its loss changes in the gradient. Sums over targets are kept in double.
#pragma once

#include "backend/cuda/device/fault.cuh"
#include "backend/cuda/rows.h"

namespace ampgrad::cuda {

struct LossArgs : ClassLossParams {
  IndexFault* fault = nullptr;
  const char* op = nullptr;  // named where a target is out of range
};

inline LossArgs loss_args(const ClassLossParams& p, const char* op) {
  LossArgs a;
  static_cast<ClassLossParams&>(a) = p;
  a.fault = current_context().fault;
  a.op = op;
  return a;
}

// -1: no loss.
__device__ AG_INLINE int64_t class_of(const LossArgs& a, int64_t i) {
  const int64_t y = a.target[i];
  if (y == a.ignore_index) return -1;
  if (y >= 0 && y < a.classes) return y;
  report_index(a.fault, a.op, y, 1, a.classes);
  return -1;
}

template <class S>
__device__ AG_INLINE OpMath<S> class_weight(const LossArgs& a, int64_t y) {
  using T = OpMath<S>;
  return a.weight == nullptr ? T{1} : cast<T>(static_cast<const S*>(a.weight)[y]);
}

template <class S>
__device__ AG_INLINE OpMath<S> gradient_scale(const LossArgs& a, int64_t i) {
  using T = OpMath<S>;
  const auto* grad = static_cast<const S*>(a.grad);
  if (a.reduction == Reduction::None) return cast<T>(grad[i]);
  const T g = cast<T>(grad[0]);
  if (a.reduction == Reduction::Sum) return g;
  return g / static_cast<T>(*static_cast<const double*>(a.total_weight));
}

// Target i's loss and weight, which the fold of all of them takes up.
template <class S>
__device__ AG_INLINE void set_loss(const LossArgs& a, Pair<double>* losses, int64_t i, double loss,
                                   double weight) {
  losses[i] = {loss, weight};
  if (a.reduction == Reduction::None) static_cast<S*>(a.out)[i] = cast<S>(loss);
}

// The fold: blocks sum runs of pairs, then one block what they have found, which with `last` is the
// result.
template <class S>
__global__ void __launch_bounds__(kRowThreads)
    fold_losses_kernel(const LossArgs a, const Pair<double>* losses, int64_t n, Pair<double>* out,
                       bool last) {
  AG_SHARED_ARRAY(Pair<double>, room, kRowWarps);
  const int64_t share = (n + gridDim.x - 1) / gridDim.x;
  const int64_t begin = int64_t{blockIdx.x} * share;
  const int64_t end = begin + share < n ? begin + share : n;
  Pair<double> sum{0, 0};
  for (int64_t i = begin + threadIdx.x; i < end; i += kRowThreads) sum = Add()(sum, losses[i]);
  sum = fold_block(sum, Add(), room);
  if (threadIdx.x != 0) return;
  if (!last) {
    out[blockIdx.x] = sum;
    return;
  }
  *static_cast<double*>(a.total_weight) = sum.second;
  if (a.reduction == Reduction::None) return;
  const double loss = a.reduction == Reduction::Mean ? sum.first / sum.second : sum.first;
  static_cast<S*>(a.out)[0] = cast<S>(loss);
}

inline constexpr int64_t kLossesInOne = 8192;  // for one block to fold
inline constexpr int kLossParts = 64;

// Room for the losses of n targets and the parts of their fold.
inline size_t losses_bytes(int64_t n) {
  return (static_cast<size_t>(n) + kLossParts) * sizeof(Pair<double>);
}

template <class S>
void fold_losses(const char* name, const LossArgs& a, Pair<double>* losses, int64_t n) {
  Pair<double>* parts = losses + n;
  if (n > kLossesInOne) {
    launch(name, {dim3(kLossParts), kRowThreads}, fold_losses_kernel<S>, a, losses, n, parts,
           false);
    losses = parts;
    n = kLossParts;
  }
  launch(name, {dim3(1), kRowThreads}, fold_losses_kernel<S>, a, losses, n, nullptr, true);
}

}  // namespace ampgrad::cuda
