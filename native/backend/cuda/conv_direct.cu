// Convolutions of few channels (depthwise, first and last layers), where tiles would be mostly
// empty: a thread for each result; for weights a block, whose threads share the places.
#include "backend/cuda/check.h"
#include "backend/cuda/conv_units.h"
#include "backend/cuda/device/shared.cuh"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;

// n runs fastest, so that neighbours read and write neighbouring places.
template <ConvMap kMap, class S>
__global__ void __launch_bounds__(kThreads) conv_direct_kernel(const ConvArgs a) {
  using T = ConvMath<S>;
  const S* rows = static_cast<const S*>(a.rows);
  const S* columns = static_cast<const S*>(a.columns);
  const int64_t total = wide(a.groups, a.m) * a.n;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    const int64_t channel = i / a.n;
    const int n = static_cast<int>(i - channel * a.n);
    const int group = static_cast<int>(channel / a.m);
    const int m = static_cast<int>(channel - wide(group, a.m));
    const ConvPlace column = conv_column<kMap>(a, group, n);
    const int64_t row = conv_row<kMap>(a, group, m);
    T sum{0};
    for (int k = 0; k < a.k; ++k) {
      ConvPlace inner;
      const int64_t along = conv_inner<kMap>(a, k, &inner);
      const int64_t at = conv_column_at<kMap>(a, column, inner);
      if (at >= 0) sum += cast<T>(rows[row + along]) * cast<T>(columns[at]);
    }
    conv_store<kMap, S>(a, group, 0, m, n, sum);
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads) conv_direct_weight_kernel(const ConvArgs a) {
  using T = ConvMath<S>;
  constexpr ConvMap kMap = ConvMap::Weight;
  AG_SHARED_ARRAY(T, shared, kThreads);
  const S* rows = static_cast<const S*>(a.rows);
  const S* columns = static_cast<const S*>(a.columns);
  const int t = static_cast<int>(threadIdx.x);
  const int64_t total = wide(a.groups, a.m) * a.n;
  const int part = static_cast<int>(blockIdx.y);
  const int begin = part * a.part_size;
  const int end = begin + a.part_size < a.k ? begin + a.part_size : a.k;
  for (int64_t i = blockIdx.x; i < total; i += gridDim.x) {
    const int64_t channel = i / a.n;
    const int n = static_cast<int>(i - channel * a.n);
    const int group = static_cast<int>(channel / a.m);
    const int m = static_cast<int>(channel - wide(group, a.m));
    const ConvPlace column = conv_column<kMap>(a, group, n);
    const int64_t row = conv_row<kMap>(a, group, m);
    T sum{0};
    for (int k = begin + t; k < end; k += kThreads) {
      ConvPlace inner;
      const int64_t along = conv_inner<kMap>(a, k, &inner);
      const int64_t at = conv_column_at<kMap>(a, column, inner);
      if (at >= 0) sum += cast<T>(rows[row + along]) * cast<T>(columns[at]);
    }
    shared[t] = sum;
    for (int half = kThreads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (t < half) shared[t] += shared[t + half];
    }
    if (t == 0) conv_store<kMap, S>(a, group, part, m, n, shared[0]);
    __syncthreads();
  }
}

template <class S>
void run(ConvMap map, const char* name, const ConvArgs& a) {
  const int64_t total = wide(a.groups, a.m) * a.n;
  const LaunchShape shape{grid_for(total, kThreads), kThreads};
  switch (map) {
    case ConvMap::Forward:
      return launch(name, shape, conv_direct_kernel<ConvMap::Forward, S>, a);
    case ConvMap::Input:
      return launch(name, shape, conv_direct_kernel<ConvMap::Input, S>, a);
    case ConvMap::Weight: {
      const dim3 blocks(static_cast<unsigned>(total < 65536 ? total : 65536),
                        static_cast<unsigned>(a.num_parts));
      return launch(name, {blocks, kThreads}, conv_direct_weight_kernel<S>, a);
    }
  }
}

}  // namespace

void conv_direct(DType dtype, ConvMap map, const char* name, const ConvArgs& args) {
  switch (dtype) {
    case DType::Float16:
      return run<Half>(map, name, args);
    case DType::BFloat16:
      return run<BFloat16>(map, name, args);
    case DType::Float64:
      return run<double>(map, name, args);
    case DType::Int64:
      return run<int64_t>(map, name, args);
    default:
      return run<float>(map, name, args);
  }
}

}  // namespace ampgrad::cuda
