// randperm: the CPU's sequence of swaps, done in rounds by one block. A swap claims its two places;
// in each round those swaps are done that have both, which no earlier swap wants. A permutation of
// n takes O(log n) rounds with high probability (Shun et al., "Sequential random permutation, list
// contraction and tree contraction are highly parallel", SODA 2015), each over what is left.
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/shared.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/scratch.h"
#include "math/random.h"
#include "ops/params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kThreads = 1024;

// Index is unsigned, of 32 or 64 bits.
template <class Index>
struct Permutation {
  Index* values;
  Index* claims;  // the earliest swap that wants a place
  Index* left;    // swaps still to be done
  Index* next;    // those of them that the next round gets
  int64_t numel;
  PhiloxState state;
};

template <class Index>
inline constexpr Index kUnclaimed = ~Index{0};

// The place that swap i exchanges with place i.
template <class Index>
__device__ AG_INLINE Index partner(const Permutation<Index>& p, Index i) {
  const PhiloxBlock block =
      philox_block(p.state.seed, p.state.offset + static_cast<uint64_t>(i / 2));
  const int half = static_cast<int>(i % 2);
  const uint64_t word = half == 0 ? static_cast<uint64_t>(block.words[0]) << 32 | block.words[1]
                                  : static_cast<uint64_t>(block.words[2]) << 32 | block.words[3];
  const uint64_t remaining = static_cast<uint64_t>(p.numel) - i;
  return i + static_cast<Index>(math::bounded(word, remaining));
}

template <class Index>
__global__ void __launch_bounds__(kThreads) randperm_kernel(const Permutation<Index> p) {
  AG_SHARED_ARRAY(unsigned long long, counts, 2);
  const auto n = static_cast<Index>(p.numel);
  for (Index i = threadIdx.x; i < n; i += kThreads) {
    p.values[i] = i;
    p.claims[i] = kUnclaimed<Index>;
    p.left[i] = i;
  }
  if (threadIdx.x < 2) counts[threadIdx.x] = threadIdx.x == 0 ? n : 0;
  __syncthreads();
  Index* left = p.left;
  Index* next = p.next;
  for (int now = 0;; now = 1 - now) {
    const auto count = static_cast<Index>(counts[now]);
    if (count == 0) break;
    for (Index k = threadIdx.x; k < count; k += kThreads) {
      const Index i = left[k];
      atomicMin(&p.claims[i], i);
      atomicMin(&p.claims[partner(p, i)], i);
    }
    __syncthreads();
    for (Index k = threadIdx.x; k < count; k += kThreads) {
      const Index i = left[k];
      const Index j = partner(p, i);
      if (p.claims[i] == i && p.claims[j] == i) {
        const Index value = p.values[i];
        p.values[i] = p.values[j];
        p.values[j] = value;
      } else {
        // The order of what is left changes nothing.
        next[atomicAdd(&counts[1 - now], 1ull)] = i;
      }
    }
    __syncthreads();
    for (Index k = threadIdx.x; k < count; k += kThreads) {
      const Index i = left[k];
      p.claims[i] = kUnclaimed<Index>;
      p.claims[partner(p, i)] = kUnclaimed<Index>;
    }
    if (threadIdx.x == 0) counts[now] = 0;
    Index* done = left;
    left = next;
    next = done;
    __syncthreads();
  }
}

template <class Index>
__global__ void __launch_bounds__(256)
    store_kernel(const Index* values, int64_t numel, void* out, DType dtype) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < numel; i += step) {
    const Index v = values[i];
    if (dtype == DType::Int64) {
      static_cast<int64_t*>(out)[i] = static_cast<int64_t>(v);
    } else {
      store_as<double>(out, dtype, i, static_cast<double>(v));
    }
  }
}

template <class Index>
void permute(const RandomParams& p) {
  const auto n = static_cast<size_t>(p.numel);
  const Scratch scratch(4 * n * sizeof(Index));
  auto* room = scratch.as<Index>();
  const Permutation<Index> permutation{room,         room + n, room + 2 * n,
                                       room + 3 * n, p.numel,  p.state};
  launch("randperm", {dim3(1), kThreads}, randperm_kernel<Index>, permutation);
  launch("randperm", {grid_for(p.numel, 256), 256}, store_kernel<Index>, room, p.numel, p.out,
         p.dtype);
}

void randperm(const RandomParams& p, const void*) {
  if (p.numel == 0) return;
  if (p.numel < UINT32_MAX) {
    permute<unsigned>(p);
  } else {
    permute<unsigned long long>(p);
  }
}

}  // namespace

void register_randperm(const CudaHost& host) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    if (dtype != DType::Bool) set_kernel<RandomParams>(host, OpId::randperm, dtype, randperm);
  }
}

}  // namespace ampgrad::cuda
