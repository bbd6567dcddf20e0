// Factorizations and solves, one block a matrix, unblocked, in global memory. Matrices are
// column-major and dense (ops/linalg_params.h). Every loop over steps is uniform in the block.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/device/shared.cuh"
#include "core/macros.h"

namespace ampgrad::cuda {

inline constexpr int kLinalgThreads = 256;  // at most; a power of two

struct LinalgArgs {
  int m = 0, n = 0, k = 0;
  void* a = nullptr;
  void* b = nullptr;
  void* d = nullptr;
  int32_t* pivots = nullptr;
  int32_t* info = nullptr;
  bool upper = false;
  bool transpose = false;
  bool unit = false;
};

template <class T>
AG_HD AG_INLINE T* matrix_at(void* base, int64_t size) {
  return static_cast<T*>(base) + int64_t{blockIdx.x} * size;
}

// Threads of a block that works on so many elements.
inline unsigned linalg_threads(int64_t elements) {
  return elements <= 64 ? 32 : (elements <= 1024 ? 64 : kLinalgThreads);
}

// The sum of one value a lane, for every lane.
template <class T>
__device__ AG_INLINE T warp_sum(T own) {
  for (unsigned d = 16; d > 0; d /= 2) own += __shfl_xor_sync(0xffffffffu, own, d);
  return own;
}

// The sum of one value a thread, for every thread.
template <class T>
__device__ AG_INLINE T block_sum(T* shared, T own) {
  shared[threadIdx.x] = own;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
  }
  __syncthreads();
  const T sum = shared[0];
  __syncthreads();
  return sum;
}

// Where in [from, to) value(i) >= 0 is largest, the first of equals. `from` when there is nothing.
template <class T, class Value>
__device__ AG_INLINE int64_t first_largest(int64_t from, int64_t to, const Value& value, T* best,
                                           int* place) {
  const unsigned t = threadIdx.x;
  T largest = -1;
  int at = static_cast<int>(from);
  for (int64_t i = from + t; i < to; i += blockDim.x) {
    const T v = value(i);
    if (v > largest) {
      largest = v;
      at = static_cast<int>(i);
    }
  }
  best[t] = largest;
  place[t] = at;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    if (best[t + half] > best[t] || (best[t + half] == best[t] && place[t + half] < place[t])) {
      best[t] = best[t + half];
      place[t] = place[t + half];
    }
  }
  __syncthreads();
  const int64_t found = place[0];
  __syncthreads();
  return found;
}

// Two rows or columns change places.
template <class T>
__device__ AG_INLINE void swap_lines(T* x, T* y, int64_t stride, int64_t count) {
  for (int64_t c = threadIdx.x; x != y && c < count; c += blockDim.x) {
    const T v = x[c * stride];
    x[c * stride] = y[c * stride];
    y[c * stride] = v;
  }
  __syncthreads();
}

// A = L L^T in the lower triangle (or U^T U in the upper one); the other becomes zero.
template <class T>
__global__ void __launch_bounds__(kLinalgThreads) cholesky_kernel(const LinalgArgs p) {
  const int64_t n = p.n;
  T* a = matrix_at<T>(p.a, n * n);
  const int64_t down = p.upper ? n : 1;   // to the next row of L
  const int64_t right = p.upper ? 1 : n;  // to the next column of L
  int failed = 0;
  for (int64_t j = 0; j < n; ++j) {
    const T pivot = a[j * (n + 1)];
    __syncthreads();
    if (!(pivot > 0)) {
      failed = static_cast<int>(j) + 1;
      break;
    }
    const T root = ::sqrt(pivot);
    for (int64_t i = j + threadIdx.x; i < n; i += blockDim.x) {
      a[i * down + j * right] = i == j ? root : a[i * down + j * right] / root;
    }
    __syncthreads();
    const int64_t rest = n - j - 1;
    for (int64_t t = threadIdx.x; t < rest * rest; t += blockDim.x) {
      const int64_t r = j + 1 + t % rest;
      const int64_t c = j + 1 + t / rest;
      if (r < c) continue;
      a[r * down + c * right] -= a[r * down + j * right] * a[c * down + j * right];
    }
    __syncthreads();
  }
  for (int64_t t = threadIdx.x; t < n * n; t += blockDim.x) {
    const int64_t r = t % n;
    const int64_t c = t / n;
    if (r < c) a[r * down + c * right] = T{0};
  }
  if (threadIdx.x == 0) p.info[blockIdx.x] = failed;
}

