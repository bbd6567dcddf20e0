// LAPACK kernels of the CPU: one call of a routine a matrix, one after the other. An OpenBLAS that
// was built for one thread shares its buffers between calls without a lock: two at once give wrong
// numbers.
#include <algorithm>
#include <climits>
#include <cmath>
#include <memory>
#include <mutex>

#include "backend/cpu/finite_loops.h"
#include "backend/cpu/lapack.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"
#include "ops/linalg_params.h"

namespace ampgrad::cpu {

namespace {

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

// fn(index of the matrix) for the whole batch. Threads of other environments wait.
template <class F>
void for_batch(const LapackParams& p, const F& fn) {
  const std::lock_guard<std::mutex> alone(library_mutex());
  for (int64_t i = 0; i < p.batch; ++i) fn(i);
}

template <class T>
T* at(void* base, int64_t index, int64_t size) {
  return static_cast<T*>(base) + index * size;
}

// Workspace without initialisation. `wanted` is what the routine answered to its size query: as a
// floating point number, it may have been rounded down.
template <class T>
class Workspace {
 public:
  explicit Workspace(double wanted) {
    const double size = std::ceil(wanted * (1 + 1e-6));
    AG_CHECK(size < static_cast<double>(INT_MAX), Shape,
             "linalg: the matrix is too large: LAPACK would need a workspace of ", size,
             " elements, which 32-bit sizes cannot express");
    size_ = std::max(1, static_cast<int>(size));
    data_.reset(new T[static_cast<size_t>(size_)]);
  }
  T* data() const { return data_.get(); }
  const int* size() const { return &size_; }

 private:
  int size_ = 1;
  std::unique_ptr<T[]> data_;
};

constexpr int kQuery = -1;

// a: n x n, replaced by its factor; the other triangle becomes zero.
template <class T>
void cholesky_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int n = static_cast<int>(p.n);
  for_batch(p, [&](int64_t i) {
    T* a = at<T>(p.a, i, p.n * p.n);
    l.potrf(p.upper ? "U" : "L", &n, a, &n, &p.info[i], 1);
    for (int64_t column = 0; column < p.n; ++column) {
      T* x = a + column * p.n;
      // Not every library sees that a pivot is NaN.
      if (p.info[i] == 0 && x[column] != x[column]) p.info[i] = static_cast<int>(column) + 1;
      if (p.upper) {
        std::fill(x + column + 1, x + p.n, T(0));
      } else {
        std::fill(x, x + column, T(0));
      }
    }
  });
}

// a: m x n, replaced by its L and U.
template <class T>
void lu_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int m = static_cast<int>(p.m);
  const int n = static_cast<int>(p.n);
  const int64_t k = std::min(p.m, p.n);
  for_batch(p, [&](int64_t i) {
    l.getrf(&m, &n, at<T>(p.a, i, p.m * p.n), &m, p.pivots + i * k, &p.info[i]);
  });
}

// a: L and U of n x n; b: n x k right-hand sides, replaced by the solutions.
template <class T>
void lu_solve_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int n = static_cast<int>(p.n);
  const int k = static_cast<int>(p.k);
  for_batch(p, [&](int64_t i) {
    int info = 0;
    l.getrs(p.transpose ? "T" : "N", &n, &k, at<T>(p.a, i, p.n * p.n), &n, p.pivots + i * p.n,
            at<T>(p.b, i, p.n * p.k), &n, &info, 1);
  });
}

// a: triangular n x n; b: n x k, replaced by the solutions.
template <class T>
void triangular_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int n = static_cast<int>(p.n);
  const int k = static_cast<int>(p.k);
  const T one = 1;
  for_batch(p, [&](int64_t i) {
    l.trsm("L", p.upper ? "U" : "L", "N", p.unit ? "U" : "N", &n, &k, &one,
           at<T>(p.a, i, p.n * p.n), &n, at<T>(p.b, i, p.n * p.k), &n, 1, 1, 1, 1);
  });
}

