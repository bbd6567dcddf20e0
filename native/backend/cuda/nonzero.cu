// nonzero: elements that are not zero are counted by tile; when the host has made room for them,
// each tile writes its coordinates after those of the tiles before it.
#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/block.cuh"
#include "backend/cuda/device/convert.cuh"
#include "backend/cuda/device/geometry.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/prefix.h"
#include "backend/cuda/scratch.h"
#include "ops/indexing_params.h"

namespace ampgrad::cuda {

namespace {

constexpr int kItems = 8;
constexpr int64_t kTile = int64_t{kBlockThreads} * kItems;

struct NonzeroArgs {
  int64_t numel = 0;
  int ndim = 0;
  int64_t sizes[kMaxDims];
};

template <class T>
AG_HD AG_INLINE bool is_set(T v) {
  if constexpr (kIsHalf<T>) {
    return (v.bits & 0x7fffu) != 0;
  } else {
    return v != T{0};
  }
}

// Bit i: this thread's i-th element is not zero.
template <class T>
__device__ AG_INLINE unsigned set_bits(const T* in, int64_t first, int64_t numel) {
  unsigned bits = 0;
  AG_UNROLL
  for (int i = 0; i < kItems; ++i) {
    if (first + i < numel && is_set(in[first + i])) bits |= 1u << i;
  }
  return bits;
}

AG_HD AG_INLINE int bit_count(unsigned bits) {
  int n = 0;
  AG_UNROLL
  for (int i = 0; i < kItems; ++i) n += static_cast<int>(bits >> i & 1u);
  return n;
}

template <class T>
__global__ void __launch_bounds__(kBlockThreads)
    count_kernel(const T* in, int64_t numel, int64_t* counts) {
  AG_SHARED_ARRAY(int, shared, kBlockWarps);
  const int64_t first = int64_t{blockIdx.x} * kTile + int64_t{threadIdx.x} * kItems;
  int total = 0;
  block_exclusive_sum(bit_count(set_bits(in, first, numel)), shared, &total);
  if (threadIdx.x == 0) counts[blockIdx.x] = total;
}

template <class T>
__global__ void __launch_bounds__(kBlockThreads)
    positions_kernel(const T* in, const NonzeroArgs a, const int64_t* starts, int64_t* out) {
  AG_SHARED_ARRAY(int, shared, kBlockWarps);
  const int64_t first = int64_t{blockIdx.x} * kTile + int64_t{threadIdx.x} * kItems;
  const unsigned bits = set_bits(in, first, a.numel);
  int total = 0;
  int64_t row = starts[blockIdx.x] + block_exclusive_sum(bit_count(bits), shared, &total);
  for (int i = 0; i < kItems; ++i) {
    if ((bits >> i & 1u) == 0) continue;
    int64_t rest = first + i;
    for (int d = a.ndim - 1; d >= 0; --d) {
      const int64_t q = rest / a.sizes[d];
      out[row * a.ndim + d] = rest - q * a.sizes[d];
      rest = q;
    }
    ++row;
  }
}

template <class T>
void nonzero(const NonzeroParams& p, const void*) {
  if (p.out == nullptr) *p.count = 0;
  if (p.numel == 0) return;
  const int64_t tiles = (p.numel + kTile - 1) / kTile;
  const Scratch scratch(static_cast<size_t>(tiles + 1) * sizeof(int64_t));
  auto* counts = scratch.as<int64_t>();
  const LaunchShape shape{dim3(static_cast<unsigned>(tiles)), kBlockThreads};
  const T* in = static_cast<const T*>(p.in);
  launch("nonzero", shape, count_kernel<T>, in, p.numel, counts);
  exclusive_prefix("nonzero", counts, tiles, counts + tiles);
  if (p.out == nullptr) {
    *p.count = read_count(counts + tiles);
    return;
  }
  NonzeroArgs a;
  a.numel = p.numel;
  a.ndim = static_cast<int>(p.sizes.size());
  for (int d = 0; d < a.ndim; ++d) a.sizes[d] = p.sizes[static_cast<size_t>(d)];
  launch("nonzero", shape, positions_kernel<T>, in, a, counts, p.out);
}

}  // namespace

void register_nonzero(const CudaHost& host) {
#define AG_SET(name, type, text) \
  set_kernel<NonzeroParams>(host, OpId::nonzero, DType::name, nonzero<type>);
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