// P A = L U with the largest element of a column as pivot, the first of equals. Pivots count
// from 1.
template <class T>
__global__ void __launch_bounds__(kLinalgThreads) lu_kernel(const LinalgArgs p) {
  AG_SHARED_ARRAY(T, best, kLinalgThreads);
  AG_SHARED_ARRAY(int, place, kLinalgThreads);
  const int64_t m = p.m;
  const int64_t n = p.n;
  const int64_t k = m < n ? m : n;
  T* a = matrix_at<T>(p.a, m * n);
  const unsigned t = threadIdx.x;
  int failed = 0;
  for (int64_t j = 0; j < k; ++j) {
    const auto size = [&](int64_t i) { return ::fabs(a[i + j * m]); };
    const int64_t pivot = first_largest(j, m, size, best, place);
    if (t == 0) p.pivots[int64_t{blockIdx.x} * k + j] = static_cast<int32_t>(pivot) + 1;
    swap_lines(a + j, a + pivot, m, n);
    const T diagonal = a[j * (m + 1)];
    if (diagonal == 0) {
      if (failed == 0) failed = static_cast<int>(j) + 1;
      continue;
    }
    const int64_t rows = m - j - 1;
    for (int64_t i = j + 1 + t; i < m; i += blockDim.x) a[i + j * m] /= diagonal;
    __syncthreads();
    for (int64_t q = t; q < rows * (n - j - 1); q += blockDim.x) {
      const int64_t r = j + 1 + q % rows;
      const int64_t c = j + 1 + q / rows;
      a[r + c * m] -= a[r + j * m] * a[j + c * m];
    }
    __syncthreads();
  }
  if (t == 0) p.info[blockIdx.x] = failed;
}

// op(A) X = B in place of B (n x k, in columns of `ld`), where op(A) is `lower` or upper
// triangular; element (r, c) of op(A) is a[r * down + c * right].
template <class T>
__device__ AG_INLINE void solve_triangular(const T* a, int64_t down, int64_t right, bool lower,
                                           bool unit, T* b, int64_t ld, int64_t n, int64_t k) {
  for (int64_t step = 0; step < n; ++step) {
    const int64_t j = lower ? step : n - 1 - step;
    if (!unit) {
      const T diagonal = a[j * (down + right)];
      for (int64_t c = threadIdx.x; c < k; c += blockDim.x) b[j + c * ld] /= diagonal;
      __syncthreads();
    }
    const int64_t rows = lower ? n - 1 - j : j;
    const int64_t first = lower ? j + 1 : 0;
    for (int64_t t = threadIdx.x; t < rows * k; t += blockDim.x) {
      const int64_t r = first + t % rows;
      const int64_t c = t / rows;
      b[r + c * ld] -= a[r * down + j * right] * b[j + c * ld];
    }
    __syncthreads();
  }
}

template <class T>
__global__ void __launch_bounds__(kLinalgThreads) triangular_kernel(const LinalgArgs p) {
  const int64_t n = p.n;
  solve_triangular<T>(matrix_at<T>(p.a, n * n), 1, n, !p.upper, p.unit, matrix_at<T>(p.b, n * p.k),
                      n, n, p.k);
}

template <class T>
__global__ void __launch_bounds__(kLinalgThreads) lu_solve_kernel(const LinalgArgs p) {
  const int64_t n = p.n;
  const T* a = matrix_at<T>(p.a, n * n);
  T* b = matrix_at<T>(p.b, n * p.k);
  const int32_t* pivots = p.pivots + int64_t{blockIdx.x} * n;
  if (!p.transpose) {
    for (int64_t i = 0; i < n; ++i) swap_lines(b + i, b + pivots[i] - 1, n, p.k);
    solve_triangular<T>(a, 1, n, true, true, b, n, n, p.k);
    solve_triangular<T>(a, 1, n, false, false, b, n, n, p.k);
    return;
  }
  solve_triangular<T>(a, n, 1, true, false, b, n, n, p.k);
  solve_triangular<T>(a, n, 1, false, true, b, n, n, p.k);
  for (int64_t i = n; i-- > 0;) swap_lines(b + i, b + pivots[i] - 1, n, p.k);
}

