// fill_ over any strides, and sequences (arange, linspace).
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/geometry.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    fill_kernel(const Geometry<1> g, int64_t numel, T* out, T value) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += step) {
    int64_t at[1];
    locate(g, i, at);
    out[at[0]] = value;
  }
}

template <class T>
T value_of(Scalar s) {
  if constexpr (std::is_same_v<T, bool>) return s.to_bool();
  if constexpr (std::is_integral_v<T>) return static_cast<T>(s.to_int());
  return cast<T>(s.to_double());
}

template <class T>
void fill(const FillParams& p, const void*) {
  if (p.numel == 0) return;
  ElementwiseParams e;
  e.ndim = static_cast<int>(p.sizes.size());
  e.sizes = p.sizes.data();
  e.numel = p.numel;
  e.out = {p.data, p.dtype, p.strides.data()};
  AnyGeometry g;
  simplify(e, &g);
  launch("fill_", {grid_for(p.numel, kThreads), kThreads}, fill_kernel<T>, narrow<1>(g), p.numel,
         static_cast<T*>(p.data), value_of<T>(p.value));
}

struct Line {
  double start, step, end;
  int64_t int_start, int_step;
  bool integral;  // counts in wrapping 64-bit arithmetic
};

template <class T>
__global__ void __launch_bounds__(kThreads) arange_kernel(const Line l, int64_t numel, T* out) {
  const int64_t jump = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += jump) {
    if (l.integral) {
      const uint64_t v = static_cast<uint64_t>(l.int_start) +
                         static_cast<uint64_t>(i) * static_cast<uint64_t>(l.int_step);
      out[i] = cast<T>(static_cast<int64_t>(v));
    } else {
      out[i] = cast<T>(l.start + static_cast<double>(i) * l.step);
    }
  }
}

// From both ends, so that the last point meets `end` exactly. Half types round every step, as on
// the CPU.
template <class T>
AG_HD AG_INLINE double stored(double v) {
  if constexpr (kIsHalf<T>) return static_cast<double>(to_float(cast<T>(v)));
  return v;
}

template <class T>
__global__ void __launch_bounds__(kThreads) linspace_kernel(const Line l, int64_t numel, T* out) {
  const int64_t jump = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += jump) {
    const bool lower = i < numel / 2 || numel == 1;
    const int64_t steps = lower ? i : numel - 1 - i;
    const double way = stored<T>(stored<T>(static_cast<double>(steps)) * l.step);
    const double v = lower ? l.start + way : l.end - way;
    if constexpr (std::is_integral_v<T>) {
      out[i] = static_cast<T>(cast<int64_t>(v));
    } else {
      out[i] = cast<T>(v);
    }
  }
}

template <class T>
void arange(const SequenceParams& p, const void*) {
  if (p.numel == 0) return;
  const Line line{p.start.to_double(), p.step.to_double(), 0,
                  p.start.to_int(),    p.step.to_int(),    std::is_integral_v<T>};
  launch("arange", {grid_for(p.numel, kThreads), kThreads}, arange_kernel<T>, line, p.numel,
         static_cast<T*>(p.out));
}

template <class T>
void linspace(const SequenceParams& p, const void*) {
  if (p.numel == 0) return;
  const double start = stored<T>(p.start.to_double());
  const double end = stored<T>(p.end.to_double());
  const double step =
      p.numel > 1 ? stored<T>(stored<T>(end - start) / static_cast<double>(p.numel - 1)) : 0;
  launch("linspace", {grid_for(p.numel, kThreads), kThreads}, linspace_kernel<T>,
         Line{start, step, end, 0, 0, false}, p.numel, static_cast<T*>(p.out));
}

}  // namespace

void register_fill(const CudaHost& host) {
#define AG_SET(name, type, text)                                                   \
  set_kernel<FillParams>(host, OpId::fill_, DType::name, fill<type>);              \
  if constexpr (DType::name != DType::Bool) {                                      \
    set_kernel<SequenceParams>(host, OpId::arange, DType::name, arange<type>);     \
    set_kernel<SequenceParams>(host, OpId::linspace, DType::name, linspace<type>); \
  }
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
