// Resampling along a dimension: a thread for each result walks its row of the sparse matrix. The
// gradient is the same with the matrix transposed on the host, so that it gathers too, in the
// order of the CPU's sums.
#include <cuda_runtime.h>

#include <cstring>
#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "ops/resample_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;

// Rows of entries, by result.
template <class T>
struct Matrix {
  std::vector<int32_t> start, index;
  std::vector<T> weight;
};

template <class T>
Matrix<T> matrix_of(const ResampleParams& p) {
  Matrix<T> m;
  const size_t entries = p.index.size();
  AG_CHECK(entries <= INT32_MAX && p.in_size <= INT32_MAX && p.out_size <= INT32_MAX, Shape,
           "resample: a dimension is too large for cuda");
  m.index.resize(entries);
  m.weight.resize(entries);
  if (!p.transposed) {
    m.start.assign(p.start.begin(), p.start.end());
    m.index.assign(p.index.begin(), p.index.end());
    for (size_t e = 0; e < entries; ++e) m.weight[e] = static_cast<T>(p.weight[e]);
    return m;
  }
  m.start.assign(static_cast<size_t>(p.in_size) + 1, 0);
  for (int64_t i : p.index) ++m.start[static_cast<size_t>(i) + 1];
  for (size_t i = 1; i < m.start.size(); ++i) m.start[i] += m.start[i - 1];
  std::vector<int32_t> next(m.start.begin(), m.start.end() - 1);
  for (int64_t o = 0; o < p.out_size; ++o) {
    const auto row = static_cast<size_t>(o);
    for (auto e = static_cast<size_t>(p.start[row]); e < static_cast<size_t>(p.start[row + 1]);
         ++e) {
      const auto to = static_cast<size_t>(next[static_cast<size_t>(p.index[e])]++);
      m.index[to] = static_cast<int32_t>(o);
      m.weight[to] = static_cast<T>(p.weight[e]);
    }
  }
  return m;
}

template <class T>
struct ResampleArgs {
  const T* in = nullptr;
  T* out = nullptr;
  const T* weight = nullptr;
  const int32_t* start = nullptr;
  const int32_t* index = nullptr;
  int64_t total = 0, inner = 1;
  int64_t from_size = 0, to_size = 0;
};

template <class I, class T>
__global__ void __launch_bounds__(kThreads) resample_kernel(const ResampleArgs<T> a) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.total; i += step) {
    const I inner = static_cast<I>(a.inner);
    const I row = static_cast<I>(i) / inner;
    const I column = static_cast<I>(i) - row * inner;
    const I outer = row / static_cast<I>(a.to_size);
    const I to = row - outer * static_cast<I>(a.to_size);
    const T* from = a.in + int64_t{outer} * a.from_size * a.inner + int64_t{column};
    T sum{0};
    for (int32_t e = a.start[to]; e < a.start[to + 1]; ++e) {
      sum = static_cast<T>(sum + from[a.index[e] * a.inner] * a.weight[e]);
    }
    a.out[i] = sum;
  }
}

template <class T>
void resample(const ResampleParams& p, const void* name_of_row) {
  const auto* name = static_cast<const char*>(name_of_row);
  const Matrix<T> m = matrix_of<T>(p);
  // One copy: weights, starts, positions.
  const size_t weights = (m.weight.size() * sizeof(T) + 7) / 8 * 8;
  const size_t starts = m.start.size() * sizeof(int32_t);
  std::vector<char> bytes(weights + starts + m.index.size() * sizeof(int32_t));
  if (!m.weight.empty()) {
    std::memcpy(bytes.data(), m.weight.data(), m.weight.size() * sizeof(T));
    std::memcpy(bytes.data() + weights + starts, m.index.data(), m.index.size() * sizeof(int32_t));
  }
  std::memcpy(bytes.data() + weights, m.start.data(), starts);
  const Scratch table(bytes.size());
  check(cudaMemcpyAsync(table.as<void>(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice,
                        current_stream()),
        name);
  ResampleArgs<T> a;
  a.in = static_cast<const T*>(p.in);
  a.out = static_cast<T*>(p.out);
  a.weight = table.as<T>();
  a.start = reinterpret_cast<const int32_t*>(table.as<char>() + weights);
  a.index = a.start + m.start.size();
  a.inner = p.inner;
  a.from_size = p.transposed ? p.out_size : p.in_size;
  a.to_size = p.transposed ? p.in_size : p.out_size;
  a.total = p.outer * a.to_size * p.inner;
  const LaunchShape shape{grid_for(a.total, kThreads), kThreads};
  if (a.total <= INT32_MAX) {
    launch(name, shape, resample_kernel<int32_t, T>, a);
  } else {
    launch(name, shape, resample_kernel<int64_t, T>, a);
  }
}

template <class T>
void set(const CudaHost& host) {
  set_kernel<ResampleParams>(host, OpId::resample, dtype_of<T>, resample<T>, "resample");
  set_kernel<ResampleParams>(host, OpId::resampleBackward, dtype_of<T>, resample<T>,
                             "resampleBackward");
  set_kernel<ResampleParams>(host, OpId::padResample, dtype_of<T>, resample<T>, "padResample");
  set_kernel<ResampleParams>(host, OpId::padResampleBackward, dtype_of<T>, resample<T>,
                             "padResampleBackward");
}

}  // namespace

void register_resample(const CudaHost& host) {
  set<uint8_t>(host);
  set<int8_t>(host);
  set<int16_t>(host);
  set<int32_t>(host);
  set<int64_t>(host);
  set<float>(host);
  set<double>(host);
}

}  // namespace ampgrad::cuda
