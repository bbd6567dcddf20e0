// nllLoss and the forward of cross entropy. Each target leaves its loss and weight, which a second
// launch folds; cross entropy finds the log-sum-exp of a row in one pass over it.
#include "backend/cuda/device/softmax.cuh"
#include "backend/cuda/loss.cuh"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

namespace {

template <class S>
__global__ void __launch_bounds__(kRowThreads) nll_kernel(const LossArgs a, Pair<double>* losses) {
  const int64_t n = a.outer * a.inner;
  const int64_t step = int64_t{gridDim.x} * kRowThreads;
  for (int64_t i = int64_t{blockIdx.x} * kRowThreads + threadIdx.x; i < n; i += step) {
    const int64_t y = class_of(a, i);
    if (y < 0) {
      set_loss<S>(a, losses, i, 0, 0);
      continue;
    }
    const double w = static_cast<double>(class_weight<S>(a, y));
    const int64_t at = (i / a.inner * a.classes + y) * a.inner + i % a.inner;
    set_loss<S>(a, losses, i, -w * cast<double>(static_cast<const S*>(a.in)[at]), w);
  }
}

// Every element of the gradient, zero or not.
template <class S>
__global__ void __launch_bounds__(kRowThreads) nll_backward_kernel(const LossArgs a) {
  const int64_t n = a.outer * a.classes * a.inner;
  const int64_t step = int64_t{gridDim.x} * kRowThreads;
  for (int64_t e = int64_t{blockIdx.x} * kRowThreads + threadIdx.x; e < n; e += step) {
    const int64_t plane = e / a.inner;
    const int64_t i = plane / a.classes * a.inner + e % a.inner;
    const int64_t y = class_of(a, i);
    OpMath<S> g{0};
    if (y >= 0 && y == plane % a.classes) g = -class_weight<S>(a, y) * gradient_scale<S>(a, i);
    static_cast<S*>(a.out)[e] = cast<S>(g);
  }
}

// The sum of w_c (lse - x_c): the loss of a row spread evenly over all classes.
template <class S, class Rows, class T = OpMath<S>>
__device__ AG_INLINE T even_loss(const LossArgs& a, const S* x, T lse, T* room) {
  T sum{0};
  for (int64_t c = Rows::rank(); c < a.classes; c += Rows::kSize) {
    sum += class_weight<S>(a, c) * (lse - cast<T>(x[c]));
  }
  return Rows::fold(sum, Add(), room);
}

// +inf on top: the answer, unless there is a NaN.
template <class S, class Rows, class T = OpMath<S>>
__device__ AG_INLINE double infinite_row(const LossArgs& a, const S* x, T* room) {
  T sum{0};
  for (int64_t c = Rows::rank(); c < a.classes; c += Rows::kSize) {
    const T v = cast<T>(x[c]);
    if (v != v) sum = v;
  }
  sum = Rows::fold(sum, Add(), room);
  return sum != sum ? static_cast<double>(sum) : static_cast<double>(-kLowest<T>);
}

template <class S, int kTeam, int V>
__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_kernel(const LossArgs a, Pair<double>* losses) {
  using T = OpMath<S>;
  using Rows = Team<kTeam>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowWarps);
  AG_SHARED_ARRAY(T, more_room, kRowWarps);
  auto* all_lse = static_cast<double*>(a.lse);
  const T smoothing = static_cast<T>(a.label_smoothing);
  for (int64_t row = Rows::first_row(); row < a.outer; row += Rows::row_step()) {
    const int64_t y = class_of(a, row);
    const bool leads = Rows::rank() == 0;
    if (y < 0) {
      if (leads) {
        all_lse[row] = 0;
        set_loss<S>(a, losses, row, 0, 0);
      }
      continue;
    }
    const S* in = static_cast<const S*>(a.in) + row * a.classes;
    Pair<T> acc = MaxSum<T>::nothing();
    for (int64_t at = int64_t{Rows::rank()} * V; at < a.classes; at += kTeam * V) {
      T x[V];
      load_neighbours<V>(in + at, x);
      MaxSum<T>::template add<V>(&acc, x);
    }
    acc = Rows::fold(acc, MaxSum<T>(), room);
    double lse = static_cast<double>(acc.first) + ::log(static_cast<double>(acc.second));
    if (acc.first == -kLowest<T>) lse = infinite_row<S, Rows>(a, in, more_room);
    T even{0};
    if (a.label_smoothing > 0) {
      even = even_loss<S, Rows>(a, in, static_cast<T>(lse), more_room);
    }
    if (!leads) continue;
    const double w = static_cast<double>(class_weight<S>(a, y));
    double loss = w * (lse - cast<double>(in[y]));
    if (a.label_smoothing > 0) {
      loss = (1 - a.label_smoothing) * loss +
             static_cast<double>(smoothing * even) / static_cast<double>(a.classes);
    }
    all_lse[row] = lse;
    set_loss<S>(a, losses, row, loss, w);
  }
}

template <class S>
void nll(const ClassLossParams& p, const void*) {
  const int64_t n = p.outer * p.inner;
  const LossArgs a = loss_args(p, "nllLoss");
  const Scratch losses(losses_bytes(n));
  if (n != 0) {
    launch("nllLossForward", {grid_for(n, kRowThreads), kRowThreads}, nll_kernel<S>, a,
           losses.as<Pair<double>>());
  }
  fold_losses<S>("nllLossForward", a, losses.as<Pair<double>>(), n);
}

template <class S>
void nll_backward(const ClassLossParams& p, const void*) {
  const int64_t n = p.outer * p.classes * p.inner;
  if (n == 0) return;
  launch("nllLossBackward", {grid_for(n, kRowThreads), kRowThreads}, nll_backward_kernel<S>,
         loss_args(p, "nllLoss"));
}

template <class S>
void cross_entropy(const ClassLossParams& p, const void*) {
  constexpr const char* kName = "crossEntropyForward";
  constexpr int V = kWidest<S>;
  const LossArgs a = loss_args(p, "crossEntropy");
  const Scratch scratch(losses_bytes(p.outer));
  auto* losses = scratch.as<Pair<double>>();
  const bool packs = rows_align(p.classes, sizeof(S), {p.in});
  if (p.outer == 0) {
    // Nothing but the fold.
  } else if (p.classes <= 1024) {
    launch(kName, {grid_of_teams(p.outer, kRowWarps), kRowThreads},
           packs ? cross_entropy_kernel<S, kLanes, V> : cross_entropy_kernel<S, kLanes, 1>, a,
           losses);
  } else {
    launch(
        kName, {grid_of_teams(p.outer, 1), kRowThreads},
        packs ? cross_entropy_kernel<S, kRowThreads, V> : cross_entropy_kernel<S, kRowThreads, 1>,
        a, losses);
  }
  fold_losses<S>(kName, a, losses, p.outer);
}

template <class S>
void set_cells(const CudaHost& host) {
  set_kernel<ClassLossParams>(host, OpId::nllLossForward, dtype_of<S>, nll<S>);
  set_kernel<ClassLossParams>(host, OpId::nllLossBackward, dtype_of<S>, nll_backward<S>);
  set_kernel<ClassLossParams>(host, OpId::crossEntropyForward, dtype_of<S>, cross_entropy<S>);
}

}  // namespace

void register_loss(const CudaHost& host) {
  set_cells<Half>(host);
  set_cells<BFloat16>(host);
  set_cells<float>(host);
  set_cells<double>(host);
}

}  // namespace ampgrad::cuda
