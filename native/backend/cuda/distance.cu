// Distances between rows and their gradients, and frexp. A thread has one distance, or one column
// of a row's gradient, and adds up in order.
#include "ops/distance_params.h"

#include <algorithm>
#include <cmath>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/shared.cuh"
#include "backend/cuda/families.h"
#include "math/distance.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kTile = 16;  // rows and columns of a block's tile

// Blocks take tiles of 16 x 16 distances and walk over the columns 16 at a time, so that each
// element is read from memory once for 16 distances. blockIdx: tile of x2, tile of x1, batch.
template <class T, template <class> class Norm>
__global__ void __launch_bounds__(kTile* kTile) distance_kernel(const DistanceParams q) {
  AG_SHARED_ARRAY(T, left, kTile * (kTile + 1));
  AG_SHARED_ARRAY(T, right, kTile * (kTile + 1));
  const Norm<T> norm(q.p);
  const int tx = static_cast<int>(threadIdx.x) % kTile;
  const int ty = static_cast<int>(threadIdx.x) / kTile;
  const int64_t tiles1 = (q.rows1 + kTile - 1) / kTile;
  for (int64_t b = blockIdx.z; b < q.batch; b += gridDim.z) {
    const T* x1 = static_cast<const T*>(q.x1) + b * q.rows1 * q.width;
    const T* x2 = static_cast<const T*>(q.x2) + b * q.rows2 * q.width;
    for (int64_t tile1 = blockIdx.y; tile1 < tiles1; tile1 += gridDim.y) {
      const int64_t i = tile1 * kTile + ty;
      const int64_t j = int64_t{blockIdx.x} * kTile + tx;
      const int64_t loaded = int64_t{blockIdx.x} * kTile + ty;  // the row of x2 to bring in
      T sum{0};
      for (int64_t first = 0; first < q.width; first += kTile) {
        const int64_t c = first + tx;
        const bool inside = c < q.width;
        left[ty * (kTile + 1) + tx] = inside && i < q.rows1 ? x1[i * q.width + c] : T{0};
        right[ty * (kTile + 1) + tx] = inside && loaded < q.rows2 ? x2[loaded * q.width + c] : T{0};
        __syncthreads();
        const int n = q.width - first < kTile ? static_cast<int>(q.width - first) : kTile;
        for (int k = 0; k < n; ++k) {
          sum = norm.add(sum, left[ty * (kTile + 1) + k] - right[tx * (kTile + 1) + k]);
        }
        __syncthreads();
      }
      if (i < q.rows1 && j < q.rows2) {
        static_cast<T*>(q.out)[(b * q.rows1 + i) * q.rows2 + j] = norm.finish(sum);
      }
    }
  }
}

template <class T, template <class> class Norm>
__global__ void __launch_bounds__(kThreads) distance_grad_kernel(const DistanceParams q) {
  const Norm<T> norm(q.p);
  const int64_t n = q.batch * q.rows1 * q.width;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t e = int64_t{blockIdx.x} * kThreads + threadIdx.x; e < n; e += step) {
    const int64_t row = e / q.width;
    const int64_t c = e - row * q.width;
    const T left = static_cast<const T*>(q.x1)[e];
    const T* right = static_cast<const T*>(q.x2) + row / q.rows1 * q.rows2 * q.width + c;
    const T* grad = static_cast<const T*>(q.grad) + row * q.rows2;
    const T* distance = static_cast<const T*>(q.distance) + row * q.rows2;
    T sum{0};
    for (int64_t j = 0; j < q.rows2; ++j) {
      sum += norm.slope(left - right[j * q.width], grad[j], distance[j]);
    }
    static_cast<T*>(q.out)[e] = sum;
  }
}

template <class T, template <class> class Norm>
void run_norm(const DistanceParams& q) {
  if (q.grad != nullptr) {
    const int64_t n = q.batch * q.rows1 * q.width;
    if (n == 0) return;
    launch("cdistBackward", {grid_for(n, kThreads), kThreads}, distance_grad_kernel<T, Norm>, q);
    return;
  }
  if (q.batch == 0 || q.rows1 == 0 || q.rows2 == 0) return;
  constexpr int64_t kMost = 65535;  // of the second and third dimension of a grid
  const auto tiles = [](int64_t rows) { return (rows + kTile - 1) / kTile; };
  const dim3 grid(static_cast<unsigned>(tiles(q.rows2)),
                  static_cast<unsigned>(std::min(tiles(q.rows1), kMost)),
                  static_cast<unsigned>(std::min(q.batch, kMost)));
  launch("cdistForward", {grid, dim3(kTile * kTile)}, distance_kernel<T, Norm>, q);
}

template <class T>
void distance(const DistanceParams& q, const void*) {
  if (q.p == 0) {
    run_norm<T, math::ZeroNorm>(q);
  } else if (q.p == 1) {
    run_norm<T, math::OneNorm>(q);
  } else if (q.p == 2) {
    run_norm<T, math::TwoNorm>(q);
  } else if (std::isinf(q.p)) {
    run_norm<T, math::MaxNorm>(q);
  } else {
    run_norm<T, math::PowerDistance>(q);
  }
}

// Zeros, infinities and NaN are their own mantissa, with exponent 0.
template <class S>
__global__ void __launch_bounds__(kThreads) frexp_kernel(const FrexpParams q) {
  using T = OpMath<S>;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < q.numel; i += step) {
    const T x = cast<T>(static_cast<const S*>(q.in)[i]);
    int exponent = 0;
    T mantissa = x;
    if (x - x == 0) {  // finite
      if constexpr (std::is_same_v<T, float>) {
        mantissa = ::frexpf(x, &exponent);
      } else {
        mantissa = ::frexp(x, &exponent);
      }
    }
    static_cast<S*>(q.mantissa)[i] = cast<S>(mantissa);
    q.exponent[i] = exponent;
  }
}

template <class S>
void frexp(const FrexpParams& q, const void*) {
  if (q.numel == 0) return;
  launch("frexp", {grid_for(q.numel, kThreads), kThreads}, frexp_kernel<S>, q);
}

}  // namespace

void register_distance(const CudaHost& host) {
  for (OpId op : {OpId::cdistForward, OpId::cdistBackward}) {
    set_kernel<DistanceParams>(host, op, DType::Float32, distance<float>);
    set_kernel<DistanceParams>(host, op, DType::Float64, distance<double>);
  }
  set_kernel<FrexpParams>(host, OpId::frexp, DType::Float16, frexp<Half>);
  set_kernel<FrexpParams>(host, OpId::frexp, DType::BFloat16, frexp<BFloat16>);
  set_kernel<FrexpParams>(host, OpId::frexp, DType::Float32, frexp<float>);
  set_kernel<FrexpParams>(host, OpId::frexp, DType::Float64, frexp<double>);
}

}  // namespace ampgrad::cuda