// a: m x n, replaced by R and the reflectors; d: their min(m, n) factors.
template <class T>
void geqrf_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int m = static_cast<int>(p.m);
  const int n = static_cast<int>(p.n);
  const int64_t k = std::min(p.m, p.n);
  T wanted = 0;
  int info = 0;
  l.geqrf(&m, &n, static_cast<T*>(p.a), &m, static_cast<T*>(p.d), &wanted, &kQuery, &info);
  for_batch(p, [&](int64_t i) {
    const Workspace<T> work(wanted);
    int status = 0;
    l.geqrf(&m, &n, at<T>(p.a, i, p.m * p.n), &m, at<T>(p.d, i, k), work.data(), work.size(),
            &status);
  });
}

// a: m x n whose first k columns hold reflectors, replaced by the first n columns of Q.
template <class T>
void orgqr_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int m = static_cast<int>(p.m);
  const int n = static_cast<int>(p.n);
  const int k = static_cast<int>(p.k);
  T wanted = 0;
  int info = 0;
  l.orgqr(&m, &n, &k, static_cast<T*>(p.a), &m, static_cast<T*>(p.d), &wanted, &kQuery, &info);
  for_batch(p, [&](int64_t i) {
    const Workspace<T> work(wanted);
    int status = 0;
    l.orgqr(&m, &n, &k, at<T>(p.a, i, p.m * p.n), &m, at<T>(p.d, i, p.k), work.data(), work.size(),
            &status);
  });
}

// a: symmetric n x n, one triangle read, replaced by the eigenvectors; b: n eigenvalues.
template <class T>
void eigh_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int n = static_cast<int>(p.n);
  const char* job = p.vectors ? "V" : "N";
  const char* uplo = p.upper ? "U" : "L";
  T wanted = 0;
  int wanted_int = 0;
  int status = 0;
  l.syevd(job, uplo, &n, static_cast<T*>(p.a), &n, static_cast<T*>(p.b), &wanted, &kQuery,
          &wanted_int, &kQuery, &status, 1, 1);
  for_batch(p, [&](int64_t i) {
    T* a = at<T>(p.a, i, p.n * p.n);
    if (!all_finite(a, p.n * p.n, dtype_of<T>)) {
      p.info[i] = -1;
      return;
    }
    const Workspace<T> work(wanted);
    const Workspace<int> integers(wanted_int);
    l.syevd(job, uplo, &n, a, &n, at<T>(p.b, i, p.n), work.data(), work.size(), integers.data(),
            integers.size(), &p.info[i], 1, 1);
  });
}

// a: m x n, destroyed; b: U, c: singular values, d: the transposed V; sizes by `full`.
template <class T>
void svd_kernel(const LapackParams& p, const void*) {
  const Lapack<T>& l = lapack<T>();
  const int m = static_cast<int>(p.m);
  const int n = static_cast<int>(p.n);
  const int64_t k = std::min(p.m, p.n);
  const char* job = "N";
  if (p.vectors) job = p.full ? "A" : "S";
  const int64_t u_columns = p.full ? p.m : k;
  const int ldvt = static_cast<int>(p.full ? p.n : k);
  T wanted = 0;
  int info = 0;
  l.gesdd(job, &m, &n, nullptr, &m, nullptr, nullptr, &m, nullptr, &ldvt, &wanted, &kQuery, nullptr,
          &info, 1);
  for_batch(p, [&](int64_t i) {
    T* a = at<T>(p.a, i, p.m * p.n);
    if (!all_finite(a, p.m * p.n, dtype_of<T>)) {
      p.info[i] = -1;
      return;
    }
    const Workspace<T> work(wanted);
    const Workspace<int> integers(static_cast<double>(8 * k));
    T* u = p.vectors ? at<T>(p.b, i, p.m * u_columns) : nullptr;
    T* vt = p.vectors ? at<T>(p.d, i, ldvt * p.n) : nullptr;
    l.gesdd(job, &m, &n, a, &m, at<T>(p.c, i, k), u, &m, vt, &ldvt, work.data(), work.size(),
            integers.data(), &p.info[i], 1);
  });
}

template <class T>
struct LeastSquares {
  const LapackParams& p;
  int m, n, k, ldb;
  T rcond;

