// The gradient of cross entropy: e^(x - lse), scaled, less the target's share; each row is read and
// written once.
#include "backend/cuda/loss.cuh"
#include "backend/cuda/scratch.h"
#include "math/elementary-inl.h"

namespace ampgrad::cuda {

namespace {

template <class S>
__global__ void __launch_bounds__(kRowThreads)
    sum_weights_kernel(const LossArgs a, OpMath<S>* total) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(T, room, kRowWarps);
  T sum{0};
  for (int64_t c = threadIdx.x; c < a.classes; c += kRowThreads) sum += class_weight<S>(a, c);
  sum = fold_block(sum, Add(), room);
  if (threadIdx.x == 0) *total = sum;
}

// Factors of a row's gradient: e^(x - shift) dense, less `hard` at the target and even times the
// weight everywhere.
template <class T>
struct RowScale {
  T shift, dense, hard, even;
};

template <class S>
__device__ AG_INLINE RowScale<OpMath<S>> row_scale(const LossArgs& a, int64_t row, int64_t y,
                                                   OpMath<S> scale, OpMath<S> weights) {
  using T = OpMath<S>;
  const double lse = static_cast<const double*>(a.lse)[row];
  RowScale<T> r;
  r.shift = static_cast<T>(lse);
  const T smoothing = static_cast<T>(a.label_smoothing);
  r.hard = scale * (T{1} - smoothing) * class_weight<S>(a, y);
  r.even = scale * smoothing / static_cast<T>(a.classes);
  // What rounding the shift lost is put into the factor.
  const T lost = math::m::exp(static_cast<T>(static_cast<double>(r.shift) - lse));
  r.dense = lost * (r.hard + r.even * weights);
  return r;
}

template <class S, int kTeam, int V>
__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_grad_kernel(const LossArgs a, const OpMath<S>* total) {
  using T = OpMath<S>;
  using Rows = Team<kTeam>;
  const bool smooths = a.label_smoothing > 0;
  const T weights = smooths ? *total : T{0};
  const T common = a.reduction == Reduction::None ? T{0} : gradient_scale<S>(a, 0);
  for (int64_t row = Rows::first_row(); row < a.outer; row += Rows::row_step()) {
    const int64_t y = class_of(a, row);
    const S* in = static_cast<const S*>(a.in) + row * a.classes;
    S* out = static_cast<S*>(a.out) + row * a.classes;
    RowScale<T> r{};
    if (y >= 0) {
      const T scale = a.reduction == Reduction::None ? gradient_scale<S>(a, row) : common;
      r = row_scale<S>(a, row, y, scale, weights);
    }
    for (int64_t at = int64_t{Rows::rank()} * V; at < a.classes; at += kTeam * V) {
      T x[V];
      load_neighbours<V>(in + at, x);
      AG_UNROLL
      for (int j = 0; j < V; ++j) {
        T g = r.dense * math::m::exp(x[j] - r.shift);
        if (at + j == y) g -= r.hard;
        if (smooths) g -= r.even * class_weight<S>(a, at + j);
        x[j] = y < 0 ? T{0} : g;
      }
      store_neighbours<V>(x, out + at);
    }
  }
}

template <class S>
void backward(const ClassLossParams& p, const void*) {
  if (p.outer == 0 || p.classes == 0) return;
  constexpr const char* kName = "crossEntropyBackward";
  constexpr int V = kWidest<S>;
  using T = OpMath<S>;
  const LossArgs a = loss_args(p, "crossEntropy");
  const Scratch total(p.label_smoothing > 0 ? sizeof(T) : 0);
  if (p.label_smoothing > 0) {
    launch(kName, {dim3(1), kRowThreads}, sum_weights_kernel<S>, a, total.as<T>());
  }
  const bool packs = rows_align(p.classes, sizeof(S), {p.in, p.out});
  if (p.classes <= 1024) {
    launch(
        kName, {grid_of_teams(p.outer, kRowWarps), kRowThreads},
        packs ? cross_entropy_grad_kernel<S, kLanes, V> : cross_entropy_grad_kernel<S, kLanes, 1>,
        a, total.as<T>());
  } else {
    launch(kName, {grid_of_teams(p.outer, 1), kRowThreads},
           packs ? cross_entropy_grad_kernel<S, kRowThreads, V>
                 : cross_entropy_grad_kernel<S, kRowThreads, 1>,
           a, total.as<T>());
  }
}

}  // namespace

void register_loss_backward(const CudaHost& host) {
  const auto set = [&](DType dtype, KernelFn<ClassLossParams> fn) {
    set_kernel<ClassLossParams>(host, OpId::crossEntropyBackward, dtype, fn);
  };
  set(DType::Float16, backward<Half>);
  set(DType::BFloat16, backward<BFloat16>);
  set(DType::Float32, backward<float>);
  set(DType::Float64, backward<double>);
}

}  // namespace ampgrad::cuda
