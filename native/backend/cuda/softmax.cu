// softmax and log-softmax. Rows of up to 1024 elements are kept in the registers of a warp; longer
// ones are read twice by a block; columns (the dimension is not the last) are shared by the warps
// of a block, neighbouring threads having neighbouring columns.
#include "backend/cuda/device/softmax.cuh"

#include "backend/cuda/rows.h"

namespace ampgrad::cuda {

namespace {

// What the fold of a row has to be turned into before the elements are.
template <class T, bool kLog>
__device__ AG_INLINE T finished(T sum) {
  if constexpr (kLog) {
    if constexpr (std::is_same_v<T, float>) {
      return ::logf(sum);
    } else {
      return ::log(sum);
    }
  } else {
    return T{1} / sum;
  }
}

template <class T, bool kLog>
__device__ AG_INLINE T element(T x, T top, T rest) {
  if constexpr (kLog) {
    return (x - top) - rest;
  } else {
    return math::exp_nonpositive(x - top) * rest;
  }
}

// Rows of at most kChunks * V * 32 elements, a multiple of V.
template <class S, bool kLog, int V, int kChunks>
__global__ void __launch_bounds__(kRowThreads) softmax_warp_kernel(const RowArgs a) {
  using T = OpMath<S>;
  using Warp = Team<kLanes>;
  const auto size = static_cast<int>(a.size);
  for (int64_t row = Warp::first_row(); row < a.rows; row += Warp::row_step()) {
    const S* in = static_cast<const S*>(a.in) + row * size;
    T x[kChunks][V];
    T top = kLowest<T>;
    AG_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      const int at = (c * kLanes + Warp::rank()) * V;
      AG_UNROLL
      for (int j = 0; j < V; ++j) x[c][j] = kLowest<T>;
      if (at < size) load_neighbours<V>(in + at, x[c]);
      AG_UNROLL
      for (int j = 0; j < V; ++j) top = Larger()(top, x[c][j]);
    }
    top = fold_warp(top, Larger());
    T sum{0};
    AG_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      AG_UNROLL
      for (int j = 0; j < V; ++j) {
        const T e = math::exp_nonpositive(x[c][j] - top);
        sum += e;
        x[c][j] = kLog ? x[c][j] - top : e;
      }
    }
    const T rest = finished<T, kLog>(fold_warp(sum, Add()));
    S* out = static_cast<S*>(a.out) + row * size;
    AG_UNROLL
    for (int c = 0; c < kChunks; ++c) {
      const int at = (c * kLanes + Warp::rank()) * V;
      AG_UNROLL
      for (int j = 0; j < V; ++j) x[c][j] = kLog ? x[c][j] - rest : x[c][j] * rest;
      if (at < size) store_neighbours<V>(x[c], out + at);
    }
  }
}

template <class S, bool kLog, int V>
__global__ void __launch_bounds__(kRowThreads) softmax_block_kernel(const RowArgs a) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowWarps);
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    const S* in = static_cast<const S*>(a.in) + row * a.size;
    S* out = static_cast<S*>(a.out) + row * a.size;
    Pair<T> acc = MaxSum<T>::nothing();
    T x[V];
    for (int64_t at = int64_t{threadIdx.x} * V; at < a.size; at += kRowThreads * V) {
      load_neighbours<V>(in + at, x);
      MaxSum<T>::template add<V>(&acc, x);
    }
    acc = fold_block(acc, MaxSum<T>(), room);
    const T rest = finished<T, kLog>(acc.second);
    for (int64_t at = int64_t{threadIdx.x} * V; at < a.size; at += kRowThreads * V) {
      load_neighbours<V>(in + at, x);
      AG_UNROLL
      for (int j = 0; j < V; ++j) x[j] = element<T, kLog>(x[j], acc.first, rest);
      store_neighbours<V>(x, out + at);
    }
  }
}

template <class S, bool kLog>
__global__ void __launch_bounds__(kRowThreads) softmax_column_kernel(const RowArgs a) {
  using T = OpMath<S>;
  AG_SHARED_ARRAY(Pair<T>, room, kRowThreads);
  for (int64_t first = int64_t{blockIdx.x} * kLanes; first < a.columns();
       first += int64_t{gridDim.x} * kLanes) {
    const Column column(a, first);
    const S* in = static_cast<const S*>(a.in) + column.base;
    S* out = static_cast<S*>(a.out) + column.base;
    Pair<T> acc = MaxSum<T>::nothing();
    for (int64_t r = column.begin; r < column.end; r += kRowWarps) {
      const T x = cast<T>(in[r * a.inner]);
      MaxSum<T>::template add<1>(&acc, &x);
    }
    acc = fold_column(acc, MaxSum<T>(), room);
    const T rest = finished<T, kLog>(acc.second);
    for (int64_t r = column.begin; r < column.end; r += kRowWarps) {
      out[r * a.inner] = cast<S>(element<T, kLog>(cast<T>(in[r * a.inner]), acc.first, rest));
    }
  }
}

template <class S, bool kLog>
struct Softmax {
  template <int V, int kChunks>
  static auto warp() {
    return softmax_warp_kernel<S, kLog, V, kChunks>;
  }
  template <int V>
  static auto block() {
    return softmax_block_kernel<S, kLog, V>;
  }
  static auto column() { return softmax_column_kernel<S, kLog>; }
};

template <bool kLog>
void set(const CudaHost& host, OpId op, const char* name) {
  const auto cell = [&](DType dtype, KernelFn<RowParams> fn) {
    set_kernel<RowParams>(host, op, dtype, fn, name);
  };
  cell(DType::Float16, run_rows<Half, Softmax<Half, kLog>>);
  cell(DType::BFloat16, run_rows<BFloat16, Softmax<BFloat16, kLog>>);
  cell(DType::Float32, run_rows<float, Softmax<float, kLog>>);
  cell(DType::Float64, run_rows<double, Softmax<double, kLog>>);
}

}  // namespace

void register_softmax(const CudaHost& host) {
  set<false>(host, OpId::softmax, "softmax");
  set<true>(host, OpId::logSoftmax, "logSoftmax");
}

}  // namespace ampgrad::cuda