  // One call with given data, or the size query.
  void call(T* a, T* b, T* s, int* jpvt, int* rank, T* work, const int* lwork, int* iwork,
            int* info) const {
    const Lapack<T>& l = lapack<T>();
    switch (p.driver) {
      case 0:
        l.gels("N", &m, &n, &k, a, &m, b, &ldb, work, lwork, info, 1);
        break;
      case 1:
        l.gelsy(&m, &n, &k, a, &m, b, &ldb, jpvt, &rcond, rank, work, lwork, info);
        break;
      case 2:
        l.gelsd(&m, &n, &k, a, &m, b, &ldb, s, &rcond, rank, work, lwork, iwork, info);
        break;
      default:
        l.gelss(&m, &n, &k, a, &m, b, &ldb, s, &rcond, rank, work, lwork, info);
        break;
    }
  }
};

// a: m x n, destroyed; b: max(m, n) x k, the solutions in its first n rows; c: singular values.
// driver: 0 gels, 1 gelsy, 2 gelsd, 3 gelss.
template <class T>
void lstsq_kernel(const LapackParams& p, const void*) {
  const int64_t rows = std::max(p.m, p.n);
  const int64_t small = std::min(p.m, p.n);
  const LeastSquares<T> solver{p,
                               static_cast<int>(p.m),
                               static_cast<int>(p.n),
                               static_cast<int>(p.k),
                               static_cast<int>(rows),
                               static_cast<T>(p.rcond)};
  T wanted = 0;
  int wanted_int = 0;
  int status = 0;
  int unused_rank = 0;
  Workspace<int> pivots(static_cast<double>(p.n));
  solver.call(static_cast<T*>(p.a), static_cast<T*>(p.b), static_cast<T*>(p.c), pivots.data(),
              &unused_rank, &wanted, &kQuery, &wanted_int, &status);
  for_batch(p, [&](int64_t i) {
    T* a = at<T>(p.a, i, p.m * p.n);
    T* b = at<T>(p.b, i, rows * p.k);
    if (!all_finite(a, p.m * p.n, dtype_of<T>) || !all_finite(b, rows * p.k, dtype_of<T>)) {
      p.info[i] = -1;
      return;
    }
    const Workspace<T> work(wanted);
    const Workspace<int> integers(wanted_int);
    const Workspace<int> order(static_cast<double>(p.n));
    std::fill(order.data(), order.data() + *order.size(), 0);
    T* s = p.c == nullptr ? nullptr : at<T>(p.c, i, small);
    int rank = 0;
    solver.call(a, b, s, order.data(), &rank, work.data(), work.size(), integers.data(),
                &p.info[i]);
    if (p.rank != nullptr) p.rank[i] = rank;
  });
}

void set(OpId op, KernelFn<LapackParams> single, KernelFn<LapackParams> wide) {
  KernelTable::set<LapackParams>(op, DeviceType::Cpu, DType::Float32, single);
  KernelTable::set<LapackParams>(op, DeviceType::Cpu, DType::Float64, wide);
}

}  // namespace

void register_linalg() {
  set(OpId::linalgCholeskyEx, cholesky_kernel<float>, cholesky_kernel<double>);
  set(OpId::linalgLuFactorEx, lu_kernel<float>, lu_kernel<double>);
  set(OpId::luSolveForward, lu_solve_kernel<float>, lu_solve_kernel<double>);
  set(OpId::linalgSolveTriangularForward, triangular_kernel<float>, triangular_kernel<double>);
  set(OpId::geqrf, geqrf_kernel<float>, geqrf_kernel<double>);
  set(OpId::linalgHouseholderProduct, orgqr_kernel<float>, orgqr_kernel<double>);
  set(OpId::linalgEighForward, eigh_kernel<float>, eigh_kernel<double>);
  set(OpId::linalgSvdForward, svd_kernel<float>, svd_kernel<double>);
  set(OpId::linalgLstsq, lstsq_kernel<float>, lstsq_kernel<double>);
}

}  // namespace ampgrad::cpu
