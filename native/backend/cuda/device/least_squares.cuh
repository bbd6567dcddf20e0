// Least squares with the four drivers of LAPACK, one block a matrix. Each starts from a QR
// factorization (of the transposed matrix where that is the tall one) and inverts R in its way: as
// the triangle it is (gels), without the columns that depend on others (gelsy), or by its singular
// values (gelsd, gelss).
#pragma once

#include "backend/cuda/device/spectral.cuh"

namespace ampgrad::cuda {

enum class LstsqDriver : int { Gels = 0, Gelsy = 1, Gelsd = 2, Gelss = 3 };

struct LstsqArgs {
  int m = 0, n = 0;
  int sides = 0;             // columns of B
  void* a = nullptr;         // destroyed
  void* b = nullptr;         // max(m, n) rows, zero below the first m; the solution is its first n
  void* values = nullptr;    // singular values, where the driver has them
  void* work = nullptr;      // LstsqWork::size elements a matrix
  int32_t* swaps = nullptr;  // min(m, n) a matrix
  int32_t* info = nullptr;
  int64_t* rank = nullptr;
  LstsqDriver driver = LstsqDriver::Gels;
  double rcond = 0;
};

// The parts of a matrix's scratch.
template <class T>
struct LstsqWork {
  T* tall;     // a transposed matrix
  T* taus;     // factors of the reflectors
  T* square;   // R, then its left singular vectors times the values
  T* turns;    // its right singular vectors
  T* lengths;  // min(m, n) values
  T* norms;    // n values
  T* parts;    // B in the basis of singular vectors

