// Dense linear algebra: factorizations and solves, a block for each matrix of the batch.
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/linalg.cuh"
#include "backend/cuda/families.h"
#include "ops/linalg_params.h"

namespace ampgrad::cuda {

namespace {

LinalgArgs args_of(const LapackParams& p) {
  LinalgArgs a;
  a.m = static_cast<int>(p.m);
  a.n = static_cast<int>(p.n);
  a.k = static_cast<int>(p.k);
  a.a = p.a;
  a.b = p.b;
  a.d = p.d;
  a.pivots = p.pivots;
  a.info = p.info;
  a.upper = p.upper;
  a.transpose = p.transpose;
  a.unit = p.unit;
  return a;
}

// A cell's data names the row.
template <void (*kKernel)(const LinalgArgs)>
void run(const LapackParams& p, const void* name) {
  if (p.batch == 0) return;
  const int64_t elements = p.m * p.n > p.n * p.k ? p.m * p.n : p.n * p.k;
  AG_CHECK(p.batch <= INT32_MAX, Shape, static_cast<const char*>(name),
           ": too many matrices: ", p.batch);
  launch(static_cast<const char*>(name),
         {dim3(static_cast<unsigned>(p.batch)), linalg_threads(elements)}, kKernel, args_of(p));
}

// The order of rows that swaps lead to. A thread for each matrix; info: a pivot out of range.
__global__ void __launch_bounds__(kLinalgThreads)
    permutation_kernel(const LinalgArgs p, int64_t batch) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= batch) return;
  int64_t* rows = static_cast<int64_t*>(p.a) + i * p.m;
  const int32_t* swaps = p.pivots + i * p.k;
  p.info[i] = 0;
  for (int r = 0; r < p.m; ++r) rows[r] = r;
  for (int r = 0; r < p.k; ++r) {
    if (swaps[r] < 1 || swaps[r] > p.m) {
      p.info[i] = r + 1;
      return;
    }
    const int64_t v = rows[r];
    rows[r] = rows[swaps[r] - 1];
    rows[swaps[r] - 1] = v;
  }
}

void permutation(const LapackParams& p, const void*) {
  if (p.batch == 0) return;
  const auto blocks = static_cast<unsigned>((p.batch + 31) / 32);
  launch("luPermutation", {dim3(blocks), 32}, permutation_kernel, args_of(p), p.batch);
}

}  // namespace

void register_linalg(const CudaHost& host) {
#define AG_SET(op, kernel)                                                           \
  set_kernel<LapackParams>(host, OpId::op, DType::Float32, run<kernel<float>>, #op); \
  set_kernel<LapackParams>(host, OpId::op, DType::Float64, run<kernel<double>>, #op);
  AG_SET(linalgCholeskyEx, cholesky_kernel)
  AG_SET(linalgLuFactorEx, lu_kernel)
  AG_SET(luSolveForward, lu_solve_kernel)
  AG_SET(linalgSolveTriangularForward, triangular_kernel)
  AG_SET(geqrf, geqrf_kernel)
  AG_SET(linalgHouseholderProduct, orgqr_kernel)
#undef AG_SET
  set_kernel<LapackParams>(host, OpId::luPermutation, DType::Int32, permutation);
}

}  // namespace ampgrad::cuda
