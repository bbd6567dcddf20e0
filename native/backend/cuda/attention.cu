// Attention: which kind of tiles a dtype takes on this device, and the rows' sums of output times
// gradient that the backward starts from.
#include "backend/cuda/attention_units.h"
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "ops/attention_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;

// A warp for each row.
template <class S>
__global__ void __launch_bounds__(kThreads)
    dots_kernel(const S* out, const S* grad, int64_t rows, int width, OpMath<S>* dots) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t step = int64_t{gridDim.x} * (kThreads / kWarp);
  for (int64_t r = int64_t{blockIdx.x} * (kThreads / kWarp) + threadIdx.x / kWarp; r < rows;
       r += step) {
    double sum = 0;
    for (int c = lane; c < width; c += kWarp) {
      sum += static_cast<double>(cast<OpMath<S>>(out[r * width + c])) *
             static_cast<double>(cast<OpMath<S>>(grad[r * width + c]));
    }
    AG_UNROLL
    for (int half = kWarp / 2; half > 0; half /= 2) {
      sum += __shfl_xor_sync(0xffffffffu, sum, half);
    }
    if (lane == 0) dots[r] = static_cast<OpMath<S>>(sum);
  }
}

template <class S>
void find_dots(const AttentionParams& p, const Scratch& to) {
  const int64_t rows = p.batch * p.rows;
  launch("attentionBackward", {grid_for(rows * kWarp, kThreads), kThreads}, dots_kernel<S>,
         static_cast<const S*>(p.out), static_cast<const S*>(p.grad), rows,
         static_cast<int>(p.value_width), to.as<OpMath<S>>());
}

AttentionLaunch choose(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return attention_tensor_half;
    case DType::BFloat16:
      return current_context().properties.major >= 8 ? attention_tensor_bfloat16
                                                     : attention_bfloat16;
    case DType::Float64:
      return attention_double;
    default:
      return attention_single;
  }
}

AttentionArgs args_of(const char* op, const AttentionParams& p, const Scratch& offsets) {
  for (int64_t size : {p.rows, p.keys, p.width, p.value_width}) {
    AG_CHECK(size <= INT32_MAX - 128, Shape, op, ": a dimension of ", size,
             " is too large for cuda");
  }
  AttentionArgs a;
  a.q = p.q;
  a.k = p.k;
  a.v = p.v;
  a.mask = p.mask;
  a.mask_row = p.mask_row;
  a.mask_col = p.mask_col;
  a.out = p.out;
  a.lse = p.lse;
  a.grad = p.grad;
  a.grad_q = p.grad_q;
  a.grad_k = p.grad_k;
  a.grad_v = p.grad_v;
  a.pairs = p.batch;
  a.rows = static_cast<int>(p.rows);
  a.keys = static_cast<int>(p.keys);
  a.width = static_cast<int>(p.width);
  a.value_width = static_cast<int>(p.value_width);
  a.causal = p.causal;
  a.scale = p.scale;
  if (p.mask == nullptr || p.batch == 0) return a;
  check(cudaMemcpyAsync(offsets.as<void>(), p.mask_offsets,
                        static_cast<size_t>(p.batch) * sizeof(int64_t), cudaMemcpyHostToDevice,
                        current_stream()),
        op);
  a.mask_offsets = offsets.as<int64_t>();
  return a;
}

size_t offset_bytes(const AttentionParams& p) {
  return p.mask == nullptr ? 0 : static_cast<size_t>(p.batch) * sizeof(int64_t);
}

void forward(const AttentionParams& p, const void*) {
  const Scratch offsets(offset_bytes(p));
  choose(p.dtype)(false, args_of("nativeAttention", p, offsets));
}

template <class S>
void backward(const AttentionParams& p, const void*) {
  const Scratch offsets(offset_bytes(p));
  AttentionArgs a = args_of("attentionBackward", p, offsets);
  const Scratch dots(static_cast<size_t>(p.batch * p.rows) * sizeof(OpMath<S>));
  if (p.batch * p.rows > 0) find_dots<S>(p, dots);
  a.dots = dots.as<void>();
  choose(p.dtype)(true, a);
}

template <class S>
void set(const CudaHost& host) {
  set_kernel<AttentionParams>(host, OpId::nativeAttention, dtype_of<S>, forward);
  set_kernel<AttentionParams>(host, OpId::attentionBackward, dtype_of<S>, backward<S>);
}

}  // namespace

void register_attention(const CudaHost& host) {
  set<Half>(host);
  set<BFloat16>(host);
  set<float>(host);
  set<double>(host);
}

}  // namespace ampgrad::cuda
