// Eigenvalues and singular values by Jacobi rotations, one block a matrix, in global memory.
// Rotations of a round touch different pairs (a round robin), so that a block does them together.
#pragma once

#include <limits>

#include "backend/cuda/device/linalg.cuh"

namespace ampgrad::cuda {

inline constexpr int kMaxSweeps = 60;

// `work` is scratch: work_size elements for each matrix.
struct SpectralArgs {
  int m = 0, n = 0;
  void* a = nullptr;
  void* values = nullptr;
  void* work = nullptr;
  int64_t work_size = 0;
  int32_t* info = nullptr;
  bool upper = false;
  bool vectors = false;
  bool full = false;
  void* u = nullptr;
  void* vt = nullptr;
};

template <class T>
AG_HD AG_INLINE constexpr T precision_of() {
  return std::numeric_limits<T>::epsilon();
}

// The pair of players that meet at table t of a round; n is even.
__device__ AG_INLINE void pair_of(int n, int round, int t, int* p, int* q) {
  const int last = n - 1;
  const int a = t == 0 ? last : (round + t) % last;
  const int b = t == 0 ? round : (round + last - t) % last;
  *p = a < b ? a : b;
  *q = a < b ? b : a;
}

// The rotation that makes the off-diagonal element of [[x, z], [z, y]] zero.
template <class T>
AG_HD AG_INLINE void rotation_of(T x, T y, T z, T* c, T* s) {
  const T theta = (y - x) / (2 * z);
  const T t = (theta >= 0 ? T{1} : T{-1}) / (::fabs(theta) + ::sqrt(1 + theta * theta));
  *c = 1 / ::sqrt(1 + t * t);
  *s = t * *c;
}

template <class T>
__device__ AG_INLINE bool all_finite(T* shared, const T* x, int64_t n) {
  T own = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) own += x[i] * 0;
  return block_sum(shared, own) == 0;
}

// Columns p and q of x (rows elements each) turned by (c, s), by one warp.
template <class T>
__device__ AG_INLINE void rotate(T* x, T* y, int64_t rows, int64_t stride, T c, T s) {
  for (int64_t i = threadIdx.x % 32; i < rows; i += 32) {
    const T a = x[i * stride];
    const T b = y[i * stride];
    x[i * stride] = c * a - s * b;
    y[i * stride] = s * a + c * b;
  }
}

// How many values come before values[i], by size and then by place.
template <class T>
__device__ AG_INLINE int rank_of(const T* values, int n, int i, bool descending) {
  int rank = 0;
  for (int j = 0; j < n; ++j) {
    const bool before = descending ? values[j] > values[i] : values[j] < values[i];
    if (before || (values[j] == values[i] && j < i)) ++rank;
  }
  return rank;
}

// work: a symmetric copy (n x n), vectors (n x n), rotations (2 n), eigenvalues (n).
template <class T>
__global__ void __launch_bounds__(kLinalgThreads) eigh_kernel(const SpectralArgs p) {
  AG_SHARED_ARRAY(T, shared, kLinalgThreads);
  const int n = p.n;
  const int64_t size = int64_t{n} * n;
  T* a = matrix_at<T>(p.a, size);
  T* w = matrix_at<T>(p.work, p.work_size);
  T* v = w + size;
  T* turns = v + size;
  T* found = turns + 2 * n;
  if (!all_finite(shared, a, size)) {
    if (threadIdx.x == 0) p.info[blockIdx.x] = -1;
    return;
  }
  for (int64_t t = threadIdx.x; t < size; t += blockDim.x) {
    const int64_t r = t % n;
    const int64_t c = t / n;
    const bool given = p.upper ? r <= c : r >= c;
    w[t] = given ? a[t] : a[c + r * n];
    v[t] = r == c ? T{1} : T{0};
  }
  __syncthreads();
  T squares = 0;
  for (int64_t t = threadIdx.x; t < size; t += blockDim.x) squares += w[t] * w[t];
  const T norm = ::sqrt(block_sum(shared, squares));
  const T enough = precision_of<T>() * norm / 4;
  const int players = n + n % 2;
  const int warps = static_cast<int>(blockDim.x / 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  bool done = n == 1 || norm == 0;
  for (int sweep = 0; sweep < kMaxSweeps && !done; ++sweep) {
    T large = 0;
    for (int64_t t = threadIdx.x; t < size; t += blockDim.x) {
      if (t % n != t / n && ::fabs(w[t]) > enough) large += 1;
    }
    done = block_sum(shared, large) == 0;
    if (done) break;
    for (int round = 0; round < players - 1; ++round) {
      for (int t = static_cast<int>(threadIdx.x); t < players / 2;
           t += static_cast<int>(blockDim.x)) {
        int i = 0;
        int j = 0;
        pair_of(players, round, t, &i, &j);
        T c = 1;
        T s = 0;
        if (j < n && w[i + int64_t{j} * n] != 0) {
          rotation_of(w[i * (int64_t{n} + 1)], w[j * (int64_t{n} + 1)], w[i + int64_t{j} * n], &c,
                      &s);
        }
        turns[2 * t] = c;
        turns[2 * t + 1] = s;
      }
      __syncthreads();
      for (int t = warp; t < players / 2; t += warps) {
        int i = 0;
        int j = 0;
        pair_of(players, round, t, &i, &j);
        if (j >= n) continue;
        rotate(w + int64_t{i} * n, w + int64_t{j} * n, n, 1, turns[2 * t], turns[2 * t + 1]);
        rotate(v + int64_t{i} * n, v + int64_t{j} * n, n, 1, turns[2 * t], turns[2 * t + 1]);
      }
      __syncthreads();
      for (int t = warp; t < players / 2; t += warps) {
        int i = 0;
        int j = 0;
        pair_of(players, round, t, &i, &j);
        if (j >= n) continue;
        rotate(w + i, w + j, n, n, turns[2 * t], turns[2 * t + 1]);
        __syncwarp();
        if (threadIdx.x % 32 == 0) w[i + int64_t{j} * n] = w[j + int64_t{i} * n] = 0;
      }
      __syncthreads();
    }
  }
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    found[i] = w[i * (int64_t{n} + 1)];
  }
  __syncthreads();
  T* values = matrix_at<T>(p.values, n);
  for (int i = warp; i < n; i += warps) {
    const int rank = rank_of(found, n, i, false);
    if (threadIdx.x % 32 == 0) values[rank] = found[i];
    for (int64_t r = threadIdx.x % 32; r < n; r += 32)
      a[r + int64_t{rank} * n] = v[r + int64_t{i} * n];
  }
  if (threadIdx.x == 0) p.info[blockIdx.x] = done ? 0 : n;
}