  AG_HD static int64_t size(int64_t m, int64_t n, int64_t sides) {
    const int64_t k = m < n ? m : n;
    return m * n + 2 * k * k + 2 * k + n + k * sides;
  }
  __device__ LstsqWork(T* base, int64_t m, int64_t n) {
    const int64_t k = m < n ? m : n;
    tall = base;
    taus = tall + m * n;
    square = taus + k;
    turns = square + k * k;
    lengths = turns + k * k;
    norms = lengths + k;
    parts = norms + n;
  }
};

// One matrix and its right-hand sides, whose columns are `ld` apart.
template <class T>
struct LstsqSystem {
  int64_t m, n, k;  // k: the smaller
  int64_t sides, ld;
  T* a;
  T* b;
};

// Q^T B, or Q B, of reflectors in the columns of v (m x k).
template <class T>
__device__ AG_INLINE void apply_reflectors(const T* v, const T* taus, int64_t m, int64_t k,
                                           bool transposed, const LstsqSystem<T>& s) {
  for (int64_t step = 0; step < k; ++step) {
    const int64_t j = transposed ? step : k - 1 - step;
    reflect(v + j * m, taus[j], m, j, s.b, s.ld, s.sides);
  }
}

// out (columns x rows) = the first `rows` of x transposed, of its upper triangle if asked.
template <class T>
__device__ AG_INLINE void transpose_rows(const T* x, int64_t ld, int64_t rows, int64_t columns,
                                         bool triangle, T* out) {
  for (int64_t t = threadIdx.x; t < rows * columns; t += blockDim.x) {
    const int64_t c = t % columns;
    const int64_t r = t / columns;
    out[t] = triangle && c < r ? T{0} : x[r + c * ld];
  }
  __syncthreads();
}

// Rows [from, to) of B become zero.
template <class T>
__device__ AG_INLINE void clear_rows(const LstsqSystem<T>& s, int64_t from, int64_t to) {
  const int64_t rows = to - from;
  for (int64_t t = threadIdx.x; t < rows * s.sides; t += blockDim.x) {
    s.b[from + t % rows + t / rows * s.ld] = T{0};
  }
  __syncthreads();
}

// With Q R (n x k, tall) factored in w: the shortest x of R^T Q^T x = b, the first k rows of B.
// Rows k to n are zero.
template <class T>
__device__ AG_INLINE void shortest_solution(const T* w, const T* taus, int64_t k,
                                            const LstsqSystem<T>& s) {
  solve_triangular(w, s.n, int64_t{1}, true, false, s.b, s.ld, k, s.sides);
  apply_reflectors(w, taus, s.n, k, false, s);
}

// gels: 0, or the place (from 1) of a zero on R's diagonal.
template <class T>
__device__ AG_INLINE int solve_by_triangle(const LstsqSystem<T>& s, const LstsqWork<T>& work,
                                           T* shared) {
  const bool wide = s.m < s.n;
  if (wide) transpose_rows(s.a, s.m, s.m, s.n, false, work.tall);
  T* w = wide ? work.tall : s.a;
  factor_qr(w, s.ld, s.k, work.taus, shared);
  for (int64_t j = 0; j < s.k; ++j) {
    if (w[j * (s.ld + 1)] == 0) return static_cast<int>(j) + 1;
  }
  if (wide) {
    shortest_solution(w, work.taus, s.k, s);
  } else {
    apply_reflectors(w, work.taus, s.m, s.n, true, s);
    solve_triangular(w, int64_t{1}, s.m, false, false, s.b, s.ld, s.n, s.sides);
  }
  return 0;
}

// QR of A with the longest of the remaining columns brought to the front at each step. Lengths are
// taken anew every time, so that cancellation never misleads the choice.
template <class T>
__device__ AG_INLINE void factor_pivoted(const LstsqSystem<T>& s, const LstsqWork<T>& work,
                                         int32_t* swaps, T* shared, int* places) {
  const int64_t m = s.m;
  for (int64_t j = 0; j < s.k; ++j) {
    for (int64_t c = j + threadIdx.x / 32; c < s.n; c += blockDim.x / 32) {
      T squares = 0;
      for (int64_t i = j + threadIdx.x % 32; i < m; i += 32)
        squares += s.a[i + c * m] * s.a[i + c * m];
      squares = warp_sum(squares);
      if (threadIdx.x % 32 == 0) work.norms[c] = squares;
    }
    __syncthreads();
    const auto length = [&](int64_t c) { return work.norms[c]; };
    const int64_t pivot = first_largest(j, s.n, length, shared, places);
    if (threadIdx.x == 0) swaps[j] = static_cast<int32_t>(pivot);
    swap_lines(s.a + j * m, s.a + pivot * m, 1, m);
    T* x = s.a + j * m;
    const T tau = make_reflector(x, m, j, shared);
    if (threadIdx.x == 0) work.taus[j] = tau;
    reflect(x, tau, m, j, x + m, m, s.n - j - 1);
  }
}

// An estimate of the largest or smallest singular value of a triangle, and how the vector that
// reaches it grows: by `last`, its other elements times `scale`.
template <class T>
struct SingularEstimate {
  T value, scale, last;
};

// Incremental condition estimation (Bischof 1990): of the triangle with one more column, whose
// product with the vector is `dot` and whose diagonal element is `corner`. The columns of
// [[value, 0], [dot, corner]] are made orthogonal; the smaller length follows from the determinant.
template <class T>
AG_HD AG_INLINE SingularEstimate<T> grow_estimate(T value, T dot, T corner, bool largest) {
  const T unit = ::fmax(::fabs(value), ::fmax(::fabs(dot), ::fabs(corner)));
  if (unit == 0) return {T{0}, T{1}, T{0}};
  const T v = value / unit;
  const T d = dot / unit;
  const T g = corner / unit;
  T c = 1;
  T s = 0;
  if (d * g != 0) rotation_of(v * v + d * d, g * g, d * g, &c, &s);
  const T first = ::hypot(c * v, c * d - s * g);
  const T second = ::hypot(s * v, s * d + c * g);
  const T longer = ::fmax(first, second);
  const T found = largest ? longer : ::fabs(v * g) / longer;
  const bool takes_first = largest == (first >= second);
  return {found * unit, takes_first ? c : s, takes_first ? -s : c};
}

// The most columns of the triangle r whose condition number is estimated not to exceed 1 / rcond.
template <class T>
__device__ AG_INLINE int64_t independent_columns(const T* r, int64_t ld, int64_t k, T rcond, T* low,
                                                 T* high, T* shared) {
  T smallest = ::fabs(r[0]);
  T largest = smallest;
  if (largest == 0) return 0;
  if (threadIdx.x == 0) low[0] = high[0] = T{1};
  __syncthreads();
  int64_t rank = 1;
  for (; rank < k; ++rank) {
    const T* column = r + rank * ld;
    T low_dot = 0;
    T high_dot = 0;
    for (int64_t i = threadIdx.x; i < rank; i += blockDim.x) {
      low_dot += low[i] * column[i];
      high_dot += high[i] * column[i];
    }
    low_dot = block_sum(shared, low_dot);
    high_dot = block_sum(shared, high_dot);
    const SingularEstimate<T> down = grow_estimate(smallest, low_dot, column[rank], false);
    const SingularEstimate<T> up = grow_estimate(largest, high_dot, column[rank], true);
    if (up.value * rcond > down.value) break;
    for (int64_t i = threadIdx.x; i < rank; i += blockDim.x) {
      low[i] *= down.scale;
      high[i] *= up.scale;
    }
    if (threadIdx.x == 0) {
      low[rank] = down.last;
      high[rank] = up.last;
    }
    __syncthreads();
    smallest = down.value;
    largest = up.value;
  }
  return rank;
}

// gelsy: returns the rank.
template <class T>
__device__ AG_INLINE int64_t solve_by_columns(const LstsqSystem<T>& s, const LstsqWork<T>& work,
                                              T rcond, int32_t* swaps, T* shared, int* places) {
  factor_pivoted(s, work, swaps, shared, places);
  const int64_t rank = independent_columns(s.a, s.m, s.k, rcond, work.lengths, work.norms, shared);
  apply_reflectors(s.a, work.taus, s.m, s.k, true, s);
  clear_rows(s, rank, s.ld);
  if (rank == s.n) {
    solve_triangular(s.a, int64_t{1}, s.m, false, false, s.b, s.ld, s.n, s.sides);
  } else {
    transpose_rows(s.a, s.m, rank, s.n, true, work.tall);
    factor_qr(work.tall, s.n, rank, work.taus, shared);
    shortest_solution(work.tall, work.taus, rank, s);
  }
  for (int64_t i = s.k; i-- > 0;) swap_lines(s.b + i, s.b + swaps[i], s.ld, s.sides);
  return rank;
}

// Singular values up to this count as zero: LAPACK's rules of the two drivers.
template <class T>
AG_HD AG_INLINE T value_cut(LstsqDriver driver, T rcond, T largest) {
  const T rounding = precision_of<T>() / 2;
  if (driver == LstsqDriver::Gelsd) {
    return (rcond > 0 && rcond < 1 ? rcond : rounding) * largest;
  }
  return ::fmax((rcond < 0 ? rounding : rcond) * largest, std::numeric_limits<T>::min());
}

// The first k rows of B = sum of to_j (from_j . B) / lengths_j^2 over lengths above `cut`; one of
// the vectors has that length, the other is a unit vector.
template <class T>
__device__ AG_INLINE void invert_values(const LstsqSystem<T>& s, const LstsqWork<T>& work,
                                        const T* from, const T* to, T cut) {
  const int64_t k = s.k;
  for (int64_t t = threadIdx.x / 32; t < k * s.sides; t += blockDim.x / 32) {
    const T* x = from + t % k * k;
    const T* y = s.b + t / k * s.ld;
    T dot = 0;
    for (int64_t i = threadIdx.x % 32; i < k; i += 32) dot += x[i] * y[i];
    dot = warp_sum(dot);
    const T length = work.lengths[t % k];
    if (threadIdx.x % 32 == 0) work.parts[t] = length > cut ? dot / length / length : T{0};
  }
  __syncthreads();
  for (int64_t t = threadIdx.x; t < k * s.sides; t += blockDim.x) {
    T sum = 0;
    for (int64_t j = 0; j < k; ++j) sum += to[t % k + j * k] * work.parts[j + t / k * k];
    s.b[t % k + t / k * s.ld] = sum;
  }
  __syncthreads();
}

// gelsd, gelss: the singular values of R are A's. False when they were not found.
template <class T>
__device__ AG_INLINE bool solve_by_values(const LstsqSystem<T>& s, const LstsqWork<T>& work,
                                          LstsqDriver driver, T rcond, T* values, int64_t* rank,
                                          T* shared) {
  const bool wide = s.m < s.n;
  const int64_t k = s.k;
  if (wide) transpose_rows(s.a, s.m, s.m, s.n, false, work.tall);
  T* w = wide ? work.tall : s.a;
  factor_qr(w, s.ld, k, work.taus, shared);
  if (!wide) apply_reflectors(w, work.taus, s.m, k, true, s);
  for (int64_t t = threadIdx.x; t < k * k; t += blockDim.x) {
    work.square[t] = t % k <= t / k ? w[t % k + t / k * s.ld] : T{0};
  }
  __syncthreads();
  const int count = static_cast<int>(k);
  const bool done = orthogonalize(work.square, k, count, work.turns, shared);
  column_lengths(work.square, k, count, work.lengths);
  T largest = 0;
  for (int64_t j = 0; j < k; ++j) largest = ::fmax(largest, work.lengths[j]);
  const T cut = value_cut(driver, rcond, largest);
  int64_t above = 0;
  for (int64_t j = 0; j < k; ++j) above += work.lengths[j] > cut ? 1 : 0;
  *rank = above;
  for (int j = static_cast<int>(threadIdx.x); j < count; j += static_cast<int>(blockDim.x)) {
    values[rank_of(work.lengths, count, j, true)] = work.lengths[j];
  }
  // R = U S V^T, with U S in `square`; for a wide A the system is R^T's.
  invert_values(s, work, wide ? work.turns : work.square, wide ? work.square : work.turns, cut);
  if (wide) apply_reflectors(w, work.taus, s.n, k, false, s);
  return done;
}

template <class T>
__device__ AG_INLINE bool all_zero(T* shared, const T* x, int64_t n) {
  T own = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) own += x[i] != 0 ? T{1} : T{0};
  return block_sum(shared, own) == 0;
}

