// Least squares, a block for each matrix of the batch.
#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/least_squares.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "ops/linalg_params.h"

namespace ampgrad::cuda {

namespace {

template <class T>
void lstsq(const LapackParams& p, const void*) {
  const auto driver = static_cast<LstsqDriver>(p.driver);
  const bool has_values = driver == LstsqDriver::Gelsd || driver == LstsqDriver::Gelss;
  // Without right-hand sides LAPACK's other drivers do not look at the matrix.
  if (p.batch == 0 || (p.k == 0 && !has_values)) return;
  AG_CHECK(p.batch <= INT32_MAX, Shape, "linalg.lstsq: too many matrices: ", p.batch);
  const int64_t size = LstsqWork<T>::size(p.m, p.n, p.k);
  const int64_t rows = std::max(p.m, p.n);
  const Scratch work(static_cast<size_t>(p.batch * size) * sizeof(T));
  const Scratch swaps(static_cast<size_t>(p.batch * std::min(p.m, p.n)) * sizeof(int32_t));
  LstsqArgs a;
  a.m = static_cast<int>(p.m);
  a.n = static_cast<int>(p.n);
  a.sides = static_cast<int>(p.k);
  a.a = p.a;
  a.b = p.b;
  a.values = p.c;
  a.work = work.as<void>();
  a.swaps = swaps.as<int32_t>();
  a.info = p.info;
  a.rank = p.rank;
  a.driver = driver;
  a.rcond = p.rcond;
  launch("linalgLstsq",
         {dim3(static_cast<unsigned>(p.batch)), linalg_threads(rows * std::max(p.n, p.k))},
         lstsq_kernel<T>, a);
}

}  // namespace

void register_lstsq(const CudaHost& host) {
  set_kernel<LapackParams>(host, OpId::linalgLstsq, DType::Float32, lstsq<float>);
  set_kernel<LapackParams>(host, OpId::linalgLstsq, DType::Float64, lstsq<double>);
}

}  // namespace ampgrad::cuda