// Columns [from, to) of u (rows x to) become orthonormal to those before: each starts as the unit
// vector farthest from their span.
template <class T>
__device__ AG_INLINE void complete_basis(T* u, int64_t rows, int64_t from, int64_t to, T* shared,
                                         int* places) {
  for (int64_t c = from; c < to; ++c) {
    T smallest = 4;
    int place = 0;
    for (int64_t r = threadIdx.x; r < rows; r += blockDim.x) {
      T inside = 0;
      for (int64_t j = 0; j < c; ++j) inside += u[r + j * rows] * u[r + j * rows];
      if (inside < smallest) {
        smallest = inside;
        place = static_cast<int>(r);
      }
    }
    shared[threadIdx.x] = smallest;
    places[threadIdx.x] = place;
    __syncthreads();
    // A few hundred candidates: every thread picks the same one.
    for (unsigned t = 0; t < blockDim.x; ++t) {
      if (shared[t] < smallest || (shared[t] == smallest && places[t] < place)) {
        smallest = shared[t];
        place = places[t];
      }
    }
    __syncthreads();
    T* x = u + c * rows;
    for (int64_t r = threadIdx.x; r < rows; r += blockDim.x) x[r] = r == place ? T{1} : T{0};
    __syncthreads();
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t j = 0; j < c; ++j) {
        T own = 0;
        for (int64_t r = threadIdx.x; r < rows; r += blockDim.x) own += x[r] * u[r + j * rows];
        const T dot = block_sum(shared, own);
        for (int64_t r = threadIdx.x; r < rows; r += blockDim.x) x[r] -= dot * u[r + j * rows];
        __syncthreads();
      }
    }
    T own = 0;
    for (int64_t r = threadIdx.x; r < rows; r += blockDim.x) own += x[r] * x[r];
    const T length = ::sqrt(block_sum(shared, own));
    for (int64_t r = threadIdx.x; r < rows; r += blockDim.x) x[r] /= length;
    __syncthreads();
  }
}