template <class T>
__global__ void __launch_bounds__(kLinalgThreads) lstsq_kernel(const LstsqArgs p) {
  AG_SHARED_ARRAY(T, shared, kLinalgThreads);
  AG_SHARED_ARRAY(int, places, kLinalgThreads);
  const int64_t m = p.m;
  const int64_t n = p.n;
  const int64_t k = m < n ? m : n;
  const int64_t ld = m < n ? n : m;
  const LstsqSystem<T> s{
      m, n, k, p.sides, ld, matrix_at<T>(p.a, m * n), matrix_at<T>(p.b, ld * p.sides)};
  const LstsqWork<T> work(matrix_at<T>(p.work, LstsqWork<T>::size(m, n, p.sides)), m, n);
  int32_t* swaps = p.swaps + int64_t{blockIdx.x} * k;
  T* values = p.values == nullptr ? nullptr : matrix_at<T>(p.values, k);
  const T rcond = static_cast<T>(p.rcond);
  int info = 0;
  int64_t rank = 0;
  if (!all_finite(shared, s.a, m * n) || !all_finite(shared, s.b, ld * p.sides)) {
    info = -1;
  } else if (all_zero(shared, s.a, m * n)) {
    clear_rows(s, 0, ld);
    for (int64_t j = threadIdx.x; values != nullptr && j < k; j += blockDim.x) values[j] = T{0};
  } else if (p.driver == LstsqDriver::Gels) {
    info = solve_by_triangle(s, work, shared);
  } else if (p.driver == LstsqDriver::Gelsy) {
    rank = solve_by_columns(s, work, rcond, swaps, shared, places);
  } else if (!solve_by_values(s, work, p.driver, rcond, values, &rank, shared)) {
    info = static_cast<int>(k);
  }
  if (threadIdx.x != 0) return;
  p.info[blockIdx.x] = info;
  if (p.rank != nullptr) p.rank[blockIdx.x] = rank;
}

}  // namespace ampgrad::cuda