// Applies H = I - tau v v^T to `columns` columns of x, `ld` apart, where v (length m) is zero
// before element j, 1 there and given after it. A warp for each column.
template <class T>
__device__ AG_INLINE void reflect(const T* v, T tau, int64_t m, int64_t j, T* x, int64_t ld,
                                  int64_t columns) {
  const unsigned lane = threadIdx.x % 32;
  for (int64_t c = threadIdx.x / 32; c < columns; c += blockDim.x / 32) {
    T* y = x + c * ld;
    T dot = lane == 0 ? y[j] : T{0};
    for (int64_t i = j + 1 + lane; i < m; i += 32) dot += v[i] * y[i];
    const T scale = tau * warp_sum(dot);
    if (lane == 0) y[j] -= scale;
    for (int64_t i = j + 1 + lane; i < m; i += 32) y[i] -= scale * v[i];
  }
  __syncthreads();
}

// Makes the reflector that turns x (length m) to zero below element j, in its place; returns tau.
template <class T>
__device__ AG_INLINE T make_reflector(T* x, int64_t m, int64_t j, T* shared) {
  T squares = 0;
  for (int64_t i = j + 1 + threadIdx.x; i < m; i += blockDim.x) squares += x[i] * x[i];
  const T below = block_sum(shared, squares);
  const T alpha = x[j];
  __syncthreads();
  T tau = 0;
  if (below != 0) {
    const T length = ::sqrt(alpha * alpha + below);
    const T beta = alpha > 0 ? -length : length;
    tau = (beta - alpha) / beta;
    for (int64_t i = j + 1 + threadIdx.x; i < m; i += blockDim.x) x[i] /= alpha - beta;
    if (threadIdx.x == 0) x[j] = beta;
  }
  __syncthreads();
  return tau;
}

// Householder QR in place of A (m x n); taus gets the factors of the min(m, n) reflectors.
template <class T>
__device__ AG_INLINE void factor_qr(T* a, int64_t m, int64_t n, T* taus, T* shared) {
  const int64_t k = m < n ? m : n;
  for (int64_t j = 0; j < k; ++j) {
    const T tau = make_reflector(a + j * m, m, j, shared);
    if (threadIdx.x == 0) taus[j] = tau;
    reflect(a + j * m, tau, m, j, a + (j + 1) * m, m, n - j - 1);
  }
}

template <class T>
__global__ void __launch_bounds__(kLinalgThreads) geqrf_kernel(const LinalgArgs p) {
  AG_SHARED_ARRAY(T, shared, kLinalgThreads);
  const int64_t m = p.m;
  const int64_t n = p.n;
  factor_qr(matrix_at<T>(p.a, m * n), m, n, matrix_at<T>(p.d, m < n ? m : n), shared);
}

// The first n columns of the product of k reflectors, in their place.
template <class T>
__global__ void __launch_bounds__(kLinalgThreads) orgqr_kernel(const LinalgArgs p) {
  const int64_t m = p.m;
  const int64_t n = p.n;
  T* a = matrix_at<T>(p.a, m * n);
  const T* taus = matrix_at<T>(p.d, p.k);
  for (int64_t t = int64_t{p.k} * m + threadIdx.x; t < m * n; t += blockDim.x) {
    a[t] = t % m == t / m ? T{1} : T{0};
  }
  __syncthreads();
  for (int64_t j = p.k; j-- > 0;) {
    const T tau = taus[j];
    reflect(a + j * m, tau, m, j, a + (j + 1) * m, m, n - j - 1);
    for (int64_t i = threadIdx.x; i < m; i += blockDim.x) {
      T* x = a + j * m + i;
      *x = i < j ? T{0} : (i == j ? 1 - tau : -tau * *x);
    }
    __syncthreads();
  }
}

}  // namespace ampgrad::cuda
