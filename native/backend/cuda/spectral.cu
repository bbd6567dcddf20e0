// Symmetric eigenvalues and singular values, a block for each matrix of the batch.
#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/spectral.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "ops/linalg_params.h"

namespace ampgrad::cuda {

namespace {

SpectralArgs args_of(const LapackParams& p) {
  SpectralArgs a;
  a.m = static_cast<int>(p.m);
  a.n = static_cast<int>(p.n);
  a.a = p.a;
  a.info = p.info;
  a.upper = p.upper;
  a.vectors = p.vectors;
  a.full = p.full;
  return a;
}

template <class T>
void run(const char* name, const LapackParams& p, SpectralArgs a,
         void (*kernel)(const SpectralArgs)) {
  if (p.batch == 0) return;
  AG_CHECK(p.batch <= INT32_MAX, Shape, name, ": too many matrices: ", p.batch);
  const Scratch scratch(static_cast<size_t>(p.batch * a.work_size) * sizeof(T));
  a.work = scratch.as<void>();
  launch(name, {dim3(static_cast<unsigned>(p.batch)), linalg_threads(p.m * p.n)}, kernel, a);
}

template <class T>
void eigh(const LapackParams& p, const void*) {
  SpectralArgs a = args_of(p);
  a.values = p.b;
  a.work_size = 2 * p.n * p.n + 3 * p.n + 2;
  run<T>("linalgEighForward", p, a, eigh_kernel<T>);
}

template <class T>
void svd(const LapackParams& p, const void*) {
  SpectralArgs a = args_of(p);
  a.values = p.c;
  a.u = p.b;
  a.vt = p.d;
  const int64_t rows = std::max(p.m, p.n);
  const int64_t k = std::min(p.m, p.n);
  const int64_t columns = p.full ? rows : k;
  a.work_size = rows * k + k * k + k + (p.vectors ? rows * columns : 0);
  run<T>("linalgSvdForward", p, a, svd_kernel<T>);
}

}  // namespace

void register_spectral(const CudaHost& host) {
  set_kernel<LapackParams>(host, OpId::linalgEighForward, DType::Float32, eigh<float>);
  set_kernel<LapackParams>(host, OpId::linalgEighForward, DType::Float64, eigh<double>);
  set_kernel<LapackParams>(host, OpId::linalgSvdForward, DType::Float32, svd<float>);
  set_kernel<LapackParams>(host, OpId::linalgSvdForward, DType::Float64, svd<double>);
}

}  // namespace ampgrad::cuda
