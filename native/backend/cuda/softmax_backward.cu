// The backward forms of softmax and log-softmax, shaped like the forward (softmax.cu).
#include "backend/cuda/rows.h"
#include "math/softmax-inl.h"

namespace ampgrad::cuda {

namespace {

// A term of the row's sum, and an element of the gradient.
template <class T, bool kLog>
__device__ AG_INLINE T term(T grad, T y) {
  return kLog ? grad : grad * y;
}

template <class T, bool kLog>
__device__ AG_INLINE T element(T grad, T y, T sum) {
  if constexpr (kLog) {
    return math::log_softmax_grad(grad, y, sum);
  } else {
    return math::softmax_grad(grad, y, sum);
  }
}

template <class S, bool kLog, int V, int kChunks>
__global__ void __launch_bounds__(kRowThreads) softmax_backward_warp_kernel(const RowArgs a) {
  using T = OpMath<S>;
  using Warp = Team<kLanes>;
  const auto size = static_cast<int>(a.size);
  for (int64_t row = Warp::first_row(); row < a.rows; row += Warp::row_step()) {
    const S* grad = static_cast<const S*>(a.in) + row * size;
    const S* output = static_cast<const S*>(a.in2) + row * size;
    T g[kChunks][V];
    T y[kChunks][V];
    T sum{0};
    AG_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      const int at = (c * kLanes + Warp::rank()) * V;
      AG_UNROLL
      for (int j = 0; j < V; ++j) g[c][j] = y[c][j] = T{0};
      if (at < size) {
        load_neighbours<V>(grad + at, g[c]);
        load_neighbours<V>(output + at, y[c]);
      }
      AG_UNROLL
      for (int j = 0; j < V; ++j) sum += term<T, kLog>(g[c][j], y[c][j]);
    }
    sum = fold_warp(sum, Add());
    S* out = static_cast<S*>(a.out) + row * size;
    AG_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      const int at = (c * kLanes + Warp::rank()) * V;
      if (at >= size) continue;
      AG_UNROLL
      for (int j = 0; j < V; ++j) g[c][j] = element<T, kLog>(g[c][j], y[c][j], sum);
      store_neighbours<V>(g[c], out + at);
    }
  }
}

template <class S, bool kLog, int V>
__global__ void __launch_bounds__(kRowThreads) softmax_backward_block_kernel(const RowArgs a) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(T, room, kRowWarps);
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    const S* grad = static_cast<const S*>(a.in) + row * a.size;
    const S* output = static_cast<const S*>(a.in2) + row * a.size;
    S* out = static_cast<S*>(a.out) + row * a.size;
    T sum{0};
    T g[V];
    T y[V];
    for (int64_t at = int64_t{threadIdx.x} * V; at < a.size; at += kRowThreads * V) {
      load_neighbours<V>(grad + at, g);
      load_neighbours<V>(output + at, y);
      AG_UNROLL
      for (int j = 0; j < V; ++j) sum += term<T, kLog>(g[j], y[j]);
    }
    sum = fold_block(sum, Add(), room);
    for (int64_t at = int64_t{threadIdx.x} * V; at < a.size; at += kRowThreads * V) {
      load_neighbours<V>(grad + at, g);
      load_neighbours<V>(output + at, y);
      AG_UNROLL
      for (int j = 0; j < V; ++j) g[j] = element<T, kLog>(g[j], y[j], sum);
      store_neighbours<V>(g, out + at);
    }
  }
}

template <class S, bool kLog>
__global__ void __launch_bounds__(kRowThreads) softmax_backward_column_kernel(const RowArgs a) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(T, room, kRowThreads);
  for (int64_t first = int64_t{blockIdx.x} * kLanes; first < a.columns();
       first += int64_t{gridDim.x} * kLanes) {
    const Column column(a, first);
    const S* grad = static_cast<const S*>(a.in) + column.base;
    const S* output = static_cast<const S*>(a.in2) + column.base;
    S* out = static_cast<S*>(a.out) + column.base;
    T sum{0};
    for (int64_t r = column.begin; r < column.end; r += kRowWarps) {
      sum += term<T, kLog>(cast<T>(grad[r * a.inner]), cast<T>(output[r * a.inner]));
    }
    sum = fold_column(sum, Add(), room);
    for (int64_t r = column.begin; r < column.end; r += kRowWarps) {
      const int64_t at = r * a.inner;
      out[at] = cast<S>(element<T, kLog>(cast<T>(grad[at]), cast<T>(output[at]), sum));
    }
  }
}

template <class S, bool kLog>
struct SoftmaxBackward {
  template <int V, int kChunks>
  static auto warp() {
    return softmax_backward_warp_kernel<S, kLog, V, kChunks>;
  }
  template <int V>
  static auto block() {
    return softmax_backward_block_kernel<S, kLog, V>;
  }
  static auto column() { return softmax_backward_column_kernel<S, kLog>; }
};

template <bool kLog>
void set(const CudaHost& host, OpId op, const char* name) {
  const auto cell = [&](DType dtype, KernelFn<RowParams> fn) {
    set_kernel<RowParams>(host, op, dtype, fn, name);
  };
  cell(DType::Float16, run_rows<Half, SoftmaxBackward<Half, kLog>>);
  cell(DType::BFloat16, run_rows<BFloat16, SoftmaxBackward<BFloat16, kLog>>);
  cell(DType::Float32, run_rows<float, SoftmaxBackward<float, kLog>>);
  cell(DType::Float64, run_rows<double, SoftmaxBackward<double, kLog>>);
}

}  // namespace

void register_softmax_backward(const CudaHost& host) {
  set<false>(host, OpId::softmaxBackward, "softmaxBackward");
  set<true>(host, OpId::logSoftmaxBackward, "logSoftmaxBackward");
}

}  // namespace ampgrad::cuda