// Hestenes: columns of w (rows x k) are turned by pairs until they are orthogonal. v (k x k)
// becomes the product of the turns. False when they did not become so.
template <class T>
__device__ AG_INLINE bool orthogonalize(T* w, int64_t rows, int k, T* v, T* shared) {
  for (int64_t t = threadIdx.x; t < int64_t{k} * k; t += blockDim.x) {
    v[t] = t % k == t / k ? T{1} : T{0};
  }
  __syncthreads();
  const int players = k + k % 2;
  const int warps = static_cast<int>(blockDim.x / 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const T enough = precision_of<T>() * ::sqrt(static_cast<T>(rows));
  T squares = 0;
  for (int64_t t = threadIdx.x; t < rows * k; t += blockDim.x) squares += w[t] * w[t];
  // What is shorter is rounding of the others, and would shrink forever.
  const T floor = precision_of<T>() * precision_of<T>() * block_sum(shared, squares);
  bool done = k == 1;
  for (int sweep = 0; sweep < kMaxSweeps && !done; ++sweep) {
    T turned = 0;
    for (int round = 0; round < players - 1; ++round) {
      for (int t = warp; t < players / 2; t += warps) {
        int i = 0;
        int j = 0;
        pair_of(players, round, t, &i, &j);
        if (j >= k) continue;
        T* x = w + i * rows;
        T* y = w + j * rows;
        T xx = 0;
        T yy = 0;
        T xy = 0;
        for (int64_t r = threadIdx.x % 32; r < rows; r += 32) {
          xx += x[r] * x[r];
          yy += y[r] * y[r];
          xy += x[r] * y[r];
        }
        xx = warp_sum(xx);
        yy = warp_sum(yy);
        xy = warp_sum(xy);
        if (xx <= floor || yy <= floor) continue;
        if (xy == 0 || ::fabs(xy) <= enough * ::sqrt(xx) * ::sqrt(yy)) continue;
        turned += 1;
        T c = 1;
        T s = 0;
        rotation_of(xx, yy, xy, &c, &s);
        rotate(x, y, rows, 1, c, s);
        rotate(v + int64_t{i} * k, v + int64_t{j} * k, k, 1, c, s);
      }
      __syncthreads();
    }
    done = block_sum(shared, turned) == 0;
  }
  return done;
}

template <class T>
__device__ AG_INLINE void column_lengths(const T* w, int64_t rows, int k, T* lengths) {
  const int warps = static_cast<int>(blockDim.x / 32);
  for (int j = static_cast<int>(threadIdx.x / 32); j < k; j += warps) {
    const T* x = w + j * rows;
    T squares = 0;
    for (int64_t r = threadIdx.x % 32; r < rows; r += 32) squares += x[r] * x[r];
    squares = warp_sum(squares);
    if (threadIdx.x % 32 == 0) lengths[j] = ::sqrt(squares);
  }
  __syncthreads();
}

// Columns of W (tall, rows x k; the transposed matrix when it is wide) are made orthogonal; their
// lengths are the singular values. work: W, the turns' product V (k x k), lengths (k).
template <class T>
__global__ void __launch_bounds__(kLinalgThreads) svd_kernel(const SpectralArgs p) {
  AG_SHARED_ARRAY(T, shared, kLinalgThreads);
  AG_SHARED_ARRAY(int, places, kLinalgThreads);
  const int64_t m = p.m;
  const int64_t n = p.n;
  const bool wide = m < n;
  const int64_t rows = wide ? n : m;
  const int k = static_cast<int>(wide ? m : n);
  const T* a = matrix_at<T>(p.a, m * n);
  T* w = matrix_at<T>(p.work, p.work_size);
  T* v = w + rows * k;
  T* lengths = v + int64_t{k} * k;
  if (!all_finite(shared, a, m * n)) {
    if (threadIdx.x == 0) p.info[blockIdx.x] = -1;
    return;
  }
  for (int64_t t = threadIdx.x; t < rows * k; t += blockDim.x) {
    w[t] = wide ? a[t / rows + t % rows * m] : a[t];
  }
  __syncthreads();
  const bool done = orthogonalize(w, rows, k, v, shared);
  column_lengths(w, rows, k, lengths);
  T* s = matrix_at<T>(p.values, k);
  T largest = 0;
  for (int j = 0; j < k; ++j) largest = lengths[j] > largest ? lengths[j] : largest;
  const T tiny = largest * precision_of<T>() * static_cast<T>(rows);
  const int64_t u_columns = p.full ? m : k;
  const int64_t v_rows = p.full ? n : k;
  // The long vectors are dense columns in `basis`, to be completed; the short ones go out at once.
  T* basis = lengths + k;
  T* u = p.vectors ? matrix_at<T>(p.u, m * u_columns) : nullptr;
  T* vt = p.vectors ? matrix_at<T>(p.vt, v_rows * n) : nullptr;
  const int warps = static_cast<int>(blockDim.x / 32);
  for (int j = static_cast<int>(threadIdx.x / 32); j < k; j += warps) {
    const int rank = rank_of(lengths, k, j, true);
    if (threadIdx.x % 32 == 0) s[rank] = lengths[j];
    if (!p.vectors) continue;
    for (int64_t r = threadIdx.x % 32; r < rows; r += 32) {
      basis[r + rank * rows] = lengths[j] > tiny ? w[r + j * rows] / lengths[j] : T{0};
    }
    for (int64_t r = threadIdx.x % 32; r < k; r += 32) {
      const T x = v[r + int64_t{j} * k];
      if (wide) {
        u[r + rank * m] = x;
      } else {
        vt[rank + r * v_rows] = x;
      }
    }
  }
  if (threadIdx.x == 0) p.info[blockIdx.x] = done ? 0 : k;
  if (!p.vectors) return;
  int given = 0;
  for (int j = 0; j < k; ++j) given += lengths[j] > tiny ? 1 : 0;
  const int64_t columns = wide ? v_rows : u_columns;
  __syncthreads();
  complete_basis(basis, rows, given, columns, shared, places);
  for (int64_t t = threadIdx.x; t < rows * columns; t += blockDim.x) {
    const int64_t r = t % rows;
    const int64_t c = t / rows;
    if (wide) {
      vt[c + r * v_rows] = basis[t];
    } else {
      u[t] = basis[t];
    }
  }
}

}  // namespace ampgrad::cuda
