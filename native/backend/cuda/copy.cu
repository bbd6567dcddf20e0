// copy_: any strides, any two dtypes. Equal dense runs go through the copy engine.
#include "backend/cuda/copy.h"

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/geometry.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;

// Equal dtypes move bits, in an unsigned integer of their size.
template <class To, class From>
__global__ void __launch_bounds__(kThreads)
    copy_kernel(const Geometry<2> g, int64_t numel, To* out, const From* in) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += step) {
    int64_t at[2];
    locate(g, i, at);
    out[at[0]] = cast<To>(in[at[1]]);
  }
}

template <class To, class From>
void launch_copy(const ElementwiseParams& p, const AnyGeometry& g) {
  launch("copy_", {grid_for(p.numel, kThreads), kThreads}, copy_kernel<To, From>, narrow<2>(g),
         p.numel, static_cast<To*>(p.out.data), static_cast<const From*>(p.in[0].data));
}

void copy_bits(const ElementwiseParams& p, const AnyGeometry& g) {
  const size_t size = dtype_size(p.out.dtype);
  if (g.dense[0] && g.dense[1]) {
    check(cudaMemcpyAsync(p.out.data, p.in[0].data, static_cast<size_t>(p.numel) * size,
                          cudaMemcpyDeviceToDevice, current_stream()),
          "copy_");
    return;
  }
  if (size == 1) launch_copy<uint8_t, uint8_t>(p, g);
  if (size == 2) launch_copy<int16_t, int16_t>(p, g);
  if (size == 4) launch_copy<int32_t, int32_t>(p, g);
  if (size == 8) launch_copy<int64_t, int64_t>(p, g);
}

template <class To>
void copy_to(const ElementwiseParams& p, const void*) {
  if (p.numel == 0) return;
  AnyGeometry g;
  simplify(p, &g);
  if (p.in[0].dtype == p.out.dtype) return copy_bits(p, g);
  switch (p.in[0].dtype) {
#define AG_CASE(name, type, text) \
  case DType::name:               \
    return launch_copy<To, type>(p, g);
    AG_FOR_EACH_DTYPE(AG_CASE)
#undef AG_CASE
  }
}

using CopyFn = KernelFn<ElementwiseParams>;
constexpr CopyFn kCopies[] = {
#define AG_ENTRY(name, type, text) &copy_to<type>,
    AG_FOR_EACH_DTYPE(AG_ENTRY)
#undef AG_ENTRY
};

}  // namespace

void copy_strided(const ElementwiseParams& params) {
  kCopies[static_cast<int>(params.out.dtype)](params, nullptr);
}

void register_copy(const CudaHost& host) {
  for (int d = 0; d < kNumDTypes; ++d) {
    set_kernel<ElementwiseParams>(host, OpId::copy_, static_cast<DType>(d), kCopies[d]);
  }
}

}  // namespace ampgrad::cuda
